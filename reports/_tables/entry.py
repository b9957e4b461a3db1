"""A row of a table: the seeds of one method, and what they say together."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from uadbench.inference import Interval, hierarchical_interval
from uadbench.results import Run

from .seeds import Estimate, mean, mean_by_subject, number, of_runs, over_seeds, spread


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

    @property
    def steps(self) -> str:
        """The post-processing that was asked for; "" for none."""
        return str(self.runs[0].record.get("postprocess") or "")

    @cached_property
    def unranked(self) -> str:
        """Why the row takes no part in the ranking; "" if it does."""
        return "; ".join(
            dict.fromkeys(reason for run in self.runs if (reason := _unfit(run)))
        )

    def subject(self, metric: str) -> Estimate | None:
        """Return the mean over subjects of a column of cases.csv, or None."""
        return self._subject.get(metric)

    @property
    def metrics(self) -> list[str]:
        """The metrics that `subject` knows."""
        return list(self._subject)

    def retrained(self, metric: str) -> Interval | None:
        """Return the mean with the interval for new subjects and another training.

        Its ends are NaN for fewer than three seeds; None without the metric.
        """
        if metric not in self._subject:
            return None
        _, values, subjects = of_runs(self.runs, [metric])
        return hierarchical_interval(values[:, 0], subjects).over_both

    def total(self, metric: str) -> float:
        """Return the sum of a column over the scored cases, mean over seeds."""
        return mean(math.fsum(_column(run, metric).values()) for run in self.runs)

    def by_case(self, metric: str) -> dict[str, float]:
        """Return the defined values of a column of cases.csv, mean over seeds."""
        columns = [_column(run, metric) for run in self.runs]
        cases = (c for c in columns[0] if all(c in column for column in columns))
        return {case: mean(column[case] for column in columns) for case in cases}

    def by_subject(self, metric: str) -> dict[str, float]:
        """Return the mean of each subject's defined cases, mean over seeds."""
        return mean_by_subject(self.by_case(metric), self.subjects)

    @cached_property
    def subjects(self) -> dict[str, str]:
        """The subject of each case."""
        rows = self.runs[0].cases[["case", "subject"]].astype(str)
        return dict(zip(rows["case"], rows["subject"], strict=True))

    def pooled(self, metric: str) -> Estimate | None:
        """Return a metric over the voxels of all subjects together, or None."""
        pooled = [run.summary["pooled"] for run in self.runs]
        return _over_runs(part[metric] for part in pooled if metric in part)

    def image(self, score: str) -> float:
        """Return the AUROC of a subject's score, mean over seeds; NaN without it."""
        return mean(number(run.summary["image"].get(score)) for run in self.runs)

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
        """Seconds that the run waited for the prediction of a case."""
        return _over_runs(
            run.record["timings"]["predict"] / run.summary["cases"]["scored"]
            for run in self.runs
            if "predict" in run.record.get("timings", {})
            and run.summary["cases"]["scored"]
        )

    @property
    def parameters(self) -> Estimate | None:
        """Number of learned parameters."""
        counts = [run.record.get("parameters") for run in self.runs]
        return _over_runs(count for count in counts if count is not None)

    @cached_property
    def _subject(self) -> dict[str, Estimate]:
        if len(self.runs) > 1:
            return over_seeds(self.runs)
        return {
            metric: Estimate(
                value=number(part["mean"]),
                low=number(part["low"]),
                high=number(part["high"]),
                n=int(part["n"]),
                undefined=int(part["undefined"]),
                subjects=int(part["subjects"]),
            )
            for metric, part in self.runs[0].summary["subject"].items()
        }


def _column(run: Run, metric: str) -> dict[str, float]:
    """Return the defined values of a column of cases.csv."""
    if metric not in run.cases:
        return {}
    known = run.cases[["case", metric]].dropna()
    cases = known["case"].astype(str)
    return dict(zip(cases, known[metric].astype(float), strict=True))


def _over_runs(values: Iterable[float | None]) -> Estimate | None:
    known: Sequence[float] = [number(value) for value in values]
    return Estimate(mean(known), spread=spread(known)) if known else None


def _unfit(run: Run) -> str:
    limit, cases = run.record.get("limit"), run.summary["cases"]
    reasons = []
    if limit is not None:
        reasons.append(f"limited to {limit} cases")
    if cases["scored"] < cases["expected"]:
        reasons.append(f"only {cases['scored']} of {cases['expected']} cases scored")
    return ", ".join(reasons)
