"""IterMask2: iterative anomaly segmentation by spatial and frequency masking.

A network fills in masked parts of a brain from their surroundings and from the image's
high frequencies; the mask starts at most of the brain and shrinks where the network
succeeds, until only what cannot be explained as healthy stays masked.

Reference: Liang et al., "IterMask2: Iterative Unsupervised Anomaly Segmentation via
Spatial and Frequency Masking for Brain Lesions in MRI", MICCAI 2024, arXiv:2406.02422.

Differs from the original code in:

- Masks stay hard. There, brain, lesion and training masks are area-resized into
  fractions, and any fraction of a lesion pixel counts as lesion.
- The training masks scale with the image; there, 240 px are written into the law.
- The score is the plain squared error. There, errors are scaled by the extremes of the
  whole test set, so that one image changes the score of every other.
- No label is seen. There, the reported threshold is the best one on the test labels.
- The exponential moving average of the weights is used; there, it is made and left.
- The seed decides everything; there, it is read and left, and the masks repeat in
  every epoch.
- The masks on which the threshold is found are seeded, and hard too. There, fractional
  ones, read back from growing files for every batch of the test set.
- An image that stops in the first pass has its mask and its reconstruction; there, both
  stay zero.
- The final mask is a result; there, it is computed and ignored.
- Each scan has its own noise, whatever it is predicted together with.
- Slices are centred on the brain, with a field of view in mm.
- CUDA: mixed precision in training; prediction is in single precision, since a cut at
  a threshold turns a rounding error into another mask.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass as record
from typing import ClassVar, Self

import numpy as np
from pydantic import Field, PositiveInt
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from uadbench.errors import UsageError
from uadbench.protocols import Arrays, Card, Context, Lazy, Prediction, Scan
from uadbench.slices import Normalisation, Slices

from .._nn.scans import Grid, gather, require_one_modality
from .._nn.schedules import Schedule
from .._nn.tensors import (
    arrays_of,
    in_batches,
    load_arrays,
    to_array,
    to_device,
)
from .._nn.training import (
    Loss,
    Recipe,
    generator_of,
    new_network,
    train,
)
from .._nn.unet import Norm, Shape
from .frequency import high_frequency
from .reconstructor import (
    NETWORKS,
    Kind,
    check,
    first_step_loss,
    healthy_errors,
    reconstructor_loss,
)
from .refinement import Refinement, masked_error_threshold, refine

INPUTS = {"first_step": 1, "reconstructor": 2}
DEMO = {
    "size": 64,
    "field": 192.0,
    "normalisation": "median",
    "radius": 10.0,
    "network": "plain",
    "base": 16,
    "multipliers": (1, 2, 4),
    "blocks": 1,
    "attention": (),
    "norm": "group",
    "dropout": 0.0,
    "stem": 2,
    "batch": 8,
    "learning_rate": 6e-3,
    "schedule": "one-cycle",
    "first_steps": 900,
    "steps": 1800,
    "average": 0.98,
    "clip": 1.0,
}


@record(frozen=True, eq=False)
class Learned:
    """What a fit leaves.

    Attributes:
        first_step: condition -> image.
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
class IterMask2:
    """Shrinks a mask onto what a healthy brain does not explain."""

    card: ClassVar[Card] = Card(
        title="IterMask2",
        reference="Liang et al., MICCAI 2024, arXiv:2406.02422",
        licence="not stated in our sources",
        presets={"paper": {}, "demo": DEMO},
    )

    size: int = Field(128, ge=16, le=1024, description="side of a slice, px")
    field: float = Field(240.0, gt=0, description="side of a slice, mm")
    normalisation: Normalisation = Field("p90", description="scale of the intensity")
    radius: float = Field(
        15.0, ge=0, description="frequencies below lose their amplitude, cycles/slice"
    )

    network: Kind = Field(
        "residual", description="the paper's network, or plain convolutions"
    )
    base: int = Field(32, ge=1, description="channels of the first level")
    multipliers: tuple[PositiveInt, ...] = Field(
        (1, 1, 2, 3, 4), min_length=1, description="channels of the levels / base"
    )
    blocks: int = Field(2, ge=1, description="blocks of a level")
    attention: tuple[PositiveInt, ...] = Field(
        (32, 16, 8), description="sides of the feature maps with self-attention, px"
    )
    norm: Norm = Field("batch", description="normalisation layers")
    dropout: float = Field(0.1, ge=0, lt=1, description="rate inside the blocks")
    stem: int = Field(1, ge=1, description="side of a square folded into channels, px")

    batch: int = Field(32, ge=1, description="slices in a batch")
    learning_rate: float = Field(1e-4, gt=0, description="the highest, AdamW")
    schedule: Schedule = Field("constant", description="of the learning rate")
    first_steps: int = Field(150_000, ge=1, description="updates of the first step")
    steps: int = Field(150_000, ge=1, description="updates of the reconstructor")
    average: float = Field(
        0.9999, ge=0, lt=1, description="decay of the weights' moving average"
    )
    clip: float = Field(0.0, ge=0, description="largest norm of the gradient; 0: any")

    quantile: float = Field(
        0.8, gt=0, lt=1, description="part of the healthy masked error below threshold"
    )
    keep: float = Field(0.6, gt=0, le=1, description="part of the brain masked first")
    stop_ratio: float = Field(
        0.01, gt=0, le=1, description="an image stops when its mask shrinks by less"
    )

    def __post_init__(self) -> None:
        """Check the options against each other."""
        check(self.network, self._shape("reconstructor"))
        self._learned: Learned | None = None

    def fit(self, train: Lazy[Scan], val: Lazy[Scan], ctx: Context) -> None:
        """Train both networks, then find the threshold on healthy validation slices."""
        images, brain = self._gather(train, ctx, "training")
        losses = {
            "first_step": first_step_loss(images, self.radius),
            "reconstructor": reconstructor_loss(images, brain, self.radius),
        }
        networks = {
            name: self._train(name, loss, len(images), ctx.child(name))
            for name, loss in losses.items()
        }
        errors, masks = healthy_errors(
            networks["reconstructor"],
            *self._gather(val, ctx, "validation"),
            self.radius,
            generator_of(ctx.child("threshold").seed, ctx.device),
            self.batch,
        )
        threshold = masked_error_threshold(errors, masks, self.quantile)
        self._learned = Learned(**networks, threshold=threshold)

    def predict(self, scans: Iterable[Scan], ctx: Context) -> Iterator[Prediction]:
        """Refine the slices of each scan; the score is the squared error at the end."""
        learned = self._fitted().to(ctx.device)
        for scan in scans:
            require_one_modality(scan, "itermask2")
            slices = self._grid().cut(scan)
            images, brain = to_device(slices.images, slices.brain[:, None], ctx.device)
            refinement = refine(
                images,
                brain,
                lambda inputs: in_batches(learned.first_step, inputs, self.batch),
                lambda inputs: in_batches(learned.reconstructor, inputs, self.batch),
                learned.threshold,
                keep=self.keep,
                stop_ratio=self.stop_ratio,
                radius=self.radius,
                # On the CPU, so that a scan has the same noise on every device.
                generator=generator_of(ctx.child(scan.id).seed, "cpu"),
            )
            yield _prediction(scan, slices, images, refinement, self.radius)

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
        networks = {name: self._new(name, 0, "cpu").eval() for name in INPUTS}
        for name, network in networks.items():
            load_arrays(network, state, name)
        self._learned = Learned(**networks, threshold=float(state["_threshold"][0]))

    def _grid(self) -> Grid:
        return Grid(self.size, self.field, self.normalisation)

    def _shape(self, name: str) -> Shape:
        return Shape(
            INPUTS[name],
            self.size,
            self.base,
            self.multipliers,
            self.blocks,
            self.attention,
            self.norm,
            self.dropout,
            self.stem,
        )

    def _new(self, name: str, seed: int, device: str) -> nn.Module:
        shape = self._shape(name)
        return new_network(lambda: NETWORKS[self.network](shape), seed, device)

    def _train(self, name: str, loss: Loss, count: int, ctx: Context) -> nn.Module:
        recipe = Recipe(
            self.first_steps if name == "first_step" else self.steps,
            self.batch,
            self.learning_rate,
            self.schedule,
            self.average,
            self.clip,
        )
        network = self._new(name, ctx.seed, ctx.device)
        return train(network, loss, recipe, count, ctx, name)

    def _gather(
        self, scans: Lazy[Scan], ctx: Context, role: str
    ) -> tuple[Tensor, Tensor]:
        healthy = gather(scans, self._grid(), ctx, "itermask2", role)
        return to_device(healthy.images, healthy.brain, ctx.device)

    def _fitted(self) -> Learned:
        if self._learned is None:
            msg = "itermask2 has learned nothing yet: fit or restore it first."
            raise UsageError(msg)
        return self._learned


def _prediction(
    scan: Scan, slices: Slices, images: Tensor, refinement: Refinement, radius: float
) -> Prediction:
    """Return the end of the refinement on the scan's own grid."""
    # Outside the brain, on the coarser grid of the slices, nothing counts.
    errors = (images - refinement.reconstruction) ** 2
    score = np.where(slices.brain, to_array(errors[:, 0]), 0)
    planes = {
        "input": slices.images[:, 0],
        "reconstruction": to_array(refinement.reconstruction[:, 0]),
        "condition": to_array(high_frequency(images, radius)[:, 0]),
    }
    trace = [slices.paste_masks(mask) for mask in to_array(refinement.trace[:, :, 0])]
    return Prediction(
        score=np.where(scan.scored, slices.paste(score), np.float32(0)),
        mask=slices.paste_masks(to_array(refinement.mask[:, 0])) & scan.scored,
        extras={
            **{name: slices.paste(plane) for name, plane in planes.items()},
            "trace": np.stack(trace) & scan.scored,
        },
    )
