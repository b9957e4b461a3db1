"""Tables as GitHub Markdown."""

from collections.abc import Iterable, Sequence

from .layout import Layout, Line, Section, legend
from .notes import UNRANKED

SPECIAL = frozenset("\\`*_|<>[]#")


def markdown(
    sections: Sequence[Section],
    left_out: Iterable[str] = (),
    remarks: Iterable[str] = (),
) -> str:
    """Return the tables, each under its heading, then what concerns all of them.

    Args:
        sections: the tables.
        left_out: a line for each run without results.
        remarks: what the sections say together.
    """
    levels = [f"{level}: {meaning}" for level, meaning in legend(sections).items()]
    parts = [
        *(_section(section) for section in sections),
        *(escape(remark) for remark in remarks),
        _bullets("Supervision of a threshold", levels),
        _bullets("Left out", left_out),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def escape(text: str) -> str:
    """Return text that Markdown prints as it is, on one line."""
    plain = " ".join(text.split())
    return "".join(f"\\{letter}" if letter in SPECIAL else letter for letter in plain)


def _section(section: Section) -> str:
    parts = [
        f"## {escape(section.title)}",
        *(_table(layout) for layout in section.tables),
        escape(section.image),
        _bullets("Warnings", section.warnings),
    ]
    return "\n\n".join(part for part in parts if part)


def _table(layout: Layout) -> str:
    titles = ["Method", *(column.long for column in layout.columns)]
    supervision = ["*supervision*", *(f"*{level}*" for level in layout.supervision)]
    lines = [
        [escape(title) for title in titles],
        ["---", *("---:" for _ in layout.columns)],
        [cell if cell != "**" else "" for cell in supervision],
        *(_line(line) for line in layout.lines),
    ]
    parts = [
        f"### {escape(layout.title)}",
        escape(layout.caption),
        "\n".join("| " + " | ".join(cells) + " |" for cells in lines),
        "\n".join(f"- {escape(note)}" for note in layout.notes),
    ]
    return "\n\n".join(part for part in parts if part)


def _line(line: Line) -> list[str]:
    cells = [escape(line.title) + (f" {UNRANKED}" if line.note else "")]
    for cell in line.cells:
        mark = "**" if cell.best else "*" if cell.bound else ""
        cells.append(f"{mark}{escape(cell.text)}{mark}")
    return cells


def _bullets(title: str, lines: Iterable[str]) -> str:
    items = [f"- {escape(line)}" for line in lines]
    return "\n".join([f"### {title}", "", *items]) if items else ""
