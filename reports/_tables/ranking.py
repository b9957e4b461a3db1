"""Ranks of methods over the datasets among the runs, where there are enough of them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from uadbench.errors import UsageError
from uadbench.inference import Origin, Ranks, check_comparable, rank_methods

from .comparison import HEADLINE, Comparison
from .entry import Entry
from .grouping import grouped

THRESHOLD = "fpr5"
Found = dict[str, Entry]


@dataclass(frozen=True, eq=False)
class Ranking:
    """The headline's ranks under one protocol.

    Attributes:
        protocol: its name.
        datasets: titles of those that were ranked; each counts as independent.
        ranks: None where the results may not be ranked together.
        left_out: methods that some table does not rank, or not with the same options.
        reason: why there is no test; "" if there is.
    """

    protocol: str
    datasets: tuple[str, ...]
    ranks: Ranks | None
    left_out: tuple[str, ...]
    reason: str

    @property
    def sentence(self) -> str:
        """What came out, or why nothing did, in one line."""
        where = f"Ranks over datasets, protocol {self.protocol}"
        if self.reason or self.ranks is None:
            text = f"{where}: {self.reason}."
        else:
            ranks = zip(self.ranks.methods, self.ranks.average, strict=True)
            text = (
                f"{where}: {', '.join(f'{name} {rank:.2f}' for name, rank in ranks)} "
                f"({self.ranks.datasets} datasets, Friedman "
                f"p = {self.ranks.friedman_p:.3g}, critical difference "
                f"{self.ranks.critical_difference:.2f})."
            )
        if not self.left_out:
            return text
        others = ", ".join(self.left_out)
        return f"{text} Not ranked on every dataset with the same options: {others}."


def rankings(comparisons: Sequence[Comparison]) -> list[Ranking]:
    """Return the ranks by Dice at 5 % FPR under each protocol, of the raw maps.

    A method takes part if each table ranks it with the same options; its seeds are
    averaged. Tables of one dataset (other modalities, other splits) are no independent
    datasets: they are averaged to one.
    """
    return [_rank(same) for same in grouped(comparisons, lambda c: c.protocol)]


def _rank(comparisons: Sequence[Comparison]) -> Ranking:
    rows: list[Found] = [
        {_configuration(entry): entry for entry in c.entries if not entry.unranked}
        for c in comparisons
    ]
    every = {
        _configuration(e): e.title for c in reversed(comparisons) for e in c.entries
    }
    methods = [key for key in rows[0] if all(key in row for row in rows)]
    pairs = list(zip(comparisons, rows, strict=True))
    datasets = grouped(pairs, lambda pair: pair[0].dataset_name)
    titles = tuple(_title([comparison for comparison, _ in same]) for same in datasets)
    ranks, reason = None, ""
    try:
        check_comparable(_origins(comparisons, rows, methods))
        table = [
            [np.mean([_headline(row[key]) for _, row in same]) for key in methods]
            for same in datasets
        ]
        ranks = rank_methods(
            np.reshape(table, (len(datasets), len(methods))),
            titles,
            [every[key] for key in methods],
            higher=True,
        )
        reason = ranks.reason
    except UsageError as error:
        reason = str(error).removeprefix("ranks: ").removesuffix(".")
    kept = {every[key] for key in methods}
    return Ranking(
        protocol=comparisons[0].protocol,
        datasets=titles,
        ranks=ranks,
        left_out=tuple(
            dict.fromkeys(
                entry.title
                for comparison in comparisons
                for entry in comparison.entries
                if _configuration(entry) not in methods and entry.title not in kept
            )
        ),
        reason=reason,
    )


def _configuration(entry: Entry) -> str:
    """Return what makes rows of several tables one method."""
    method = entry.runs[0].record["method"]
    return json.dumps([method["name"], method["options"]], sort_keys=True)


def _title(tables: Sequence[Comparison]) -> str:
    first, *others = tables
    return f"{first.dataset} ({1 + len(others)} tables)" if others else first.title


def _origins(
    comparisons: Sequence[Comparison], rows: Sequence[Found], methods: Sequence[str]
) -> dict[str, Origin]:
    """Return what each run that is ranked was computed with and on."""
    return {
        f"{run.name}, {comparison.title}": Origin(
            protocol=comparison.protocol,
            supervision=str(run.thresholds[THRESHOLD]["supervision"]),
            data_hash=str(run.record.get("data_hash") or ""),
            dataset=comparison.source,
        )
        for comparison, row in zip(comparisons, rows, strict=True)
        for name in methods
        for run in row[name].runs
    }


def _headline(entry: Entry) -> float:
    found = entry.subject(HEADLINE)
    return float("nan") if found is None else found.value
