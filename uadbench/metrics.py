"""Pure functions of arrays, one definition of each metric.

Arrays may have any shape; `scores` are real numbers where larger is more abnormal,
`labels`, `pred` and `ref` are bool. A metric that its input does not define is NaN: the
docstring says when, and whoever averages counts it. Wrong input is a `DataError`.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uadbench.errors import DataError

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Metric:
    """How a metric is named and read.

    Attributes:
        name: in cases.csv and summary.json, before a threshold's suffix.
        title: in tables.
        higher: True if larger is better, False if smaller, None if neither.
    """

    name: str
    title: str
    higher: bool | None


METRICS = (
    Metric("dice", "Dice", higher=True),
    Metric("precision", "Precision", higher=True),
    Metric("recall", "Recall", higher=True),
    Metric("fpr", "FPR", higher=False),
    Metric("auprc", "AUPRC", higher=True),
    Metric("auroc", "AUROC", higher=True),
    Metric("prevalence", "Prevalence", higher=None),
)


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
    values, truth = _scores(scores, labels)
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


def dice(pred: ArrayLike, ref: ArrayLike) -> float:
    """Return 2 |pred and ref| / (|pred| + |ref|); NaN if the reference is empty."""
    found, truth = _masks(pred, ref)
    if not truth.any():
        return float("nan")
    return float(2 * (found & truth).sum() / (found.sum() + truth.sum()))


def precision(pred: ArrayLike, ref: ArrayLike) -> float:
    """Return the fraction of predicted voxels that are lesion; NaN if none is."""
    found, truth = _masks(pred, ref)
    return _fraction((found & truth).sum(), found.sum())


def recall(pred: ArrayLike, ref: ArrayLike) -> float:
    """Return the fraction of lesion voxels that are predicted; NaN without lesion."""
    found, truth = _masks(pred, ref)
    return _fraction((found & truth).sum(), truth.sum())


def false_positive_rate(pred: ArrayLike, ref: ArrayLike) -> float:
    """Return the fraction of healthy voxels that are predicted; NaN without one."""
    found, truth = _masks(pred, ref)
    return _fraction((found & ~truth).sum(), (~truth).sum())


# What is computed from a mask, by the metric's name.
OVERLAP = {
    "dice": dice,
    "precision": precision,
    "recall": recall,
    "fpr": false_positive_rate,
}


def _scores(scores: ArrayLike, labels: ArrayLike) -> tuple[NDArray[np.floating], Bools]:
    values, truth = np.asarray(scores), np.asarray(labels)
    _same_shape("scores", values, "labels", truth)
    _is_bool("labels", truth)
    if not np.isfinite(values).all():
        broken = int(values.size - np.isfinite(values).sum())
        msg = f"scores: {broken} of {values.size} are NaN or infinite."
        raise DataError(msg)
    return values.ravel(), truth.ravel()


def _masks(pred: ArrayLike, ref: ArrayLike) -> tuple[Bools, Bools]:
    found, truth = np.asarray(pred), np.asarray(ref)
    _same_shape("pred", found, "ref", truth)
    _is_bool("pred", found)
    _is_bool("ref", truth)
    return found, truth


def _same_shape(
    name: str, array: NDArray[np.generic], other: str, reference: NDArray[np.generic]
) -> None:
    if array.shape != reference.shape:
        msg = f"{name} have shape {array.shape}, but {other} have {reference.shape}."
        raise DataError(msg)


def _is_bool(name: str, array: NDArray[np.generic]) -> None:
    if array.dtype != np.bool_:
        msg = (
            f"{name}: expected bool, got {array.dtype}. Compare with a threshold first."
        )
        raise DataError(msg)


def _fraction(part: np.integer, whole: np.integer) -> float:
    return float(part / whole) if whole else float("nan")


def _ratio(counts: NDArray[np.int64], total: int) -> NDArray[np.float64]:
    return counts / total if total else np.full(len(counts), np.nan)
