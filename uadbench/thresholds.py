"""Where a score map is cut, and how much a threshold was allowed to know.

A voxel is predicted abnormal if its score is at least the threshold's value.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from uadbench.errors import ContractError, DataError
from uadbench.metrics import Ranking

# What a threshold has seen, from nothing to the test labels.
Supervision = Literal["none", "healthy-val", "lesion-val", "test-oracle"]
HEALTHY_RATES = {"fpr5": 0.05, "fpr1": 0.01}
HEADLINE = "fpr5"
# Grid of the oracle over subjects: quantiles of lesion scores and of all scores.
GRID = 1000


@dataclass(frozen=True)
class Threshold:
    """A cut with its provenance.

    Attributes:
        value: the smallest score that counts as abnormal; None for a method's own mask.
        strategy: how it was chosen.
        supervision: what it has seen.
        pipeline: hash of what produced the scores it was chosen on.
    """

    value: float | None
    strategy: str
    supervision: Supervision
    pipeline: str

    @classmethod
    def load(cls, record: Mapping[str, Any], pipeline: str) -> Self:
        """Return a stored threshold.

        Raises:
            DataError: it was chosen on the scores of another pipeline.
        """
        threshold = cls(**record)
        if threshold.pipeline != pipeline:
            msg = (
                f"threshold '{threshold.strategy}' belongs to pipeline "
                f"{threshold.pipeline}, not to {pipeline}. Run again with --overwrite."
            )
            raise DataError(msg)
        return threshold

    def apply(
        self, scores: NDArray[np.float32], own: NDArray[np.bool_] | None
    ) -> NDArray[np.bool_]:
        """Return the voxels that are abnormal: `own`, or scores that reach the value.

        Raises:
            ContractError: the method's own mask is asked for and not given.
        """
        if self.value is not None:
            return scores >= self.value
        if own is None:
            msg = "a method that gives its own mask has to give it for every scan."
            raise ContractError(msg)
        return own

    def record(self) -> dict[str, Any]:
        """Return what `load` takes."""
        return asdict(self)


def healthy_threshold(scores: NDArray[np.float32], rate: float) -> float:
    """Return the smallest threshold that at most a fraction `rate` of scores reaches.

    Args:
        scores: of healthy brain voxels, any shape.
        rate: false-positive rate in (0, 1).

    Raises:
        DataError: there is no score.
    """
    if not scores.size:
        msg = "no healthy validation voxel to calibrate on."
        raise DataError(msg)
    allowed = int(rate * scores.size)
    rank = scores.size - 1 - allowed
    # The score at `rank` may be tied with higher ranks: step just above it.
    highest_refused = np.partition(scores.ravel(), rank)[rank]
    return float(np.nextafter(np.float32(highest_refused), np.float32(np.inf)))


def calibrate(scores: NDArray[np.float32], pipeline: str) -> dict[str, Threshold]:
    """Return the thresholds at each of `HEALTHY_RATES`, by suffix."""
    return {
        suffix: Threshold(
            value=healthy_threshold(scores, rate),
            strategy=f"fpr@healthy:{rate:g}",
            supervision="healthy-val",
            pipeline=pipeline,
        )
        for suffix, rate in HEALTHY_RATES.items()
    }


def candidates(pooled: Ranking) -> NDArray[np.floating]:
    """Return falling thresholds, dense where lesions and where brains have scores."""
    found = pooled.true_positives + pooled.false_positives
    picked = [
        np.searchsorted(counts, np.linspace(0, counts[-1], GRID))
        for counts in (pooled.true_positives, found)
        if len(counts)
    ]
    index = np.unique(np.concatenate(picked)) if picked else np.array([], int)
    chosen: NDArray[np.floating] = pooled.thresholds[index]
    return chosen


def dice_at(thresholds: NDArray[np.floating], case: Ranking) -> NDArray[np.float64]:
    """Return a case's Dice at falling thresholds; NaN without lesion."""
    if not case.positives:
        return np.full(len(thresholds), np.nan)
    # `case.thresholds` falls: as many are reached as are >= the threshold asked for.
    reached = np.searchsorted(-case.thresholds, -thresholds, side="right")
    return np.concatenate(([0.0], case.dice))[reached]


def oracle(
    thresholds: NDArray[np.floating], dice_by_case: Iterable[NDArray[np.float64]]
) -> float:
    """Return the threshold of the largest mean Dice over cases; NaN if undefined."""
    defined = [dice for dice in dice_by_case if dice.size and not np.isnan(dice[0])]
    if not defined:
        return float("nan")
    return float(thresholds[int(np.argmax(np.mean(defined, axis=0)))])
