"""Seeds and subjects: two sources of chance, kept apart.

Every seed is scored on the same subjects, so that the two are crossed. Who pools seeds
and subjects as if both were subjects gets an interval that shrinks with each repetition
although no patient was added.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from uadbench.errors import DataError

from .bootstrap import Interval, intervals
from .resampling import FEWEST, acceleration, bca, differ, draw
from .subjects import Floats, as_values, subject_means


@dataclass(frozen=True)
class Hierarchical:
    """A mean over subjects of a method that was trained with several seeds.

    Attributes:
        over_subjects: "how well do these trained models do, on average, on new
            subjects?" Seeds are averaged, then subjects resampled: a repeated seed
            changes nothing, and many seeds are not many subjects.
        over_both: "how well would the method do, trained anew, on new subjects?"
            Subjects and seeds are both resampled, apart from each other (the pigeonhole
            bootstrap of Owen 2007). No ends for fewer than three seeds; few seeds show
            too little of their variance (of S seeds a fraction (S - 1) / S), so that it
            is at least as wide as this.
        spread: "how much does one training differ from the next?" Standard deviation
            over seeds of the mean over subjects; NaN for one seed.
        seeds: their number.
    """

    over_subjects: Interval
    over_both: Interval
    spread: float
    seeds: int


def hierarchical_interval(
    values: ArrayLike, groups: ArrayLike | None = None
) -> Hierarchical:
    """Return the mean over subjects of several seeds with its intervals and its spread.

    A scan that one seed leaves undefined is left out for all seeds, and counted once.

    Args:
        values: (S, N) a metric of S seeds on the same N scans; NaN where undefined.
        groups: (N,) the subject of each scan; None if each has a subject of its own.

    Raises:
        DataError: a value is infinite, there is no seed, or the shapes don't fit.
    """
    every = as_values(values, "(S, N)")
    if not len(every):
        msg = "values: expected a row for each seed, got none."
        raise DataError(msg)
    (over_subjects,) = intervals(every.mean(axis=0, keepdims=True), groups)
    complete = np.where(np.isnan(every).any(axis=0), np.nan, every)
    members = subject_means(complete, groups)
    crossed = members[:, ~np.isnan(members[0])]
    low, high = _crossed_ends(crossed)
    spread = float("nan")
    if len(crossed) > 1 and crossed.size:
        spread = float(crossed.mean(axis=1).std(ddof=1))
    return Hierarchical(
        over_subjects=over_subjects,
        over_both=replace(over_subjects, low=low, high=high),
        spread=spread,
        seeds=len(every),
    )


def _crossed_ends(crossed: Floats) -> tuple[float, float]:
    """Return the ends of the interval that resamples both axes of (seeds, subjects)."""
    seeds, subjects = crossed.shape
    if min(seeds, subjects) < FEWEST:
        return float("nan"), float("nan")
    seed_means, means = crossed.mean(axis=1), crossed.mean(axis=0)
    if not (differ(seed_means[np.newaxis]) | differ(means[np.newaxis])):
        return float("nan"), float("nan")
    # In an order of their own, so that the order of runs and cases means nothing.
    crossed = crossed[np.argsort(seed_means)][:, np.argsort(means)]
    mean, size = crossed.mean(), np.ptp(crossed)
    apart = (crossed - mean) / size
    by_seed = np.concatenate([counts @ apart for counts in draw(seeds, seed=1)])
    start, sums = 0, []
    for counts in draw(subjects, seed=0):
        stop = start + len(counts)
        sums.append((by_seed[start:stop] * counts).sum(axis=1))
        start = stop
    moved = acceleration(apart.mean(axis=1)[np.newaxis], apart.mean(axis=0)[np.newaxis])
    ((low, high),) = bca(np.concatenate(sums)[np.newaxis] / crossed.size, moved)
    return float(mean + size * low), float(mean + size * high)
