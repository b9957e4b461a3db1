"""What methods have in common that reconstruct a slice and score what they changed.

A method says what its network is, how it is taught and how it reconstructs; from scans
to slices and back, training, progress and storage are here.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass as record
from dataclasses import replace
from typing import ClassVar

import numpy as np
import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from uadbench.protocols import Arrays, Card, Context, Lazy, Prediction, Scan
from uadbench.slices import Slices

from .acceleration import precise
from .learning import TrainingOptions, learned
from .recipes import Recipe
from .scans import Healthy, OneModality, SliceOptions, cuts, gather
from .steps import Step, generator_of
from .tensors import arrays_of, in_batches, load_arrays, to_array, to_device
from .training import Validation, new_network, train


@record(frozen=True, eq=False)
class Stack:
    """The slices of one scan, on the device.

    Attributes:
        images: float (N, 1, S, S).
        brain: bool, the same shape.
        generator: on the CPU, seeded for the scan, so that it has the same noise on
            every device and whatever it is predicted together with.
        batch: slices that a network takes at a time.
    """

    images: Tensor
    brain: Tensor
    generator: torch.Generator
    batch: int

    def through(self, network: Callable[[Tensor], Tensor], inputs: Tensor) -> Tensor:
        """Return what a network makes of inputs (N, C, S, S), a batch at a time."""
        return in_batches(network, inputs, self.batch)

    def noise(self) -> Tensor:
        """Return standard normal noise in the shape of the images."""
        drawn = torch.randn(self.images.shape, generator=self.generator)
        return drawn.to(self.images.device)


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
        """Reconstruct the slices of each scan."""
        network = self._fitted().to(ctx.device)
        for scan in scans:
            slices = self.grid.cut(self.scored(scan))
            with torch.no_grad(), precise(ctx):
                restored = self.reconstruct(
                    network, self.stack(slices, ctx.child(scan.id))
                )
            score = to_array(restored.score[:, 0]) * slices.brain
            yield Prediction(
                score=np.where(scan.scored, slices.paste(score), np.float32(0)),
                extras={
                    "input": slices.paste(slices.images[:, 0]),
                    "reconstruction": slices.paste(to_array(restored.images[:, 0])),
                },
            )

    def stack(self, slices: Slices, ctx: Context) -> Stack:
        """Return the slices of one scan on the device, its noise from the seed."""
        images, brain = to_device(slices.images, slices.brain[:, None], ctx.device)
        return Stack(images, brain, generator_of(ctx.seed, "cpu"), self.batch)

    def state(self) -> Arrays:
        """Return the weights."""
        return arrays_of(self._fitted(), self.name)

    def restore(self, state: Arrays) -> None:
        """Take back what `state` gave."""
        network = new_network(self.make, 0, "cpu").eval()
        load_arrays(network, state, self.name)
        self._network = network

    def _gather(self, scans: Lazy[Scan], ctx: Context, role: str) -> Healthy:
        healthy = gather(cuts(scans, self.taught, self.grid, ctx, self.name, role))
        self.inspect(healthy)
        return replace(healthy, relative=self.grid.relative)

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


@dataclass
class Reconstruction(OneModality, Slicewise):
    """A method with one network for single slices of one modality."""
