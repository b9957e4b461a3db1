"""A method and a clock to measure with, for the tests of `uadbench bench`."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import ClassVar

import numpy as np
import pytest
import torch
from pydantic.dataclasses import dataclass

from uadbench.bench import machine, predicting
from uadbench.protocols import Arrays, Card, Context, Lazy, Prediction, Scan


class Clock:
    """Seconds that pass only when it is told so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def work(self, seconds: float) -> Callable[[], None]:
        """Return work that takes so long."""

        def work() -> None:
            self.now += seconds

        return work


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "perf_counter", clock)
    return clock


@dataclass
class Unbatched:
    """Learns a convolution for a step after each other; its mask shrinks once."""

    card: ClassVar[Card] = Card("Shrinking", presets={"paper": {}, "demo": {}})

    steps: int = 1000
    traced: bool = True

    def fit(self, train: Lazy[Scan], val: Lazy[Scan], ctx: Context) -> None:
        images = [scan.image[0] for scan in ctx.monitor.track(train, "reading", 9)]
        layer = torch.nn.Conv2d(1, 1, 3, padding=1)
        image = torch.from_numpy(images[0][None, None, ..., 0])
        for _ in ctx.monitor.track(range(self.steps), "teaching", self.steps):
            layer(image).sum().backward()
        self.layer, self.read = layer, len(images)

    def predict(self, scans: Iterable[Scan], ctx: Context) -> Iterator[Prediction]:
        for scan in scans:
            self.layer(torch.from_numpy(scan.image[:1, ..., 0])[None])
            trace = np.stack([scan.brain, scan.brain])
            trace[1, 60:] = False
            extras = {"trace": trace} if self.traced else {}
            yield Prediction(scan.image[0], extras=extras)

    def state(self) -> Arrays:
        return {"weight": self.layer.weight.detach().numpy()}

    def restore(self, state: Arrays) -> None:
        self.layer = torch.nn.Conv2d(1, 1, 3, padding=1)
        self.layer.weight.data = torch.from_numpy(state["weight"])


@dataclass
class Shrinking(Unbatched):
    """Says how many slices a step takes."""

    batch: int = 3


@pytest.fixture
def unbatched() -> type[Unbatched]:
    """A method of which nothing tells the slices of a step."""
    return Unbatched


@pytest.fixture
def shrinking() -> type[Shrinking]:
    """A method of which all can be measured."""
    return Shrinking


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a slice take a millisecond."""
    monkeypatch.setattr(predicting, "fastest", lambda _: 1e-3)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make all that is measured tiny."""
    monkeypatch.setattr("uadbench.bench.measure.SHAPE", (24, 20, 12))
    monkeypatch.setattr(machine, "ROWS_CPU", 16)
    monkeypatch.setattr(machine, "LARGEST", 32)
    monkeypatch.setattr(machine, "COPIED", 1 << 12)


@pytest.fixture
def measured(small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `Shrinking` the method of every name."""
    monkeypatch.setattr("uadbench.registry.load", lambda *_: Shrinking)
