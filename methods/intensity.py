"""Intensity: the score is the normalised intensity itself; nothing is learned.

On FLAIR, where lesions are bright, this plain row is hard to beat: a table without it
does not tell what learning is good for. On T1 without a contrast agent most lesions are
dark, and the score is minus the intensity.

Reference: Meissen et al., "Challenging Current Semi-Supervised Anomaly Segmentation
Methods for Brain MRI", BrainLes 2021, arXiv:2109.06023.

Differs from the paper in:

- The brain's median is the unit. There, the histogram of each brain is equalised.
- The scan stays on its own grid. There, it is registered to an atlas and resized.
- No threshold is chosen here and no small component removed: that is the benchmark's
  part, the same for every method.
"""

from collections.abc import Iterable, Iterator
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from uadbench.errors import DataError
from uadbench.protocols import Arrays, Card, Context, Lazy, Prediction, Scan
from uadbench.slices import Normalisation, normalise

from ._nn.scans import require_one_modality

# Without a contrast agent; T1ce and T1gd show lesions bright.
DARK_LESIONS = ("T1", "T1w")


@dataclass
class Intensity:
    """Calls bright voxels, or dark ones, abnormal."""

    card: ClassVar[Card] = Card(
        title="Intensity",
        reference="Meissen et al., BrainLes 2021, arXiv:2109.06023",
        licence="not needed: one line",
        presets={"paper": {}, "demo": {}},
    )

    normalisation: Normalisation = Field("median", description="scale of the intensity")
    lesions: Literal["auto", "bright", "dark"] = Field(
        "auto", description="how lesions look; auto: dark on T1 and T1w, else bright"
    )

    def fit(self, train: Lazy[Scan], val: Lazy[Scan], ctx: Context) -> None:
        """Learn nothing."""

    def predict(self, scans: Iterable[Scan], ctx: Context) -> Iterator[Prediction]:
        """Return the intensity inside the brain, with a minus for dark lesions."""
        for scan in scans:
            require_one_modality(scan, "intensity")
            try:
                image = normalise(scan.image[0], scan.brain, self.normalisation)
            except DataError as error:
                msg = f"{scan.id}: {error}"
                raise DataError(msg) from None
            sign = np.float32(-1 if self._dark(scan) else 1)
            inside = np.where(scan.scored, sign * image, np.float32(0))
            yield Prediction(score=inside, extras={"input": image})

    def _dark(self, scan: Scan) -> bool:
        known = self.lesions != "auto"
        return self.lesions == "dark" if known else scan.modalities[0] in DARK_LESIONS

    def state(self) -> Arrays:
        """Return nothing."""
        return {}

    def restore(self, state: Arrays) -> None:
        """Take back nothing."""
