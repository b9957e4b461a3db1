"""Patched DDPM: each patch is noised and denoised with the rest of the slice in view.

A patch of the slice is noised; the network sees it together with the clean rest and
says, in one step, what a healthy patch there would look like. The patches' answers are
put together; the score is the absolute difference.

Reference: Behrendt et al., "Patched diffusion models for unsupervised anomaly detection
in brain MRI", MIDL 2023, arXiv:2303.03758.

Differs from the original code in:

- Simplex noise is Perlin's, scaled in size and in standard deviation to AnoDDPM's
  OpenSimplex noise with 6 octaves, whose deviation is 0.49 as we measured it: planes of
  three-dimensional noise. Whether the authors' is not two-dimensional, with a deviation
  of 0.372 an octave in place of 0.314, is not known: that file is not in our sources.
- The intensity is scaled by the brain's median, and 0 ... `peak` medians become
  -1 ... 1; there, the 1st and the 99th percentile do. Both clip what is outside, and
  the score compares with the clipped image: of a lesion above `peak`, what is above
  goes unseen.
- Slices of 96 px cover `field` mm around the brain; there, 192 mm of an atlas's space.
- The network is MONAI's, which adds the embedding of t to the features; there, it also
  scales them. Self-attention is in the middle alone: the rates at which the authors ask
  for it, 6, 12 and 24, are none of their network's, 1, 2 and 4.
- The weights are a moving average; there, those of the last update.
- `steps` stands for 1600 epochs, of which the number of updates depends on the data.
- The score is the whole residual. There, the brain is eroded, a median filter and the
  removal of small components follow, and the threshold is searched on labelled cases.
"""

from functools import lru_cache
from typing import ClassVar

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn.functional import l1_loss

from uadbench.errors import UsageError
from uadbench.protocols import Card

from ._nn.denoisers import at_step
from ._nn.denoising import DEMO, Betas, Denoising, Noised
from ._nn.noise import Kind
from ._nn.reconstruction import Restored, Stack

PAPER = {
    "size": 96,
    "field": 192.0,
    "blocks": 3,
    "heads": 4,
    "resampling": True,
    "cell": 2 / 3,
}
# Few updates: noise far beyond that of the prediction is not trained on.
QUICK = {**DEMO, "cell": 2 / 3, "train_t": 750}


@dataclass
class PatchedDDPM(Denoising):
    """Denoises one patch at a time in one step; the score is the absolute error."""

    name: ClassVar[str] = "pddpm"
    card: ClassVar[Card] = Card(
        title="pDDPM",
        reference="Behrendt et al., MIDL 2023, arXiv:2303.03758",
        licence="none stated (original code; none of it is used)",
        presets={"paper": PAPER, "demo": QUICK},
    )

    peak: float = Field(
        2.0,
        gt=0,
        description="intensity above background that becomes 1, as normalised",
    )
    betas: Betas = Field("cosine", description="how the noise grows with the steps")
    noise: Kind = Field("simplex", description="kind of noise")
    t: int = Field(500, ge=1, description="noise steps at prediction")
    patches: int = Field(2, ge=1, description="patches along a side of the slice")

    def __post_init__(self) -> None:
        """Check the options against each other."""
        super().__post_init__()
        if self.size % self.patches:
            msg = (
                f"pddpm: {self.patches} patches do not divide the size of {self.size} "
                "px. Set patches to a divisor of it, such as patches=2."
            )
            raise UsageError(msg)

    def error(
        self, network: nn.Module, batch: Noised, generator: torch.Generator
    ) -> Tensor:
        """Return the absolute error of a random patch that was noised."""
        patches = _patch_masks_on(batch.t.device, self.size, self.patches)
        chosen = torch.randint(
            len(patches), batch.t.shape, generator=generator, device=batch.t.device
        )
        output = network(torch.where(patches[chosen], batch.x_t, batch.x_0), batch.t)
        # Not by masks, whose size would have to be waited for.
        places = _places_on(batch.t.device, self.size, self.patches)[chosen]
        inside, truth = (
            images.flatten(1).gather(1, places) for images in (output, batch.x_0)
        )
        return l1_loss(inside, truth)

    def reconstruct(self, network: nn.Module, stack: Stack) -> Restored:
        """Return |image - reconstruction|, the latter put together from patches."""
        x_0 = self.scaled(stack.images)
        x_t = self.noised(x_0, self.t, stack)
        patches = _patch_masks_on(x_0.device, self.size, self.patches)[:, None]
        inputs = torch.where(patches, x_t, x_0)  # (patches, N, 1, S, S)
        outputs = stack.through(at_step(network, self.t), inputs.flatten(0, 1))
        stitched = torch.where(patches, outputs.view_as(inputs), 0).sum(dim=0)
        restored = self.unscaled(stitched)
        return Restored(restored, (self.clipped(stack.images) - restored).abs())


def patch_masks(size: int, patches: int) -> Tensor:
    """Return disjoint squares that cover a slice, bool (patches^2, 1, size, size)."""
    place = torch.arange(size) * patches // size
    number = place[:, None] * patches + place
    return torch.arange(patches**2)[:, None, None, None] == number


# Every step of every batch asks for them.
@lru_cache(maxsize=4)
def _patch_masks_on(device: torch.device, size: int, patches: int) -> Tensor:
    return patch_masks(size, patches).to(device)


@lru_cache(maxsize=4)
def _places_on(device: torch.device, size: int, patches: int) -> Tensor:
    """Return the pixels of each patch, row by row: int64 (patches^2, pixels)."""
    masks = patch_masks(size, patches).flatten(1)
    return masks.nonzero()[:, 1].view(len(masks), -1).to(device)
