"""Ranks of methods over datasets, after Demsar 2006.

"Statistical comparisons of classifiers over multiple data sets", JMLR 7: Friedman's
test, then Nemenyi's critical difference. A dataset is one observation, however many
subjects and seeds its means are made of.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from uadbench.errors import DataError, UsageError

from .subjects import Floats, as_values
from .ties import without_rounding

FEWEST_DATASETS = 5
FEWEST_METHODS = 3
ALPHA = 0.05


@dataclass(frozen=True)
class Ranks:
    """All that a critical-difference diagram shows.

    Attributes:
        methods: by rising average rank, the best first.
        average: their average ranks, from 1 for a method that is best on all datasets;
            NaN if no dataset is complete.
        datasets: datasets that were ranked.
        dropped: datasets that were not, since a method is undefined on them.
        friedman_p: p of "no method differs"; NaN if there is a `reason`.
        critical_difference: average ranks this far apart differ at the 5 % level; NaN
            if there is a `reason`.
        cliques: groups of two methods or more that cannot be told apart, as large as
            they can be, by rising rank: the bars of the diagram. Empty if there is a
            `reason`; all methods if Friedman's test finds no difference, after which
            no pair may be tested.
        reason: why nothing was tested; "" if it was.
    """

    methods: tuple[str, ...]
    average: tuple[float, ...]
    datasets: int
    dropped: int
    friedman_p: float
    critical_difference: float
    cliques: tuple[tuple[str, ...], ...]
    reason: str


def rank_methods(
    table: ArrayLike,
    datasets: Sequence[str],
    methods: Sequence[str],
    higher: bool | None,
) -> Ranks:
    """Return average ranks, Friedman's test and Nemenyi's critical difference.

    Equal means share the average of their ranks. From five datasets and three methods
    up there are tests; Friedman's takes the chi-square distribution, which for few
    datasets errs on the side of no difference.

    Args:
        table: (datasets, methods) mean of a metric; NaN where it is undefined.
        datasets: their names, each once: average a dataset's seeds before.
        methods: their names, each once.
        higher: True if larger is better, False if smaller.

    Raises:
        UsageError: the metric has no better side.
        DataError: a value is infinite or no number, a name occurs twice, or the
            shapes don't fit.
    """
    means = _checked(table, datasets, methods)
    if higher is None:
        msg = "ranks: the metric has no better side, so that it can't rank methods."
        raise UsageError(msg)
    complete = means[~np.isnan(means).any(axis=1)]
    ranks = _ranks(complete, higher)
    average = ranks.mean(axis=0) if len(ranks) else np.full(len(methods), np.nan)
    order = np.argsort(average, kind="stable")
    names, average = [methods[i] for i in order], average[order]
    friedman_p, difference = float("nan"), float("nan")
    cliques: list[tuple[str, ...]] = []
    reason = _reason(*ranks.shape)
    if not reason:
        friedman_p = _friedman(ranks)
        difference = critical_difference(len(methods), len(ranks))
        reach = difference if friedman_p < ALPHA else np.inf
        cliques = [tuple(names[start:stop]) for start, stop in _spans(average, reach)]
    return Ranks(
        methods=tuple(names),
        average=tuple(average.tolist()),
        datasets=len(ranks),
        dropped=len(means) - len(ranks),
        friedman_p=friedman_p,
        critical_difference=difference,
        cliques=tuple(cliques),
        reason=reason,
    )


def critical_difference(methods: int, datasets: int) -> float:
    """Return Nemenyi's critical difference of average ranks at the 5 % level.

    q sqrt(k (k + 1) / (6 N)) for k methods, two at least, and N datasets, where q is
    the 95 % quantile of the studentized range with infinitely many degrees of freedom,
    divided by the square root of 2 (Demsar 2006, section 3.2.2).

    Raises:
        DataError: there are fewer than two methods, or no dataset.
    """
    from scipy.stats import studentized_range

    if methods < 2 or datasets < 1:
        msg = (
            "critical difference: expected at least 2 methods and 1 dataset, "
            f"got {methods} and {datasets}."
        )
        raise DataError(msg)

    quantile = float(studentized_range.ppf(1 - ALPHA, methods, np.inf))
    return quantile / math.sqrt(2) * math.sqrt(methods * (methods + 1) / (6 * datasets))


def _checked(
    table: ArrayLike, datasets: Sequence[str], methods: Sequence[str]
) -> Floats:
    means = as_values(table, "(datasets, methods)", 2)
    if means.shape != (len(datasets), len(methods)):
        msg = (
            f"ranks: expected shape ({len(datasets)}, {len(methods)}), a row for each "
            f"dataset and a column for each method, got {means.shape}."
        )
        raise DataError(msg)
    for what, names in (("dataset", datasets), ("method", methods)):
        if twice := [name for name, times in Counter(names).items() if times > 1]:
            msg = (
                f"ranks: {what} '{twice[0]}' occurs more than once. Repetitions are "
                "not observations: average the seeds first."
            )
            raise DataError(msg)
    return means


def _ranks(means: Floats, higher: bool) -> Floats:
    """Return the rank of each method on each dataset (datasets, methods), best 1."""
    from scipy.stats import rankdata

    rows = [without_rounding(row, np.abs(row).max(initial=0.0)) for row in means]
    distinct = np.reshape(rows, means.shape)
    return np.asarray(rankdata(-distinct if higher else distinct, axis=1), np.float64)


def _friedman(ranks: Floats) -> float:
    """Return the p of Friedman's test; 1 if all methods are equal on all datasets."""
    from scipy.stats import friedmanchisquare

    if (ranks == ranks[0, 0]).all():
        return 1.0
    return float(friedmanchisquare(*ranks.T).pvalue)


def _spans(average: Floats, reach: float) -> list[tuple[int, int]]:
    """Return [start, stop) of the largest groups of rising ranks within `reach`."""
    spans: list[tuple[int, int]] = []
    for start, first in enumerate(average):
        stop = int(np.searchsorted(average - first, reach))
        inside = bool(spans) and stop <= spans[-1][1]
        if stop - start > 1 and not inside:
            spans.append((start, stop))
    return spans


def _reason(datasets: int, methods: int) -> str:
    if methods < FEWEST_METHODS:
        pair = ": compare two with a paired test" if methods == 2 else ""
        return f"too few methods ({methods}; at least {FEWEST_METHODS} needed){pair}"
    if datasets < FEWEST_DATASETS:
        return f"too few datasets ({datasets}; at least {FEWEST_DATASETS} needed)"
    return ""
