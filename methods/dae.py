"""Denoising autoencoder: a U-Net that removes coarse noise takes lesions for noise.

Reference: Kascenas et al., "Denoising Autoencoders for Unsupervised Anomaly Detection
in Brain MRI", MIDL 2022.

Differs from the original code in:

- One modality; there, four at once, whose errors are averaged.
- The intensity is scaled by the brain's median, which a bright lesion hardly moves;
  there, by the 99th percentile. Its noise of 0.2 percentiles is 0.4 medians here, since
  the percentile is about two medians (measured: 1.3 to 2.0 in simulated scans, 2.0 to
  3.4 in lesion-free FLAIR slices of glioma patients, for which set noise=0.5).
- All slices with brain count, centred on it in a field in mm, through a triangle
  filter; there, all from the first to the last whose mean of the modalities sums up to
  more than 0.5, whole and resized bilinearly.
- The brain mask says where noise is and where errors count; there, an intensity above
  0.01 does.
- The learning rate falls at every step; there, every 32 steps.
- The last weights are used; there, those of the lowest validation loss, looked at every
  32 steps.
- The score is |error|. There, the brain is eroded by a 5 x 5 window, the error is
  filtered by a 5 x 5 median, components of up to 20 voxels are removed, and the
  threshold is the best one on the test labels. `--postprocess` has the like of the
  first three in 3D: an erosion in mm, a median in voxels of the scan, and the removal
  of components in mm3.
"""

from dataclasses import replace
from typing import ClassVar

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from uadbench.errors import UsageError
from uadbench.protocols import Card

from ._nn.coarse_noise import coarse_noise
from ._nn.recipes import Recipe
from ._nn.reconstruction import Reconstruction, Restored, Stack
from ._nn.sizes import check_stride
from ._nn.standardised_unet import StandardisedUNet
from ._nn.steps import Step

# 2100 rounds of 32 steps; the rate falls for 100 of them, then rises for 100 ...
PAPER = {
    "batch": 16,
    "learning_rate": 1e-4,
    "schedule": "cosine",
    "period": 3200,
    "steps": 67_200,
    "average": 0.0,
    "clip": 0.5,
}
DEMO = {
    "size": 64,
    "field": 192.0,
    "base": 8,
    "batch": 8,
    "learning_rate": 1e-3,
    "schedule": "one-cycle",
    "steps": 1300,
    "average": 0.99,
    "clip": 0.5,
}


@dataclass
class DenoisingAutoencoder(Reconstruction):
    """Removes noise that is not there; the score is what it removes."""

    name: ClassVar[str] = "dae"
    card: ClassVar[Card] = Card(
        title="Denoising autoencoder",
        reference="Kascenas et al., MIDL 2022",
        licence="MIT for parts, else not stated (original code; none of it is used)",
        presets={"paper": PAPER, "demo": DEMO},
    )

    decay: float = Field(1e-5, ge=0, description="of the weights, in the gradient")
    base: int = Field(64, ge=1, description="channels of the first level")
    depth: int = Field(4, ge=1, le=8, description="levels of the U-Net")
    noise: float = Field(
        0.4, ge=0, description="standard deviation, in units of the scaled intensity"
    )
    cells: int = Field(16, ge=2, description="points along a side of the noise's grid")

    def __post_init__(self) -> None:
        """Check the options against each other."""
        super().__post_init__()
        stride = 2 ** (self.depth - 1)
        check_stride(self.name, self.size, stride, "a smaller depth")
        if self.size == stride:
            msg = (
                f"dae: {self.depth} levels shrink size {self.size} to one pixel, too "
                f"few for a mirrored border. Set depth={self.depth - 1} or "
                f"size={2 * self.size}."
            )
            raise UsageError(msg)
        if self.cells >= self.size:
            msg = (
                f"dae: noise on {self.cells} cells a side is no coarser than the image "
                f"of {self.size} px. Set cells={self.size // 4}."
            )
            raise UsageError(msg)

    def recipe(self) -> Recipe:
        """Return how the network is trained."""
        return replace(super().recipe(), optimiser="amsgrad", decay=self.decay)

    def make(self) -> nn.Module:
        """Return the network."""
        return StandardisedUNet(self.base, self.depth)

    def loss(self, network: nn.Module, step: Step) -> Tensor:
        """Return the squared error inside the brain, the mean over all pixels."""
        images, brain = step.images, step.brain
        noise = coarse_noise(images.shape, self.cells, self.noise, step.generator)
        restored = network(images + noise * brain)
        error: Tensor = (restored - images) ** 2 * brain
        return error.mean()

    def reconstruct(self, network: nn.Module, stack: Stack) -> Restored:
        """Return |image - reconstruction| inside the brain, without noise."""
        restored = stack.through(network, stack.images)
        # Outside, the network was never told what to do.
        restored = torch.where(stack.brain, restored, stack.images)
        return Restored(restored, (stack.images - restored).abs())
