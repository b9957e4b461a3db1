"""Metrics of the order that scores put voxels in, over all thresholds."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .arrays import as_scores


@dataclass(frozen=True, eq=False)
class Ranking:
    """Counts at every distinct score as a threshold, from the highest down.

    Attributes:
        thresholds: distinct scores, falling; a voxel is positive if score >= threshold.
        true_positives: lesion voxels found at each.
        false_positives: healthy voxels found at each.
        positives: lesion voxels in all.
        negatives: healthy voxels in all.
    """

    thresholds: NDArray[np.floating]
    true_positives: NDArray[np.int64]
    false_positives: NDArray[np.int64]
    positives: int
    negatives: int

    @cached_property
    def precision(self) -> NDArray[np.float64]:
        """Precision at each threshold."""
        return self.true_positives / (self.true_positives + self.false_positives)

    @cached_property
    def recall(self) -> NDArray[np.float64]:
        """Recall at each threshold; NaN without a positive."""
        return _ratio(self.true_positives, self.positives)

    @cached_property
    def false_positive_rate(self) -> NDArray[np.float64]:
        """False-positive rate at each threshold; NaN without a negative."""
        return _ratio(self.false_positives, self.negatives)

    @cached_property
    def dice(self) -> NDArray[np.float64]:
        """Dice at each threshold; NaN without a positive."""
        found = self.true_positives + self.false_positives
        if not self.positives:
            return np.full(len(found), np.nan)
        return 2 * self.true_positives / (found + self.positives)

    def average_precision(self) -> float:
        """See `average_precision`."""
        if not self.positives:
            return float("nan")
        steps = np.diff(self.recall, prepend=0.0)
        return float(steps @ self.precision)

    def auroc(self) -> float:
        """See `auroc`."""
        if not (self.positives and self.negatives):
            return float("nan")
        rate = np.concatenate(([0.0], self.false_positive_rate))
        recall = np.concatenate(([0.0], self.recall))
        return float(np.trapezoid(recall, rate))

    def best_dice(self) -> tuple[float, float]:
        """See `best_dice`."""
        if not self.positives:
            return float("nan"), float("nan")
        best = int(np.argmax(self.dice))
        return float(self.dice[best]), float(self.thresholds[best])


def ranking(scores: ArrayLike, labels: ArrayLike) -> Ranking:
    """Return the counts at every threshold: one sort, from which all curves follow.

    Raises:
        DataError: shapes differ, scores are not finite, or labels are not bool.
    """
    values, truth = as_scores(scores, labels)
    order = np.argsort(values)[::-1]
    values, truth = values[order], truth[order]
    # Ties share one threshold: only the last voxel of each run of equal scores counts.
    last = np.flatnonzero(np.append(values[1:] != values[:-1], True)[: len(values)])
    found = np.cumsum(truth, dtype=np.int64)[last]
    positives = int(truth.sum())
    return Ranking(
        thresholds=values[last],
        true_positives=found,
        false_positives=last + 1 - found,
        positives=positives,
        negatives=len(truth) - positives,
    )


def average_precision(scores: ArrayLike, labels: ArrayLike) -> float:
    """Return the area under the precision-recall curve as its step-wise sum.

    This is the sum of precision times gain in recall (no interpolation), as in
    scikit-learn; a random score gives the prevalence. NaN without a positive.
    """
    return ranking(scores, labels).average_precision()


def auroc(scores: ArrayLike, labels: ArrayLike) -> float:
    """Return the chance that a positive outscores a negative, ties counting half.

    NaN if one of the two classes is absent.
    """
    return ranking(scores, labels).auroc()


def best_dice(scores: ArrayLike, labels: ArrayLike) -> tuple[float, float]:
    """Return the largest Dice of `scores >= threshold` and that threshold: an oracle.

    Exact over all thresholds; of equals the highest threshold. NaN, NaN without a
    positive.
    """
    return ranking(scores, labels).best_dice()


def _ratio(counts: NDArray[np.int64], total: int) -> NDArray[np.float64]:
    return counts / total if total else np.full(len(counts), np.nan)
