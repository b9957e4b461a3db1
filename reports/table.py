"""The tables of methods: Markdown to read, LaTeX to print, CSV to compute with.

table.csv is long: a row for each number, of every seed ("run") and of their mean
("mean"), unrounded. Its scope is "subject" (mean over subjects), "pooled" (over the
voxels of all subjects), "image" (AUROC of whole subjects) or "run" (time, parameters).
significance.csv has each method against the reference, on the same subjects.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar

from pydantic.dataclasses import dataclass

from uadbench.files import write_atomically, write_rows
from uadbench.protocols import Card
from uadbench.results import Run

from ._tables.comparison import BASELINE, compare, left_out
from ._tables.latex import latex
from ._tables.layout import section
from ._tables.markdown import markdown
from ._tables.ranking import rankings
from ._tables.rows import SIGNIFICANCE, number_rows, significance_rows


@dataclass
class Table:
    """table.md, table.tex, table.csv and significance.csv.

    Attributes:
        reference: the method that the others are compared with.
        failed: a line for each run that left no result at all.
    """

    card: ClassVar[Card] = Card(title="Table of methods")
    gathers: ClassVar[bool] = False

    reference: str = BASELINE
    failed: tuple[str, ...] = ()

    def render(self, runs: Sequence[Run], out: Path) -> list[Path]:
        """Write the tables of each dataset and protocol into each file."""
        comparisons = compare(runs, self.reference)
        sections = [section(comparison) for comparison in comparisons]
        remarks = [ranking.sentence for ranking in rankings(comparisons)]
        missing = [*left_out(runs), *self.failed]
        texts = {
            out / "table.md": markdown(sections, missing, remarks),
            out / "table.tex": latex(sections),
        }
        for path, text in texts.items():
            write_atomically(
                path, partial(Path.write_text, data=text, encoding="utf-8")
            )
        numbers, tests = out / "table.csv", out / "significance.csv"
        write_rows(numbers, [row for c in comparisons for row in number_rows(c)])
        maps = [m for c in comparisons for m in (c, *c.processed())]
        found = [row for m in maps for row in significance_rows(m)]
        write_rows(tests, found, SIGNIFICANCE)
        return [*texts, numbers, tests]
