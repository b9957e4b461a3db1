"""Autoencoder: a bottleneck too narrow for lesions; the score is what it drops.

Reference: Baur et al., "Autoencoders for unsupervised anomaly segmentation in brain MR
images: A comparative study", Medical Image Analysis 69 (2021), 101952, the dense
autoencoder of the unified architecture.

Differs from the original code in:

- The intensity is scaled by the brain's median; there, to 0 ... 1.
- A fixed number of updates, as for every method here. There, training ends after five
  epochs without progress on validation data; for how many epochs at most is not stated.
- The moving average of the weights is used.
- The score is the whole residual. There, the brain is eroded, only bright residuals of
  bright voxels count, a median filter and the removal of small components follow, and
  the threshold is the best one on the test labels.
"""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import ClassVar

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn.functional import l1_loss

from uadbench.errors import UsageError
from uadbench.protocols import Arrays, Card, Context, Lazy, Prediction, Scan
from uadbench.slices import Normalisation

from ._nn.scans import Grid, gather, require_one_modality
from ._nn.tensors import arrays_of, in_batches, load_arrays, to_array, to_device
from ._nn.training import Recipe, Schedule, Step, new_network, train

COARSEST = 8  # px, side of the feature maps before they are flattened
DEMO = {
    "size": 64,
    "field": 192.0,
    "base": 16,
    "most": 64,
    "batch": 8,
    "learning_rate": 1e-3,
    "schedule": "one-cycle",
    "steps": 2600,
    "average": 0.99,
}


class Bottleneck(nn.Module):
    """Maps images (B, 1, S, S) to images of the same shape through `latent` numbers."""

    def __init__(
        self, size: int, base: int, most: int, latent: int, dropout: float
    ) -> None:
        super().__init__()
        levels = (size // COARSEST).bit_length() - 1
        widths = [min(most, base * 2**level) for level in range(levels)]
        narrow = max(1, widths[-1] // 8)
        flat = narrow * COARSEST**2
        down = [
            _block(nn.Conv2d(before, after, 5, stride=2, padding=2), after)
            for before, after in pairwise([1, *widths])
        ]
        up = [
            _block(
                nn.ConvTranspose2d(
                    before, after, 5, stride=2, padding=2, output_padding=1
                ),
                after,
            )
            for before, after in pairwise([widths[-1], *reversed(widths)])
        ]
        self.layers = nn.Sequential(
            *down,
            nn.Conv2d(widths[-1], narrow, 1),
            nn.Flatten(),
            nn.Linear(flat, latent),
            nn.Dropout(dropout),
            nn.Linear(latent, flat),
            nn.Unflatten(1, (narrow, COARSEST, COARSEST)),
            nn.Conv2d(narrow, widths[-1], 1),
            nn.BatchNorm2d(widths[-1]),
            nn.ReLU(),
            *up,
            nn.Conv2d(widths[0], 1, 1),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return the reconstructions."""
        output: Tensor = self.layers(images)
        return output


def _block(convolution: nn.Module, channels: int) -> nn.Sequential:
    return nn.Sequential(convolution, nn.BatchNorm2d(channels), nn.LeakyReLU(0.2))


@dataclass
class Autoencoder:
    """Reconstructs through a bottleneck; the score is the absolute error."""

    card: ClassVar[Card] = Card(
        title="Autoencoder",
        reference="Baur et al., Medical Image Analysis 69 (2021), arXiv:2004.03271",
        licence="GPL-3.0 (original code; none of it is used)",
        presets={"paper": {}, "demo": DEMO},
    )

    size: int = Field(128, ge=16, le=1024, description="side of a slice, px")
    field: float = Field(240.0, gt=0, description="side of a slice, mm")
    normalisation: Normalisation = Field("median", description="scale of the intensity")

    base: int = Field(32, ge=1, description="channels of the first level")
    most: int = Field(128, ge=1, description="channels of the widest level")
    latent: int = Field(128, ge=1, description="numbers in the bottleneck")
    dropout: float = Field(0.1, ge=0, lt=1, description="rate in the bottleneck")

    batch: int = Field(8, ge=1, description="slices in a batch")
    learning_rate: float = Field(1e-4, gt=0, description="the highest, AdamW")
    schedule: Schedule = Field("constant", description="of the learning rate")
    steps: int = Field(100_000, ge=1, description="updates")
    average: float = Field(
        0.999, ge=0, lt=1, description="decay of the weights' moving average"
    )

    def __post_init__(self) -> None:
        """Check the options against each other."""
        if self.size % COARSEST or (self.size // COARSEST).bit_count() != 1:
            nearest = COARSEST * 2 ** round(np.log2(self.size / COARSEST))
            msg = (
                f"ae: size {self.size} does not halve down to {COARSEST} px. "
                f"Set size={max(2 * COARSEST, nearest)}."
            )
            raise UsageError(msg)
        self._network: nn.Module | None = None

    def fit(self, train: Lazy[Scan], val: Lazy[Scan], ctx: Context) -> None:
        """Learn to reconstruct healthy slices."""
        healthy = gather(train, self._grid(), ctx, "ae", "training")
        images, _ = to_device(healthy.images, healthy.brain, ctx.device)
        self._network = self._train(images, ctx.child("autoencoder"))

    def predict(self, scans: Iterable[Scan], ctx: Context) -> Iterator[Prediction]:
        """Return |image - reconstruction| inside the brain."""
        network = self._fitted().to(ctx.device)
        for scan in scans:
            require_one_modality(scan, "ae")
            slices = self._grid().cut(scan)
            images, _ = to_device(slices.images, slices.brain, ctx.device)
            restored = to_array(in_batches(network, images, self.batch))
            errors = np.abs(slices.images - restored)[:, 0] * slices.brain
            yield Prediction(
                score=np.where(scan.scored, slices.paste(errors), np.float32(0)),
                extras={
                    "input": slices.paste(slices.images[:, 0]),
                    "reconstruction": slices.paste(restored[:, 0]),
                },
            )

    def state(self) -> Arrays:
        """Return the weights."""
        return arrays_of(self._fitted(), "autoencoder")

    def restore(self, state: Arrays) -> None:
        """Take back what `state` gave."""
        network = self._new(0, "cpu").eval()
        load_arrays(network, state, "autoencoder")
        self._network = network

    def _grid(self) -> Grid:
        return Grid(self.size, self.field, self.normalisation)

    def _new(self, seed: int, device: str) -> nn.Module:
        return new_network(
            lambda: Bottleneck(
                self.size, self.base, self.most, self.latent, self.dropout
            ),
            seed,
            device,
        )

    def _train(self, images: Tensor, ctx: Context) -> nn.Module:
        def loss(network: nn.Module, step: Step) -> Tensor:
            batch = images[step.indices]
            return l1_loss(network(batch), batch, reduction="sum") / len(batch)

        recipe = Recipe(
            self.steps, self.batch, self.learning_rate, self.schedule, self.average
        )
        network = self._new(ctx.seed, ctx.device)
        return train(network, loss, recipe, len(images), ctx, "autoencoder")

    def _fitted(self) -> nn.Module:
        if self._network is None:
            msg = "ae has learned nothing yet: fit or restore it first."
            raise UsageError(msg)
        return self._network
