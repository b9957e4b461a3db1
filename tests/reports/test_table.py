"""Tables: their numbers, their marks, their characters."""

import csv
import math
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from uadbench.files import read_json, write_json
from uadbench.reports._tables.comparison import Comparison, compare
from uadbench.reports._tables.formats import DASH
from uadbench.reports._tables.layout import Cell, Layout, section
from uadbench.reports._tables.notes import notes
from uadbench.reports.table import Table
from uadbench.results import Run

NAN = float("nan")
MakeRun = Callable[..., Run]
AE = {"method": "ae", "title": "Autoencoder"}
INTENSITY = {"method": "intensity", "title": "Intensity", "own_mask": False}


def numbers(out: Path, **wanted: object) -> list[dict[str, str]]:
    """Return the rows of table.csv that have the wanted values."""
    with (out / "table.csv").open(newline="") as file:
        return [
            row
            for row in csv.DictReader(file)
            if all(row[name] == str(value) for name, value in wanted.items())
        ]


def first(comparison: Comparison) -> Layout:
    """Return the first table of a comparison."""
    return section(comparison).tables[0]


def cell(layout: Layout, title: str, heading: str) -> Cell:
    """Return the cell of a row under a heading."""
    column = [c.long for c in layout.columns].index(heading)
    line = next(line for line in layout.lines if line.title == title)
    return line.cells[column]


def best(layout: Layout, heading: str) -> list[str]:
    """Return the rows that are bold under a heading."""
    return [
        line.title for line in layout.lines if cell(layout, line.title, heading).best
    ]


DICE = "Dice at 5 % FPR [95 % CI]"


