"""IterMask: IterMask2 without its frequency condition, the ablation of that paper.

A network fills in masked parts of a brain from their surroundings alone; the mask
starts at most of the brain and shrinks where the network succeeds.

Reference: Liang et al., "IterMask2: Iterative Unsupervised Anomaly Segmentation via
Spatial and Frequency Masking for Brain Lesions in MRI", MICCAI 2024, arXiv:2406.02422.

The code of the ablation is not public, so that this is our reading of it:

- The reconstructor sees the masked image and nothing else.
- IterMask2's first step reconstructs the image from the condition alone. Here it masks
  the whole brain, as the first pass of IterMask3D does (Liang et al., Medical Image
  Analysis 107 (2026), 103763): noise in the shape of the brain is all that it sees, and
  the average brain of that outline all that it can learn. It stays a network of its
  own, since the training masks of the reconstructor never cover a whole brain.
- All else is IterMask2's, with the differences from its code that are listed there.
"""

from typing import ClassVar

from pydantic.dataclasses import dataclass

from uadbench.protocols import Card

from .inputs import Condition, no_condition
from .iterative import Iterative
from .method import DEMO


@dataclass
class IterMask(Iterative):
    """Shrinks a mask onto what its surroundings do not explain."""

    name: ClassVar[str] = "itermask"
    card: ClassVar[Card] = Card(
        title="IterMask",
        reference="Liang et al., MICCAI 2024, arXiv:2406.02422, ablation",
        licence="MIT (code of IterMask2; none of it is used)",
        presets={
            "paper": {},
            "demo": {name: v for name, v in DEMO.items() if name != "radius"},
        },
    )
    inputs: ClassVar[dict[str, int]] = {"first_step": 1, "reconstructor": 1}

    def condition(self) -> Condition:
        """Return nothing for any image."""
        return no_condition
