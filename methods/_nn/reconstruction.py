"""What methods have in common that reconstruct a slice and score what they changed.

A method says what its network is, how it is taught and how it reconstructs; from scans
to slices and back, training, progress and storage are here.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass as record
from dataclasses import field, replace
from itertools import count
from typing import Any, ClassVar, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from uadbench.protocols import Arrays, Card, Context, Lazy, Prediction, Scan
from uadbench.slices import Slices

from .acceleration import precise
from .learning import TrainingOptions, learned
from .packing import Tensors, packed
from .recipes import Recipe
from .scans import Healthy, OneModality, SliceOptions, gather
from .steps import Step
from .streams import Streams
from .tensors import (
    arrays_of,
    in_batches,
    load_arrays,
    repeatable,
    to_array,
    to_device,
)
from .training import Validation, new_network, train

Owner = TypeVar("Owner")


@record(frozen=True, eq=False)
class Stack:
    """Slices of one scan or several, on the device, each with its own random numbers.

    A slice is made alike in every stack as long as nothing looks across slices.

    Attributes:
        images: float (N, 1, S, S).
        brain: bool, the same shape.
        streams: of random numbers; every draw takes the next one from each.
        batch: slices that a network takes at a time.
    """

    images: Tensor
    brain: Tensor
    streams: Streams
    batch: int
    _draws: Iterator[int] = field(default_factory=count, repr=False)

    def through(self, network: Callable[[Tensor], Tensor], inputs: Tensor) -> Tensor:
        """Return what a network makes of inputs (N, C, S, S), a batch at a time."""
        return in_batches(network, inputs, self.batch)

    def normal(self, shape: tuple[int, ...]) -> Tensor:
        """Return standard normal numbers, float (N, *shape), others at each call."""
        return self.streams.normal(next(self._draws), shape)

    def uniform(self, shape: tuple[int, ...]) -> Tensor:
        """Return numbers in [0, 1), float (N, *shape), others at each call."""
        return self.streams.uniform(next(self._draws), shape)


@record(frozen=True, eq=False)
class Restored:
    """What a method makes of a stack.

    Attributes:
        images: the reconstructions, float (N, 1, S, S).
        score: larger is more abnormal, the same shape.
    """

    images: Tensor
    score: Tensor


@dataclass
class Slicewise(TrainingOptions, SliceOptions):
    """A method with one network for single slices.

    A subclass gives `name`, `card`, its own options and the methods below that raise
    NotImplementedError.
    """

    name: ClassVar[str]
    card: ClassVar[Card]

    period: int = Field(
        0, ge=0, description="steps from the highest cosine rate to 0; 0: all"
    )
    steps: int = Field(100_000, ge=1, description="updates, at most")
    patience: int = Field(
        0,
        ge=0,
        description="epochs without a lower validation loss that end it; 0: all",
    )

    def __post_init__(self) -> None:
        """Start without a network."""
        self._network: nn.Module | None = None

    def scored(self, scan: Scan) -> Scan:
        """Return the scan with the one modality that is reconstructed and scored."""
        raise NotImplementedError

    def taught(self, scan: Scan) -> Scan:
        """Return the scan with the modalities that the network is taught with."""
        return self.scored(scan)

    def make(self) -> nn.Module:
        """Return the network, its weights drawn from torch's own generator."""
        raise NotImplementedError

    def inspect(self, healthy: Healthy) -> None:
        """Raise a DataError if these slices are nothing to learn from."""

    def loss(self, network: nn.Module, step: Step) -> Tensor:
        """Return the loss of a batch, the mean over it.

        Args:
            network: what `make` returns.
            step: healthy slices with the modalities of `taught`.
        """
        raise NotImplementedError

    def reconstruct(self, network: nn.Module, stack: Stack) -> Restored:
        """Return the reconstructions of a scan's slices and their scores."""
        raise NotImplementedError

    def recipe(self) -> Recipe:
        """Return how the network is trained."""
        return replace(self.recipe_of(self.steps), period=self.period)

    def fit(self, train: Lazy[Scan], val: Lazy[Scan], ctx: Context) -> None:
        """Teach the network with healthy slices."""
        healthy = self._gather(train, ctx, "training")
        validation = None
        if self.patience:
            held_out = self._gather(val, ctx, "validation")
            validation = Validation(held_out, self.patience)
        self._network = self._train(healthy, ctx, validation)

    def predict(self, scans: Iterable[Scan], ctx: Context) -> Iterator[Prediction]:
        """Reconstruct the slices of each scan, those of several scans together."""
        network = self._fitted().to(ctx.device)

        def restore(stack: Stack) -> Tensors:
            restored = self.reconstruct(network, stack)
            return restored.images, restored.score

        cut = (
            (scan, self.grid.cut(self.scored(scan)), ctx.child(scan.id).seed)
            for scan in scans
        )
        for scan, slices, (images, score) in self.batched(cut, restore, ctx):
            inside = slices.paste(score[:, 0] * slices.brain)
            yield Prediction(
                score=np.where(scan.scored, inside, np.float32(0)),
                extras={
                    "input": slices.paste(slices.images[:, 0]),
                    "reconstruction": slices.paste(images[:, 0]),
                },
            )

    def batched(
        self,
        cut: Iterable[tuple[Owner, Slices, int]],
        process: Callable[[Stack], Tensors],
        ctx: Context,
    ) -> Iterator[tuple[Owner, Slices, list[NDArray[Any]]]]:
        """Yield what `process` makes of each scan's slices, in order; see `packed`.

        Args:
            cut: for each scan whatever shall come back with its results, its slices and
                its seed.
            process: maps slices of any scans to tensors with one row for each.
            ctx: where and how precisely the slices are processed.
        """

        def processed(*rows: Tensor) -> Tensors:
            images, brain, keys = (column.to(ctx.device) for column in rows)
            with torch.no_grad(), repeatable(), precise(ctx):
                return process(Stack(images, brain, Streams(keys), self.batch))

        loaded = (((owner, slices), _rows(slices, seed)) for owner, slices, seed in cut)
        for (owner, slices), results in packed(loaded, processed, self.batch):
            yield owner, slices, [to_array(column) for column in results]

    def state(self) -> Arrays:
        """Return the weights."""
        return arrays_of(self._fitted(), self.name)

    def restore(self, state: Arrays) -> None:
        """Take back what `state` gave."""
        network = new_network(self.make, 0, "cpu").eval()
        load_arrays(network, state, self.name)
        self._network = network

    def _gather(self, scans: Lazy[Scan], ctx: Context, role: str) -> Healthy:
        healthy = gather(scans, self.taught, self.grid, ctx, self.name, role)
        self.inspect(healthy)
        return healthy

    def _train(
        self, healthy: Healthy, ctx: Context, validation: Validation | None
    ) -> nn.Module:
        ctx = ctx.child(self.name)
        network = new_network(self.make, ctx.seed, ctx.device)
        return train(
            network,
            self.loss,
            self.recipe(),
            healthy,
            ctx,
            self.name,
            validation=validation,
        )

    def _fitted(self) -> nn.Module:
        return learned(self._network, self.name)


def _rows(slices: Slices, seed: int) -> Tensors:
    """Return images, brain masks and keys of random streams of a scan's slices."""
    images, brain = to_device(slices.images, slices.brain[:, None], "cpu")
    return images, brain, Streams.of_slices(seed, slices.index, "cpu").keys


@dataclass
class Reconstruction(OneModality, Slicewise):
    """A method with one network for single slices of one modality."""
