"""Lesions, surfaces, post-processed maps and whole subjects in the tables."""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from uadbench.reports._tables.comparison import compare
from uadbench.reports._tables.layout import Cell, Layout, Section, section
from uadbench.reports._tables.strata import strata
from uadbench.reports.page import page
from uadbench.reports.table import Table
from uadbench.results import Run

NAN = float("nan")
MakeRun = Callable[..., Run]
AE = {"method": "ae", "title": "Autoencoder"}
INTENSITY = {"method": "intensity", "title": "Intensity", "own_mask": False}
HD95 = "HD95 at 5 % FPR, mm [95 % CI]"
DICE = "Dice at 5 % FPR [95 % CI]"


def rows_of(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def tables(*runs: Run) -> Section:
    """Return the one section that some runs make."""
    (comparison,) = compare(runs)
    return section(comparison)


def cell(layout: Layout, title: str, heading: str) -> Cell:
    """Return the cell of a row under a heading."""
    column = [c.long for c in layout.columns].index(heading)
    line = next(line for line in layout.lines if line.title == title)
    return line.cells[column]


def test_the_smallest_distance_is_the_best(make_run: MakeRun) -> None:
    runs = [make_run(dice=(0.2, 0.4)), make_run(**AE, dice=(0.4, 0.8))]

    main = tables(*runs).tables[0]

    # The fixture's HD95 is 50 (1 - Dice) mm.
    assert cell(main, "IterMask2", HD95).value == "35.0"
    assert cell(main, "Autoencoder", HD95).value == "20.0"
    assert not cell(main, "IterMask2", HD95).best
    assert cell(main, "Autoencoder", HD95).best


def test_missed_cases_are_counted_beside_the_distance(make_run: MakeRun) -> None:
    run = make_run(dice=(0.2, 0.4, NAN), missed=["case0", "case1"])

    main = tables(run).tables[0]

    found = cell(main, "IterMask2", HD95)
    assert found.details[-1] == "(n = 2, 1 undefined, 2 missed)"
    assert any("(missed) counts the diagonal" in note for note in main.notes)


def test_missed_cases_of_seeds_are_their_mean(make_run: MakeRun) -> None:
    runs = [
        make_run(missed=["case0"]),
        make_run(missed=["case0", "case1"], seed=1),
    ]

    main = tables(*runs).tables[0]

    assert cell(main, "IterMask2", HD95).details[-1] == "(1.5 missed)"


def test_nothing_missed_is_not_told(make_run: MakeRun) -> None:
    main = tables(make_run()).tables[0]

    assert cell(main, "IterMask2", HD95).text == "30.0 [29.9, 30.1]"
    assert not any("missed" in note for note in main.notes)


def test_lesion_f1_stands_with_its_interval_in_the_first_table(
    make_run: MakeRun,
) -> None:
    main = tables(make_run()).tables[0]

    # Half of the Dice, and the fixture's interval.
    found = cell(main, "IterMask2", "Lesion-wise F1 at 5 % FPR [95 % CI]")
    assert found.text == "0.200 [0.150, 0.250]"


def test_second_table_counts_lesions_and_measures_surfaces(make_run: MakeRun) -> None:
    second = tables(make_run()).tables[1]

    assert second.title == "Lesions and surfaces"
    expected = {
        "Lesion-wise precision": "0.400",
        "Lesion-wise recall": "0.400",
        "False findings a case": "2.00",
        "False findings, mL": "1.50",
        "Surface Dice, 2 mm [95 % CI]": "0.400",
        "HD95 of own mask, mm": "32.0",
    }
    found = {name: cell(second, "IterMask2", name).value for name in expected}
    assert found == expected


def test_one_side_of_a_tradeoff_has_no_best(make_run: MakeRun) -> None:
    runs = [make_run(), make_run(**AE, dice=(0.5, 0.5, 0.8))]

    first, second = tables(*runs).tables[:2]

    assert not any(cell(first, line.title, "FPR on test").best for line in first.lines)
    for heading in ("Precision", "Recall", "False findings a case"):
        assert not any(cell(second, line.title, heading).best for line in second.lines)


def test_a_rate_of_half_a_percent_is_in_the_csv_alone(
    make_run: MakeRun, tmp_path: Path
) -> None:
    Table().render([make_run()], tmp_path)

    assert ",dice_fpr0p5," in (tmp_path / "table.csv").read_text()
    assert "0.5 % FPR" not in (tmp_path / "table.md").read_text()


def test_csv_tells_unit_and_better_side(make_run: MakeRun, tmp_path: Path) -> None:
    Table().render([make_run()], tmp_path)

    rows = rows_of(tmp_path / "table.csv")
    sides = {row["metric"]: (row["unit"], row["better"]) for row in rows}
    assert sides["hd95_fpr5"] == ("mm", "lower")
    assert sides["lesion_f1_own"] == ("", "higher")
    assert sides["prevalence"] == ("", "")
    assert sides["brain_mean"] == ("", "higher")


def test_processed_maps_have_tables_of_their_own(make_run: MakeRun) -> None:
    steps = "erode:3,median:3"
    runs = [make_run(postprocess=steps), make_run(**INTENSITY, postprocess=steps)]

    raw, _, processed, lesions = tables(*runs).tables

    assert processed.title == f"Methods, after {steps}"
    assert lesions.title == f"Lesions and surfaces, after {steps}"
    # The fixture's gain of 0.01.
    assert cell(raw, "IterMask2", DICE).value == "0.400"
    assert cell(processed, "IterMask2", DICE).value == "0.410"
    assert cell(processed, "IterMask2", HD95).value == "29.5"
    assert cell(processed, "IterMask2", "Lost lesion, mL").value == "0.25"
    assert f"after {steps}, the same steps for all" in processed.caption
    titles = [column.title for column in processed.columns]
    assert "s / case" not in titles
    seconds = [
        any(n.startswith("s / case:") for n in t.notes) for t in (raw, processed)
    ]
    assert seconds == [True, False]
    level = processed.supervision[[c.long for c in processed.columns].index(DICE)]
    assert level == "healthy-val"


def test_raw_and_processed_maps_are_ranked_apart(make_run: MakeRun) -> None:
    runs = [
        make_run(postprocess="median:3"),
        make_run(**AE, dice=(0.5, 0.5, 0.5), postprocess=""),
    ]

    raw, _, processed, _ = tables(*runs).tables

    assert [line.title for line in raw.lines] == ["Autoencoder", "IterMask2"]
    assert [line.title for line in processed.lines] == ["IterMask2"]
    assert not cell(processed, "IterMask2", DICE).best


def test_other_steps_make_another_table(make_run: MakeRun) -> None:
    runs = [make_run(postprocess="median:3"), make_run(**AE, postprocess="erode:3")]

    titles = [table.title for table in tables(*runs).tables[2::2]]

    assert titles == ["Methods, after median:3", "Methods, after erode:3"]


def test_without_steps_there_are_two_tables(make_run: MakeRun) -> None:
    assert len(tables(make_run()).tables) == 2


def test_processed_maps_are_tested_against_the_processed_reference(
    make_run: MakeRun, tmp_path: Path
) -> None:
    dice = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    runs = [
        make_run(dice=[1.5 * d for d in dice], postprocess="median:3"),
        make_run(**INTENSITY, dice=dice, postprocess="median:3"),
    ]

    Table().render(runs, tmp_path)

    rows = rows_of(tmp_path / "significance.csv")
    assert [(row["postprocess"], row["metric"]) for row in rows] == [
        ("", "dice_fpr5"),
        ("median:3", "dice_fpr5_post"),
    ]


def test_csv_names_what_thresholds_of_processed_maps_have_seen(
    make_run: MakeRun, tmp_path: Path
) -> None:
    run = make_run(postprocess="median:3", own_supervision="lesion-val")

    Table().render([run], tmp_path)

    rows = rows_of(tmp_path / "table.csv")
    seen = {row["metric"]: row["supervision"] for row in rows}
    assert seen["dice_fpr5_post"] == "healthy-val"
    assert seen["dice_own_post"] == "lesion-val"
    assert seen["dice_oracle_post"] == "test-oracle"
    assert seen["lost_ml_post"] == "none"


def test_whole_subjects_are_told_apart_where_some_are_healthy(
    make_run: MakeRun, tmp_path: Path
) -> None:
    run = make_run(dice=(0.5, 0.5, NAN), healthy=["case2"])

    Table().render([run], tmp_path)

    words = (
        "Image-level AUROC of 2 cases with a lesion against 1 without, by how a map "
        "becomes one number: IterMask2 0.900 (brain mean), 0.700 (brain maximum), "
        "0.800 (mean of the top 1 %)."
    )
    assert words in (tmp_path / "table.md").read_text()
    assert words in page([run], [])


def test_without_healthy_cases_nothing_is_said_of_whole_subjects(
    make_run: MakeRun,
) -> None:
    assert tables(make_run()).image == ""
    assert "Image-level" not in page([make_run()], [])


def test_groups_of_size_stand_by_size(make_run: MakeRun) -> None:
    run = make_run(dice=(0.1, 0.2, 0.3))
    sizes = ["large (10-100 mL)", "small (< 1 mL)", "medium (1-10 mL)"]
    run.cases["stratum_size"] = sizes

    (comparison,) = compare([run])

    (table,) = strata(comparison)
    assert [group for group, _ in table.groups] == [sizes[1], sizes[2], sizes[0]]


@pytest.mark.parametrize(
    "words",
    [
        "Lesion-wise F1",
        "found if 10 % of its volume is",
        "at least 3 mm³",
        "26 neighbours",
        "the diagonal of the image",
        "Wilcoxon's signed-rank test",
        "paired by subject",
        "Holm's correction",
        "A subject counts once",
    ],
)
def test_page_explains_its_terms(make_run: MakeRun, words: str) -> None:
    assert words in " ".join(page([make_run()], []).split())
