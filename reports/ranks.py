"""Critical-difference diagram of the methods over the datasets among the runs.

Demsar 2006, "Statistical comparisons of classifiers over multiple data sets", JMLR 7.
Drawn where there are tests to show; ranks.csv says why where there are none.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pydantic.dataclasses import dataclass

from uadbench import inference
from uadbench.files import write_rows
from uadbench.protocols import Card
from uadbench.results import Run

from ._figures.style import MUTED, PAGE, new_figure, save, shortened, style
from ._tables.comparison import compare
from ._tables.ranking import Ranking, rankings

COLUMNS = (
    "protocol",
    "method",
    "average_rank",
    "datasets",
    "dropped",
    "friedman_p",
    "critical_difference",
    "cliques",
    "no_test_because",
)
# In mm.
SIDE, ABOVE, LINE, BAR = 52.0, 17.0, 5.0, 2.6
INK = "#222222"


@dataclass
class Ranks:
    """figures/ranks.png and .pdf, and ranks.csv."""

    card: ClassVar[Card] = Card(title="Ranks over datasets")
    gathers: ClassVar[bool] = False

    def render(self, runs: Sequence[Run], out: Path) -> list[Path]:
        """Write the ranks, and a figure for each protocol in which they are tested."""
        found = rankings(compare(runs))
        figures = [
            draw_ranks(ranking, ranking.ranks)
            for ranking in found
            if ranking.ranks is not None and not ranking.reason
        ]
        table = out / "ranks.csv"
        write_rows(table, [row for r in found for row in rank_rows(r)], COLUMNS)
        return [table, *save(figures, out, "ranks")]


def rank_rows(ranking: Ranking) -> Iterator[dict[str, object]]:
    """Yield a row for each method, by rank; one without method if none is ranked.

    Methods with a number of `cliques` in common cannot be told apart.
    """
    shared: dict[str, object] = {
        "protocol": ranking.protocol,
        "no_test_because": ranking.reason,
    }
    ranks = ranking.ranks
    if ranks is None or not ranks.methods:
        yield shared
        return
    for name, average in zip(ranks.methods, ranks.average, strict=True):
        cliques = [str(i) for i, c in enumerate(ranks.cliques, 1) if name in c]
        yield shared | {
            "method": name,
            "average_rank": average,
            "datasets": ranks.datasets,
            "dropped": ranks.dropped,
            "friedman_p": ranks.friedman_p,
            "critical_difference": ranks.critical_difference,
            "cliques": " ".join(cliques),
        }


def draw_ranks(ranking: Ranking, ranks: inference.Ranks) -> Figure:
    """Return the diagram: the best method is at the upper left."""
    count = len(ranks.methods)
    rows = -(-count // 2)
    bars = BAR * (len(ranks.cliques) + 1)
    height = ABOVE + bars + LINE * rows + 3
    with style():
        figure = new_figure(PAGE, height)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, PAGE), ylim=(-(height - ABOVE), ABOVE))
        axes.set_axis_off()
        _draw_scale(axes, count)
        _draw_difference(axes, ranks, count)
        _draw_methods(axes, ranks, bars)
        _draw_cliques(axes, ranks, count)
        axes.text(
            PAGE - 1,
            ABOVE - 1.5,
            f"{ranks.datasets} datasets, protocol {ranking.protocol}, "
            f"Friedman p = {ranks.friedman_p:.2g}",
            ha="right",
            va="top",
            color=MUTED,
        )
    return figure


def _place(rank: float, methods: int) -> float:
    """Return where a rank is on the scale, in mm from the left."""
    return SIDE + (rank - 1) / (methods - 1) * (PAGE - 2 * SIDE)


def _draw_scale(axes: Axes, methods: int) -> None:
    _stroke(axes, [SIDE, PAGE - SIDE], [0, 0], 0.9)
    for rank in range(1, methods + 1):
        x = _place(rank, methods)
        _stroke(axes, [x, x], [0, 1.4], 0.9)
        axes.text(x, 2, str(rank), ha="center", va="bottom")
    axes.text(SIDE - 3, 2, "better", ha="right", va="bottom", color=MUTED)


def _draw_difference(axes: Axes, ranks: inference.Ranks, methods: int) -> None:
    """Draw the critical difference as long as it is on the scale."""
    # Few datasets: it may be longer than the whole scale.
    stop = min(1 + ranks.critical_difference, methods)
    ends = [SIDE, _place(stop, methods)]
    y = ABOVE - 8.5
    _stroke(axes, ends, [y, y], 0.9)
    for x in ends:
        _stroke(axes, [x, x], [y - 0.8, y + 0.8], 0.9)
    longer = " (longer than the scale)" if stop < 1 + ranks.critical_difference else ""
    axes.text(
        SIDE, y + 1.4, f"CD = {ranks.critical_difference:.2f}{longer}", va="bottom"
    )


def _draw_methods(axes: Axes, ranks: inference.Ranks, bars: float) -> None:
    """Write the better half at the left and the others at the right, led to ranks."""
    count = len(ranks.methods)
    half = -(-count // 2)
    for i, (name, rank) in enumerate(zip(ranks.methods, ranks.average, strict=True)):
        left = i < half
        x = _place(rank, count)
        y = -bars - LINE * (i if left else count - 1 - i)
        edge = SIDE - 3 if left else PAGE - SIDE + 3
        _stroke(axes, [x, x, edge], [0, y, y], 0.6)
        title = shortened(name, SIDE - 3)
        words = f"{title}  {rank:.2f}" if left else f"{rank:.2f}  {title}"
        axes.text(
            edge + (-1 if left else 1),
            y,
            words,
            ha="right" if left else "left",
            va="center",
        )


def _draw_cliques(axes: Axes, ranks: inference.Ranks, methods: int) -> None:
    average = dict(zip(ranks.methods, ranks.average, strict=True))
    for i, clique in enumerate(ranks.cliques):
        ends = [
            _place(average[clique[0]], methods),
            _place(average[clique[-1]], methods),
        ]
        y = -BAR * (i + 0.7)
        _stroke(axes, [ends[0] - 0.8, ends[1] + 0.8], [y, y], 3.2)


def _stroke(axes: Axes, x: list[float], y: list[float], width: float) -> None:
    axes.plot(x, y, color=INK, linewidth=width, solid_capstyle="butt")
