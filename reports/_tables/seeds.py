"""Means over subjects and over seeds: the arithmetic of a row."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uadbench.inference import hierarchical_intervals
from uadbench.results import Run

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A number of one or several seeds; NaN where it is undefined.

    Attributes:
        value: mean over subjects, or over what else there is, of the mean over seeds.
        low: lower end of its 95 % interval over subjects.
        high: upper end.
        n: cases that define it, for all seeds.
        undefined: cases that are scored and don't.
        subjects: those that define it: the size of the sample.
        spread: standard deviation over seeds; NaN for one seed.
    """

    value: float
    low: float = math.nan
    high: float = math.nan
    n: int = 0
    undefined: int = 0
    subjects: int = 0
    spread: float = math.nan


def over_seeds(runs: Sequence[Run]) -> dict[str, Estimate]:
    """Return every metric that all seeds of a method give, with its interval.

    Seeds are averaged, then subjects resampled: see `Hierarchical.over_subjects`.
    """
    first, *others = (run.summary["subject"] for run in runs)
    names = [name for name in first if all(name in other for other in others)]
    _, values, subjects = of_runs(runs, names)
    if not names or not subjects:
        return {name: Estimate(math.nan) for name in names}
    return {
        name: Estimate(
            found.over_subjects.mean,
            found.over_subjects.low,
            found.over_subjects.high,
            found.over_subjects.n,
            found.over_subjects.undefined,
            found.over_subjects.subjects,
            found.spread,
        )
        for name, found in zip(
            names, hierarchical_intervals(values.swapaxes(0, 1), subjects), strict=True
        )
    }


def of_runs(
    runs: Sequence[Run], metrics: Sequence[str]
) -> tuple[list[str], Floats, list[str]]:
    """Return the cases that all runs scored, their values and their subjects.

    The values are (runs, metrics, cases), NaN where undefined.
    """
    tables = [run.cases[run.cases["status"] == "ok"].set_index("case") for run in runs]
    first, *others = tables
    cases = [case for case in first.index if all(case in t.index for t in others)]
    values = [
        table.reindex(index=cases, columns=list(metrics)).to_numpy(float).T
        for table in tables
    ]
    subjects = [str(name) for name in first.loc[cases, "subject"]] if cases else []
    return [str(case) for case in cases], np.stack(values), subjects


def mean_by_subject(
    values: Mapping[str, float], subjects: Mapping[str, str]
) -> dict[str, float]:
    """Return the mean of each subject's cases.

    Args:
        values: by case.
        subjects: the subject of each case.
    """
    scans: dict[str, list[float]] = {}
    for case, value in values.items():
        scans.setdefault(subjects[case], []).append(value)
    return {subject: mean(found) for subject, found in scans.items()}


def number(value: float | None) -> float:
    """Return a number of a JSON file, where null stands for NaN."""
    return math.nan if value is None else float(value)


def mean(values: Iterable[float]) -> float:
    """Return the mean; NaN of nothing, or if any value is NaN."""
    known = list(values)
    return math.fsum(known) / len(known) if known else math.nan


def spread(values: Sequence[float]) -> float:
    """Return the standard deviation of a sample; NaN for fewer than two values."""
    if len(values) < 2:
        return math.nan
    middle = mean(values)
    squares = math.fsum((value - middle) ** 2 for value in values)
    return math.sqrt(squares / (len(values) - 1))