def test_csv_holds_the_means_over_cases(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run(dice=(0.1, 0.35, 0.7))

    Table().render([run], tmp_path)

    for metric in ("dice_fpr5", "auprc", "recall_fpr1", "dice_oracle"):
        (row,) = numbers(tmp_path, kind="run", scope="subject", metric=metric)
        expected = np.mean([float(value) for value in run.cases[metric]])
        assert float(row["value"]) == pytest.approx(expected, abs=1e-12)
        assert row["n"] == "3"


def test_pooled_auprc_and_its_mean_over_subjects_stand_in_their_columns(
    make_run: MakeRun,
) -> None:
    run = make_run()
    summary = read_json(run.folder / "summary.json")
    summary["pooled"]["auprc"] = 0.1
    summary["subject"]["auprc"]["mean"] = 0.9
    write_json(run.folder / "summary.json", summary)

    (table,) = compare([Run.load(run.folder)])

    assert cell(first(table), "IterMask2", "AUPRC pooled").value == "0.100"
    assert cell(first(table), "IterMask2", "AUPRC").value == "0.900"


def test_caption_tells_the_prevalence_which_is_the_auprc_of_chance(
    make_run: MakeRun,
) -> None:
    (table,) = compare([make_run()])

    caption = first(table).caption

    assert "The pooled AUPRC of chance is the prevalence, 0.020." in caption


def test_csv_holds_each_seed_and_their_mean(make_run: MakeRun, tmp_path: Path) -> None:
    first = make_run(seed=0, dice=(0.2, 0.4))
    second = make_run(seed=1, dice=(0.4, 0.8))

    Table().render([first, second], tmp_path)

    seeds = numbers(tmp_path, kind="run", scope="subject", metric="dice_fpr5")
    (both,) = numbers(tmp_path, kind="mean", scope="subject", metric="dice_fpr5")
    assert [float(row["value"]) for row in seeds] == pytest.approx([0.3, 0.6])
    assert float(both["value"]) == pytest.approx(0.45)
    # Standard deviation of 0.3 and 0.6 with n - 1: 0.3 / sqrt(2).
    assert float(both["spread"]) == pytest.approx(0.3 / math.sqrt(2))
    assert both["seeds"] == "2"


def test_csv_names_what_thresholds_have_seen(make_run: MakeRun, tmp_path: Path) -> None:
    Table().render([make_run()], tmp_path)

    expected = {
        "dice_fpr5": "healthy-val",
        "dice_oracle": "test-oracle",
        "dice_oracle_case": "test-oracle",
        "auprc": "none",
    }
    for metric, supervision in expected.items():
        (row,) = numbers(tmp_path, kind="mean", scope="subject", metric=metric)
        assert row["supervision"] == supervision
    (pooled,) = numbers(
        tmp_path, kind="mean", scope="pooled", metric="threshold_oracle"
    )
    assert pooled["supervision"] == "test-oracle"


def test_undefined_subjects_are_counted_beside_the_mean(make_run: MakeRun) -> None:
    (table,) = compare([make_run(dice=(0.2, NAN, 0.6, NAN))])

    found = cell(first(table), "IterMask2", "Dice at 1 % FPR")

    # 0.8 times the mean of 0.2 and 0.6.
    assert found.text == "0.320 (n = 2, 2 undefined)"


def test_a_mean_without_any_defined_subject_is_a_dash(make_run: MakeRun) -> None:
    (table,) = compare([make_run(dice=(NAN, NAN))])

    found = cell(first(table), "IterMask2", "Dice at 1 % FPR")

    assert found.text == f"{DASH} (n = 0, 2 undefined)"


def test_headline_shows_interval_and_spread_over_seeds(make_run: MakeRun) -> None:
    (table,) = compare([make_run(dice=(0.2, 0.4)), make_run(dice=(0.4, 0.6), seed=1)])

    found = cell(first(table), "IterMask2", DICE)

    assert found.value == "0.400 ± 0.141"
    # Of two subjects there is no interval.
    assert found.details == ()


def test_best_is_bold_among_ranked_methods(make_run: MakeRun) -> None:
    runs = [make_run(), make_run(**AE, dice=(0.5, 0.5, 0.8))]

    (table,) = compare(runs)

    assert best(first(table), DICE) == ["Autoencoder"]
    assert best(first(table), "⌈Dice⌉ oracle (upper bound)") == []


@pytest.mark.parametrize(
    ("wishes", "reason"),
    [
        ({"dice": (0.9, None, 0.9)}, "only 2 of 3 cases scored"),
        ({"dice": (0.9, 0.9, 0.9), "record": {"limit": 3}}, "limited to 3 cases"),
    ],
)
def test_what_is_not_whole_is_shown_last_and_never_bold(
    make_run: MakeRun, wishes: dict[str, Any], reason: str
) -> None:
    runs = [make_run(**AE, **wishes), make_run(), make_run(**INTENSITY, dice=(0, 0, 0))]

    layout = first(compare(runs)[0])

    assert layout.lines[-1].title == "Autoencoder"
    assert layout.lines[-1].note == reason
    assert best(layout, DICE) == ["IterMask2"]
    assert any(reason in note for note in layout.notes)


def test_supervision_levels_do_not_compete(make_run: MakeRun) -> None:
    runs = [
        make_run(),
        make_run(**AE, dice=(0.1, 0.1, 0.1)),
        make_run(
            method="few",
            title="FewShot",
            dice=(0.9, 0.9, 0.9),
            own_supervision="lesion-val",
        ),
    ]

    layout = first(compare(runs)[0])

    assert best(layout, "Dice of own mask") == ["IterMask2"]
    assert cell(layout, "FewShot", "Dice of own mask").text == "0.810 (lesion-val)"


def test_text_is_escaped_for_latex(make_run: MakeRun, tmp_path: Path) -> None:
    Table().render([make_run(title=r"a_b%c&d#e$f^g~h\i{j}")], tmp_path)

    line = next(
        line
        for line in (tmp_path / "table.tex").read_text().splitlines()
        if line.startswith("a")
    )
    assert line.split(" & ")[0] == (
        r"a\_b\%c\&d\#e\$f\textasciicircum{}g\textasciitilde{}h\textbackslash{}i\{j\}"
    )


def test_text_is_escaped_for_markdown(make_run: MakeRun, tmp_path: Path) -> None:
    Table().render([make_run(title="<script>|*x*")], tmp_path)

    text = (tmp_path / "table.md").read_text()

    assert r"| \<script\>\|\*x\* |" in text
    assert "<script>" not in text


def test_every_row_of_a_markdown_table_has_all_cells(
    make_run: MakeRun, tmp_path: Path
) -> None:
    Table().render([make_run(), make_run(**INTENSITY)], tmp_path)

    lines = (tmp_path / "table.md").read_text().splitlines()
    # A line between tables ends each.
    tables = [
        list(rows) for is_row, rows in groupby(lines, lambda x: x[:1] == "|") if is_row
    ]
    widths = [{row.count("|") for row in rows} for rows in tables]
    assert [len(found) for found in widths] == [1, 1]


def test_of_several_modalities_the_table_says_which_is_scored(
    make_run: MakeRun,
) -> None:
    ran = [
        ("intensity", "Intensity", {"modality": ""}),
        ("cycl-unet", "Cyclic U-Net", {"source": "T1w", "target": ""}),
        ("ae", "Autoencoder", {"modality": "FLAIR"}),
        ("rarity", "Rarity", {}),
    ]
    runs = [
        make_run(
            record={
                "modalities": ["T1w", "FLAIR"],
                "method": {"name": name, "title": title, "options": options},
            }
        )
        for name, title, options in ran
    ]
    (comparison,) = compare(runs)

    (line,) = (line for line in notes(comparison) if "modalities" in line)

    assert line == (
        "Scans have several modalities; the one that is scored: T1w by Intensity, "
        "Cyclic U-Net; FLAIR by Autoencoder."
    )


def test_of_one_modality_the_table_says_nothing(make_run: MakeRun) -> None:
    method = {"name": "ae", "title": "Autoencoder", "options": {"modality": ""}}

    (comparison,) = compare([make_run(record={"modalities": ["T2"], "method": method})])

    assert not [line for line in notes(comparison) if "modalities" in line]


def test_an_unfinished_run_is_named_as_left_out(
    make_run: MakeRun, tmp_path: Path
) -> None:
    runs = [make_run(), make_run(**AE, record={"status": "running"})]

    Table().render(runs, tmp_path)

    text = (tmp_path / "table.md").read_text()
    assert "run1 is left out: its status is 'running'." in text
    assert "Autoencoder" not in text


def test_what_failed_without_a_result_is_named_with_its_reason(
    make_run: MakeRun, tmp_path: Path
) -> None:
    Table(failed=("vae-a-seed0 failed: no memory",)).render([make_run()], tmp_path)

    lines = (tmp_path / "table.md").read_text().splitlines()
    assert lines[lines.index("### Left out") + 2] == "- vae-a-seed0 failed: no memory"


def test_rows_of_one_dataset_with_two_options_are_told_apart(
    make_run: MakeRun, tmp_path: Path
) -> None:
    datasets = [
        {"name": "phantom", "title": "Phantom", "options": {"modality": modality}}
        for modality in ("T2", "FLAIR")
    ]

    Table().render([make_run(record={"dataset": d}) for d in datasets], tmp_path)

    assert {row["table"] for row in numbers(tmp_path)} == {
        "Phantom, protocol volume (modality=T2)",
        "Phantom, protocol volume (modality=FLAIR)",
    }
