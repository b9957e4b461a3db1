"""Rank metrics over more voxels than fit in memory, with bounds on their error."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uadbench.errors import DataError

from .arrays import as_scores
from .bins import BINS, Bins, count, narrowed, occupied
from .ranking import Ranking
from .steps import NAN, RecallSteps

# Rows of the counts: all voxels, and lesion voxels.
EVERY, LESION = range(2)


@dataclass(frozen=True)
class Estimate:
    """A value, and the bounds that the exact one lies within.

    They hold up to the rounding of float64 sums. All three are NaN where the metric is
    undefined.
    """

    value: float
    low: float
    high: float


class ScoreCurve:
    """Pooled rank metrics of cases that are added one by one, in any order, in 32 MiB.

    Scores are taken as float32, wider ones rounded to the nearest; what follows is
    about these. They are counted in bins of a relative width of 2^-11 (see `bins`), and
    each estimate carries bounds found by putting the voxels of each bin in their best
    and in their worst order:

    - AUROC: the value ties the voxels of a bin; the exact one differs by at most half
      the share of pairs of a lesion and a healthy voxel that lie in one bin.
    - AUPRC: the value ties the voxels of a bin; in `high` its lesion voxels come first,
      in `low` its healthy ones do.
    - best Dice: the value is reached at the threshold given and is `low`; no threshold
      reaches more than `high`.
    - rates at a threshold: exact, unless the threshold lies inside a bin: then half of
      the bin's voxels count in the value, none and all of them in the bounds.

    A round number (zero, an integer up to 4096, whatever float16 holds) is a bin of its
    own without a width: its voxels are known as ties, and of scores that are all of
    this kind `low` and `high` are equal up to rounding.
    """

    def __init__(self) -> None:
        self._counts = np.zeros((2, BINS), np.int64)

    def add(self, scores: ArrayLike, labels: ArrayLike) -> None:
        """Count the voxels of a case: scores and bool labels of its brain, any shape.

        Raises:
            DataError: shapes differ, scores are not finite or too large for float32, or
                labels are not bool; nothing is counted then.
        """
        values, truth = as_scores(scores, labels)
        narrow = narrowed(values)
        count(narrow, self._counts[EVERY])
        # By index: a mask of few voxels is read faster this way.
        count(narrow[np.flatnonzero(truth)], self._counts[LESION])

    def __add__(self, other: "ScoreCurve") -> "ScoreCurve":
        """Return the curve of the voxels of both."""
        both, added = ScoreCurve.from_state(self.state()), other.state()
        both._counts[:, added["bins"]] += added["counts"]
        return both

    def state(self) -> dict[str, NDArray[np.int64]]:
        """Return the K `bins` with a voxel, and `counts` (2, K): all, lesion."""
        bins = np.flatnonzero(self._counts[EVERY])
        return {"bins": bins, "counts": self._counts[:, bins]}

    @classmethod
    def from_state(cls, state: Mapping[str, NDArray[np.int64]]) -> Self:
        """Return the curve that had this state."""
        curve = cls()
        curve._counts[:, state["bins"]] = state["counts"]
        return curve

    def __reduce__(self) -> tuple[Any, ...]:
        # Most bins are empty: what travels between processes is small.
        return type(self).from_state, (self.state(),)

    @property
    def positives(self) -> int:
        """Lesion voxels."""
        return int(self._counts[LESION].sum())

    @property
    def negatives(self) -> int:
        """Healthy voxels."""
        return int(self._counts[EVERY].sum()) - self.positives

    @property
    def prevalence(self) -> float:
        """Lesion voxels per voxel; NaN without a voxel."""
        total = self.positives + self.negatives
        return self.positives / total if total else NAN

    def ranking(self) -> Ranking:
        """Return the exact counts at the lowest score that each bin may hold."""
        bins = self._bins()
        return Ranking(
            thresholds=bins.lowest,
            true_positives=np.cumsum(bins.lesion),
            false_positives=np.cumsum(bins.healthy),
            positives=self.positives,
            negatives=self.negatives,
        )

    def average_precision(self) -> Estimate:
        """Return the area under precision over recall; NaN without a positive."""
        tied, known = self._steps()
        best = replace(tied, reached=np.where(known, tied.reached, tied.above))
        # At worst the lesion voxels of a bin come last and one by one. Precision then
        # is concave in their rank: its mean is at least that of the first and the last.
        first = np.where(known, tied.found, tied.found - tied.gained + 1)
        last_value = tied.average_precision()
        first_value = replace(tied, found=first).average_precision()
        return Estimate(
            value=last_value,
            low=(first_value + last_value) / 2,
            high=best.average_precision(),
        )

    def auroc(self) -> Estimate:
        """Return the chance that a positive outscores a negative, ties counting half.

        NaN if one of the two classes is absent.
        """
        tied, known = self._steps()
        best = replace(tied, reached=np.where(known, tied.reached, tied.above))
        worst = replace(tied, above=np.where(known, tied.above, tied.reached))
        return Estimate(tied.auroc(), low=worst.auroc(), high=best.auroc())

    def best_dice(self) -> tuple[Estimate, float]:
        """Return the largest Dice over thresholds, and the highest one that reaches it.

        An oracle; NaN, NaN without a positive.
        """
        tied, known = self._steps()
        best = replace(tied, reached=np.where(known, tied.reached, tied.above))
        value, threshold = tied.best_dice()
        return Estimate(value, low=value, high=best.best_dice()[0]), threshold

    def recall(self, threshold: float) -> Estimate:
        """Return the fraction of lesion voxels that reach a threshold.

        NaN without a positive.

        Raises:
            DataError: the threshold is NaN.
        """
        (low, high), _ = self._reached(threshold)
        return _rate(low, high, self.positives)

    def false_positive_rate(self, threshold: float) -> Estimate:
        """Return the fraction of healthy voxels that reach a threshold.

        NaN without a negative.

        Raises:
            DataError: the threshold is NaN.
        """
        _, (low, high) = self._reached(threshold)
        return _rate(low, high, self.negatives)

    def precision(self, threshold: float) -> Estimate:
        """Return the fraction of voxels reaching a threshold that are lesion.

        NaN where certainly none does; bounds hold if one does.

        Raises:
            DataError: the threshold is NaN.
        """
        (fewest, most), (least_false, most_false) = self._reached(threshold)
        if not most + most_false:
            return Estimate(NAN, NAN, NAN)
        return Estimate(
            value=(fewest + most) / (fewest + most + least_false + most_false),
            low=fewest / (fewest + most_false) if most_false else 1.0,
            high=most / (most + least_false) if most else 0.0,
        )

    def _bins(self) -> Bins:
        return occupied(self._counts[EVERY], self._counts[LESION])

    def _steps(self) -> tuple[RecallSteps, NDArray[np.bool_]]:
        """Return the steps at the lowest score of each bin, and which are no guess."""
        bins = self._bins()
        tied = RecallSteps.of(
            bins.lowest, np.cumsum(bins.lesion), np.cumsum(bins.healthy)
        )
        return tied, (bins.lowest == bins.highest)[bins.lesion > 0]

    def _reached(self, threshold: float) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return the fewest and the most lesion, then healthy voxels that reach it."""
        if np.isnan(threshold):
            msg = "threshold: expected a score, got NaN."
            raise DataError(msg)
        bins = self._bins()
        surely, maybe = bins.lowest >= threshold, bins.highest >= threshold
        return (
            (int(bins.lesion[surely].sum()), int(bins.lesion[maybe].sum())),
            (int(bins.healthy[surely].sum()), int(bins.healthy[maybe].sum())),
        )


def _rate(low: int, high: int, total: int) -> Estimate:
    if not total:
        return Estimate(NAN, NAN, NAN)
    return Estimate((low + high) / 2 / total, low / total, high / total)
