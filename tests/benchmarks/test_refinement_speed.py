"""IterMask2's refinement: continuous batching beside whole batches, as published.

    pytest tests/benchmarks/test_refinement_speed.py --benchmark-enable --benchmark-only

512 slices of the phantom as whole brains of 20 slices, or as the demo has them, of 8;
the network of the preset demo, trained for it (two minutes). Without
`--benchmark-enable` everything runs once, on few slices, with a hardly trained network.
On one thread, say with OMP_NUM_THREADS=1.
"""

from collections.abc import Sequence
from itertools import islice
from statistics import median
from time import process_time
from typing import Any

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor

from uadbench import options, registry
from uadbench.methods._nn.streams import Streams
from uadbench.methods._nn.tensors import in_batches
from uadbench.methods.itermask2 import (
    Refiner,
    Stack,
    first_mask,
    one_pass,
    refine,
)
from uadbench.methods.itermask2.method import IterMask2
from uadbench.protocols import Context, Scan

SLICES = 512
BATCH = 32
GROUP = 16
QUICK = {"first_steps": 30, "steps": 60}


@pytest.fixture(scope="module")
def method(request: pytest.FixtureRequest) -> IterMask2:
    """The demo's method, trained on its phantom."""
    measured = request.config.getoption("benchmark_enable")
    trained = options.build(IterMask2, "itermask2", {} if measured else QUICK, "demo")
    few = {} if measured else {"n_train": 4, "n_val": 2}
    dataset = options.build(registry.load("datasets", "phantom"), "phantom", few)
    trained.fit(dataset.train(), dataset.val(), Context(0))
    return trained


def stacks_of(method: IterMask2, count: int, slices: int) -> list[Stack]:
    """Return so many slices, in scans of `slices`, the last perhaps of fewer."""
    phantom = registry.load("datasets", "phantom")
    scans = -(-count // slices)
    dataset = options.build(phantom, "phantom", {"slices": slices, "n_test": scans})
    stacks = [stack_of(method, case.scan) for case in dataset.test()]
    rest = count - (scans - 1) * slices
    last = stacks[-1]
    stacks[-1] = Stack(
        last.images[:rest],
        last.brain[:rest],
        last.condition[:rest],
        last.streams[:rest],
    )
    return stacks


def stack_of(method: IterMask2, scan: Scan) -> Stack:
    return method._stack(method.grid.cut(scan), Context(0).child(scan.id))


def refiner_of(method: IterMask2) -> Refiner:
    learned = method._fitted()
    return Refiner(
        learned.first_step,
        learned.reconstructor,
        learned.threshold,
        method.keep,
        method.stop_ratio,
    )


def whole_batches(stacks: Sequence[Stack], refiner: Refiner) -> tuple[Tensor, Tensor]:
    """Return masks and passes of all slices, batches waiting for their slowest one."""
    images, brain, condition = (
        torch.cat([getattr(stack, name) for stack in stacks])
        for name in ("images", "brain", "condition")
    )
    streams = Streams(torch.cat([stack.streams.keys for stack in stacks]))
    ends = [
        whole_batch(images[at], brain[at], condition[at], streams[at], refiner)
        for at in map(slice, range(0, len(images), BATCH), range(BATCH, 10**9, BATCH))
    ]
    masks, passes = zip(*ends, strict=True)
    return torch.cat(masks), torch.cat(passes)


def whole_batch(
    images: Tensor, brain: Tensor, condition: Tensor, streams: Streams, refiner: Refiner
) -> tuple[Tensor, Tensor]:
    first = in_batches(refiner.first_step, condition, BATCH)
    mask = first_mask((images - first) ** 2, brain, refiner.keep)
    active = brain.flatten(1).any(1)
    passes = torch.zeros(len(images), dtype=torch.long)
    with torch.no_grad():
        while active.any():
            noise = streams.normal(int(passes.max()) + 1, tuple(images.shape[1:]))
            _, shrunk, goes_on = one_pass(images, mask, condition, noise, refiner)
            passes += active
            active &= goes_on
            mask = torch.where(active[:, None, None, None], shrunk, mask)
    return mask, passes


def pooled(stacks: Sequence[Stack], refiner: Refiner) -> tuple[Tensor, Tensor]:
    """Return masks and passes of all slices, from a pool of as many slots."""
    ends = list(refine(stacks, refiner, BATCH, GROUP))
    return torch.cat([e.mask for e in ends]), torch.cat([e.iterations for e in ends])


def described(passes: Tensor) -> dict[str, float]:
    """Return the distribution of the passes, and what batches lose by waiting."""
    parts = (0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
    quantiles = {f"{part:.0%}": float(passes.double().quantile(part)) for part in parts}
    # The first step is as long as a pass.
    batches = [passes[at : at + BATCH] for at in range(0, len(passes), BATCH)]
    waiting = sum(len(batch) * (int(batch.max()) + 1) for batch in batches)
    return {
        **quantiles,
        "mean": float(passes.double().mean()),
        "whole batches / needed": waiting / int((passes + 1).sum()),
    }


@pytest.mark.parametrize(("slices", "times"), [(20, 1.7), (8, 1.4)])
@pytest.mark.benchmark(group="refinement of 512 phantom slices, in alternation")
def test_so_many_times_faster_than_whole_batches(
    benchmark: BenchmarkFixture, method: IterMask2, slices: int, times: float
) -> None:
    stacks = stacks_of(method, 24 if benchmark.disabled else SLICES, slices)
    refiner, ratios = refiner_of(method), []

    def alternate() -> None:
        start = process_time()
        masks, passes = whole_batches(stacks, refiner)
        middle = process_time()
        found = pooled(stacks, refiner)
        ratios.append((middle - start) / (process_time() - middle))
        assert torch.equal(found[0], masks)
        assert torch.equal(found[1], passes)
        benchmark.extra_info["passes"] = described(passes)

    # pytest-benchmark has no types for this.
    pedantic: Any = benchmark.pedantic
    pedantic(alternate, rounds=3)

    benchmark.extra_info["times faster"] = median(ratios)
    assert benchmark.disabled or median(ratios) >= times


@pytest.mark.benchmark(group="growth of refinement: 32, 128 and 512 phantom slices")
def test_time_grows_as_the_slices_do(
    benchmark: BenchmarkFixture, method: IterMask2
) -> None:
    sizes = (2, 8, 32) if benchmark.disabled else (32, 128, 512)
    stacks, refiner = stacks_of(method, sizes[-1], 8), refiner_of(method)
    seconds: dict[int, list[float]] = {size: [] for size in sizes}

    def grow() -> None:
        for size in sizes:
            part = list(islice(stacks, max(1, size // 8)))
            start = process_time()
            pooled(part, refiner)
            seconds[size].append(process_time() - start)

    pedantic: Any = benchmark.pedantic
    pedantic(grow, rounds=3)

    once, _, most = (median(found) for found in seconds.values())
    benchmark.extra_info["seconds"] = {n: median(s) for n, s in seconds.items()}
    # The last slices of a stream leave slots empty, which few slices feel more.
    assert benchmark.disabled or most <= 1.2 * 16 * once
