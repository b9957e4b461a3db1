"""Ranks of methods over the datasets among the runs, where there are enough of them."""

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
        datasets: titles of the tables that were ranked; each counts as independent.
        ranks: None where the results may not be ranked together.
        left_out: methods that some dataset does not rank.
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
        return f"{text} Not ranked on every dataset: {', '.join(self.left_out)}."


def rankings(comparisons: Sequence[Comparison]) -> list[Ranking]:
    """Return the ranks by Dice at 5 % FPR under each protocol, of the raw maps.

    A method takes part if each dataset ranks it; its seeds are averaged.
    """
    return [_rank(same) for same in grouped(comparisons, lambda c: c.protocol)]


def _rank(comparisons: Sequence[Comparison]) -> Ranking:
    rows: list[Found] = [
        {entry.title: entry for entry in c.entries if not entry.unranked}
        for c in comparisons
    ]
    every = dict.fromkeys(entry.title for c in comparisons for entry in c.entries)
    methods = [name for name in every if all(name in row for row in rows)]
    datasets = tuple(comparison.title for comparison in comparisons)
    ranks, reason = None, ""
    try:
        check_comparable(_origins(comparisons, rows, methods))
        table = [[_headline(row[name]) for name in methods] for row in rows]
        ranks = rank_methods(
            np.reshape(table, (len(rows), len(methods))),
            datasets,
            methods,
            higher=True,
        )
        reason = ranks.reason
    except UsageError as error:
        reason = str(error).removeprefix("ranks: ").removesuffix(".")
    return Ranking(
        protocol=comparisons[0].protocol,
        datasets=datasets,
        ranks=ranks,
        left_out=tuple(name for name in every if name not in methods),
        reason=reason,
    )


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
