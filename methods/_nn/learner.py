"""One process's part in a training: its share of each batch, and all of the weights."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from uadbench.protocols import Arrays

from .acceleration import Compiler, Reduced
from .compiling import compiled
from .optimisers import new_optimiser
from .recipes import Recipe
from .scans import Healthy
from .schedules import learning_rate
from .state import Average, State
from .steps import Loss, Objective, Step, draw_batch, generator_of, seed_step
from .stopping import Best
from .stores import Batch, Draw, Store, every_slice, open_store
from .tensors import repeatable


@dataclass(frozen=True, eq=False)
class Task:
    """A training as each of its processes is told.

    Attributes:
        network: what is trained.
        loss: of a batch.
        recipe: steps, batch, learning rate ...
        healthy: the slices to learn from.
        seed: decides everything random.
        devices: of the processes.
        precision: of the calculation.
        compiler: of the network.
        patience: checks without a lower loss that end the training; 0: none do.
        saved: the state of an unfinished attempt.
    """

    network: nn.Module
    loss: Loss
    recipe: Recipe
    healthy: Healthy
    seed: int
    devices: tuple[str, ...]
    precision: Reduced
    compiler: Compiler
    patience: int
    saved: Arrays | None


class Learner:
    """Takes the steps of a training; see `learning`.

    Attributes:
        state: what the steps change.
        start: number of steps that were taken before.
    """

    def __init__(self, task: Task, rank: int) -> None:
        from .fabrics import fabric_of, precision_of

        recipe = task.recipe
        self._task, self._rank = task, rank
        self._device = torch.device(task.devices[rank])
        precision = precision_of(task.precision, self._device)
        self._fabric = fabric_of(task.devices, rank, precision)
        network = task.network.to(self._device)
        average = Average(network, recipe.average)
        average.module.eval()
        if len(task.devices) > 1 and self._device.type == "cuda":
            # On the CPU torch has none: each process normalises its own share.
            network = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]  # torch
        network.train()
        optimiser = new_optimiser(
            recipe.optimiser,
            network,
            recipe.rate,
            recipe.decay,
            recipe.momentum,
            # Fabric cannot clip scaled gradients that an optimiser unscales itself.
            fused=task.precision != "fp16",
        )
        self.state = State(
            network,
            average,
            optimiser,
            recipe.optimiser,
            Best(task.patience),
            getattr(precision, "scaler", None),
        )
        self.start = self.state.restore(task.saved)
        self._store = self.store_of(task.healthy)
        self._batches = self._store.batches(map(self._share, self.left))
        self._objective = Objective(network, task.loss)
        self._shared = self._fabric.strategy.setup_module(self._objective)
        self._optimiser = cast(Optimizer, self._fabric.setup_optimizers(optimiser))

    @property
    def left(self) -> range:
        """The numbers of the steps that are left."""
        done = self.state.best.given_up
        return range(self.start, self.start if done else self._task.recipe.steps)

    @property
    def waits(self) -> bool:
        """Whether a layer waits for other devices, through which no compiler sees."""
        modules = self.state.network.modules()
        return any(isinstance(module, nn.SyncBatchNorm) for module in modules)

    def step(self, number: int) -> Tensor:
        """Change the weights by one step; return the loss before, of our share."""
        recipe = self._task.recipe
        rate = learning_rate(
            recipe.schedule, recipe.rate, number, recipe.steps, recipe.period
        )
        for group in self.state.optimiser.param_groups:
            group["lr"] = rate
        value = self._loss(self._shared, self._step(number, next(self._batches)))
        self._fabric.backward(value)
        if recipe.clip:
            self._fabric.clip_gradients(
                self._shared,
                self._optimiser,
                max_norm=recipe.clip,
                # Whoever looks at the norm waits for it; the loss will tell.
                error_if_nonfinite=False,
            )
        self._optimiser.step()
        self.state.average.update(self.state.network)
        return value.detach()

    @torch.no_grad()
    def mean_loss(self, store: Store, seed: int) -> float:
        """Return the mean loss of the average over all slices of a store.

        Its noise is decided by the seed, always the same.
        """
        generator = generator_of(seed, self._device)
        total = 0.0
        for step in every_slice(store, self._task.recipe.batch, generator):
            with self._fabric.autocast():
                value = self._task.loss(self.state.average.module, step)
            total += value.item() * len(step.images)
        return total / len(store)

    def agreed(self, ended: bool) -> bool:
        """Return whether the first process says that the training has ended."""
        return bool(self._fabric.broadcast(ended))

    def store_of(self, healthy: Healthy) -> Store:
        """Return slices on the device, as precise as they are calculated with."""
        return open_store(healthy, self._device, self._task.precision != "32")

    def attempt(self) -> None:
        """Go through the network and back as the first step does; keep nothing."""
        number = self.start
        batch = next(self._store.batches([self._share(number)]))
        value = self._loss(self._objective, self._step(number, batch))
        self._fabric.backward(value)
        self.state.optimiser.zero_grad()

    def _loss(self, objective: nn.Module, step: Step) -> Tensor:
        """Return the loss of a step, with which nothing is left of earlier ones."""
        # The gradients of a CUDA graph are gone once it is replayed.
        self.state.optimiser.zero_grad()
        if self._task.compiler == "graphs":
            torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]  # torch
        with self._fabric.autocast():
            value: Tensor = objective(step)
        return value

    def _share(self, number: int) -> Draw:
        """Return which slices of a step are ours."""
        recipe, count = self._task.recipe, len(self._task.healthy)
        drawn = draw_batch(self._task.seed, number, recipe.batch, count)
        return drawn[self._rank :: len(self._task.devices)]

    def _step(self, number: int, batch: Batch) -> Step:
        generator = seed_step(self._task.seed, number, self._rank, self._device)
        return Step(batch.images, batch.brain, generator)


@contextmanager
def learning(task: Task, rank: int, say: Callable[[str], object]) -> Iterator[Learner]:
    """Give what takes a task's steps, in the context in which they are repeatable.

    Args:
        task: the training.
        rank: number of this process; its device is the one of that number.
        say: shows a line.
    """
    device = torch.device(task.devices[rank])
    # Torch's own generators are given back as they were: dropout can use no others.
    with (
        torch.random.fork_rng([device] if device.type == "cuda" else []),
        repeatable(),
    ):
        learner = Learner(task, rank)
        how = task.compiler if learner.left else "no"
        if how != "no" and learner.waits:
            say(
                "not compiled: batch normalisation over several devices waits for them."
            )
            how = "no"
        with compiled(learner.state.network, how, learner.attempt, say):
            yield learner
