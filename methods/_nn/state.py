"""All that an unfinished training must remember, as arrays."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from uadbench.protocols import Arrays

from .optimisers import Optimiser, load_moments, moments_of
from .stopping import Best
from .tensors import arrays_of, load_arrays

TensorList = tuple[Tensor, ...] | list[Tensor]


def averaged(network: nn.Module, decay: float) -> AveragedModel:
    """Return the exponential moving average of a network's weights and buffers.

    After n updates the decay is at most (1 + n) / (10 + n), so that a training of few
    steps does not end with its first weights.
    """

    def average(
        averages: TensorList, current: TensorList, updates: Tensor | int
    ) -> None:
        # `updates` is on the device, which would have to be waited for.
        n = int(model.n_averaged)
        update = get_ema_multi_avg_fn(min(decay, (1 + n) / (10 + n)))  # type: ignore[no-untyped-call]  # not annotated
        update(averages, current, updates)

    model = AveragedModel(network, multi_avg_fn=average, use_buffers=True)
    return model


@dataclass(frozen=True, eq=False)
class State:
    """What a training changes.

    Attributes:
        network: what is trained.
        average: of its weights.
        optimiser: of its weights.
        kind: of the optimiser.
        best: the best check so far.
        scaler: of losses, in float16.
    """

    network: nn.Module
    average: AveragedModel
    optimiser: torch.optim.Optimizer
    kind: Optimiser
    best: Best
    scaler: torch.amp.GradScaler | None = None

    def arrays(self, step: int) -> Arrays:
        """Return the state after `step` steps."""
        return {
            "step": np.array([step]),
            **arrays_of(self.network, "network"),
            **arrays_of(self.average.module, "average"),
            **moments_of(self.kind, self.optimiser, self.network),
            **self.best.arrays(),
            **_scale_of(self.scaler),
        }

    def restore(self, arrays: Arrays | None) -> int:
        """Take back what `arrays` gave; return the number of steps already done."""
        if arrays is None:
            return 0
        step = int(arrays["step"][0])
        load_arrays(self.network, arrays, "network")
        load_arrays(self.average.module, arrays, "average")
        self.average.n_averaged.fill_(step)
        load_moments(self.kind, self.optimiser, self.network, arrays)
        self.best.restore(arrays)
        if self.scaler:
            _load_scale(self.scaler, arrays)
        return step


def _scale_of(scaler: torch.amp.GradScaler | None) -> Arrays:
    """Return the scale, and how many steps in a row it was not too large."""
    if scaler is None:
        return {}
    state = scaler.state_dict()
    return {"scale": np.array([state["scale"], state["_growth_tracker"]])}


def _load_scale(scaler: torch.amp.GradScaler, arrays: Arrays) -> None:
    """Take back what `_scale_of` gave; an attempt in another precision gave nothing."""
    if "scale" in arrays:
        scale, fitted = arrays["scale"]
        state = {"scale": float(scale), "_growth_tracker": int(fitted)}
        scaler.load_state_dict({**scaler.state_dict(), **state})
