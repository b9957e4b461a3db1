"""Precision against recall over all voxels of the test set, one line for each run."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from pydantic.dataclasses import dataclass

from uadbench.protocols import Card
from uadbench.results import Run

from ._figures.style import COLUMN, MUTED, PAGE, colours, new_figure, save, style
from ._tables.comparison import Comparison, compare
from ._tables.entry import Entry
from ._tables.seeds import number

if TYPE_CHECKING:
    import pandas as pd

Dashes = tuple[float, tuple[float, ...]]

DICE_LEVELS = (0.2, 0.4, 0.6, 0.8)
# Lengths of dash and gap in line widths, after an offset.
DASHES = ((0.0, ()), (0.0, (4, 1.5)), (0.0, (4, 1.5, 1, 1.5)), (0.0, (1, 1.5)))
# Operating points: marker, filled or not, title.
HEALTHY = ("o", True, "5 % healthy FPR")
ORACLE = ("D", False, "best Dice (oracle)")
# In mm.
PANEL, LEGEND_LINE = 62.0, 3.9
LEFT, RIGHT, ABOVE, BELOW = 11.5, 11.5, 7.0, 12.0
FAINT = "#DDE0E4"


@dataclass
class Curves:
    """figures/pr.png and .pdf."""

    card: ClassVar[Card] = Card(title="Precision-recall curves")
    gathers: ClassVar[bool] = False

    def render(self, runs: Sequence[Run], out: Path) -> list[Path]:
        """Write one figure with a panel for each dataset and protocol."""
        shades = colours(run.method for run in runs)
        return save([draw_curves(compare(runs), shades)], out, "pr")


def draw_curves(comparisons: Sequence[Comparison], shades: Mapping[str, str]) -> Figure:
    """Return the figure: one column wide, or two with several panels."""
    across = min(2, len(comparisons))
    down = -(-len(comparisons) // across)
    width = COLUMN if across == 1 else PAGE
    lines = max(len(c.entries) for c in comparisons) + len((HEALTHY, ORACLE)) + 1
    row = ABOVE + PANEL + BELOW + LEGEND_LINE * lines
    with style():
        figure = new_figure(width, row * down)
        for i, comparison in enumerate(comparisons):
            axes = figure.add_axes(
                (
                    (i % across / across) + LEFT / width,
                    1 - (i // across * row + ABOVE + PANEL) / (row * down),
                    1 / across - (LEFT + RIGHT) / width,
                    PANEL / (row * down),
                )
            )
            _draw_panel(axes, comparison, shades)
    return figure


def _draw_panel(axes: Axes, comparison: Comparison, shades: Mapping[str, str]) -> None:
    _draw_dice_levels(axes)
    handles = []
    dashed = _dashes(comparison.entries, shades)
    for entry in comparison.ordered:
        colour, dashes = shades[entry.method], dashed[entry.title]
        for run in entry.runs:
            width = 1.4 if len(entry.runs) == 1 else 0.8
            _draw_run(axes, run, colour, dashes, width)
        handles.append(
            Line2D([], [], color=colour, linestyle=dashes, label=_label(entry))
        )
    if not math.isnan(comparison.prevalence):
        chance = axes.axhline(
            comparison.prevalence, color=MUTED, linestyle=(0, (4, 3)), linewidth=0.9
        )
        chance.set_label(f"chance: prevalence {comparison.prevalence:.3f}")
        handles.append(chance)
    points = [
        _mark(math.nan, math.nan, "#333333", *point) for point in (HEALTHY, ORACLE)
    ]
    axes.set(
        xlim=(0, 1),
        ylim=(0, 1),
        xlabel="recall",
        ylabel="precision",
        title=comparison.title,
    )
    axes.legend(
        handles=[*handles, *points],
        loc="upper left",
        bbox_to_anchor=(-0.03, -(BELOW - 2) / PANEL),
        handlelength=2.4,
        labelspacing=0.35,
    )


def _draw_run(axes: Axes, run: Run, colour: str, dashes: Dashes, width: float) -> None:
    curve = run.curve.dropna(subset=["precision", "recall"]).sort_values("recall")
    axes.plot(
        curve["recall"],
        curve["precision"],
        color=colour,
        linestyle=dashes,
        linewidth=width,
        label=run.name,
    )
    pooled = run.summary["pooled"]
    recall, precision = (
        number(pooled.get(f"{m}_fpr5")) for m in ("recall", "precision")
    )
    axes.add_line(_mark(recall, precision, colour, *HEALTHY))
    if len(curve):
        best = curve.iloc[_best(curve)]
        axes.add_line(_mark(best["recall"], best["precision"], colour, *ORACLE))


def _best(curve: "pd.DataFrame") -> int:
    """Return the row of the largest Dice, the harmonic mean of precision and recall."""
    both = curve[["precision", "recall"]].to_numpy(float)
    total = np.maximum(both.sum(axis=1), np.finfo(float).tiny)
    return int(np.argmax(both.prod(axis=1) / total))


def _mark(
    recall: float,
    precision: float,
    colour: str,
    marker: str,
    filled: bool,
    title: str,
) -> Line2D:
    """Return an operating point."""
    return Line2D(
        [recall],
        [precision],
        linestyle="none",
        marker=marker,
        markersize=5,
        markerfacecolor=colour if filled else "white",
        markeredgecolor="white" if filled else colour,
        markeredgewidth=0.7 if filled else 1.2,
        zorder=3,
        label=title,
    )


def _draw_dice_levels(axes: Axes) -> None:
    """Draw where precision and recall give the same Dice."""
    for dice in DICE_LEVELS:
        recall = np.linspace(dice / (2 - dice), 1, 100)
        precision = dice * recall / (2 * recall - dice)
        axes.plot(recall, precision, color=FAINT, linewidth=0.7, zorder=0)
        axes.annotate(
            f"Dice {dice:g}",
            (1, precision[-1]),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            fontsize=6,
            color=MUTED,
        )


def _dashes(entries: Sequence[Entry], shades: Mapping[str, str]) -> dict[str, Dashes]:
    """Return a line style for each row by title; rows of one colour have their own.

    Rows are taken by method, so that a method looks alike in every panel.
    """
    seen: list[str] = []
    styled: dict[str, Dashes] = {}
    for entry in sorted(entries, key=lambda entry: entry.method):
        colour = shades[entry.method]
        styled[entry.title] = DASHES[seen.count(colour) % len(DASHES)]
        seen.append(colour)
    return styled


def _label(entry: Entry) -> str:
    auprc = entry.pooled("auprc")
    parts = [] if auprc is None else [f"AUPRC {auprc.value:.3f}"]
    if len(entry.runs) > 1:
        parts.append(f"{len(entry.runs)} seeds")
    if entry.unranked:
        parts.append("not ranked")
    return f"{entry.title} ({', '.join(parts)})" if parts else entry.title
