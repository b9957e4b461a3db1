"""The page: nothing loaded, everything told, text as text."""

import base64
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from uadbench.reports.curves import Curves
from uadbench.reports.page import Page, page, pictures
from uadbench.reports.qualitative import Qualitative
from uadbench.reports.refinement import Refinement
from uadbench.reports.table import Table
from uadbench.results import Run

MakeRun = Callable[..., Run]
AE = {"method": "ae", "title": "Autoencoder"}
INTENSITY = {"method": "intensity", "title": "Intensity", "own_mask": False}
# One transparent pixel.
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAA"
    "AABJRU5ErkJggg=="
)
VOID = {"meta", "img", "br", "link", "hr", "input"}
LOADING = {"src", "href", "srcset", "data", "poster", "action", "background"}


class Reader(HTMLParser):
    """Collects elements and text, and checks that what is opened is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def read(text: str) -> Reader:
    """Return a page, parsed, with its text on one line."""
    reader = Reader()
    reader.feed(text)
    assert reader.open == []
    reader.text = " ".join(reader.text.split())
    return reader


def test_page_of_all_reports_loads_nothing(make_run: MakeRun, tmp_path: Path) -> None:
    runs = [make_run(trace=4, dice=(0.5,)), make_run(**INTENSITY, dice=(0.2,))]
    for report in (Table(), Curves(), Qualitative(), Refinement(), Page()):
        report.render(runs, tmp_path)

    text = (tmp_path / "index.html").read_text()
    found = read(text)
    sources = [
        value
        for _, attributes in found.elements
        for name, value in attributes.items()
        if name in LOADING
    ]
    assert len(sources) == len(found.all("img")) == 3
    assert all(str(s).startswith("data:image/png;base64,iVBOR") for s in sources)
    assert found.all("script") == found.all("link") == []
    assert not re.search(r"url\(|@import", text)


def test_every_figure_has_an_alternative(make_run: MakeRun, tmp_path: Path) -> None:
    for name in ("qualitative.png", "pr.png"):
        (tmp_path / name).write_bytes(PIXEL)

    found = read(page([make_run()], pictures(tmp_path)))

    first, second = (str(image["alt"]) for image in found.all("img"))
    assert first.startswith("pr: Precision against recall")
    assert "left of the image is left of the patient" in second


def test_figures_of_others_follow_ours(make_run: MakeRun, tmp_path: Path) -> None:
    for name in ("a_third_party.png", "pr.png"):
        (tmp_path / name).write_bytes(PIXEL)

    found = read(page([make_run()], pictures(tmp_path)))

    _, image = found.all("img")
    assert image["src"] == f"data:image/png;base64,{base64.b64encode(PIXEL).decode()}"
    assert (image["width"], image["height"]) == ("1", "1")
    assert "a third party" in found.text


def test_page_without_figures_is_whole(make_run: MakeRun, tmp_path: Path) -> None:
    (path,) = Page().render([make_run()], tmp_path)

    found = read(path.read_text())

    assert found.all("img") == []
    assert "Figures" not in found.text


def test_names_are_text_and_never_markup(make_run: MakeRun) -> None:
    run = make_run(
        title="<script>alert(1)</script>",
        names=["<b>one</b>", "two"],
        dice=(None, 0.5),
        record={"warnings": ["<img src=http://x>"], "git": '"><script>'},
    )

    found = read(page([run], []))

    assert found.all("script") == found.all("b") == found.all("img") == []
    assert "<script>alert(1)</script>" in found.text
    assert "<b>one</b>: ValueError: too small" in found.text


def test_headline_states_dice_auprc_and_difference(make_run: MakeRun) -> None:
    runs = [make_run(), make_run(**INTENSITY, dice=(0.1, 0.2, 0.3))]

    found = read(page(runs, []))

    assert (
        "IterMask2 on Phantom, protocol volume: Dice 0.400 [95 % CI 0.350, 0.450] at "
        "5 % false positives on healthy validation brains; pooled AUPRC 0.360, where "
        "chance is 0.020; Dice 0.200 above the intensity threshold."
    ) in found.text
    assert "Best of 2 ranked methods: IterMask2" in found.text


def test_headline_tells_that_a_method_is_below_intensity(make_run: MakeRun) -> None:
    runs = [make_run(), make_run(**INTENSITY, dice=(0.4, 0.6, 0.8))]

    found = read(page(runs, []))

    assert "Dice 0.200 below the intensity threshold" in found.text
    assert "Best of" not in found.text


def test_headline_without_a_ranked_method_says_so(make_run: MakeRun) -> None:
    found = read(page([make_run(dice=(0.5, None))], []))

    assert "IterMask2 (not ranked)" in found.text


def test_only_best_cells_and_unranked_rows_are_marked(
    make_run: MakeRun,
) -> None:
    runs = [
        make_run(**AE),
        make_run(dice=(0.1, 0.2, 0.3)),
        make_run(method="ddpm", title="DDPM", dice=(None, 1.0, 1.0)),
    ]

    found = read(page(runs, []))

    bold = [cell for cell in found.all("td") if cell.get("class") == "best"]
    rows = [row for row in found.all("tr") if row.get("class") == "unranked"]
    # Dice at 5 % and 1 %, of the own mask, lesion-wise F1, HD95, pooled and mean AUPRC;
    # surface Dice, AUROC, lesion-wise F1 and HD95 of the own mask.
    assert len(bold) == 7 + 4
    # In each of the two tables.
    assert len(rows) == 2


def test_each_protocol_has_its_section(make_run: MakeRun) -> None:
    runs = [make_run(), make_run(record={"protocol": "itermask2-2d"})]

    found = read(page(runs, []))

    regions = [
        str(part.get("aria-label")) for part in found.all("div") if "role" in part
    ]
    assert regions == [
        f"{table}, Phantom, protocol {protocol}"
        for protocol in ("volume", "itermask2-2d")
        for table in ("Methods", "Lesions and surfaces")
    ]


def test_strata_are_shown_with_the_mean_of_their_cases(make_run: MakeRun) -> None:
    run = make_run(dice=(0.2, 0.4, 0.9))
    run.cases["stratum_kind"] = ["ms", "ms", "stroke"]

    found = read(page([run], []))

    assert "Dice at 5 % healthy FPR by kind" in found.text
    assert "ms (n = 2)stroke (n = 1) IterMask20.3000.900" in found.text


def test_provenance_holds_the_command_that_repeats_the_run(make_run: MakeRun) -> None:
    dataset = {"name": "bids", "title": "BIDS", "options": {"root": "/my data"}}
    chosen = {"limit": 8, "postprocess": "median:3", "thresholds": ["fixed:0.5"]}
    run = make_run(seed=3, record={"dataset": dataset, **chosen})

    found = read(page([run], []))

    assert (
        "uadbench run --method itermask2 --preset demo --set size=64 --dataset bids "
        "--set-data 'root=/my data' --protocol volume --seed 3 "
        "--threshold fixed:0.5 --postprocess median:3 --limit 8"
    ) in found.text


@pytest.mark.parametrize(
    "words",
    ["Liang et al., MICCAI 2024", "numpy 2.4.6", "cores 2", "fit 95.1", "900 MiB"],
)
def test_provenance_tells_what_the_run_was(make_run: MakeRun, words: str) -> None:
    assert words in read(page([make_run()], [])).text


def test_a_record_without_extras_is_enough(make_run: MakeRun) -> None:
    extras = ("timings", "parameters", "versions", "hardware", "warnings", "git")
    run = make_run(dice=(0.5,), without=extras)

    found = read(page([run], []))

    assert "Parameters" not in found.text
    assert "IterMask2" in found.text


def test_an_unfinished_run_is_named_as_left_out(make_run: MakeRun) -> None:
    runs = [make_run(), make_run(record={"status": "running"})]

    found = read(page(runs, []))

    assert "run1 is left out: its status is 'running'." in found.text


def test_what_failed_without_a_result_is_named_with_its_reason(
    make_run: MakeRun,
) -> None:
    found = read(page([make_run()], [], failed=("vae-a-seed0 failed: no memory",)))

    assert "vae-a-seed0 failed: no memory" in found.text


def test_what_a_killed_process_was_writing_is_no_picture(tmp_path: Path) -> None:
    (tmp_path / ".abc.png").touch()

    assert pictures(tmp_path) == []
