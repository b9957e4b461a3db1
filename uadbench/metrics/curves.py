"""Curves over all thresholds, from the highest down."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .ranking import ranking


@dataclass(frozen=True, eq=False)
class PrecisionRecallCurve:
    """Precision and recall at each of K distinct scores.

    The first point is that of the highest score and the last that of the lowest, where
    recall is 1 and precision the prevalence. scikit-learn's end at recall 0 and
    precision 1 is left out: no threshold reaches it.

    Attributes:
        thresholds: (K,) falling.
        precision: (K,) at `scores >= threshold`.
        recall: (K,) never falling; NaN without a positive.
    """

    thresholds: NDArray[np.floating]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RocCurve:
    """False-positive rate and recall at infinity and each of K distinct scores.

    The first point is (0, 0), where the threshold is infinite and nothing is predicted;
    the last is (1, 1), at the lowest score. No point on a straight line is dropped.

    Attributes:
        thresholds: (K + 1,) float64, falling.
        false_positive_rate: (K + 1,) never falling; NaN without a negative.
        recall: (K + 1,) never falling; NaN without a positive.
    """

    thresholds: NDArray[np.float64]
    false_positive_rate: NDArray[np.float64]
    recall: NDArray[np.float64]


def precision_recall_curve(
    scores: ArrayLike, labels: ArrayLike
) -> PrecisionRecallCurve:
    """Return precision and recall at every distinct score; no point without a voxel.

    Raises:
        DataError: shapes differ, scores are not finite, or labels are not bool.
    """
    ranks = ranking(scores, labels)
    return PrecisionRecallCurve(ranks.thresholds, ranks.precision, ranks.recall)


def roc_curve(scores: ArrayLike, labels: ArrayLike) -> RocCurve:
    """Return false-positive rate and recall at infinity and every distinct score.

    Raises:
        DataError: shapes differ, scores are not finite, or labels are not bool.
    """
    ranks = ranking(scores, labels)
    return RocCurve(
        thresholds=np.append(np.inf, ranks.thresholds),
        false_positive_rate=_from_zero(ranks.false_positive_rate, ranks.negatives),
        recall=_from_zero(ranks.recall, ranks.positives),
    )


def _from_zero(rates: NDArray[np.float64], total: int) -> NDArray[np.float64]:
    return np.append(0.0 if total else np.nan, rates)
