"""How figures look: sizes of a printed column, one colour for each method, fonts.

Everything here is local to a figure: no pyplot, no setting that outlives a drawing.
"""

import re
import zlib
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.style import context

from uadbench.files import write_atomically

from .._tables.comparison import BASELINE

# Widths of one and of two columns of a journal, in mm.
COLUMN, PAGE = 85.0, 175.0
MM_PER_INCH = 25.4
PIXELS_PER_INCH = 220
# Without date and version the same figure gives the same bytes.
UNDATED = {"png": {"Software": None}, "pdf": {"CreationDate": None}}
# Okabe and Ito 2008, told apart by colour-blind readers and in grey.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
BASELINE_COLOUR = "#666666"
MUTED = "#6B7280"
HIT, FALSE_ALARM, MISS = "#009E73", "#D55E00", "#F0E442"
LESION = "#00E5FF"
SETTINGS = {
    "axes.edgecolor": "#444444",
    "axes.labelsize": 8,
    "axes.linewidth": 0.6,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 8,
    "figure.facecolor": "white",
    # It comes with matplotlib: the same picture on every machine.
    "font.family": "DejaVu Sans",
    "font.size": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "lines.solid_capstyle": "round",
    # TrueType: text of the PDF stays text, as journals ask.
    "pdf.fonttype": 42,
    # A method's title may hold "$".
    "text.parse_math": False,
    "xtick.labelsize": 7,
    "xtick.major.width": 0.6,
    "ytick.labelsize": 7,
    "ytick.major.width": 0.6,
}


def style() -> AbstractContextManager[None]:
    """Draw with the settings of this package, whatever the user's own are."""
    return context(["default", SETTINGS])


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of a size in mm."""
    figure = Figure(figsize=(width / MM_PER_INCH, height / MM_PER_INCH))
    FigureCanvasAgg(figure)
    return figure


def save(figures: Sequence[Figure], out: Path, stem: str) -> list[Path]:
    """Write figures/<stem>.png and .pdf, <stem>-2 and so on for further figures.

    What an earlier rendering left of this stem is removed, so that the page shows no
    figure of other runs.
    """
    folder = out / "figures"
    for path in sorted(folder.glob(f"{stem}*.p??")):
        if re.fullmatch(rf"{stem}(-\d+)?\.(png|pdf)", path.name):
            path.unlink()
    files = []
    for number, figure in enumerate(figures, start=1):
        name = stem if number == 1 else f"{stem}-{number}"
        for suffix, dateless in UNDATED.items():
            path = folder / f"{name}.{suffix}"
            write = partial(figure.savefig, dpi=PIXELS_PER_INCH, metadata=dateless)
            with style():
                write_atomically(path, write)
            files.append(path)
    return files


def colours(methods: Iterable[str]) -> dict[str, str]:
    """Return a colour for each method name.

    It depends on the name, so that a method keeps its colour in every report; where two
    want the same, the later in the alphabet takes the next that is free.
    """
    chosen: dict[str, str] = {}
    for name in sorted(set(methods)):
        if name == BASELINE:
            chosen[name] = BASELINE_COLOUR
            continue
        start = zlib.crc32(name.encode()) % len(PALETTE)
        wanted = PALETTE[start:] + PALETTE[:start]
        free = [colour for colour in wanted if colour not in chosen.values()]
        chosen[name] = (free or wanted)[0]
    return chosen


def shortened(title: str, span: float) -> str:
    """Return a title that fits into `span` mm at 7.5 pt, cut with an ellipsis."""
    letters = int(span / 1.75)
    return title if len(title) <= letters else title[: max(letters - 1, 1)] + "…"
