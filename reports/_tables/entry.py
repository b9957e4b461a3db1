"""A row of a table: the seeds of one method, and what they say together."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from uadbench.results import Run


@dataclass(frozen=True)
class Estimate:
    """A number of one or several seeds; NaN where it is undefined.

    Attributes:
        value: mean over seeds.
        low: lower end of the 95 % interval over subjects, mean over seeds.
        high: its upper end.
        n: subjects that define it, the smallest number of any seed.
        undefined: subjects that don't, the largest number of any seed.
        spread: standard deviation over seeds; NaN for one seed.
    """

    value: float
    low: float = math.nan
    high: float = math.nan
    n: int = 0
    undefined: int = 0
    spread: float = math.nan


@dataclass(frozen=True, eq=False)
class Entry:
    """A row: the seeds of one method with the same options.

    Attributes:
        title: the method's, told apart from the other rows.
        runs: one for each seed, at least one.
    """

    title: str
    runs: tuple[Run, ...]

    @property
    def method(self) -> str:
        """The method's registered name."""
        return self.runs[0].method

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seed of each run."""
        return tuple(int(run.record["seed"]) for run in self.runs)

    @cached_property
    def unranked(self) -> str:
        """Why the row takes no part in the ranking; "" if it does."""
        return "; ".join(
            dict.fromkeys(reason for run in self.runs if (reason := _unfit(run)))
        )

    def subject(self, metric: str) -> Estimate | None:
        """Return the mean over subjects of a column of cases.csv, or None."""
        found = [run.summary["subject"].get(metric) for run in self.runs]
        known = [part for part in found if part is not None]
        if not known:
            return None
        means = [number(part["mean"]) for part in known]
        return Estimate(
            value=mean(means),
            low=mean(number(part["low"]) for part in known),
            high=mean(number(part["high"]) for part in known),
            n=min(int(part["n"]) for part in known),
            undefined=max(int(part["undefined"]) for part in known),
            spread=spread(means),
        )

    def by_case(self, metric: str) -> dict[str, float]:
        """Return the defined values of a column of cases.csv, mean over seeds."""
        columns = [_column(run, metric) for run in self.runs]
        cases = (c for c in columns[0] if all(c in column for column in columns))
        return {case: mean(column[case] for column in columns) for case in cases}

    def pooled(self, metric: str) -> Estimate | None:
        """Return a metric over the voxels of all subjects together, or None."""
        pooled = [run.summary["pooled"] for run in self.runs]
        return _over_seeds(part[metric] for part in pooled if metric in part)

    def supervision(self, suffix: str) -> str:
        """Return what the threshold behind a column suffix has seen; "" if unknown."""
        seen = dict.fromkeys(
            str(run.thresholds[suffix]["supervision"])
            for run in self.runs
            if suffix in run.thresholds
        )
        return ", ".join(seen)

    @property
    def seconds(self) -> Estimate | None:
        """Time for the prediction of one case in s."""
        return _over_seeds(
            run.record["timings"]["predict"] / run.summary["cases"]["scored"]
            for run in self.runs
            if "predict" in run.record.get("timings", {})
            and run.summary["cases"]["scored"]
        )

    @property
    def parameters(self) -> Estimate | None:
        """Number of learned parameters."""
        counts = [run.record.get("parameters") for run in self.runs]
        return _over_seeds(count for count in counts if count is not None)


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


def _column(run: Run, metric: str) -> dict[str, float]:
    """Return the defined values of a column of cases.csv."""
    if metric not in run.cases:
        return {}
    known = run.cases[["case", metric]].dropna()
    return {str(row["case"]): float(row[metric]) for _, row in known.iterrows()}


def _over_seeds(values: Iterable[float | None]) -> Estimate | None:
    known = [number(value) for value in values]
    return Estimate(mean(known), spread=spread(known)) if known else None


def _unfit(run: Run) -> str:
    limit, cases = run.record.get("limit"), run.summary["cases"]
    reasons = []
    if limit is not None:
        reasons.append(f"limited to {limit} cases")
    if cases["scored"] < cases["expected"]:
        reasons.append(f"only {cases['scored']} of {cases['expected']} cases scored")
    return ", ".join(reasons)
