"""Metrics of a mask against a reference: all follow from four counts of voxels.

Without lesion in the reference Dice, Jaccard and recall are NaN, without healthy voxel
the false-positive rate is. Precision without prediction is 0 if there is a lesion: were
it NaN, a method would raise its mean by abstaining where it is likely to be wrong. With
neither it is NaN, since scikit-learn's 0 would punish who is right.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from .arrays import as_masks, fraction


@dataclass(frozen=True)
class Confusion:
    """What a mask holds of lesion and of healthy voxels; counts of cases add up.

    Attributes:
        true_positives: lesion voxels that are predicted.
        false_positives: healthy voxels that are predicted.
        positives: lesion voxels in all.
        negatives: healthy voxels in all.
    """

    true_positives: int = 0
    false_positives: int = 0
    positives: int = 0
    negatives: int = 0

    def __add__(self, other: "Confusion") -> "Confusion":
        return Confusion(
            self.true_positives + other.true_positives,
            self.false_positives + other.false_positives,
            self.positives + other.positives,
            self.negatives + other.negatives,
        )

    @property
    def predicted(self) -> int:
        """Voxels that are predicted."""
        return self.true_positives + self.false_positives

    @property
    def dice(self) -> float:
        """See `dice`."""
        if not self.positives:
            return float("nan")
        return 2 * self.true_positives / (self.predicted + self.positives)

    @property
    def jaccard(self) -> float:
        """See `jaccard`."""
        if not self.positives:
            return float("nan")
        return self.true_positives / (self.false_positives + self.positives)

    @property
    def precision(self) -> float:
        """See `precision`."""
        return fraction(self.true_positives, self.predicted or self.positives)

    @property
    def recall(self) -> float:
        """See `recall`."""
        return fraction(self.true_positives, self.positives)

    @property
    def false_positive_rate(self) -> float:
        """See `false_positive_rate`."""
        return fraction(self.false_positives, self.negatives)

    def metrics(self) -> dict[str, float]:
        """Return the metrics of tables by name; Jaccard is Dice in other words."""
        return {
            "dice": self.dice,
            "precision": self.precision,
            "recall": self.recall,
            "fpr": self.false_positive_rate,
        }


def confusion(pred: ArrayLike, ref: ArrayLike) -> Confusion:
    """Return the counts behind all metrics of overlap.

    Raises:
        DataError: shapes differ, or a mask is not bool.
    """
    found, truth = as_masks(pred, ref)
    hits = int(np.count_nonzero(found & truth))
    positives = int(np.count_nonzero(truth))
    return Confusion(
        true_positives=hits,
        false_positives=int(np.count_nonzero(found)) - hits,
        positives=positives,
        negatives=truth.size - positives,
    )


def dice(pred: ArrayLike, ref: ArrayLike) -> float:
    """Return 2 |pred and ref| / (|pred| + |ref|); NaN if the reference is empty."""
    return confusion(pred, ref).dice


def jaccard(pred: ArrayLike, ref: ArrayLike) -> float:
    """Return |pred and ref| / |pred or ref|; NaN if the reference is empty.

    It is D / (2 - D) of the Dice D, so that it ranks predictions alike.
    """
    return confusion(pred, ref).jaccard


def precision(pred: ArrayLike, ref: ArrayLike) -> float:
    """Return the fraction of predicted voxels that are lesion.

    If none is predicted, it is 0 with a lesion in the reference, and NaN without.
    """
    return confusion(pred, ref).precision


def recall(pred: ArrayLike, ref: ArrayLike) -> float:
    """Return the fraction of lesion voxels that are predicted; NaN without lesion."""
    return confusion(pred, ref).recall


def false_positive_rate(pred: ArrayLike, ref: ArrayLike) -> float:
    """Return the fraction of healthy voxels that are predicted; NaN without one."""
    return confusion(pred, ref).false_positive_rate
