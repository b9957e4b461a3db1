"""The training loop that the methods share; a run killed anywhere resumes exactly.

Whatever is random in a step comes from the seed and the number of the step alone, and a
checkpoint holds weights, their moving average, the optimiser's state and the best check
so far. So the weights at the end don't depend on how often the training was
interrupted.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn

from uadbench.errors import UsageError
from uadbench.protocols import Context

from .optimisers import Optimiser, new_optimiser
from .schedules import Schedule, learning_rate
from .state import State, averaged
from .stopping import Best
from .tensors import repeatable

LOG_EVERY = 25  # steps
SAVE_EVERY = 10.0  # seconds between checkpoints


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Attributes:
        steps: number of updates.
        batch: images in each.
        rate: learning rate, the highest one of a schedule that varies it.
        schedule: see `learning_rate`.
        average: decay of the exponential moving average of the weights; 0 follows them.
        clip: largest norm of the gradient; 0 leaves it alone.
        period: of the schedule, see `learning_rate`.
        optimiser: see `new_optimiser`, as for the next two.
        decay: of the weights.
        momentum: beta 1 of Adam.
    """

    steps: int
    batch: int
    rate: float
    schedule: Schedule = "constant"
    average: float = 0.9999
    clip: float = 0.0
    period: int = 0
    optimiser: Optimiser = "adamw"
    decay: float = 0.0
    momentum: float = 0.9


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


@dataclass(frozen=True, eq=False)
class Validation:
    """What tells when to stop.

    Attributes:
        loss: of a batch of images that are not trained on, the mean over the batch.
        count: number of these images.
        patience: epochs in a row without a lower loss that end the training.
    """

    loss: Loss
    count: int
    patience: int


def train(
    network: nn.Module,
    loss: Loss,
    recipe: Recipe,
    count: int,
    ctx: Context,
    label: str,
    validation: Validation | None = None,
) -> nn.Module:
    """Return the moving average of the network's weights after training, in eval mode.

    With a validation, after every epoch and at the end the average is checked; the one
    with the lowest loss is returned.

    Args:
        network: on the device of `ctx`; it is trained in place.
        loss: returns the loss of one batch; it runs in mixed precision on CUDA.
        recipe: steps, batch, learning rate ...
        count: number of images to draw from.
        ctx: its seed decides everything random, its checkpoint keeps the state.
        label: name of the network for progress and curve.
        validation: ends the training early; None: nothing does.

    Raises:
        UsageError: a loss that is logged is NaN or infinite.
    """
    device = torch.device(ctx.device)
    kind, patience = recipe.optimiser, validation.patience if validation else 0
    optimiser = new_optimiser(kind, network, recipe.rate, recipe.decay, recipe.momentum)
    state = State(
        network, averaged(network, recipe.average), optimiser, kind, Best(patience)
    )
    start = state.restore(ctx.checkpoint.load())
    best, average = state.best, state.average.module
    saved = time.monotonic()
    network.train()
    average.eval()
    with _own_randomness(device), repeatable():
        left = range(start, start if best.given_up else recipe.steps)
        for number in ctx.monitor.track(left, label, recipe.steps, start):
            last = number == recipe.steps - 1
            step = _step(number, recipe, count, ctx.seed, device)
            value = _update(state, loss, recipe, number, step)
            if number % LOG_EVERY == 0 or last:
                _log(ctx, f"{label}/loss", value.item(), number)
            if validation and (last or ends_epoch(number, recipe.batch, count)):
                found = _mean_loss(average, validation, recipe.batch, ctx)
                _log(ctx, f"{label}/validation", found, number)
                best.judge(found, average)
            if last or best.given_up or time.monotonic() - saved >= SAVE_EVERY:
                ctx.checkpoint.save(state.arrays(number + 1))
                saved = time.monotonic()
            if best.given_up:
                ctx.monitor.say(
                    f"{label}: {number + 1} of {recipe.steps} steps, no lower "
                    f"validation loss in {best.waited} epochs."
                )
                break
    best.recall(average)
    trained: nn.Module = average
    return trained


def new_network(make: Callable[[], nn.Module], seed: int, device: str) -> nn.Module:
    """Return a network on a device, its first weights drawn from the seed."""
    # Layers draw from torch's own generator and no other.
    with torch.random.fork_rng([]):
        torch.default_generator.manual_seed(seed)
        network = make()
    placed: nn.Module = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # not annotated
    return placed


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


def _step(
    number: int, recipe: Recipe, count: int, seed: int, device: torch.device
) -> Step:
    """Return a step's batch, and seed torch's own generators for its dropout."""
    drawn = draw_batch(seed, number, recipe.batch, count)
    ours, torchs = np.random.SeedSequence([seed, number]).generate_state(2)
    torch.manual_seed(int(torchs))
    return Step(torch.tensor(drawn, device=device), generator_of(int(ours), device))


def _update(
    state: State, loss: Loss, recipe: Recipe, number: int, step: Step
) -> Tensor:
    """Change the weights by one step; return the loss before."""
    rate = learning_rate(
        recipe.schedule, recipe.rate, number, recipe.steps, recipe.period
    )
    for group in state.optimiser.param_groups:
        group["lr"] = rate
    with mixed_precision(step.indices.device):
        value = loss(state.network, step)
    state.optimiser.zero_grad()
    value.backward()  # type: ignore[no-untyped-call]  # torch has no annotation
    if recipe.clip:
        nn.utils.clip_grad_norm_(state.network.parameters(), recipe.clip)
    state.optimiser.step()
    state.average.update_parameters(state.network)
    return value


@torch.no_grad()
def _mean_loss(
    network: nn.Module, validation: Validation, batch: int, ctx: Context
) -> float:
    """Return the mean loss over all validation images; its noise is always the same."""
    device = torch.device(ctx.device)
    generator = generator_of(ctx.child("validation").seed, device)
    total = 0.0
    for indices in torch.split(torch.arange(validation.count, device=device), batch):
        with mixed_precision(device):
            value = validation.loss(network, Step(indices, generator))
        total += value.item() * len(indices)
    return total / validation.count


def _log(ctx: Context, name: str, loss: float, step: int) -> None:
    """Add a loss to its curve; raise a UsageError if the training has diverged."""
    ctx.monitor.log(name, loss, step)
    if not math.isfinite(loss):
        msg = (
            f"{name}: expected a finite loss, got {loss} at step {step}: the training "
            "diverged. Set a lower learning_rate, or clip=1 if it is 0."
        )
        raise UsageError(msg)


@contextmanager
def _own_randomness(device: torch.device) -> Iterator[None]:
    """Give torch's generators back as they were: dropout can use no others."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        yield
