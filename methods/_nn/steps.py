"""What a training step sees: its images and its random numbers, by its number alone."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn


@dataclass(frozen=True, eq=False)
class Step:
    """What a loss is made from.

    Attributes:
        images: healthy slices, float (B, C, S, S).
        brain: bool (B, 1, S, S).
        generator: on their device, seeded for this step.
    """

    images: Tensor
    brain: Tensor
    generator: torch.Generator


# Returns the mean over the batch. Processes that share a training each get a copy, so
# that it is a function of a module, a part of one, or a method of a method.
Loss = Callable[[nn.Module, Step], Tensor]


class Objective(nn.Module):
    """A network and its loss: what the gradient of a step is taken of."""

    def __init__(self, network: nn.Module, loss: Loss) -> None:
        super().__init__()
        self.network = network
        self._loss = loss

    def forward(self, step: Step) -> Tensor:
        """Return the loss of a step."""
        return self._loss(self.network, step)


def draw_batch(seed: int, step: int, batch: int, count: int) -> list[int]:
    """Return the indices of a step's images: every epoch is one shuffle of all `count`.

    Args:
        seed: of the training.
        step: counted from 0.
        batch: number of indices.
        count: number of images.
    """
    places = range(step * batch, (step + 1) * batch)
    return [_shuffle(seed, place // count, count)[place % count] for place in places]


def ends_epoch(step: int, batch: int, count: int) -> bool:
    """Say whether a step's images complete a shuffle of all `count`, or several."""
    return (step + 1) * batch // count > step * batch // count


def seed_step(seed: int, step: int, rank: int, device: torch.device) -> torch.Generator:
    """Return a step's generator, and seed torch's own for its dropout.

    Args:
        seed: of the training.
        step: counted from 0.
        rank: of the process; each draws the numbers of its part of the batch.
        device: of the generator.
    """
    address = [seed, step, rank] if rank else [seed, step]
    ours, torchs = np.random.SeedSequence(address).generate_state(2)
    torch.manual_seed(int(torchs))
    return generator_of(int(ours), device)


def generator_of(seed: int, device: torch.device | str) -> torch.Generator:
    """Return a new generator on a device."""
    return torch.Generator(device).manual_seed(seed)


@lru_cache(maxsize=2)
def _shuffle(seed: int, epoch: int, count: int) -> tuple[int, ...]:
    return tuple(map(int, np.random.default_rng([seed, epoch]).permutation(count)))
