"""The threshold of the best mean Dice, which only labels can tell.

Of the test labels it is an upper bound and named so; of labelled validation cases it is
a choice with the supervision level "lesion-val".
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from uadbench.inference import subject_means
from uadbench.metrics import Confusion, Ranking, confusion

# Candidates: quantiles of lesion scores and of all scores.
GRID = 1000


@dataclass(frozen=True, eq=False)
class Counts:
    """What K thresholds find in one case.

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

    @classmethod
    def of(cls, masks: Iterable[NDArray[np.bool_]], labels: NDArray[np.bool_]) -> Self:
        """Return the counts of masks (N,), each what one threshold leaves."""
        found = [confusion(mask, labels) for mask in masks]
        return cls(
            np.array([counts.true_positives for counts in found]),
            np.array([counts.false_positives for counts in found]),
            positives=int(labels.sum()),
            negatives=int((~labels).sum()),
        )

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


def best(cases: Iterable[Counts], subjects: Sequence[str]) -> int | None:
    """Return the first threshold of the largest mean Dice; None without any lesion.

    The mean is over subjects, each with the mean of its cases that have a lesion: the
    one that a table shows.

    Args:
        cases: what the same thresholds find in each.
        subjects: the person of each case.
    """
    dice = np.array([case.dice for case in cases])
    ill = ~np.isnan(dice).all(axis=1) if dice.size else np.zeros(len(dice), bool)
    if not ill.any():
        return None
    persons = [name for name, has in zip(subjects, ill, strict=True) if has]
    return int(subject_means(dice[ill].T, persons).mean(axis=1).argmax())
