"""IterMask2: iterative anomaly segmentation by spatial and frequency masking.

A network fills in masked parts of a brain from their surroundings and from the image's
high frequencies; the mask starts at most of the brain and shrinks where the network
succeeds, until only what cannot be explained as healthy stays masked.

Reference: Liang et al., "IterMask2: Iterative Unsupervised Anomaly Segmentation via
Spatial and Frequency Masking for Brain Lesions in MRI", MICCAI 2024, arXiv:2406.02422.

Differs from the original code in:

- Masks stay hard. There, brain, lesion and training masks are area-resized into
  fractions, and any fraction of a lesion pixel counts as lesion.
- The training masks are in mm; there, slices of 240 px are written into the law.
- The score is the plain squared error. There, errors are scaled by the extremes of the
  whole test set, so that one image changes the score of every other.
- No label is seen. There, the reported threshold is the best one on the test labels.
- The exponential moving average of the weights at the end is used; there, it is made
  and left, and the tests load the weights after 90,000 updates.
- The seed decides everything; there, it is read and left, and the masks repeat in
  every epoch.
- The masks on which the threshold is found are seeded, and hard too. There, fractional
  ones, read back from growing files for every batch of the test set.
- An image that stops in the first pass has its mask and its reconstruction; there, both
  stay zero.
- The final mask is a result; there, it is computed and ignored.
- Each slice has its own noise, whatever it is predicted together with.
- Slices are centred on the brain, with a field of view in mm.
- CUDA: mixed precision in training; prediction is in single precision, since a cut at
  a threshold turns a rounding error into another mask.
"""

from functools import partial
from typing import ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from uadbench.protocols import Card

from .frequency import high_frequency
from .inputs import Condition
from .iterative import Iterative

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


@dataclass
class IterMask2(Iterative):
    """Shrinks a mask onto what a healthy brain does not explain."""

    name: ClassVar[str] = "itermask2"
    card: ClassVar[Card] = Card(
        title="IterMask2",
        reference="Liang et al., MICCAI 2024, arXiv:2406.02422",
        licence="MIT (original code; none of it is used)",
        presets={"paper": {}, "demo": DEMO},
    )
    inputs: ClassVar[dict[str, int]] = {"first_step": 1, "reconstructor": 2}

    radius: float = Field(
        15.0, ge=0, description="frequencies below lose their amplitude, cycles/slice"
    )

    def condition(self) -> Condition:
        """Return the high frequencies of an image."""
        return partial(high_frequency, radius=self.radius)
