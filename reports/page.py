"""One page with everything: it holds its figures itself and loads nothing."""

import base64
import struct
from collections.abc import Sequence
from dataclasses import dataclass as record
from functools import partial
from pathlib import Path
from typing import ClassVar

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from pydantic.dataclasses import dataclass

from uadbench.files import write_atomically
from uadbench.protocols import Card
from uadbench.results import Run

from ._figures.panels import ORIENTATION
from ._tables.comparison import BASELINE, HEADLINE, Comparison, compare, left_out
from ._tables.formats import DASH, Shown, difference, with_interval
from ._tables.layout import headings, legend, section
from ._tables.notes import UNRANKED, reference_name, statement
from ._tables.provenance import Facts, command, facts
from ._tables.ranking import rankings
from ._tables.seeds import Estimate
from ._tables.strata import strata

# Our figures have more pixels than a screen needs, for print.
OVERSAMPLED = 1.6
CAPTIONS = {
    "ranks": (
        "Average rank of each method over the datasets by Dice at 5 % FPR; 1 is best "
        "on every dataset. Methods that a bar joins cannot be told apart: their ranks "
        "differ by less than Nemenyi's critical difference (CD), or Friedman's test "
        "finds no difference at all. Each dataset counts once, whatever its size."
    ),
    "pr": (
        "Precision against recall over all voxels of the test set, a line for each "
        "run. Filled circle: the threshold that 5 % of healthy validation voxels "
        "reach. Open diamond: the best threshold on the test labels, an upper bound. "
        "Grey lines: equal Dice. Dashed: a random score, whose precision is the "
        "prevalence."
    ),
    "qualitative": (
        "The best, the median and the worst case by the AUPRC of the first method, in "
        f"the axial slice with the most lesion. {ORIENTATION} Found voxels are green, "
        "false alarms orange, missed ones yellow; the number is the Dice of the whole "
        "case. Masks: at 5 % healthy FPR, and the method's own where it gives one."
    ),
    "refinement": (
        "Refinement of the mask, pass by pass, for the best, the median and the worst "
        "case: what is masked is reconstructed from the rest; what is reconstructed "
        "well leaves the mask. Blue: the lesion, which the method never saw. "
        f"{ORIENTATION}"
    ),
}


@dataclass
class Page:
    """index.html, with every PNG that lies in figures/.

    Attributes:
        reference: the method that the others are compared with.
        failed: a line for each run that left no result at all.
    """

    card: ClassVar[Card] = Card(title="Page with everything")
    gathers: ClassVar[bool] = True

    reference: str = BASELINE
    failed: tuple[str, ...] = ()

    def render(self, runs: Sequence[Run], out: Path) -> list[Path]:
        """Write the page; other reports have to be rendered before it."""
        figures = pictures(out / "figures")
        text = page(runs, figures, self.reference, self.failed)
        path = out / "index.html"
        write_atomically(path, partial(Path.write_text, data=text, encoding="utf-8"))
        return [path]


@record(frozen=True)
class Picture:
    """A figure as the page holds it; width and height in CSS pixels."""

    name: str
    caption: str
    uri: str
    width: int
    height: int


@record(frozen=True)
class Headline:
    """The row that the page puts first, with three numbers."""

    title: str
    sentence: str
    dice: Shown
    auprc: Shown
    chance: Shown
    difference: Shown
    reference: str


@record(frozen=True)
class Provenance:
    """A run's origin and its failed cases with their errors."""

    name: str
    title: str
    facts: Facts
    command: str
    failed: Facts


def page(
    runs: Sequence[Run],
    figures: Sequence[Picture],
    reference: str = BASELINE,
    failed: Sequence[str] = (),
) -> str:
    """Return the HTML page of some runs."""
    comparisons = compare(runs, reference)
    sections = [section(comparison) for comparison in comparisons]
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.j2").render(
        title=_title(comparisons),
        sections=[
            (found, headline(comparison), strata(comparison))
            for comparison, found in zip(comparisons, sections, strict=True)
        ],
        headings=headings,
        remarks=[ranking.sentence for ranking in rankings(comparisons)],
        figures=figures,
        provenance=[_provenance(run) for run in runs if run.done],
        left_out=[*left_out(runs), *failed],
        legend=legend(sections),
        unranked=UNRANKED,
    )


def pictures(folder: Path) -> list[Picture]:
    """Return the PNG files of a folder, ours first and in their order."""
    order = list(CAPTIONS)

    def key(path: Path) -> tuple[int, str, int, str]:
        stem, _, number = path.stem.partition("-")
        place = order.index(stem) if stem in order else len(order)
        return place, stem, int(number) if number.isdigit() else 0, path.stem

    # A process that was killed while it wrote leaves a hidden file.
    whole = (path for path in folder.glob("*.png") if not path.name.startswith("."))
    return [_picture(path) for path in sorted(whole, key=key)]


def headline(comparison: Comparison) -> Headline:
    """Return the best ranked method that is not the reference, or what there is."""
    entries = comparison.ordered
    candidates = [
        e for e in entries if e.method != comparison.reference and not e.unranked
    ]
    entry = (candidates or list(entries))[0]
    paired = comparison.paired.get(entry.title)
    ranked = sum(not e.unranked for e in entries)
    place = f"Best of {ranked} ranked methods: " if ranked > 1 else ""
    if entry is not entries[0]:
        place = ""
    return Headline(
        title=place + entry.title + (" (not ranked)" if entry.unranked else ""),
        sentence=statement(comparison, entry),
        dice=_shown(entry.subject(HEADLINE)),
        auprc=_shown(entry.pooled("auprc")),
        chance=_shown(Estimate(comparison.prevalence)),
        difference=Shown(DASH) if paired is None else difference(paired),
        reference=reference_name(comparison).removeprefix("the "),
    )


def _shown(estimate: Estimate | None) -> Shown:
    return Shown(DASH) if estimate is None else with_interval(estimate)


def _title(comparisons: Sequence[Comparison]) -> str:
    methods = dict.fromkeys(e.title for c in comparisons for e in c.entries)
    datasets = dict.fromkeys(c.dataset for c in comparisons)
    return f"{_listed(list(methods))} on {_listed(list(datasets))}"


def _listed(names: Sequence[str]) -> str:
    """Return "a", "a and b" or "a, b and c"."""
    *rest, last = names
    return f"{', '.join(rest)} and {last}" if rest else last


def _picture(path: Path) -> Picture:
    content = path.read_bytes()
    stem = path.stem.partition("-")[0]
    scale = OVERSAMPLED if stem in CAPTIONS else 1
    # Width and height stand at a fixed place in the header of every PNG.
    width, height = struct.unpack(">II", content[16:24])
    return Picture(
        name=path.stem,
        caption=CAPTIONS.get(stem, path.stem.replace("_", " ")),
        uri=f"data:image/png;base64,{base64.b64encode(content).decode()}",
        width=round(width / scale),
        height=round(height / scale),
    )


def _provenance(run: Run) -> Provenance:
    failed = run.cases[run.cases["status"] != "ok"]
    return Provenance(
        name=run.name,
        title=f"{run.title}, seed {run.record['seed']}",
        facts=facts(run),
        command=command(run),
        failed=[(str(row["case"]), str(row["error"])) for _, row in failed.iterrows()],
    )
