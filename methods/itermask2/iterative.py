"""What IterMask2 has in common with its ablation: all but the condition."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass as record
from functools import partial
from typing import ClassVar, Self

import numpy as np
import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import nn

from uadbench.protocols import Arrays, Card, Context, Lazy, Prediction, Scan
from uadbench.slices import Normalisation, Slices

from .._nn.acceleration import precise, precisely
from .._nn.learning import TrainingOptions, learned
from .._nn.networks import UNetOptions
from .._nn.scans import Healthy, OneModality, SliceOptions, gather
from .._nn.steps import Loss, generator_of
from .._nn.stores import every_slice, open_store
from .._nn.streams import Streams
from .._nn.tensors import arrays_of, load_arrays, to_array, to_device
from .._nn.training import new_network, train
from .inputs import Condition
from .pool import refine
from .reconstructor import first_step_loss, healthy_errors, reconstructor_loss
from .refinement import Refinement, Refiner, masked_error_threshold
from .travel import Stack

# Slices that a network sees at a time on a CPU, unless it shall see one: they fit into
# its caches, and few of them are black where the scans end.
CPU_GROUP = 8


@record(frozen=True, eq=False)
class Learned:
    """What a fit leaves.

    Attributes:
        first_step: what is known before any mask -> image.
        reconstructor: masked image and condition -> image.
        threshold: squared error above which a pixel stays masked.
    """

    first_step: nn.Module
    reconstructor: nn.Module
    threshold: float

    def to(self, device: str) -> Self:
        """Return it with its networks on a device."""
        self.first_step.to(device)
        self.reconstructor.to(device)
        return self


@dataclass
class Iterative(TrainingOptions, UNetOptions, OneModality, SliceOptions):
    """Shrinks a mask onto what a healthy brain does not explain.

    A subclass gives `name`, `card`, `inputs` and the condition.

    Attributes:
        inputs: channels of the input of each network.
    """

    card: ClassVar[Card]
    inputs: ClassVar[dict[str, int]]

    normalisation: Normalisation = Field("p90", description="scale of the intensity")

    first_steps: int = Field(150_000, ge=1, description="updates of the first step")
    steps: int = Field(150_000, ge=1, description="updates of the reconstructor")
    average: float = Field(
        0.9999, ge=0, lt=1, description="decay of the weights' moving average"
    )

    quantile: float = Field(
        0.8, gt=0, lt=1, description="part of the healthy masked error below threshold"
    )
    keep: float = Field(0.6, gt=0, le=1, description="part of the brain masked first")
    stop_ratio: float = Field(
        0.01, gt=0, le=1, description="an image stops when its mask shrinks by less"
    )

    def __post_init__(self) -> None:
        """Check the options against each other."""
        self.check_unet(self.name, self.size)
        self._learned: Learned | None = None

    def condition(self) -> Condition:
        """Return what gives the networks their knowledge of the whole image."""
        raise NotImplementedError

    def fit(self, train: Lazy[Scan], val: Lazy[Scan], ctx: Context) -> None:
        """Train both networks, then find the threshold on healthy validation slices."""
        healthy = self._gather(train, ctx, "training")
        # Before hours of training, so that what is wrong with them shows now.
        held_out = self._gather(val, ctx, "validation")
        pixel, condition = self.field / self.size, self.condition()
        losses = {
            "first_step": partial(first_step_loss, condition=condition),
            "reconstructor": partial(
                reconstructor_loss, pixel=pixel, condition=condition
            ),
        }
        networks = {
            name: self._train(name, loss, healthy, ctx.child(name))
            for name, loss in losses.items()
        }
        device = torch.device(ctx.device)
        steps = every_slice(
            open_store(held_out, device),
            self.batch,
            generator_of(ctx.child("threshold").seed, device),
        )
        with precise(ctx):
            errors, masks = healthy_errors(
                networks["reconstructor"], steps, pixel, condition
            )
        threshold = masked_error_threshold(errors, masks, self.quantile)
        self._learned = Learned(**networks, threshold=threshold)

    def predict(self, scans: Iterable[Scan], ctx: Context) -> Iterator[Prediction]:
        """Refine the slices of the scans; the score is the squared error at the end."""
        learned = self._fitted().to(ctx.device)
        refiner = Refiner(
            precisely(learned.first_step, ctx),
            precisely(learned.reconstructor, ctx),
            learned.threshold,
            self.keep,
            self.stop_ratio,
        )
        started: deque[tuple[Scan, Slices, Stack]] = deque()

        def stacks() -> Iterator[Stack]:
            for scan in scans:
                slices = self.grid.cut(self.scored(scan))
                started.append((scan, slices, self._stack(slices, ctx.child(scan.id))))
                yield started[-1][-1]

        group = CPU_GROUP if ctx.device == "cpu" and self.batch > 1 else self.batch
        for refinement in refine(stacks(), refiner, max(group, self.batch), group):
            yield _prediction(*started.popleft(), refinement)

    def state(self) -> Arrays:
        """Return the weights of both networks and the threshold."""
        learned = self._fitted()
        return {
            **arrays_of(learned.first_step, "first_step"),
            **arrays_of(learned.reconstructor, "reconstructor"),
            "_threshold": np.array([learned.threshold]),
        }

    def restore(self, state: Arrays) -> None:
        """Take back what `state` gave."""
        networks = {name: self._new(name, 0, "cpu").eval() for name in self.inputs}
        for name, network in networks.items():
            load_arrays(network, state, name)
        self._learned = Learned(**networks, threshold=float(state["_threshold"][0]))

    def _new(self, name: str, seed: int, device: str) -> nn.Module:
        channels = self.inputs[name]
        return new_network(lambda: self.new_unet(channels, self.size), seed, device)

    def _train(
        self, name: str, loss: Loss, healthy: Healthy, ctx: Context
    ) -> nn.Module:
        recipe = self.recipe_of(
            self.first_steps if name == "first_step" else self.steps
        )
        network = self._new(name, ctx.seed, ctx.device)
        return train(network, loss, recipe, healthy, ctx, name)

    def _gather(self, scans: Lazy[Scan], ctx: Context, role: str) -> Healthy:
        return gather(scans, self.scored, self.grid, ctx, self.name, role)

    def _stack(self, slices: Slices, ctx: Context) -> Stack:
        images, brain = to_device(slices.images, slices.brain[:, None], ctx.device)
        streams = Streams.of_slices(ctx.seed, slices.index, ctx.device)
        return Stack(images, brain, self.condition()(images), streams)

    def _fitted(self) -> Learned:
        return learned(self._learned, self.name)


def _prediction(
    scan: Scan,
    slices: Slices,
    stack: Stack,
    refinement: Refinement,
) -> Prediction:
    """Return the end of the refinement on the scan's own grid."""
    # Outside the brain, on the coarser grid of the slices, nothing counts.
    errors = (stack.images - refinement.reconstruction) ** 2
    score = np.where(slices.brain, to_array(errors[:, 0]), 0)
    planes = {
        "input": slices.images[:, 0],
        "reconstruction": to_array(refinement.reconstruction[:, 0]),
    }
    if stack.condition.shape[1]:
        planes["condition"] = to_array(stack.condition[:, 0])
    trace = [slices.paste_masks(mask) for mask in to_array(refinement.trace[:, :, 0])]
    return Prediction(
        score=np.where(scan.scored, slices.paste(score), np.float32(0)),
        mask=slices.paste_masks(to_array(refinement.mask[:, 0])) & scan.scored,
        extras={
            **{name: slices.paste(plane) for name, plane in planes.items()},
            "trace": np.stack(trace) & scan.scored,
        },
    )
