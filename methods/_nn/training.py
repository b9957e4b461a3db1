"""The training loop that the methods share; a run killed anywhere resumes exactly.

Whatever is random in a step comes from the seed and the number of the step alone, and a
checkpoint holds weights, their moving average, the optimiser's state and the best check
so far. So the weights at the end don't depend on how often the training was
interrupted.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from uadbench.errors import UsageError
from uadbench.protocols import Context

from .acceleration import compiler, devices, training_precision
from .learner import Task, learning
from .recipes import Recipe
from .scans import Healthy
from .steps import Loss, ends_epoch
from .team import team

LOG_EVERY = 25  # steps
SAVE_EVERY = 10.0  # seconds between checkpoints, at least
SAVING = 0.05  # part of the time that they may take


@dataclass(frozen=True, eq=False)
class Validation:
    """What tells when to stop.

    Attributes:
        healthy: slices that are not trained on.
        patience: epochs in a row without a lower loss that end the training.
    """

    healthy: Healthy
    patience: int


def train(
    network: nn.Module,
    loss: Loss,
    recipe: Recipe,
    healthy: Healthy,
    ctx: Context,
    label: str,
    validation: Validation | None = None,
) -> nn.Module:
    """Return the moving average of the network's weights after training, in eval mode.

    With a validation, after every epoch and at the end the average is checked; the one
    with the lowest loss is returned.

    Several devices share each batch; the gradient is the mean over all of it. Their
    random numbers are others than those of one, of the same distribution. On CUDA batch
    normalisation sees the whole batch too; on the CPU, each process's share.

    Args:
        network: on the device of `ctx`; it is trained in place.
        loss: of one batch, the mean over it; see `Loss`.
        recipe: steps, batch, learning rate ...
        healthy: slices to learn from.
        ctx: its seed decides everything random, its checkpoint keeps the state, its
            acceleration says how it is calculated.
        label: name of the network for progress and curve.
        validation: ends the training early; None: nothing does.

    Raises:
        UsageError: a loss that is logged is NaN or infinite; a batch that the devices
            cannot share.
        UadbenchError: a process of another device ended early.
    """
    task = _task(network, loss, recipe, healthy, ctx, validation)
    due = time.monotonic() + SAVE_EVERY

    def say(text: str) -> None:
        ctx.monitor.say(f"{label}: {text}")

    with team(task), learning(task, 0, say) as learner:
        state, best = learner.state, learner.state.best
        held_out = learner.store_of(validation.healthy) if validation else None
        left = learner.left
        for number in ctx.monitor.track(left, label, recipe.steps, learner.start):
            last = number == recipe.steps - 1
            value = learner.step(number)
            if number % LOG_EVERY == 0 or last:
                _log(ctx, f"{label}/loss", value.item(), number)
            checked = last or ends_epoch(number, recipe.batch, len(healthy))
            if held_out and checked:
                seed = ctx.child("validation").seed
                found = learner.mean_loss(held_out, seed)
                _log(ctx, f"{label}/validation", found, number)
                best.judge(found, state.average.module)
                learner.agreed(best.given_up)
            if last or best.given_up or time.monotonic() >= due:
                start = time.monotonic()
                ctx.checkpoint.save(state.arrays(number + 1))
                took = time.monotonic() - start
                due = start + max(SAVE_EVERY, took / SAVING)
            if best.given_up:
                say(
                    f"{number + 1} of {recipe.steps} steps, no lower validation loss "
                    f"in {best.waited} epochs."
                )
                break
    trained: nn.Module = state.average.module
    best.recall(trained)
    return trained


def new_network(make: Callable[[], nn.Module], seed: int, device: str) -> nn.Module:
    """Return a network on a device, its first weights drawn from the seed."""
    # Layers draw from torch's own generator and no other.
    with torch.random.fork_rng([]):
        torch.default_generator.manual_seed(seed)
        network = make()
    placed: nn.Module = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # not annotated
    return placed


def _task(
    network: nn.Module,
    loss: Loss,
    recipe: Recipe,
    healthy: Healthy,
    ctx: Context,
    validation: Validation | None,
) -> Task:
    """Return what each process is told; UsageError if they cannot share a batch."""
    shared = devices(ctx)
    if recipe.batch % len(shared):
        msg = (
            f"--devices {len(shared)} cannot share a batch of {recipe.batch}. Give a "
            f"number that divides it, or --set batch={len(shared)} or a multiple."
        )
        raise UsageError(msg)
    return Task(
        network,
        loss,
        recipe,
        healthy,
        ctx.seed,
        shared,
        training_precision(ctx),
        compiler(ctx),
        validation.patience if validation else 0,
        ctx.checkpoint.load(),
    )


def _log(ctx: Context, name: str, loss: float, step: int) -> None:
    """Add a loss to its curve; raise a UsageError if the training has diverged."""
    ctx.monitor.log(name, loss, step)
    if not math.isfinite(loss):
        msg = (
            f"{name}: expected a finite loss, got {loss} at step {step}: the training "
            "diverged. Set a lower learning_rate, or clip=1 if it is 0."
        )
        raise UsageError(msg)
