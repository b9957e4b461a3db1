"""How many slices a second a method learns from."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from uadbench.probes import lazy, make_scan, needed
from uadbench.protocols import Method, Silent

from .figures import Figure, limits, memory, missing
from .machine import Machine

Item = TypeVar("Item")
# Steps before the clock starts: kernels are chosen, memory is found, code is compiled.
WARM_UP = 3
SCANS, SLICES = 4, 16  # made-up ones to learn from
UNIT = "slices/s"


@dataclass(frozen=True)
class Timing:
    """What the clock saw of a loop: some of its steps, and their seconds."""

    steps: int
    seconds: float


class Timed(Silent):
    """A monitor that lets some loops warm up, times them, and then ends them.

    A loop with fewer steps is timed to its end.

    Args:
        labels: of these loops; others go through.
        seconds: how long each is timed, at least.
        wait: returns when the device is done.

    Attributes:
        timings: of each loop that had steps after the warm-up, by label.
    """

    def __init__(
        self, labels: Iterable[str], seconds: float, wait: Callable[[], None]
    ) -> None:
        self.timings: dict[str, Timing] = {}
        self._labels = frozenset(labels)
        self._seconds = seconds
        self._wait = wait

    def track(
        self, steps: Iterable[Item], label: str, total: int, done: int = 0
    ) -> Iterator[Item]:
        """Yield the steps; of a timed loop, those until its time is over."""
        if label not in self._labels:
            yield from steps
            return
        left = iter(steps)
        yield from islice(left, WARM_UP)
        self._wait()
        start = time.perf_counter()
        count = 0
        for step in left:
            yield step
            count += 1
            if time.perf_counter() - start >= self._seconds:
                break
        self._wait()
        if count:
            self.timings[label] = Timing(count, time.perf_counter() - start)


def learning(
    method: Method,
    step_flop: Mapping[str, int],
    rates: Mapping[str, float],
    machine: Machine,
    seconds: float,
) -> list[Figure]:
    """Let a method learn from made-up scans; return how fast each training loop is.

    Args:
        method: learns, but not to its end.
        step_flop: of a training step by loop: the loops that are timed.
        rates: FLOP/s of matrix products by precision.
        machine: learns.
        seconds: how long each loop is timed.
    """
    monitor = Timed(step_flop, seconds, machine.wait)
    machine.reset_memory()
    method.fit(
        lazy([make_scan(f"train{i}", needed(method), SLICES) for i in range(SCANS)]),
        lazy([make_scan("val", needed(method))]),
        machine.context(monitor),
    )
    used = memory("training", machine.memory())
    if not step_flop:
        return [missing("training", UNIT, "no step of it has a matrix product"), *used]
    return [
        _figure(method, label, flop, monitor.timings.get(label), rates)
        for label, flop in step_flop.items()
    ] + used


def _figure(
    method: Method,
    label: str,
    flop: int,
    timing: Timing | None,
    rates: Mapping[str, float],
) -> Figure:
    name, batch = f"training, {label}", getattr(method, "batch", 0)
    if not batch:
        return missing(name, UNIT, "no option 'batch' tells the slices of a step")
    if timing is None:
        return missing(name, UNIT, f"it ended within {WARM_UP} steps, the warm-up")
    measured = batch * timing.steps / timing.seconds
    return Figure(name, UNIT, measured, limits(rates, flop / batch))
