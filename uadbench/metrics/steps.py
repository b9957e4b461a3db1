"""Counts where recall rises: all that AUPRC, AUROC and the best Dice depend on.

Between two lesion scores a falling threshold adds healthy voxels alone: recall stands
still, which adds nothing to the step-wise AUPRC, and Dice falls. So both need counts at
lesion scores only, and AUROC counts pairs, each of which has a lesion voxel in it.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .arrays import as_scores

NAN = float("nan")


@dataclass(frozen=True, eq=False)
class RecallSteps:
    """Counts at the K distinct scores of lesion voxels as thresholds, falling.

    Attributes:
        thresholds: (K,) the scores; a voxel is predicted if its score is at least that.
        gained: (K,) lesion voxels that have exactly this score.
        found: (K,) lesion voxels that reach it.
        above: (K,) healthy voxels that exceed it.
        reached: (K,) healthy voxels that reach it.
        positives: lesion voxels in all.
        negatives: healthy voxels in all.
    """

    thresholds: NDArray[np.generic]
    gained: NDArray[np.int64]
    found: NDArray[np.int64]
    above: NDArray[np.int64]
    reached: NDArray[np.int64]
    positives: int
    negatives: int

    @classmethod
    def of(
        cls,
        thresholds: NDArray[np.generic],
        true_positives: NDArray[np.int64],
        false_positives: NDArray[np.int64],
    ) -> Self:
        """Return the steps among falling thresholds, the last of which all reach."""
        gained = np.diff(true_positives, prepend=0)
        above = np.concatenate(([0], false_positives))[:-1]
        rises = gained > 0
        return cls(
            thresholds=thresholds[rises],
            gained=gained[rises],
            found=true_positives[rises],
            above=above[rises],
            reached=false_positives[rises],
            positives=int(true_positives[-1]) if len(true_positives) else 0,
            negatives=int(false_positives[-1]) if len(false_positives) else 0,
        )

    def average_precision(self) -> float:
        """Return the area under precision over recall, step-wise; NaN if K is 0."""
        if not self.positives:
            return NAN
        precision = self.found / (self.found + self.reached)
        return float((self.gained * precision).sum() / self.positives)

    def auroc(self) -> float:
        """Return the share of pairs won, ties counting half; NaN without a pair."""
        if not (self.positives and self.negatives):
            return NAN
        # In halves of pairs, not integers: 64 bits overflow at 3e9 voxels of each.
        beaten = self.negatives - (self.above + self.reached) / 2
        return float((self.gained * beaten).sum() / (self.positives * self.negatives))

    def best_dice(self) -> tuple[float, float]:
        """Return the largest Dice and its highest threshold; NaN, NaN if K is 0."""
        if not self.positives:
            return NAN, NAN
        dice = 2 * self.found / (self.found + self.reached + self.positives)
        best = int(np.argmax(dice))
        # -0.0 and 0.0 are one threshold: adding zero gives it one sign.
        return float(dice[best]), float(self.thresholds[best]) + 0.0

    def fpr_at_tpr(self, tpr: float) -> float:
        """Return the false-positive rate where recall first is `tpr`, in (0, 1]."""
        if not (self.positives and self.negatives):
            return NAN
        first = int(np.argmax(self.found / self.positives >= tpr))
        return float(self.reached[first] / self.negatives)


def recall_steps(scores: ArrayLike, labels: ArrayLike) -> RecallSteps:
    """Return the exact steps of scores: one sort of values, without an argsort.

    Extra memory: a copy of the scores (float16: two of them) and about 80 bytes for
    each distinct lesion score.

    Raises:
        DataError: shapes differ, scores are not finite, or labels are not bool.
    """
    values, truth = as_scores(scores, labels)
    rising: NDArray[np.floating]
    gained: NDArray[np.int64]
    rising, gained = np.unique(values[truth], return_counts=True)
    ordered = sort_values(values)
    # Counts of all voxels, from which those of lesion voxels are taken.
    reached = len(ordered) - np.searchsorted(ordered, rising, side="left")[::-1]
    above = len(ordered) - np.searchsorted(ordered, rising, side="right")[::-1]
    gained = gained[::-1]
    found = np.cumsum(gained, dtype=np.int64)
    positives = int(found[-1]) if len(found) else 0
    return RecallSteps(
        thresholds=rising[::-1],
        gained=gained,
        found=found,
        above=above - (found - gained),
        reached=reached - found,
        positives=positives,
        negatives=len(ordered) - positives,
    )


def sort_values(values: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the scores, rising; float16 becomes float32."""
    if values.dtype == np.float16:
        # numpy sorts float16 without vector instructions, four times as slowly.
        values = values.astype(np.float32)
        values.sort()
        return values
    return np.sort(values)
