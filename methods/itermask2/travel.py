"""Slices on their way through the refinement, and the scans that wait for them."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from .._nn.streams import Streams
from .refinement import Refinement


@dataclass(frozen=True, eq=False)
class Stack:
    """The slices of one scan.

    Attributes:
        images: float (N, 1, H, W).
        brain: bool, the same shape.
        condition: what else the networks see of the images, (N, K, H, W), K = 0 for
            nothing.
        streams: of their noise, N. Draw 0 is for the first step, should it see noise,
            draw p for pass p.
    """

    images: Tensor
    brain: Tensor
    condition: Tensor
    streams: Streams


class State(NamedTuple):
    """B slices of several scans.

    Attributes:
        images: float (B, 1, H, W).
        condition: (B, K, H, W).
        mask: bool (B, 1, H, W); all of the brain before the first step.
        age: int (B, 1, H, W), passes through which a pixel was masked. Masks only
            shrink, so that it tells the mask of every pass.
        draw: int64 (B,), the next one from the streams.
        keys: of the streams, int64 (B,).
    """

    images: Tensor
    condition: Tensor
    mask: Tensor
    age: Tensor
    draw: Tensor
    keys: Tensor

    def noise(self) -> Tensor:
        """Return the next draw, in the shape of the images."""
        return Streams(self.keys).normal(self.draw, tuple(self.images.shape[1:]))


class Journey:
    """A scan whose slices are on their way.

    Attributes:
        stack: its slices.
        rows: those with brain; nothing is refined in the others.
    """

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        filled: list[bool] = stack.brain.flatten(1).any(1).tolist()
        self.rows = [row for row, brain in enumerate(filled) if brain]
        self._ends: dict[int, tuple[Tensor, ...]] = {}

    @property
    def whole(self) -> bool:
        """Whether all of them have ended."""
        return len(self._ends) == len(self.rows)

    def start(self) -> "Travellers":
        """Return the slices with brain before the first step."""
        stack, rows = self.stack, self.rows
        state = State(
            stack.images,
            stack.condition,
            stack.brain,
            torch.zeros_like(stack.brain, dtype=torch.int),
            torch.zeros_like(stack.streams.keys),
            stack.streams.keys,
        )
        places = [(self, row) for row in range(len(stack.images))]
        return Travellers(state, places).at(rows)

    def end(self, row: int, outcome: tuple[Tensor, ...]) -> None:
        """Take mask, reconstruction, number of passes and age of a slice."""
        self._ends[row] = outcome

    def refinement(self) -> Refinement:
        """Return how the slices ended."""
        images, brain = self.stack.images, self.stack.brain
        mask, reconstruction = torch.zeros_like(brain), torch.zeros_like(images)
        iterations = torch.zeros(len(images), dtype=torch.long, device=images.device)
        age = torch.zeros_like(brain, dtype=torch.int)
        if self._ends:
            rows = torch.tensor(list(self._ends), device=images.device)
            wholes = (mask, reconstruction, iterations, age)
            outcomes = zip(*self._ends.values(), strict=True)
            for whole, parts in zip(wholes, outcomes, strict=True):
                whole[rows] = torch.stack(parts)
        passes = torch.arange(max([1, *iterations.tolist()]), device=images.device)
        trace = (age > passes[:, None, None, None, None]) | mask
        return Refinement(mask, reconstruction, iterations, trace)


@dataclass(frozen=True, eq=False)
class Travellers:
    """Slices of several scans, and where they belong.

    Attributes:
        state: of B slices.
        places: scan and row of each.
    """

    state: State
    places: Sequence[tuple[Journey, int]]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, part: slice) -> "Travellers":
        """Return some of the slices that are side by side."""
        state = State._make(tensor[part] for tensor in self.state)
        return Travellers(state, self.places[part])

    def at(self, rows: Sequence[int]) -> "Travellers":
        """Return the slices at some rows, which rise."""
        if len(rows) == len(self):
            return self
        state = State._make(picked(self.state, rows))
        return Travellers(state, [self.places[row] for row in rows])


def picked(tensors: Sequence[Tensor], rows: Sequence[int]) -> Iterator[Tensor]:
    """Yield these rows of each tensor."""
    # As it is not waited for, the host runs ahead of the device.
    index = torch.tensor(rows, dtype=torch.long)
    index = index.to(tensors[0].device, non_blocking=True)
    for tensor in tensors:
        yield tensor[index]


def joined(parts: Sequence[Travellers]) -> Travellers:
    """Return the slices of one part or more."""
    if len(parts) == 1:
        return parts[0]
    tensors = zip(*(part.state for part in parts), strict=True)
    places = [place for part in parts for place in part.places]
    return Travellers(State._make(torch.cat(same) for same in tensors), places)


class Queue:
    """Slices that wait, first come, first served."""

    def __init__(self) -> None:
        self._parts: deque[Travellers] = deque()

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def put(self, part: Travellers) -> None:
        """Take slices in, behind the others."""
        self._parts.append(part)

    def put_back(self, part: Travellers) -> None:
        """Take slices in, before the others."""
        self._parts.appendleft(part)

    def take(self, most: int) -> list[Travellers]:
        """Return the first slices, in parts: as many as there are, at most so many."""
        taken = []
        while most and self._parts:
            part = self._parts.popleft()
            if len(part) > most:
                self.put_back(part[most:])
            taken.append(part[:most])
            most -= len(taken[-1])
        return taken
