"""The table of methods: Markdown to read, LaTeX to print, CSV to compute with.

table.csv is long: a row for each number, of every seed ("run") and of their mean
("mean"), unrounded. Its scope is "subject" (mean over subjects), "pooled" (over the
voxels of all subjects) or "run" (time, parameters).
"""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar

from pydantic.dataclasses import dataclass

from uadbench.files import write_atomically, write_rows
from uadbench.protocols import Card
from uadbench.results import Run

from ._tables.comparison import HEADLINE, Comparison, compare, unfinished
from ._tables.entry import Entry, Estimate
from ._tables.latex import latex
from ._tables.layout import lay_out
from ._tables.markdown import markdown

Row = dict[str, object]


@dataclass
class Table:
    """table.md, table.tex and table.csv."""

    card: ClassVar[Card] = Card(title="Table of methods")
    gathers: ClassVar[bool] = False

    def render(self, runs: Sequence[Run], out: Path) -> list[Path]:
        """Write one table for each dataset and protocol into each file."""
        comparisons = compare(runs)
        layouts = [lay_out(comparison) for comparison in comparisons]
        texts = {
            out / "table.md": markdown(layouts, unfinished(runs)),
            out / "table.tex": latex(layouts),
        }
        for path, text in texts.items():
            write_atomically(
                path, partial(Path.write_text, data=text, encoding="utf-8")
            )
        numbers = out / "table.csv"
        write_rows(numbers, [row for c in comparisons for row in rows(c)])
        return [*texts, numbers]


def rows(comparison: Comparison) -> Iterator[Row]:
    """Yield the rows of table.csv for one table."""
    shared: Row = {
        "dataset": comparison.dataset,
        "protocol": comparison.protocol,
        "data_hash": comparison.data_hash,
    }
    for entry in comparison.ordered:
        for run in entry.runs:
            single = Entry(entry.title, (run,))
            names: Row = {"kind": "run", "run": run.name, "seed": run.record["seed"]}
            yield from (shared | _of(single) | names | row for row in _numbers(single))
        names = {"kind": "mean", "run": "", "seed": ""}
        yield from (shared | _of(entry) | names | row for row in _numbers(entry))


def _of(entry: Entry) -> Row:
    return {
        "method": entry.method,
        "title": entry.title,
        "seeds": len(entry.seeds),
        "ranked": not entry.unranked,
        "not_ranked_because": entry.unranked,
    }


def _numbers(entry: Entry) -> Iterator[Row]:
    """Yield every number of an entry, the headline first."""
    subject = dict.fromkeys(
        [HEADLINE, *(m for run in entry.runs for m in run.summary["subject"])]
    )
    pooled = dict.fromkeys(m for run in entry.runs for m in run.summary["pooled"])
    found: list[tuple[str, str, Estimate | None]] = [
        *(("subject", metric, entry.subject(metric)) for metric in subject),
        *(("pooled", metric, entry.pooled(metric)) for metric in pooled),
        ("run", "seconds_per_case", entry.seconds),
        ("run", "parameters", entry.parameters),
    ]
    for scope, metric, estimate in found:
        if estimate is None:
            continue
        row: Row = {
            "scope": scope,
            "metric": metric,
            "value": estimate.value,
            "low": estimate.low,
            "high": estimate.high,
            "spread": estimate.spread,
            "n": estimate.n,
            "undefined": estimate.undefined,
            "supervision": _supervision(entry, metric),
        }
        if scope != "subject":
            row |= dict.fromkeys(("low", "high", "n", "undefined"), "")
        yield row


def _supervision(entry: Entry, metric: str) -> str:
    """Return what the threshold behind a metric has seen."""
    if "oracle" in metric:
        return "test-oracle"
    return entry.supervision(metric.rpartition("_")[2]) or "none"
