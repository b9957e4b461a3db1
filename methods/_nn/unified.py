"""What the autoencoders on the unified architecture of Baur et al. 2021 share."""

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn.functional import l1_loss, mse_loss

from uadbench.errors import UsageError

from .bottleneck import COARSEST, LatentKind, Layout
from .recipes import Recipe
from .reconstruction import Reconstruction, Restored, Stack
from .residuals import RANGES, Residual, residual

Error = Literal["l1", "l2"]
ERRORS: dict[Error, Callable[..., Tensor]] = {"l1": l1_loss, "l2": mse_loss}
# Baur et al. 2021: at most 1000 epochs, run.py says, and early stopping. So that it is
# patience that ends it, as many steps as 1000 epochs of 128,000 slices have.
PAPER: dict[str, object] = {
    "steps": 16_000_000,
    "batch": 8,
    "learning_rate": 1e-4,
    "momentum": 0.5,
    "average": 0.0,
    "patience": 5,
}
DEMO: dict[str, object] = {
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


@dataclass
class Unified(Reconstruction):
    """An autoencoder on the unified architecture; the score is a residual."""

    momentum: float = Field(0.9, ge=0, lt=1, description="beta 1 of Adam")
    base: int = Field(32, ge=1, description="channels of the first level")
    most: int = Field(128, ge=1, description="channels of the widest level")
    latent_kind: LatentKind = Field(
        "dense", description="a row of numbers, or the 8 x 8 px feature maps themselves"
    )
    latent: int = Field(128, ge=1, description="numbers in a dense bottleneck")
    dropout: float = Field(0.1, ge=0, lt=1, description="rate in the bottleneck")
    distance: Error = Field(
        "l1", description="training loss, summed over pixels: absolute or squared error"
    )
    residual: Residual = Field(
        "l1", description="score: absolute or squared error, or 1 - SSIM"
    )

    def __post_init__(self) -> None:
        """Check the options against each other."""
        super().__post_init__()
        if self.size % COARSEST or (self.size // COARSEST).bit_count() != 1:
            nearest = COARSEST * 2 ** round(np.log2(self.size / COARSEST))
            msg = (
                f"{self.name}: size {self.size} does not halve down to {COARSEST} px. "
                f"Set size={max(2 * COARSEST, nearest)}."
            )
            raise UsageError(msg)
        if self.residual == "ssim" and self.normalisation not in RANGES:
            msg = (
                f"{self.name}: residual=ssim needs intensities on a known scale, got "
                f"normalisation={self.normalisation}. Set normalisation=median."
            )
            raise UsageError(msg)

    def layout(self) -> Layout:
        """Return what the network looks like."""
        return Layout(
            self.size,
            self.base,
            self.most,
            self.latent_kind,
            self.latent,
            self.dropout,
        )

    def recipe(self) -> Recipe:
        """Return how the network is trained."""
        return replace(super().recipe(), momentum=self.momentum)

    def difference(self, restored: Tensor, images: Tensor) -> Tensor:
        """Return the error summed over pixels, the mean of a batch (B, 1, S, S)."""
        total = ERRORS[self.distance](restored, images, reduction="sum")
        return total / len(images)

    def reconstruct(self, network: nn.Module, stack: Stack) -> Restored:
        """Return what comes back, and its residual."""
        restored = stack.through(network, stack.images)
        score = residual(self.residual, stack.images, restored, self.normalisation)
        return Restored(restored, score)
