"""The table before it is written: cells, marks and notes.

Markdown, LaTeX and HTML print the same `Layout`; what is bold, what is not ranked and
how a number is rounded is decided here, once.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .columns import COLUMNS, DASH, Column, Shown
from .comparison import Comparison
from .entry import Entry, Estimate
from .notes import SUPERVISION, caption, notes, warnings


@dataclass(frozen=True)
class Cell:
    """A formatted number.

    Attributes:
        value: the number as it is printed.
        detail: interval, counts, supervision; "" for none.
        best: the largest among ranked rows of the same supervision.
        bound: an upper bound, to be set apart from results.
    """

    value: str
    detail: str = ""
    best: bool = False
    bound: bool = False

    @property
    def text(self) -> str:
        """Number and detail on one line."""
        return f"{self.value} {self.detail}".strip()


@dataclass(frozen=True)
class Line:
    """A row of the table; `note` says why it is not ranked, "" if it is."""

    title: str
    cells: tuple[Cell, ...]
    note: str


@dataclass(frozen=True)
class Layout:
    """A table that any format can print.

    Attributes:
        title: heading.
        caption: what the numbers are.
        columns: those that hold a number.
        supervision: of each column's thresholds; "" where there is none to tell.
        lines: rows, best headline first.
        notes: how to read the marks.
        warnings: what forbids a conclusion.
    """

    title: str
    caption: str
    columns: tuple[Column, ...]
    supervision: tuple[str, ...]
    lines: tuple[Line, ...]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]


def lay_out(comparison: Comparison) -> Layout:
    """Return the table of a comparison, best headline first."""
    entries = comparison.ordered
    read = [[column.read(comparison, e) for e in entries] for column in COLUMNS]
    kept = [
        (column, found)
        for column, found in zip(COLUMNS, read, strict=True)
        if any(estimate is not None for estimate in found)
    ]
    cells = [_cells(column, entries, found) for column, found in kept]
    return Layout(
        title=comparison.title,
        caption=caption(comparison),
        columns=tuple(column for column, _ in kept),
        supervision=tuple(_supervision(entries, column) for column, _ in kept),
        lines=tuple(
            Line(entry.title, tuple(row), entry.unranked)
            for entry, *row in zip(entries, *cells, strict=True)
        ),
        notes=tuple(notes(comparison)),
        warnings=tuple(warnings(comparison)),
    )


def headings(layout: Layout) -> list[tuple[str, int]]:
    """Return the groups over the columns with the number of columns under each."""
    spans: list[tuple[str, int]] = []
    for column in layout.columns:
        if spans and spans[-1][0] == column.group:
            spans[-1] = (column.group, spans[-1][1] + 1)
        else:
            spans.append((column.group, 1))
    return spans


def legend(layouts: Sequence[Layout]) -> dict[str, str]:
    """Return what the supervision levels that occur in the tables mean."""
    shown = " ".join(level for layout in layouts for level in layout.supervision)
    return {level: text for level, text in SUPERVISION.items() if level in shown}


def _cells(
    column: Column, entries: Sequence[Entry], found: Sequence[Estimate | None]
) -> list[Cell]:
    """Return a column's cells, with the best of each supervision level marked."""
    levels = [entry.supervision(column.suffix) for entry in entries]
    mixed = len({level for level in levels if level}) > 1
    best = _best(entries, found, levels) if column.ranked else set()
    cells = []
    for i, (estimate, level) in enumerate(zip(found, levels, strict=True)):
        value, detail = Shown(DASH) if estimate is None else column.show(estimate)
        if mixed and estimate is not None:
            detail = f"{detail} ({level})".strip()
        cells.append(Cell(value, detail, best=i in best, bound=column.bound))
    return cells


def _best(
    entries: Sequence[Entry], found: Sequence[Estimate | None], levels: Sequence[str]
) -> set[int]:
    """Return the rows that hold the largest shown number of their supervision level."""
    rivals: dict[str, dict[int, float]] = {}
    for i, (entry, estimate) in enumerate(zip(entries, found, strict=True)):
        if entry.unranked or estimate is None or math.isnan(estimate.value):
            continue
        # Rounded as shown: two equal numbers of which one is bold look like an error.
        rivals.setdefault(levels[i], {})[i] = round(estimate.value, 3)
    return {
        i
        for level, values in rivals.items()
        # The best of one is no news, and what saw the test labels is no result.
        if len(values) > 1 and "test-oracle" not in level
        for i, value in values.items()
        if value == max(values.values())
    }


def _supervision(entries: Sequence[Entry], column: Column) -> str:
    """Return the supervision of a column's thresholds, all levels that occur."""
    if not column.suffix:
        return "none" if column.ranked else ""
    levels = (entry.supervision(column.suffix) for entry in entries)
    return ", ".join(dict.fromkeys(level for level in levels if level))
