"""Metrics of the order that scores put voxels in, over all thresholds."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .arrays import as_rate, as_scores
from .steps import RecallSteps, recall_steps, sort_values


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

    @cached_property
    def steps(self) -> RecallSteps:
        """The counts where recall rises."""
        return RecallSteps.of(
            self.thresholds, self.true_positives, self.false_positives
        )

    def average_precision(self) -> float:
        """See `average_precision`."""
        return self.steps.average_precision()

    def auroc(self) -> float:
        """See `auroc`."""
        return self.steps.auroc()

    def best_dice(self) -> tuple[float, float]:
        """See `best_dice`."""
        return self.steps.best_dice()


@dataclass(frozen=True)
class RankSummary:
    """The rank metrics of one set of voxels; each NaN as its function says.

    Attributes:
        average_precision: see `average_precision`.
        auroc: see `auroc`.
        best_dice: the largest Dice over thresholds, an oracle.
        best_threshold: the highest threshold that reaches it.
        positives: lesion voxels.
        negatives: healthy voxels.
    """

    average_precision: float
    auroc: float
    best_dice: float
    best_threshold: float
    positives: int
    negatives: int


def ranking(scores: ArrayLike, labels: ArrayLike) -> Ranking:
    """Return the counts at every threshold, in up to twelve times the scores' memory.

    `rank_summary` is faster where the curves themselves are not asked for.

    Raises:
        DataError: shapes differ, scores are not finite, or labels are not bool.
    """
    values, truth = as_scores(scores, labels)
    ordered = sort_values(values)
    # Ties share one threshold: the first voxel of each run of equal scores counts.
    first = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)])
    rising = ordered[first]
    reached = len(ordered) - first[::-1]
    at = np.searchsorted(rising, np.sort(values[truth]))
    found = np.cumsum(np.bincount(at, minlength=len(rising))[::-1])
    positives = len(at)
    return Ranking(
        thresholds=rising[::-1],
        true_positives=found,
        false_positives=reached - found,
        positives=positives,
        negatives=len(ordered) - positives,
    )


def rank_summary(scores: ArrayLike, labels: ArrayLike) -> RankSummary:
    """Return all rank metrics from one sort.

    Raises:
        DataError: shapes differ, scores are not finite, or labels are not bool.
    """
    steps = recall_steps(scores, labels)
    dice, threshold = steps.best_dice()
    return RankSummary(
        average_precision=steps.average_precision(),
        auroc=steps.auroc(),
        best_dice=dice,
        best_threshold=threshold,
        positives=steps.positives,
        negatives=steps.negatives,
    )


def average_precision(scores: ArrayLike, labels: ArrayLike) -> float:
    """Return the area under the precision-recall curve as its step-wise sum.

    This is the sum of precision times gain in recall (no interpolation), as in
    scikit-learn; a random score gives the prevalence. NaN without a positive.

    Raises:
        DataError: shapes differ, scores are not finite, or labels are not bool.
    """
    return recall_steps(scores, labels).average_precision()


def auroc(scores: ArrayLike, labels: ArrayLike) -> float:
    """Return the chance that a positive outscores a negative, ties counting half.

    NaN if one of the two classes is absent.

    Raises:
        DataError: shapes differ, scores are not finite, or labels are not bool.
    """
    return recall_steps(scores, labels).auroc()


def best_dice(scores: ArrayLike, labels: ArrayLike) -> tuple[float, float]:
    """Return the largest Dice of `scores >= threshold` and that threshold: an oracle.

    Exact over all thresholds; of equals the highest threshold. NaN, NaN without a
    positive.

    Raises:
        DataError: shapes differ, scores are not finite, or labels are not bool.
    """
    return recall_steps(scores, labels).best_dice()


def fpr_at_tpr(scores: ArrayLike, labels: ArrayLike, tpr: float = 0.95) -> float:
    """Return the smallest false-positive rate of a threshold with recall >= `tpr`.

    Without interpolation, so that some threshold has it. NaN if one of the two classes
    is absent.

    Raises:
        DataError: `tpr` is outside (0, 1], shapes differ, scores are not finite, or
            labels are not bool.
    """
    return recall_steps(scores, labels).fpr_at_tpr(as_rate("tpr", tpr))


def _ratio(counts: NDArray[np.int64], total: int) -> NDArray[np.float64]:
    return counts / total if total else np.full(len(counts), np.nan)
