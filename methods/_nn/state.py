"""All that an unfinished training must remember, as arrays."""

from copy import deepcopy
from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch
from torch import Tensor, nn

from uadbench.protocols import Arrays

from .optimisers import Optimiser, load_moments, moments_of
from .stopping import Best
from .tensors import arrays_of, load_arrays


class Average:
    """The exponential moving average of a network's weights and buffers.

    After n updates the decay is at most (1 + n) / (10 + n), so that a training of few
    steps does not end with its first weights. The first update is a copy.

    Attributes:
        module: the network with the averages.
        updates: how many there were. torch's own class copies that number to the device
            at each, and waits for it.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.module = deepcopy(network)
        self.updates = 0
        self._decay = decay

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Move the averages towards a network's present weights."""
        n = self.updates
        decay = min(self._decay, (1 + n) / (10 + n)) if n else 0.0
        averages, counts = _numbers_of(self.module)
        current, counted = _numbers_of(network)
        torch._foreach_lerp_(averages, current, 1 - decay)
        if counts:
            torch._foreach_copy_(counts, counted)
        self.updates += 1


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
    average: Average
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
        self.average.updates = step
        load_moments(self.kind, self.optimiser, self.network, arrays)
        self.best.restore(arrays)
        if self.scaler:
            _load_scale(self.scaler, arrays)
        return step


def _numbers_of(network: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    """Return the weights and buffers that can be averaged, and the counters."""
    tensors = list(chain(network.parameters(), network.buffers()))
    averaged = [tensor for tensor in tensors if tensor.is_floating_point()]
    return averaged, [tensor for tensor in tensors if not tensor.is_floating_point()]


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
