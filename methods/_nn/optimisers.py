"""Optimisers, and their moments as arrays, so that a training resumes exactly."""

from collections.abc import Callable
from functools import partial
from typing import Literal

import numpy as np
import torch
from torch import nn
from torch.optim import Adam, AdamW

from uadbench.protocols import Arrays

from .tensors import like, to_array

Optimiser = Literal["adamw", "amsgrad"]
OPTIMISERS: dict[Optimiser, Callable[..., torch.optim.Optimizer]] = {
    "adamw": AdamW,
    "amsgrad": partial(Adam, amsgrad=True),
}
MOMENTS: dict[Optimiser, tuple[str, ...]] = {
    "adamw": ("exp_avg", "exp_avg_sq"),
    "amsgrad": ("exp_avg", "exp_avg_sq", "max_exp_avg_sq"),
}


def new_optimiser(
    kind: Optimiser,
    network: nn.Module,
    rate: float,
    decay: float,
    momentum: float,
    fused: bool = True,
) -> torch.optim.Optimizer:
    """Return an optimiser of all weights of a network.

    adamw: weights shrink by `rate` x `decay` at each step, apart from the gradient
        (Loshchilov and Hutter 2019).
    amsgrad: Adam that divides by the largest second moment so far (Reddi et al. 2018);
        `decay` x weights is added to the gradient.

    Args:
        kind: one of the above.
        network: what is trained.
        rate: learning rate.
        decay: of the weights.
        momentum: decay of the gradient's moving average, beta 1; beta 2 is 0.999.
        fused: all weights at once, in one pass over memory; else as torch likes.
    """
    return OPTIMISERS[kind](
        network.parameters(),
        lr=rate,
        weight_decay=decay,
        betas=(momentum, 0.999),
        # False would mean weight by weight.
        fused=fused or None,
    )


def moments_of(
    kind: Optimiser, optimiser: torch.optim.Optimizer, network: nn.Module
) -> Arrays:
    """Return the moments of each parameter, in order, as arrays "moment/index".

    "updates" is how many there were, fewer than steps where a step was skipped.
    """
    if not optimiser.state:
        return {"updates": np.array([0])}
    states = [optimiser.state[parameter] for parameter in network.parameters()]
    return {
        "updates": np.array([int(states[0]["step"])]),
        **{
            f"{name}/{index}": to_array(state[name])
            for index, state in enumerate(states)
            for name in MOMENTS[kind]
        },
    }


def load_moments(
    kind: Optimiser,
    optimiser: torch.optim.Optimizer,
    network: nn.Module,
    arrays: Arrays,
) -> None:
    """Take back what `moments_of` gave, out of a larger collection."""
    updates = float(arrays["updates"][0])
    if not updates:
        return
    for index, parameter in enumerate(network.parameters()):
        # Where a fused optimiser counts, and where others do.
        device = parameter.device if optimiser.defaults["fused"] else "cpu"
        optimiser.state[parameter] = {
            "step": torch.tensor(updates, device=device),
            **{n: like(parameter, arrays[f"{n}/{index}"]) for n in MOMENTS[kind]},
        }
