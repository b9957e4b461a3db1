"""Small healthy brains, and what a method may use, for the tests of methods."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from uadbench.methods._nn.reconstruction import Stack
from uadbench.methods._nn.streams import Streams
from uadbench.protocols import Arrays, Lazy, Scan

SHAPE = (36, 40, 3)


def make_scan(
    name: str, channels: int = 1, slices: tuple[int, ...] = (0, 1, 2)
) -> Scan:
    """Return an elliptic brain with a dark centre, a little different for each name."""
    rng = np.random.default_rng(list(name.encode()))
    x, y, _ = np.ogrid[-1:1:36j, -1:1:40j, -1:1:3j]
    radius = np.broadcast_to((x / 0.8) ** 2 + (y / 0.9) ** 2, SHAPE)
    brain = radius < 1
    tissue = 1 - 0.5 * np.exp(-radius / rng.uniform(0.05, 0.15))
    image = (tissue + 0.02 * rng.standard_normal((channels, *SHAPE))) * brain
    return Scan(
        id=name,
        image=image.astype(np.float32),
        brain=brain,
        spacing=(4.0, 4.0, 6.0),
        affine=np.diag([4.0, 4.0, 6.0, 1.0]),
        modalities=("FLAIR", "T1w")[:channels],
        slices=slices,
    )


@dataclass
class Kept:
    """A checkpoint in memory; its children share `places`."""

    places: dict[str, Arrays] = field(default_factory=dict)
    name: str = ""
    saves: list[str] = field(default_factory=list)

    def load(self) -> Arrays | None:
        return self.places.get(self.name)

    def save(self, arrays: Arrays) -> None:
        self.places[self.name] = {key: value.copy() for key, value in arrays.items()}
        self.saves.append(self.name)

    def child(self, name: str) -> "Kept":
        return Kept(self.places, f"{self.name}/{name}", self.saves)


class KilledError(Exception):
    """Stands for the end of the process."""


@dataclass
class Diary:
    """A monitor that remembers, and ends the process after some steps of a label."""

    kill: tuple[str, int] | None = None
    curve: list[tuple[str, float, int]] = field(default_factory=list)
    steps: dict[str, list[Any]] = field(default_factory=dict)

    def track(
        self, steps: Iterable[Any], label: str, total: int, done: int = 0
    ) -> Iterator[Any]:
        for step in steps:
            if self.kill == (label, step):
                raise KilledError
            self.steps.setdefault(label, []).append(step)
            yield step

    def log(self, name: str, value: float, step: int) -> None:
        self.curve.append((name, value, step))

    def say(self, message: str) -> None:
        raise AssertionError(message)

    warn = say


class Oracle(nn.Module):
    """Knows the healthy images and so the noise of every x_t; keeps what it was given.

    Attributes:
        inputs: every x_t.
        seen: the noise steps of each.
    """

    def __init__(self, x_0: Tensor, alpha_bar: Tensor) -> None:
        super().__init__()
        self.x_0, self.alpha_bar = x_0, alpha_bar
        self.inputs: list[Tensor] = []
        self.seen: list[int] = []

    def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
        self.inputs.append(x_t)
        self.seen.append(int(t[0]))
        alpha_bar = self.alpha_bar[t][:, None, None, None]
        return (x_t - alpha_bar.sqrt() * self.x_0) / (1 - alpha_bar).sqrt()

    def noise(self, number: int) -> Tensor:
        """Return what is noise in the n-th input."""
        alpha_bar = self.alpha_bar[self.seen[number]]
        return self.inputs[number] - alpha_bar.sqrt() * self.x_0


def stacked(images: Tensor, seed: int = 0) -> Stack:
    """Return images as the slices of a scan that is brain everywhere."""
    brain = torch.ones_like(images, dtype=torch.bool)
    streams = Streams.of_slices(seed, range(len(images)), images.device)
    return Stack(images, brain, streams, len(images))


@pytest.fixture
def oracle() -> type[Oracle]:
    """The network that knows the healthy images."""
    return Oracle


@pytest.fixture
def stack_of() -> Callable[..., Stack]:
    """Makes a stack from images."""
    return stacked


@pytest.fixture
def scan() -> Callable[..., Scan]:
    """Makes a scan from a name."""
    return make_scan


@pytest.fixture
def scans() -> Callable[..., Lazy[Scan]]:
    """Makes several scans from their names."""
    return lambda *names: Lazy(names, make_scan)


@pytest.fixture
def kept() -> Kept:
    """A checkpoint in memory."""
    return Kept()


@pytest.fixture
def diary() -> type[Diary]:
    """The monitor that remembers."""
    return Diary


@pytest.fixture
def killed() -> type[KilledError]:
    """What the diary raises."""
    return KilledError
