"""The columns that one method fills in a grid of pictures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from .._tables.entry import Entry
from .cases import Chosen, shown
from .panels import Frame, Slice, show_overlap, show_score, window_of

# Columns that stay readable on two columns of a journal.
MOST_COLUMNS = 11


@dataclass(frozen=True, eq=False)
class Panel:
    """A column of a method: its heading, the array it needs, and how it is drawn."""

    title: str
    array: str
    draw: Callable[[Axes, Frame, Slice], None]
    dice: str = ""


@dataclass(frozen=True, eq=False)
class Group:
    """The columns of one method; `slices` by case, None where it has no prediction."""

    entry: Entry
    slices: dict[str, Slice | None]
    panels: tuple[Panel, ...]


def gather(entry: Entry, chosen: Sequence[Chosen]) -> Group:
    """Return the columns of an entry's first seed: what it gives for any case."""
    slices = {c.case: shown(entry.runs[0], c.case) for c in chosen}
    found = [arrays for arrays in slices.values() if arrays is not None]
    panels = [
        panel
        for panel in _panels(found)
        if panel.array == "score" or any(panel.array in arrays for arrays in found)
    ]
    return Group(entry, slices, tuple(panels))


def _panels(found: Sequence[Slice]) -> list[Panel]:
    """Return what can be drawn of a method, on one scale for all of its slices."""
    limits = window_of([(arrays["score"], arrays["brain"]) for arrays in found])

    def score(axes: Axes, frame: Frame, arrays: Slice) -> None:
        show_score(axes, frame, arrays, limits)

    def reconstruction(axes: Axes, frame: Frame, arrays: Slice) -> None:
        scale = arrays.get("input", arrays["reconstruction"])
        frame.show(
            axes, arrays["reconstruction"], window_of([(scale, arrays["brain"])])
        )

    def mask(name: str) -> Callable[[Axes, Frame, Slice], None]:
        return lambda axes, frame, arrays: show_overlap(axes, frame, arrays, name)

    return [
        Panel("reconstruction", "reconstruction", reconstruction),
        Panel("score", "score", score),
        Panel("5 % FPR", "mask", mask("mask"), dice="dice_fpr5"),
        Panel("own mask", "own", mask("own"), dice="dice_own"),
    ]


def packed(groups: Sequence[Group]) -> list[list[Group]]:
    """Return the groups in as few figures as `MOST_COLUMNS` allows, in order."""
    figures: list[list[Group]] = [[]]
    for group in groups:
        columns = 2 + sum(len(g.panels) for g in [*figures[-1], group])
        if figures[-1] and columns > MOST_COLUMNS:
            figures.append([])
        figures[-1].append(group)
    return figures
