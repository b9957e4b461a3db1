"""Rank metrics over more voxels than fit in memory, with bounds on their error."""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uadbench.errors import DataError

from .arrays import as_scores
from .bins import narrowed
from .ranking import Ranking
from .steps import NAN, RecallSteps
from .tally import EVERY, LESION, State, Tally


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
    """Pooled rank metrics of cases that are added one by one, in any order, in 57 MiB.

    Scores are taken as float32, wider ones rounded to the nearest; what follows is
    about these. The highest are counted score by score: all that share their first 20
    bits (see `bins`) with one of the 256 highest such prefixes. So scores are exact
    that lie around an offset or near an upper end that they don't pass, such as 1e5 + z
    or a saturated sigmoid. The others are counted in bins of a relative width of 2^-11.
    Each estimate carries bounds found by putting the voxels of each bin in their best
    and in their worst order; they are wide if many voxels lie in few bins below 256
    others, such as a spread tail above an offset:

    - AUROC: the value ties the voxels of a bin; the exact one differs by at most half
      the share of pairs of a lesion and a healthy voxel that lie in one bin.
    - AUPRC: the value ties the voxels of a bin; in `high` its lesion voxels come first,
      in `low` its healthy ones do.
    - best Dice: the value is reached at the threshold given and is `low`; no threshold
      reaches more than `high`.
    - rates at a threshold: exact, unless the threshold lies inside a bin: then half of
      the bin's voxels count in the value, none and all of them in the bounds.

    A round number (zero, an integer up to 4096, whatever float16 holds) is a bin of its
    own without a width: its voxels are known as ties. Of scores that are all of this
    kind, or all counted one by one, `low` and `high` are equal up to rounding.
    """

    def __init__(self) -> None:
        self._tally = Tally()

    def add(self, scores: ArrayLike, labels: ArrayLike) -> None:
        """Count the voxels of a case: scores and bool labels of its brain, any shape.

        Raises:
            DataError: shapes differ, scores are not finite or not to be held in
                float32, or labels are not bool; nothing is counted then.
        """
        values, truth = as_scores(scores, labels)
        narrow = narrowed(values)
        # By index: a mask of few voxels is read faster this way.
        self._tally.add(narrow, narrow[np.flatnonzero(truth)])

    def __add__(self, other: "ScoreCurve") -> "ScoreCurve":
        """Return the curve of the voxels of both."""
        both = ScoreCurve.from_state(self.state())
        both._tally.merge(other.state())
        return both

    def __radd__(self, nothing: int) -> "ScoreCurve":
        """Return the same curve: `sum` begins with 0."""
        return ScoreCurve() + self if nothing == 0 else NotImplemented

    def state(self) -> dict[str, NDArray[Any]]:
        """Return what is needed to make the same curve again; see `Tally.state`."""
        return self._tally.state()

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Return the curve that had this state.

        Raises:
            DataError: no curve has it.
        """
        curve = cls()
        curve._tally.merge(state)
        return curve

    def __reduce__(self) -> tuple[Any, ...]:
        # Most counters are zero: what travels between processes is small.
        return type(self).from_state, (self.state(),)

    @property
    def positives(self) -> int:
        """Lesion voxels."""
        return self._tally.total(LESION)

    @property
    def negatives(self) -> int:
        """Healthy voxels."""
        return self._tally.total(EVERY) - self.positives

    @property
    def prevalence(self) -> float:
        """Lesion voxels per voxel; NaN without a voxel."""
        total = self.positives + self.negatives
        return self.positives / total if total else NAN

    def ranking(self) -> Ranking:
        """Return the exact counts at the lowest score that each bin may hold."""
        bins = self._tally.occupied()
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

        Where certainly none does, 0, or NaN without a positive; bounds hold if one
        does.

        Raises:
            DataError: the threshold is NaN.
        """
        (fewest, most), (least_false, most_false) = self._reached(threshold)
        if not most + most_false:
            return _rate(0, 0, self.positives)
        return Estimate(
            value=(fewest + most) / (fewest + most + least_false + most_false),
            low=fewest / (fewest + most_false) if most_false else 1.0,
            high=most / (most + least_false) if most else 0.0,
        )

    def _steps(self) -> tuple[RecallSteps, NDArray[np.bool_]]:
        """Return the steps at the lowest score of each bin, and which are no guess."""
        bins = self._tally.occupied()
        tied = RecallSteps.of(
            bins.lowest, np.cumsum(bins.lesion), np.cumsum(bins.healthy)
        )
        return tied, (bins.lowest == bins.highest)[bins.lesion > 0]

    def _reached(self, threshold: float) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return the fewest and the most lesion, then healthy voxels that reach it."""
        if np.isnan(threshold):
            msg = "threshold: expected a score, got NaN."
            raise DataError(msg)
        bins = self._tally.occupied()
        surely, maybe = bins.lowest >= threshold, bins.highest >= threshold
        return (
            (int(bins.lesion[surely].sum()), int(bins.lesion[maybe].sum())),
            (int(bins.healthy[surely].sum()), int(bins.healthy[maybe].sum())),
        )


def _rate(low: int, high: int, total: int) -> Estimate:
    if not total:
        return Estimate(NAN, NAN, NAN)
    return Estimate((low + high) / 2 / total, low / total, high / total)
