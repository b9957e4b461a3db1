"""How an iterative method arrives at its mask: from most of the brain to a lesion."""

from collections.abc import Sequence
from dataclasses import dataclass as record
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from pydantic.dataclasses import dataclass

from uadbench.protocols import Card
from uadbench.results import Run

from ._figures.cases import Chosen, choose, metric, shown
from ._figures.panels import (
    ORIENTATION,
    Frame,
    Range,
    Slice,
    place,
    show_score,
    window_of,
    write,
)
from ._figures.style import MUTED, PAGE, new_figure, save, style
from ._tables.comparison import Comparison, compare
from ._tables.entry import Entry

MOST_MASKS = 6
MASK = "#E69F00"
TITLES = {"image": "input"}
# In mm.
GAP, LARGEST_PANEL = 0.8, 24.0
HEAD, CASE_LINE, ROW_GAP, FOOT = 6.0, 7.0, 1.6, 7.0


@dataclass
class Refinement:
    """figures/refinement.png and .pdf, one pair for each method that gives a trace."""

    card: ClassVar[Card] = Card(title="Refinement of masks")
    gathers: ClassVar[bool] = False

    def render(self, runs: Sequence[Run], out: Path) -> list[Path]:
        """Write a figure for each method, of its first seed; [] if none has a trace."""
        figures = [
            figure
            for comparison in compare(runs)
            for entry in comparison.entries
            if (figure := draw_refinement(comparison, entry))
        ]
        return save(figures, out, "refinement")


@record(frozen=True, eq=False)
class Row:
    """A case: its slice, the part of it that is shown, and its masks by pass."""

    chosen: Chosen
    arrays: Slice
    frame: Frame
    masks: dict[int, NDArray[Any]]

    @classmethod
    def read(cls, run: Run, chosen: Chosen) -> "Row | None":
        """Return the row of a case, or None if its slice has no trace."""
        arrays = shown(run, chosen.case)
        if arrays is None or "trace" not in arrays:
            return None
        trace = distinct(arrays["trace"].astype(bool))
        masks = {i: trace[i] for i in evenly(len(trace), MOST_MASKS)}
        return cls(chosen, arrays, Frame.around(arrays), masks)


def draw_refinement(comparison: Comparison, entry: Entry) -> Figure | None:
    """Return the figure of an entry's first seed, or None if it has no trace."""
    run = entry.runs[0]
    rows = [row for chosen in choose(run) if (row := Row.read(run, chosen))]
    if not rows:
        return None
    columns = max(len(row.masks) for row in rows) + 4
    width = min(LARGEST_PANEL, (PAGE - 2 - GAP * (columns - 1)) / columns)
    total = (
        HEAD
        + FOOT
        + sum(CASE_LINE + width * row.frame.aspect + ROW_GAP for row in rows)
    )
    limits = window_of([(row.arrays["score"], row.arrays["brain"]) for row in rows])
    with style():
        figure = new_figure(PAGE, total)
        title = f"{entry.title}, seed {entry.seeds[0]}: {comparison.title}"
        write(figure, 1, 1, title, fontsize=7.5, fontweight="bold")
        y = HEAD
        for row in rows:
            write(figure, 1, y, _describe(run, row), fontsize=6.5, fontweight="bold")
            y += CASE_LINE
            _draw_row(figure, row, (y, width), columns, limits)
            y += width * row.frame.aspect + ROW_GAP
        text = (
            "Blue line: lesion, never seen by the method. Orange: mask, in % of the "
            f"brain in this slice.\nCases: best, median, worst by AUPRC. {ORIENTATION}"
        )
        write(figure, 1, y, text, fontsize=6, color=MUTED, linespacing=1.4)
    return figure


def distinct(trace: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return a trace (K, X, Y) without the repeats of its last mask at its end."""
    changed = np.flatnonzero((trace[1:] != trace[:-1]).any(axis=(1, 2)))
    return trace[: changed[-1] + 2 if len(changed) else 1]


def evenly(count: int, most: int) -> list[int]:
    """Return up to `most` of `count` indices, evenly spread, the first and the last."""
    picked = np.linspace(0, count - 1, min(count, most))
    return [int(index) for index in picked.round()]


def _describe(run: Run, row: Row) -> str:
    text = f"{row.chosen.rank}: {row.chosen.case}, AUPRC {row.chosen.value:.3f}"
    dice = metric(run, row.chosen.case, "dice_own")
    return text if np.isnan(dice) else f"{text}, Dice of the final mask {dice:.3f}"


def _draw_row(
    figure: Figure, row: Row, box: tuple[float, float], columns: int, limits: Range
) -> None:
    """Draw input and condition at the left, the masks, and the outcome at the right."""
    y, width = box
    left = [p for p in ("image", "condition") if p in row.arrays]
    right = [p for p in ("reconstruction", "score") if p in row.arrays]
    panels: list[tuple[int, str | int]] = [
        *enumerate(left),
        *enumerate(row.masks, start=len(left)),
        *enumerate(right, start=columns - len(right)),
    ]
    for column, panel in panels:
        x = 1 + column * (width + GAP)
        axes = place(figure, x, y, width, width * row.frame.aspect)
        title = _draw_panel(axes, row, panel, limits)
        write(figure, x + width / 2, y - 3.3, title, fontsize=5.8, ha="center")


def _draw_panel(axes: Axes, row: Row, panel: str | int, limits: Range) -> str:
    """Draw one panel, an array or the mask of a pass, and return its title."""
    arrays, brain = row.arrays, row.arrays["brain"].astype(bool)
    image = arrays.get("input", arrays["image"])
    if isinstance(panel, int):
        row.frame.show(axes, image, window_of([(image, brain)]))
        row.frame.paint(axes, row.masks[panel], MASK)
        row.frame.outline(axes, arrays["lesion"])
        share = 100 * (row.masks[panel] & brain).sum() / max(brain.sum(), 1)
        name = "first" if panel == 0 else f"pass {panel + 1}"
        return f"{name}: {share:.0f} %" if share >= 9.5 else f"{name}: {share:.1f} %"
    if panel == "score":
        show_score(axes, row.frame, arrays, limits)
        return "score"
    array = image if panel == "image" else arrays[panel]
    scale = array if panel == "condition" else image
    row.frame.show(axes, array, window_of([(scale, brain)]))
    return TITLES.get(panel, panel)
