"""Pictures of the best, the median and the worst case: what each method marks."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from pydantic.dataclasses import dataclass

from uadbench.protocols import Card
from uadbench.results import Run

from ._figures.cases import Chosen, choose, metric, shown
from ._figures.groups import Group, Panel, gather, packed
from ._figures.panels import (
    ORIENTATION,
    Frame,
    Slice,
    place,
    window_of,
    write,
)
from ._figures.style import (
    FALSE_ALARM,
    HIT,
    LESION,
    MISS,
    MUTED,
    PAGE,
    colours,
    new_figure,
    save,
    shortened,
    style,
)
from ._tables.comparison import Comparison, compare

LARGEST_PANEL = 32.0
GAP, GROUP_GAP = 0.8, 2.5
HEAD, CASE_LINE, FOOT = 11.0, 4.2, 14.0


@dataclass
class Qualitative:
    """figures/qualitative.png and .pdf, further ones where there are many methods."""

    card: ClassVar[Card] = Card(title="Pictures of three cases")
    gathers: ClassVar[bool] = False

    def render(self, runs: Sequence[Run], out: Path) -> list[Path]:
        """Write a figure for each dataset and protocol, and for each few methods."""
        shades = colours(run.method for run in runs)
        figures = [
            figure for table in compare(runs) for figure in draw_cases(table, shades)
        ]
        return save(figures, out, "qualitative")


def draw_cases(comparison: Comparison, shades: Mapping[str, str]) -> list[Figure]:
    """Return the figures of a comparison; none if no case can be chosen.

    The first run chooses the cases; of a method's seeds the first is drawn.

    Args:
        comparison: whose methods are drawn.
        shades: a colour for each method's name.
    """
    first = comparison.entries[0]
    chosen = [c for c in choose(first.runs[0]) if shown(first.runs[0], c.case)]
    if not chosen:
        return []
    groups = [gather(entry, chosen) for entry in comparison.entries]
    return [_draw(comparison, chosen, part, shades) for part in packed(groups)]


def _draw(
    comparison: Comparison,
    chosen: Sequence[Chosen],
    groups: Sequence[Group],
    shades: Mapping[str, str],
) -> Figure:
    chooser = comparison.entries[0]
    images = {c.case: shown(chooser.runs[0], c.case) or {} for c in chosen}
    frames = {case: Frame.around(arrays) for case, arrays in images.items()}
    columns = 2 + sum(len(group.panels) for group in groups)
    gaps = GAP * (columns - 1) + GROUP_GAP * len(groups)
    width = min(LARGEST_PANEL, (PAGE - 2 - gaps) / columns)
    heights = [width * frames[c.case].aspect for c in chosen]
    total = HEAD + sum(heights) + (CASE_LINE + 1) * len(chosen) + FOOT
    with style():
        figure = new_figure(max(2 + gaps + width * columns, 100), total)
        _write_heads(figure, groups, width, shades)
        y = HEAD
        for c, height in zip(chosen, heights, strict=True):
            write(
                figure,
                1,
                y + 0.6,
                f"{c.rank}: {c.case}, AUPRC {c.value:.3f}",
                fontsize=6.5,
                fontweight="bold",
            )
            y += CASE_LINE
            _draw_row(figure, c.case, frames, images, groups, (y, width, height))
            y += height + 1
        _write_foot(figure, comparison, y)
    return figure


def _draw_row(
    figure: Figure,
    case: str,
    frames: dict[str, Frame],
    images: dict[str, Slice],
    groups: Sequence[Group],
    box: tuple[float, float, float],
) -> None:
    y, width, height = box
    frame, arrays = frames[case], images[case]
    scale = window_of([(arrays["image"], arrays["brain"])])
    x = 1.0
    for outlined in (False, True):
        axes = place(figure, x, y, width, height)
        frame.show(axes, arrays["image"], scale)
        if outlined:
            frame.outline(axes, arrays["lesion"])
        x += width + GAP
    for group in groups:
        x += GROUP_GAP
        for panel in group.panels:
            axes = place(figure, x, y, width, height)
            _draw_panel(axes, frame, group, panel, case)
            x += width + GAP


def _draw_panel(
    axes: Axes, frame: Frame, group: Group, panel: Panel, case: str
) -> None:
    arrays = group.slices[case]
    if arrays is None or panel.array not in arrays:
        axes.set_facecolor("#E5E7EB")
        axes.text(
            0.5,
            0.5,
            "no\nprediction" if arrays is None else "none",
            ha="center",
            va="center",
            fontsize=6,
            color=MUTED,
            transform=axes.transAxes,
        )
        return
    panel.draw(axes, frame, arrays)
    dice = metric(group.entry.runs[0], case, panel.dice) if panel.dice else math.nan
    if not math.isnan(dice):
        axes.text(
            0.03,
            0.985,
            f"{dice:.2f}",
            color="white",
            fontsize=6,
            va="top",
            transform=axes.transAxes,
        )


def _write_heads(
    figure: Figure, groups: Sequence[Group], width: float, shades: Mapping[str, str]
) -> None:
    centred = {"ha": "center", "fontsize": 5.8}
    x = 1 + width / 2
    for title in ("input", "lesion"):
        write(figure, x, HEAD - 3.8, title, **centred)
        x += width + GAP
    for group in groups:
        x += GROUP_GAP
        span = len(group.panels) * (width + GAP) - GAP
        left = x - width / 2
        write(
            figure,
            left,
            1.2,
            shortened(group.entry.title, span),
            fontsize=7.5,
            fontweight="bold",
        )
        across, down = figure.get_size_inches() * 25.4
        figure.add_artist(
            Line2D(
                [left / across, (left + span) / across],
                [1 - 5.6 / down] * 2,
                color=shades[group.entry.method],
                linewidth=1.4,
            )
        )
        for panel in group.panels:
            write(figure, x, HEAD - 3.8, panel.title, **centred)
            x += width + GAP


def _write_foot(figure: Figure, comparison: Comparison, y: float) -> None:
    down = figure.get_size_inches()[1] * 25.4
    figure.legend(
        handles=[
            Line2D([], [], color=LESION, label="lesion", linewidth=1.2),
            Patch(color=HIT, label="found"),
            Patch(color=FALSE_ALARM, label="false alarm"),
            Patch(color=MISS, label="missed"),
        ],
        loc="upper left",
        bbox_to_anchor=(0, 1 - (y + 0.3) / down),
        ncols=4,
        handlelength=1.2,
        columnspacing=1.4,
        fontsize=6.5,
    )
    chooser = comparison.entries[0]
    text = (
        f"{comparison.title}. Cases chosen by the AUPRC of {chooser.title}, "
        f"seed {chooser.seeds[0]}: best, median, worst. Numbers: Dice of the case.\n"
        f"Score: one scale for each method. {ORIENTATION}"
    )
    write(figure, 1, y + 6.2, text, fontsize=6, color=MUTED, linespacing=1.4)
