"""Which cases the pictures show, by a rule and not by taste."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from uadbench.results import Run

RULE = "auprc"


@dataclass(frozen=True)
class Chosen:
    """A case to show.

    Attributes:
        case: its name.
        rank: "best", "median" or "worst".
        value: its AUPRC under the run that chose.
    """

    case: str
    rank: str
    value: float


def choose(run: Run) -> list[Chosen]:
    """Return a run's best, median and worst case by AUPRC, fewer if there are fewer.

    Of an even number the median is the better of the two in the middle; of equals the
    first by name comes first. Cases without lesion or prediction are not chosen.
    """
    if RULE not in run.cases:
        return []
    known = run.cases[run.cases["status"] == "ok"].dropna(subset=[RULE])
    ranked = sorted(
        ((-float(row[RULE]), str(row["case"])) for _, row in known.iterrows())
    )
    names = {0: "best", len(ranked) - 1: "worst", (len(ranked) - 1) // 2: "median"}
    # The first and last keep their names where the median falls on them.
    names |= {len(ranked) - 1: "worst", 0: "best"}
    return [
        Chosen(case=ranked[i][1], rank=names[i], value=-ranked[i][0])
        for i in sorted(names)
        if 0 <= i < len(ranked)
    ]


def shown(run: Run, case: str) -> Mapping[str, NDArray[Any]] | None:
    """Return a case's slice, or None if the run has none (its prediction failed)."""
    if not (run.folder / "shown" / f"{case}.npz").is_file():
        return None
    return run.shown(case)


def metric(run: Run, case: str, column: str) -> float:
    """Return a number of cases.csv, or NaN."""
    found = run.cases[run.cases["case"] == case]
    if column not in run.cases or found.empty:
        return float("nan")
    return float(found[column].iloc[0])
