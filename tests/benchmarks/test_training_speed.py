"""Training of IterMask2's reconstructor beside the plain loop; read the ratios.

    pytest tests/benchmarks/test_training_speed.py --benchmark-enable --benchmark-only

Without `--benchmark-enable` everything runs once, with small networks.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from statistics import median
from time import process_time
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor
from torch.nn.functional import mse_loss
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from uadbench import options
from uadbench.acceleration import Acceleration, Compile, Precision
from uadbench.methods._nn.acceleration import compiler, devices, training_precision
from uadbench.methods._nn.learner import Learner, Task, learning
from uadbench.methods._nn.scans import Healthy
from uadbench.methods._nn.training import new_network
from uadbench.methods.itermask2.frequency import high_frequency
from uadbench.methods.itermask2.inputs import masked_input
from uadbench.methods.itermask2.method import IterMask2
from uadbench.methods.itermask2.reconstructor import reconstructor_loss
from uadbench.protocols import Context

COUNT = 64  # slices
PUBLISHED = 240  # px, of 1 mm
TINY: dict[str, object] = {
    "size": 32,
    "base": 8,
    "multipliers": (1, 1),
    "attention": (),
    "batch": 2,
}
ROUNDS = 9


def brains(size: int) -> tuple[Tensor, Tensor]:
    """Return made-up slices of elliptic brains and where these are."""
    line = torch.linspace(-1, 1, size)
    inside = (line[:, None] / 0.56) ** 2 + (line[None] / 0.75) ** 2 < 1
    brain = inside.expand(COUNT, 1, size, size)
    generator = torch.Generator().manual_seed(0)
    images = 1 + 0.3 * torch.randn(brain.shape, generator=generator)
    return images * brain, brain


def build(preset: str, benchmark: BenchmarkFixture, **given: object) -> IterMask2:
    """Return the method; a small one if nothing is measured."""
    chosen = {**given, **TINY} if benchmark.disabled else given
    return options.build(IterMask2, "itermask2", chosen, preset)


@contextmanager
def ours(method: IterMask2, ctx: Context) -> Iterator[Learner]:
    """Give what takes the steps of our training."""
    images, brain = brains(method.size)
    loss = partial(
        reconstructor_loss,
        pixel=method.field / method.size,
        condition=method.condition(),
    )
    task = Task(
        network=new_network(lambda: method.new_unet(2, method.size), 0, ctx.device),
        loss=loss,
        recipe=method.recipe_of(1_000_000),
        healthy=Healthy([images.numpy()], [brain.numpy()], relative=True),
        seed=0,
        devices=devices(ctx),
        precision=training_precision(ctx),
        compiler=compiler(ctx),
        patience=0,
        saved=None,
    )
    with learning(task, 0, pytest.fail) as learner:
        yield learner


def plain(method: IterMask2, masks: ModuleType, device: str) -> Callable[[], Tensor]:
    """Return a step of the plain loop: float32, masks drawn on the host."""
    images, _ = brains(method.size)
    published = brains(PUBLISHED)[1][:, 0].numpy()
    network = new_network(lambda: method.new_unet(2, method.size), 0, device)
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(0.9999))  # type: ignore[no-untyped-call]  # not annotated
    optimiser = torch.optim.AdamW(network.parameters(), lr=method.learning_rate)
    rng = np.random.default_rng(0)

    def step() -> Tensor:
        chosen = rng.integers(COUNT, size=method.batch)
        drawn = [
            masks.published_sample(
                rng, published[index], bool(rng.integers(3) == 2), method.size
            )
            for index in chosen
        ]
        mask = torch.from_numpy(np.stack(drawn))[:, None].to(device)
        batch = images[chosen].to(device)
        noise = torch.randn_like(batch)
        inputs = masked_input(batch, mask > 0.5, high_frequency(batch), noise)
        loss = mse_loss(network(inputs), batch)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no annotation
        optimiser.step()
        average.update_parameters(network)
        return loss.detach()

    return step


# Time on the core: what else the machine does is not counted.
@pytest.mark.benchmark(group="training step, with the plain loop", timer=process_time)
@pytest.mark.parametrize(("preset", "batch"), [("paper", 4), ("demo", 8)])
def test_training_beside_the_plain_loop(
    benchmark: BenchmarkFixture,
    published_masks: ModuleType,
    preset: str,
    batch: int,
) -> None:
    """A measurement, which promises nothing."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    method = build(preset, benchmark, batch=batch)
    theirs = plain(method, published_masks, "cpu")
    seconds = []
    with ours(method, Context(0)) as learner:
        numbers = iter(learner.left)

        def alternate() -> tuple[tuple[int], dict[str, object]]:
            start = process_time()
            theirs()
            seconds.append(process_time() - start)
            return (next(numbers),), {}

        # pytest-benchmark has no types for this.
        pedantic: Any = benchmark.pedantic
        loss = pedantic(learner.step, setup=alternate, rounds=ROUNDS, warmup_rounds=1)
    torch.set_num_threads(threads)

    if benchmark.stats is not None:
        mine = benchmark.stats.stats.median
        benchmark.extra_info["times faster than the plain loop"] = (
            median(seconds[1:]) / mine
        )
        benchmark.extra_info["slices per second"] = method.batch / mine
    assert torch.isfinite(loss)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.benchmark(group="training steps on CUDA")
@pytest.mark.parametrize("size", [128, 256])
@pytest.mark.parametrize(
    ("precision", "compile_as"),
    [("32", "no"), ("bf16", "no"), ("bf16", "yes"), ("bf16", "graphs")],
)
def test_training_on_cuda(
    benchmark: BenchmarkFixture, size: int, precision: Precision, compile_as: Compile
) -> None:
    """A measurement, which promises nothing."""
    steps = 2 if benchmark.disabled else 20
    batch = 64 if size == 128 else 16
    method = build("paper", benchmark, size=size, batch=batch)
    asked = Acceleration(precision=precision, compile=compile_as)
    with ours(method, Context(0, "cuda:0", acceleration=asked)) as learner:
        numbers = iter(learner.left)

        def some() -> Tensor:
            for _ in range(steps):
                loss = learner.step(next(numbers))
            torch.cuda.synchronize()
            return loss

        pedantic: Any = benchmark.pedantic
        loss = pedantic(some, rounds=ROUNDS, warmup_rounds=1)

    if benchmark.stats is not None:
        rate = steps * method.batch / benchmark.stats.stats.median
        benchmark.extra_info["slices per second"] = rate
        benchmark.extra_info["MiB"] = torch.cuda.max_memory_allocated() / 2**20
    assert torch.isfinite(loss)
