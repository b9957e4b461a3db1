"""Intensity: the score is the intensity itself; nothing is learned.

On FLAIR, where lesions are bright, this plain row is hard to beat: a table without it
does not tell what learning is good for. On T1 without a contrast agent most lesions are
dark, and the score is minus the intensity.

Reference: Meissen et al., "Challenging Current Semi-Supervised Anomaly Segmentation
Methods for Brain MRI", BrainLes 2021, arXiv:2109.06023.

Of a scan with several modalities it takes the first one, unless `modality` names
another: it runs along with every method, also with those that need two.

Differs from the paper in:

- By default the brain's median is the unit. With equalize=yes the histogram is
  equalised over the brain of the whole volume, as there; intensities are not cut to
  whole numbers first.
- Dark lesions are looked for on T1, also in preset `paper`; there, bright ones always.
- All slices with brain count; there, those from 15 to 124.
- The scan stays on its own grid. There, it is registered to an atlas and resized.
- No threshold is chosen here and no small component removed: that is the benchmark's
  part, the same for every method.
"""

from collections.abc import Iterable, Iterator
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass

from uadbench.errors import DataError
from uadbench.protocols import Arrays, Card, Context, Lazy, Prediction, Scan
from uadbench.slices import Normalisation, normalise

from ._nn.scans import one_modality

# Without a contrast agent, in small letters; T1ce and T1gd show lesions bright.
DARK_LESIONS = ("t1", "t1w", "t1n")


@dataclass
class Intensity:
    """Calls bright voxels, or dark ones, abnormal."""

    card: ClassVar[Card] = Card(
        title="Intensity",
        reference="Meissen et al., BrainLes 2021, arXiv:2109.06023",
        licence="not needed: one line",
        presets={"paper": {"equalize": True}, "demo": {}},
    )

    modality: str = Field("", description="which one; the first if none is given")
    normalisation: Normalisation = Field(
        "median", description="scale of the intensity; equalize=yes needs none"
    )
    equalize: bool = Field(
        default=False,
        description="equalise the brain's histogram, to 0 ... 1, instead of scaling",
    )
    hypo: bool | Literal["auto"] = Field(
        default="auto",
        description="lesions are dark; auto: on T1, T1w and T1n, and nowhere else",
    )

    def fit(self, train: Lazy[Scan], val: Lazy[Scan], ctx: Context) -> None:
        """Learn nothing."""

    def predict(self, scans: Iterable[Scan], ctx: Context) -> Iterator[Prediction]:
        """Return the intensity inside the brain, with a minus for dark lesions."""
        for scan in scans:
            named = self.modality or scan.modalities[0]
            chosen = one_modality(scan, "intensity", named)
            image = self._scaled(chosen)
            sign = np.float32(-1 if self._dark(chosen) else 1)
            inside = np.where(scan.scored, sign * image, np.float32(0))
            yield Prediction(score=inside, extras={"input": image})

    def state(self) -> Arrays:
        """Return nothing."""
        return {}

    def restore(self, state: Arrays) -> None:
        """Take back nothing."""

    def _scaled(self, scan: Scan) -> NDArray[np.float32]:
        how: Normalisation = "none" if self.equalize else self.normalisation
        try:
            image = normalise(scan.image[0], scan.brain, how)
        except DataError as error:
            msg = f"{scan.id}: {error}"
            raise DataError(msg) from None
        return equalise(image, scan.brain) if self.equalize else image

    def _dark(self, scan: Scan) -> bool:
        if self.hypo == "auto":
            return scan.modalities[0].casefold() in DARK_LESIONS
        return self.hypo


def equalise(
    image: NDArray[np.float32], brain: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Return the part of the brain's voxels up to each voxel's intensity.

    It lies in (0, 1] inside the brain, depends on the order of the intensities alone,
    and is 0 outside.

    Args:
        image: float32 (X, Y, Z).
        brain: bool (X, Y, Z), not empty.
    """
    _, where, counts = np.unique(image[brain], return_inverse=True, return_counts=True)
    equalised = np.zeros(image.shape, np.float32)
    equalised[brain] = np.cumsum(counts)[where] / len(where)
    return equalised
