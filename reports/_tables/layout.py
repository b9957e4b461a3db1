"""The tables before they are written: cells, marks and notes.

Markdown, LaTeX and HTML print the same `Layout`; what is bold, what is not ranked and
how a number is rounded is decided here, once.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .columns import Column, lesion_columns, main_columns
from .comparison import Comparison
from .entry import Entry
from .formats import DASH, Shown
from .image_level import image_level
from .notes import (
    SUPERVISION,
    caption,
    lesion_caption,
    notes,
    unranked,
    warnings,
)


@dataclass(frozen=True)
class Cell:
    """A formatted number.

    Attributes:
        value: the number as it is printed.
        details: interval, counts, supervision, each on a line of its own.
        best: the best among ranked rows of the same supervision.
        bound: an upper bound, to be set apart from results.
    """

    value: str
    details: tuple[str, ...] = ()
    best: bool = False
    bound: bool = False

    @property
    def text(self) -> str:
        """Number and details on one line."""
        return " ".join([self.value, *self.details])


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
    """

    title: str
    caption: str
    columns: tuple[Column, ...]
    supervision: tuple[str, ...]
    lines: tuple[Line, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Section:
    """All tables of a dataset under a protocol.

    Attributes:
        title: dataset and protocol.
        tables: raw results, then those of post-processed maps.
        image: the AUROC of whole subjects in a sentence; "" without healthy cases.
        warnings: what forbids a conclusion.
    """

    title: str
    tables: tuple[Layout, ...]
    image: str
    warnings: tuple[str, ...]


def section(comparison: Comparison) -> Section:
    """Return the tables of a comparison, best headline first."""
    tables = [
        table
        for maps in (comparison, *comparison.processed())
        for table in (_main(maps), _lesions(maps))
        if table.columns
    ]
    return Section(
        title=comparison.title,
        tables=tuple(tables),
        image=image_level(comparison),
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


def legend(sections: Iterable[Section]) -> dict[str, str]:
    """Return what the supervision levels that occur in the tables mean."""
    layouts = [layout for section in sections for layout in section.tables]
    shown = " ".join(level for layout in layouts for level in layout.supervision)
    return {level: text for level, text in SUPERVISION.items() if level in shown}


def _main(comparison: Comparison) -> Layout:
    return _lay_out(
        comparison,
        main_columns(comparison),
        _title("Methods", comparison),
        caption(comparison),
        notes(comparison),
    )


def _lesions(comparison: Comparison) -> Layout:
    return _lay_out(
        comparison,
        lesion_columns(comparison),
        _title("Lesions and surfaces", comparison),
        lesion_caption(comparison),
        unranked(comparison),
    )


def _title(name: str, comparison: Comparison) -> str:
    return f"{name}, after {comparison.steps}" if comparison.steps else name


def _lay_out(
    comparison: Comparison,
    columns: Sequence[Column],
    title: str,
    caption: str,
    notes: Sequence[str],
) -> Layout:
    entries = comparison.ordered
    read = [[column.read(comparison, e) for e in entries] for column in columns]
    kept = [
        (column, found, _levels(comparison, column))
        for column, found in zip(columns, read, strict=True)
        if any(shown is not None for shown in found)
    ]
    cells = [_cells(column, entries, found, seen) for column, found, seen in kept]
    return Layout(
        title=title,
        caption=caption,
        columns=tuple(column for column, _, _ in kept),
        supervision=tuple(_supervision(column, seen) for column, _, seen in kept),
        lines=tuple(
            Line(entry.title, tuple(row), entry.unranked)
            for entry, *row in zip(entries, *cells, strict=True)
        ),
        notes=tuple(notes),
    )


def _levels(comparison: Comparison, column: Column) -> list[str]:
    """Return what the threshold behind each row's number has seen; "" for none."""
    suffix = comparison.column(column.suffix) if column.suffix else ""
    return [entry.supervision(suffix) for entry in comparison.ordered]


def _supervision(column: Column, levels: Sequence[str]) -> str:
    """Return the supervision of a column's thresholds, all levels that occur."""
    if not column.suffix:
        return "none" if column.metric else ""
    return ", ".join(dict.fromkeys(level for level in levels if level))


def _cells(
    column: Column,
    entries: Sequence[Entry],
    found: Sequence[Shown | None],
    levels: Sequence[str],
) -> list[Cell]:
    """Return a column's cells, with the best of each supervision level marked."""
    mixed = len({level for level in levels if level}) > 1
    best = _best(column, entries, found, levels)
    cells = []
    for i, (shown, level) in enumerate(zip(found, levels, strict=True)):
        value, details, _ = Shown(DASH) if shown is None else shown
        if mixed and shown is not None:
            details += (f"({level})",)
        cells.append(Cell(value, details, best=i in best, bound=column.bound))
    return cells


def _best(
    column: Column,
    entries: Sequence[Entry],
    found: Sequence[Shown | None],
    levels: Sequence[str],
) -> set[int]:
    """Return the rows that hold the best shown number of their supervision level."""
    if column.higher is None:
        return set()
    choose = max if column.higher else min
    rivals: dict[str, dict[int, float]] = {}
    for i, (entry, shown) in enumerate(zip(entries, found, strict=True)):
        if entry.unranked or shown is None or math.isnan(shown.number):
            continue
        rivals.setdefault(levels[i], {})[i] = shown.number
    return {
        i
        for level, values in rivals.items()
        # The best of one is no news, and what saw the test labels is no result.
        if len(values) > 1 and "test-oracle" not in level
        for i, value in values.items()
        if value == choose(values.values())
    }
