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

from itertools import pairwise
from typing import ClassVar

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn.functional import l1_loss

from uadbench.errors import UsageError
from uadbench.protocols import Card

from ._nn.reconstruction import Reconstruction, Restored, Stack
from ._nn.training import Loss, Step

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
class Autoencoder(Reconstruction):
    """Reconstructs through a bottleneck; the score is the absolute error."""

    name: ClassVar[str] = "ae"
    card: ClassVar[Card] = Card(
        title="Autoencoder",
        reference="Baur et al., Medical Image Analysis 69 (2021), arXiv:2004.03271",
        licence="GPL-3.0 (original code; none of it is used)",
        presets={"paper": {"batch": 8}, "demo": DEMO},
    )

    base: int = Field(32, ge=1, description="channels of the first level")
    most: int = Field(128, ge=1, description="channels of the widest level")
    latent: int = Field(128, ge=1, description="numbers in the bottleneck")
    dropout: float = Field(0.1, ge=0, lt=1, description="rate in the bottleneck")

    def __post_init__(self) -> None:
        """Check the options against each other."""
        super().__post_init__()
        if self.size % COARSEST or (self.size // COARSEST).bit_count() != 1:
            nearest = COARSEST * 2 ** round(np.log2(self.size / COARSEST))
            msg = (
                f"ae: size {self.size} does not halve down to {COARSEST} px. "
                f"Set size={max(2 * COARSEST, nearest)}."
            )
            raise UsageError(msg)

    def make(self) -> nn.Module:
        """Return the network."""
        return Bottleneck(self.size, self.base, self.most, self.latent, self.dropout)

    def loss(self, images: Tensor, brain: Tensor) -> Loss:
        """Return the absolute error, summed over pixels."""

        def loss(network: nn.Module, step: Step) -> Tensor:
            batch = images[step.indices]
            return l1_loss(network(batch), batch, reduction="sum") / len(batch)

        return loss

    def reconstruct(self, network: nn.Module, stack: Stack) -> Restored:
        """Return |image - reconstruction|."""
        restored = stack.through(network, stack.images)
        return Restored(restored, (stack.images - restored).abs())
