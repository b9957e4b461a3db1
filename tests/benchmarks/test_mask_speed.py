"""Random masks beside the published procedure, on one core; read ratios, not seconds.

    pytest tests/benchmarks/test_mask_speed.py --benchmark-enable --benchmark-only

The twin is lean: all but the squares is vectorised in it.
"""

from functools import cache
from statistics import median
from time import process_time
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor

from uadbench.methods.itermask2 import random_masks

FIELD = 240.0  # mm
SIZE = 128  # px


def brain_of(rng: np.random.Generator, size: int) -> NDArray[np.bool_]:
    """Return an axial slice of a brain: an oval with a wavy edge and a fissure."""
    line = ((np.arange(size) + 0.5) / size - 0.5) * FIELD
    row, column = line[:, None], line[None]
    length, width = rng.uniform(0.75, 1) * np.array([86.4, 69.6])
    angle = np.arctan2(row, column)
    edge = 1 + 0.03 * np.sin(rng.integers(3, 8) * angle + rng.uniform(0, 6))
    inside = np.hypot(row / length, column / width) < edge
    brain: NDArray[np.bool_] = inside & (
        (np.abs(column) > 1.5) | (np.abs(row) < 0.7 * length)
    )
    return brain


@cache
def brains(count: int, size: int = SIZE) -> Tensor:
    rng = np.random.default_rng(0)
    stack = np.stack([brain_of(rng, size) for _ in range(count)])
    return torch.from_numpy(stack)[:, None]


def ours(brain: Tensor, generator: torch.Generator) -> Tensor:
    return random_masks(brain, FIELD / brain.shape[-1], generator)


def as_published(
    twin: ModuleType, rng: np.random.Generator, brain: NDArray[np.bool_]
) -> None:
    for number, inside in enumerate(brain):
        twin.published_sample(rng, inside, number % 3 == 2, SIZE)


# Time on the core: what else the machine does is not counted.
@pytest.mark.benchmark(
    group="promised: 256 masks of 128 px, in alternation", timer=process_time
)
def test_50_times_faster_than_as_published(
    benchmark: BenchmarkFixture, published_masks: ModuleType
) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    rng, generator = np.random.default_rng(0), torch.Generator().manual_seed(0)
    inside = brains(12, 240)[:, 0].numpy()
    seconds = []

    def alternate() -> tuple[tuple[Tensor, torch.Generator], dict[str, object]]:
        start = process_time()
        as_published(published_masks, rng, inside)
        seconds.append((process_time() - start) / len(inside))
        return (brains(256), generator), {}

    # pytest-benchmark has no types for this.
    pedantic: Any = benchmark.pedantic
    masks = pedantic(ours, setup=alternate, rounds=25, warmup_rounds=2)
    torch.set_num_threads(threads)

    if benchmark.stats is not None:
        ratio = median(seconds) / (benchmark.stats.stats.median / 256)
        benchmark.extra_info["times faster than as published"] = ratio
        assert ratio >= 50
    assert masks.shape == (256, 1, SIZE, SIZE)


@pytest.mark.parametrize("count", [1, 8, 32, 256, 1024])
@pytest.mark.benchmark(group="growth: masks of 128 px", timer=process_time)
def test_growth_with_the_batch(benchmark: BenchmarkFixture, count: int) -> None:
    """A measurement, which promises nothing."""
    generator = torch.Generator().manual_seed(0)

    masks = benchmark(ours, brains(count), generator)

    if benchmark.stats is not None:
        benchmark.extra_info["us per mask"] = benchmark.stats.stats.median / count * 1e6
    assert len(masks) == count


@pytest.mark.parametrize("size", [64, 128, 256])
@pytest.mark.benchmark(group="growth: 32 masks, by their size", timer=process_time)
def test_growth_with_the_size(benchmark: BenchmarkFixture, size: int) -> None:
    """A measurement, which promises nothing."""
    generator = torch.Generator().manual_seed(0)

    masks = benchmark(ours, brains(32, size), generator)

    assert masks.shape[-1] == size
