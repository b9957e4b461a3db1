"""The threshold of the best mean Dice, which only labels can tell.

Of the test labels it is an upper bound and named so; of labelled validation cases it is
a choice with the supervision level "lesion-val".
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uadbench.metrics import Confusion, Ranking, ScoreCurve

# Candidates: quantiles of lesion scores and of all scores.
GRID = 1000


@dataclass(frozen=True, eq=False)
class Counts:
    """What K falling thresholds find in one case.

    Attributes:
        true_positives: (K,) lesion voxels.
        false_positives: (K,) healthy voxels.
        positives: lesion voxels in all.
        negatives: healthy voxels in all.
    """

    true_positives: NDArray[np.int64]
    false_positives: NDArray[np.int64]
    positives: int
    negatives: int

    @property
    def dice(self) -> NDArray[np.float64]:
        """Dice at each threshold, all NaN without lesion."""
        found = self.true_positives + self.false_positives
        if not self.positives:
            return np.full(len(found), np.nan)
        return 2 * self.true_positives / (found + self.positives)

    def at(self, index: int) -> Confusion:
        """Return the counts of one threshold."""
        return Confusion(
            int(self.true_positives[index]),
            int(self.false_positives[index]),
            self.positives,
            self.negatives,
        )


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


def counts_at(
    thresholds: NDArray[np.floating],
    scores: NDArray[np.float32],
    labels: NDArray[np.bool_],
) -> Counts:
    """Return what falling thresholds find among the voxels (N,) of a case."""
    lesion, healthy = np.sort(scores[labels]), np.sort(scores[~labels])
    return Counts(
        true_positives=len(lesion) - np.searchsorted(lesion, thresholds),
        false_positives=len(healthy) - np.searchsorted(healthy, thresholds),
        positives=len(lesion),
        negatives=len(healthy),
    )


def best(cases: Iterable[Counts]) -> int | None:
    """Return the first threshold of the largest mean Dice; None without any lesion."""
    defined = [case.dice for case in cases if case.positives]
    return int(np.argmax(np.mean(defined, axis=0))) if defined else None


def best_threshold(
    cases: Sequence[tuple[NDArray[np.float32], NDArray[np.bool_]]],
) -> float:
    """Return the threshold of the best mean Dice over the voxels of some cases.

    Args:
        cases: scores and labels, each (N,).

    Infinity, which finds nothing, without any lesion.
    """
    curve = ScoreCurve()
    for scores, labels in cases:
        curve.add(scores, labels)
    grid = candidates(curve.ranking())
    index = best(counts_at(grid, scores, labels) for scores, labels in cases)
    return float("inf") if index is None else float(grid[index])
