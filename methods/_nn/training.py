"""The training loop that the methods share; a run killed anywhere resumes exactly.

Whatever is random in a step comes from the seed and the number of the step alone, and a
checkpoint holds weights, their moving average and the optimiser's state. So the weights
after the last step don't depend on how often the training was interrupted.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from uadbench.protocols import Arrays, Context

from .tensors import arrays_of, like, load_arrays, repeatable, to_array

Schedule = Literal["constant", "one-cycle"]
LOG_EVERY = 25  # steps
MOMENTS = ("exp_avg", "exp_avg_sq")  # AdamW's


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Attributes:
        steps: number of updates.
        batch: images in each.
        rate: learning rate, the highest one of a one-cycle schedule.
        schedule: see `learning_rate`.
        average: decay of the exponential moving average of the weights.
        clip: largest norm of the gradient; 0 leaves it alone.
    """

    steps: int
    batch: int
    rate: float
    schedule: Schedule = "constant"
    average: float = 0.9999
    clip: float = 0.0


@dataclass(frozen=True, eq=False)
class Step:
    """What a loss is made from: a batch and a source of randomness.

    Attributes:
        indices: of the images, int64 (B,), on the device.
        generator: on the device, seeded for this step.
    """

    indices: Tensor
    generator: torch.Generator


Loss = Callable[[nn.Module, Step], Tensor]


def train(
    network: nn.Module,
    loss: Loss,
    recipe: Recipe,
    count: int,
    ctx: Context,
    label: str,
    save_every: float = 10.0,
) -> nn.Module:
    """Return the moving average of the network's weights after training, in eval mode.

    Args:
        network: on the device of `ctx`; it is trained in place.
        loss: returns the loss of one batch; it runs in mixed precision on CUDA.
        recipe: steps, batch, learning rate ...
        count: number of images to draw from.
        ctx: its seed decides everything random, its checkpoint keeps the state.
        label: name of the network for progress and curve.
        save_every: seconds between checkpoints.
    """
    device = torch.device(ctx.device)
    decay = get_ema_multi_avg_fn(recipe.average)  # type: ignore[no-untyped-call]  # not annotated
    average = AveragedModel(network, multi_avg_fn=decay, use_buffers=True)
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=recipe.rate, weight_decay=0.0, fused=True
    )
    state = _State(network, average, optimiser)
    start = state.restore(ctx.checkpoint.load())
    saved = time.monotonic()
    network.train()
    with _own_randomness(device), repeatable():
        left = range(start, recipe.steps)
        for number in ctx.monitor.track(left, label, recipe.steps, start):
            step = _step(number, recipe.batch, count, ctx.seed, device)
            _set_rate(optimiser, learning_rate(recipe, number))
            with mixed_precision(device):
                value = loss(network, step)
            optimiser.zero_grad()
            value.backward()  # type: ignore[no-untyped-call]  # torch has no annotation
            if recipe.clip:
                nn.utils.clip_grad_norm_(network.parameters(), recipe.clip)
            optimiser.step()
            average.update_parameters(network)
            if number % LOG_EVERY == 0 or number == recipe.steps - 1:
                ctx.monitor.log(f"{label}/loss", value.item(), number)
            if time.monotonic() - saved >= save_every or number == recipe.steps - 1:
                ctx.checkpoint.save(state.arrays(number + 1))
                saved = time.monotonic()
    trained: nn.Module = average.module
    return trained.eval()


def new_network(make: Callable[[], nn.Module], seed: int, device: str) -> nn.Module:
    """Return a network on a device, its first weights drawn from the seed."""
    # Layers draw from torch's own generator and no other.
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        network = make()
    placed: nn.Module = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # not annotated
    return placed


def learning_rate(recipe: Recipe, step: int) -> float:
    """Return the learning rate of a step, counted from 0.

    constant: always `rate`.
    one-cycle: up to `rate` over the first quarter, then down to almost 0, on cosines.
    """
    if recipe.schedule == "constant":
        return recipe.rate
    done, peak = (step + 1) / (recipe.steps + 1), 0.25
    phase = done / peak if done < peak else (1 - done) / (1 - peak)
    return recipe.rate * (1 - math.cos(math.pi * phase)) / 2


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


@lru_cache(maxsize=2)
def _shuffle(seed: int, epoch: int, count: int) -> tuple[int, ...]:
    return tuple(map(int, np.random.default_rng([seed, epoch]).permutation(count)))


def mixed_precision(device: torch.device) -> AbstractContextManager[object]:
    """Return the context of bfloat16 matrix products on CUDA, of nothing elsewhere."""
    if device.type == "cuda":
        return torch.autocast("cuda", dtype=torch.bfloat16)
    return nullcontext()


def generator_of(seed: int, device: torch.device | str) -> torch.Generator:
    """Return a new generator on a device."""
    return torch.Generator(device).manual_seed(seed)


def _step(number: int, batch: int, count: int, seed: int, device: torch.device) -> Step:
    """Return a step's batch, and seed torch's own generators for its dropout."""
    indices = torch.tensor(draw_batch(seed, number, batch, count), device=device)
    ours, torchs = np.random.SeedSequence([seed, number]).generate_state(2)
    torch.manual_seed(int(torchs))
    return Step(indices, generator_of(int(ours), device))


@contextmanager
def _own_randomness(device: torch.device) -> Iterator[None]:
    """Give torch's generators back as they were: dropout can use no others."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        yield


def _set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    for group in optimiser.param_groups:
        group["lr"] = rate


@dataclass(frozen=True, eq=False)
class _State:
    """All that a training must remember, as arrays."""

    network: nn.Module
    average: AveragedModel
    optimiser: torch.optim.Optimizer

    def arrays(self, step: int) -> Arrays:
        """Return the state after `step` steps."""
        moments = {
            f"{name}/{index}": to_array(self.optimiser.state[parameter][name])
            for index, parameter in enumerate(self.network.parameters())
            for name in MOMENTS
        }
        return {
            "step": np.array([step]),
            **arrays_of(self.network, "network"),
            **arrays_of(self.average.module, "average"),
            **moments,
        }

    def restore(self, arrays: Arrays | None) -> int:
        """Take back what `arrays` gave; return the number of steps already done."""
        if arrays is None:
            return 0
        step = int(arrays["step"][0])
        load_arrays(self.network, arrays, "network")
        load_arrays(self.average.module, arrays, "average")
        self.average.n_averaged.fill_(step)
        for index, parameter in enumerate(self.network.parameters()):
            self.optimiser.state[parameter] = {
                "step": torch.tensor(float(step), device=parameter.device),
                **{n: like(parameter, arrays[f"{n}/{index}"]) for n in MOMENTS},
            }
        return step
