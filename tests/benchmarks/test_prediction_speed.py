"""Prediction of slices; read the ratios, not the seconds.

    pytest tests/benchmarks/test_prediction_speed.py --benchmark-enable --benchmark-only

Without `--benchmark-enable` everything runs once, on few scans.
"""

from collections.abc import Callable, Sequence
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from uadbench import options, registry
from uadbench.protocols import Context, Method, Scan

SIDE = 64  # voxels
QUICK: dict[str, dict[str, object]] = {
    "ae": {},
    "ddpm": {"sampling_steps": 4},
    "pddpm": {},
}


def made(count: int, slices: int) -> list[Scan]:
    """Return scans of noise in a round brain."""
    rng = np.random.default_rng(0)
    line = np.linspace(-1, 1, SIDE)
    brain = np.repeat((line[:, None] ** 2 + line**2 < 0.8)[..., None], slices, axis=2)
    images = rng.random((count, 1, SIDE, SIDE, slices), np.float32) + 0.5
    shape, places = (3.0, 3.0, 5.0), tuple(range(slices))
    return [
        Scan(f"scan{i}", image * brain, brain, shape, np.eye(4), ("T2",), places)
        for i, image in enumerate(images)
    ]


def untaught(name: str, batch: int) -> Method:
    """Return a method that has weights: what they are worth takes no time."""
    plugin: Any = registry.load("methods", name)
    chosen = {**QUICK[name], "batch": batch}
    method: Any = options.build(plugin, name, chosen, "demo")
    method._network = method.make().eval()
    kept: Method = method
    return kept


def predict(method: Method, scans: Sequence[Scan]) -> int:
    return sum(1 for _ in method.predict(scans, Context(0)))


def one_by_one(method: Method, scans: Sequence[Scan]) -> int:
    return sum(predict(method, [scan]) for scan in scans)


def timed(
    benchmark: BenchmarkFixture, work: Callable[..., int], rounds: int = 5, **given: Any
) -> int:
    # pytest-benchmark has no types for this.
    pedantic: Any = benchmark.pedantic
    found: int = pedantic(work, rounds=rounds, **given)
    return found


@pytest.mark.parametrize("times", [1, 4, 16])
@pytest.mark.parametrize("name", QUICK)
@pytest.mark.benchmark(group="growth: scans of 8 slices, beside 4 scans")
def test_time_grows_with_the_slices(
    benchmark: BenchmarkFixture, name: str, times: int
) -> None:
    many = 1 if benchmark.disabled else 4
    few, scans = made(many, 8), made(many * times, 8)
    method, seconds = untaught(name, 8), []

    def alternate() -> tuple[tuple[Method, list[Scan]], dict[str, object]]:
        start = perf_counter()
        predict(method, few)
        seconds.append(perf_counter() - start)
        return (method, scans), {}

    assert timed(benchmark, predict, setup=alternate) == len(scans)
    if benchmark.stats is not None:
        grown = benchmark.stats.stats.median / median(seconds)
        benchmark.extra_info["slices"] = f"{times} x"
        benchmark.extra_info["time"] = f"{grown:.2f} x"


@pytest.mark.parametrize("slices", [1, 4])
@pytest.mark.parametrize("name", QUICK)
@pytest.mark.benchmark(group="32 slices of few a scan, in alternation with one by one")
def test_scans_of_few_slices_share_batches(
    benchmark: BenchmarkFixture, name: str, slices: int
) -> None:
    scans = made(32 // slices, slices)
    # No batch of one scan alone holds more slices than it has.
    shared, alone = untaught(name, 32), untaught(name, slices)
    seconds = []

    def alternate() -> tuple[tuple[Method, list[Scan]], dict[str, object]]:
        start = perf_counter()
        one_by_one(alone, scans)
        seconds.append(perf_counter() - start)
        return (shared, scans), {}

    assert timed(benchmark, predict, setup=alternate) == len(scans)
    if benchmark.stats is not None:
        ratio = median(seconds) / benchmark.stats.stats.median
        benchmark.extra_info["times faster than one by one"] = f"{ratio:.2f}"
