"""The difference to the reference: whose values, which test, which words."""

import csv
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from uadbench.cli import app
from uadbench.errors import UsageError
from uadbench.inference import hierarchical_interval
from uadbench.reports._tables.comparison import Comparison, compare
from uadbench.reports._tables.layout import section
from uadbench.reports.page import page
from uadbench.reports.table import Table
from uadbench.results import Run

NAN = float("nan")
MakeRun = Callable[..., Run]
AE = {"method": "ae", "title": "Autoencoder"}
INTENSITY = {"method": "intensity", "title": "Intensity", "own_mask": False}
SIX = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)


def better(by: float, dice: tuple[float, ...] = SIX) -> list[float]:
    """Return Dice values that are larger, the more the larger they are."""
    return [value * (1 + by) for value in dice]


def cells(comparison: Comparison, heading: str) -> dict[str, str]:
    """Return the cells of the first table under a heading, by row."""
    table = section(comparison).tables[0]
    column = [c.long for c in table.columns].index(heading)
    return {line.title: line.cells[column].text for line in table.lines}


def test_difference_to_intensity_is_over_common_subjects(make_run: MakeRun) -> None:
    main = make_run(dice=(0.5, None, 0.9))
    plain = make_run(**INTENSITY, dice=(0.4, 0.0, 0.6))

    (table,) = compare([main, plain])

    # (0.5 - 0.4 + 0.9 - 0.6) / 2; the failed case is in neither mean.
    assert table.paired["IterMask2"].difference.mean == pytest.approx(0.2)
    assert list(table.paired) == ["IterMask2"]


def test_several_scans_of_a_subject_are_one_pair(make_run: MakeRun) -> None:
    people = ["a", "a", "a", "b"]
    main = make_run(dice=(0.4, 0.5, 0.6, 0.9), subjects=people)
    plain = make_run(**INTENSITY, dice=(0.4, 0.4, 0.4, 0.5), subjects=people)

    (table,) = compare([main, plain])

    found = table.paired["IterMask2"]
    # (0.5 - 0.4) for a, (0.9 - 0.5) for b.
    assert found.difference.mean == pytest.approx(0.25)
    assert found.n == 2


def test_a_subject_with_other_scans_than_the_reference_is_no_pair(
    make_run: MakeRun,
) -> None:
    people = ["a", "a", "b"]
    main = make_run(dice=(0.9, None, 0.5), subjects=people)
    plain = make_run(**INTENSITY, dice=(0.8, 0.1, 0.3), subjects=people)

    (table,) = compare([main, plain])

    # The mean of a's two scans is no match for its first scan alone.
    assert table.paired["IterMask2"].difference.mean == pytest.approx(0.2)
    assert table.paired["IterMask2"].dropped == 1


def test_seeds_are_averaged_before_the_test(make_run: MakeRun) -> None:
    seeds = [make_run(dice=SIX), make_run(dice=better(0.4), seed=1)]
    plain = make_run(**INTENSITY, dice=SIX)

    (table,) = compare([*seeds, plain])

    found = table.paired["IterMask2"]
    # Half of 0.4 times the mean of 0.1 to 0.6; six pairs, not twelve.
    assert found.difference.mean == pytest.approx(0.2 * 0.35)
    assert found.n == 6


def test_p_is_corrected_over_the_methods(make_run: MakeRun) -> None:
    runs = [
        make_run(dice=better(0.2)),
        make_run(**AE, dice=better(0.1)),
        make_run(**INTENSITY, dice=SIX),
    ]

    (table,) = compare(runs)

    # Six pairs of six for a method: p = 2 / 2**6; twice that after Holm for two.
    found = table.paired["Autoencoder"]
    assert (found.p, found.p_holm) == pytest.approx((0.03125, 0.0625))
    text = cells(table, "Δ to intensity")["Autoencoder"]
    assert text.startswith("+0.035 [+0.0")
    assert text.endswith("] p = 0.062, r = +1.00")
    assert cells(table, "Δ to intensity")["Intensity"] == "\N{EN DASH}"


def test_a_worse_method_has_a_true_minus(make_run: MakeRun) -> None:
    runs = [make_run(dice=better(-0.5)), make_run(**INTENSITY, dice=SIX)]

    (table,) = compare(runs)

    text = cells(table, "Δ to intensity")["IterMask2"]
    assert text.startswith("\N{MINUS SIGN}0.175 [\N{MINUS SIGN}0.")
    assert text.endswith("] p = 0.031, r = \N{MINUS SIGN}1.00")


def test_too_few_subjects_for_a_test_are_told(make_run: MakeRun) -> None:
    runs = [make_run(dice=(0.3, 0.5)), make_run(**INTENSITY, dice=(0.2, 0.3))]

    (table,) = compare(runs)

    assert cells(table, "Δ to intensity")["IterMask2"] == "+0.150 no test"
    notes = section(table).tables[0].notes
    assert (
        "No test of IterMask2: too few pairs (2; at least 6 needed): "
        "no result could have p < 0.05."
    ) in notes
    assert not any("Wilcoxon" in note for note in notes)


def test_a_difference_without_any_pair_is_a_dash(make_run: MakeRun) -> None:
    runs = [make_run(dice=(None, NAN)), make_run(**INTENSITY, dice=(0.2, 0.3))]

    (table,) = compare(runs)

    assert cells(table, "Δ to intensity")["IterMask2"] == "\N{EN DASH} no test"


def test_significance_csv_holds_the_test_unrounded(
    make_run: MakeRun, tmp_path: Path
) -> None:
    runs = [make_run(dice=better(0.2)), make_run(**INTENSITY, dice=SIX)]

    Table().render(runs, tmp_path)

    with (tmp_path / "significance.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["reference"], row["method"]) == ("Intensity", "itermask2")
    assert float(row["difference"]) == pytest.approx(0.07)
    assert float(row["low"]) < 0.07 < float(row["high"])
    assert (float(row["p"]), float(row["effect"])) == (0.03125, 1)
    assert (row["n"], row["dropped"], row["no_test_because"]) == ("6", "0", "")


def test_significance_csv_without_a_reference_is_its_header(
    make_run: MakeRun, tmp_path: Path
) -> None:
    Table().render([make_run()], tmp_path)

    lines = (tmp_path / "significance.csv").read_text().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("table,dataset,protocol,data_hash,postprocess,metric")


def test_any_method_may_be_the_reference(make_run: MakeRun, tmp_path: Path) -> None:
    runs = [make_run(dice=better(0.2)), make_run(**AE, dice=SIX), make_run(**INTENSITY)]

    Table(reference="ae").render(runs[:2], tmp_path)

    text = (tmp_path / "table.md").read_text()
    assert "Δ to Autoencoder" in text
    assert "mean difference of Dice at 5 % FPR to Autoencoder" in text
    assert "Dice above Autoencoder" in page(runs[:2], [], "ae")


def test_a_table_without_the_reference_says_so(make_run: MakeRun) -> None:
    (table,) = compare([make_run()], "ae")

    found = section(table)

    assert any("No run of the reference 'ae'" in line for line in found.warnings)
    assert not any("Δ" in column.title for column in found.tables[0].columns)


def test_report_compares_with_the_method_that_is_asked_for(
    make_run: MakeRun, tmp_path: Path
) -> None:
    runs = [make_run(dice=better(0.2)), make_run(**AE, dice=SIX)]
    folders = [str(run.folder) for run in runs]

    status = app.main(
        ["report", *folders, "-q", "--reference", "ae", "-o", str(tmp_path / "out")],
        standalone_mode=False,
    )

    assert status == 0
    assert "Δ to Autoencoder" in (tmp_path / "out" / "table.md").read_text()
    assert "Dice above Autoencoder" in (tmp_path / "out" / "index.html").read_text()


def test_a_reference_that_no_run_has_is_a_usage_error(make_run: MakeRun) -> None:
    folder = str(make_run().folder)

    with pytest.raises(
        UsageError, match=r"--reference: no 'itermask'\. Did you mean 'itermask2'\?"
    ):
        app.main(
            ["report", folder, "--reference", "itermask"],
            standalone_mode=False,
        )


def test_headline_of_the_page_tells_p(make_run: MakeRun) -> None:
    runs = [make_run(dice=better(0.2)), make_run(**INTENSITY, dice=SIX)]

    assert "Dice 0.070 above the intensity threshold (p = 0.031)." in page(runs, [])


def test_interval_of_seeds_is_the_hierarchical_one(
    make_run: MakeRun, tmp_path: Path
) -> None:
    people = ["a", "a", "b", "c", "d", "e"]
    dice = [list(SIX), better(0.3), [0.3, 0.1, NAN, 0.6, 0.2, 0.5]]
    runs = [
        make_run(dice=values, seed=seed, subjects=people)
        for seed, values in enumerate(dice)
    ]

    (table,) = compare(runs)

    (entry,) = table.entries
    found = entry.subject("dice_fpr5")
    expected = hierarchical_interval(dice, people)
    over = expected.over_subjects
    assert found is not None
    assert (found.value, found.low, found.high, found.spread) == pytest.approx(
        (over.mean, over.low, over.high, expected.spread), abs=1e-12
    )
    # One case is undefined for one seed, and so for all.
    assert (found.n, found.undefined, found.subjects) == (5, 1, 4)
    Table().render(runs, tmp_path)
    with (tmp_path / "table.csv").open(newline="") as file:
        (row,) = [
            row
            for row in csv.DictReader(file)
            if (row["kind"], row["metric"], row["scope"])
            == ("mean", "dice_fpr5", "subject")
        ]
    both = expected.over_both
    assert float(row["low_retrained"]) == pytest.approx(both.low, abs=1e-12)
    assert float(row["high_retrained"]) == pytest.approx(both.high, abs=1e-12)


def test_a_repeated_seed_narrows_no_interval(make_run: MakeRun) -> None:
    one = compare([make_run(dice=SIX), make_run(dice=SIX, seed=1)])
    two = compare([make_run(dice=SIX, seed=seed) for seed in range(4)])

    first, second = (table.entries[0].subject("dice_fpr5") for (table,) in (one, two))

    assert first is not None
    assert second is not None
    assert (first.low, first.high) == pytest.approx((second.low, second.high))
    assert not math.isnan(first.low)


def test_seeds_that_scored_nothing_in_common_have_no_mean(make_run: MakeRun) -> None:
    dice = [(0.5, 0.5), (0.5, None), (None, 0.5)]
    runs = [make_run(dice=values, seed=seed) for seed, values in enumerate(dice)]

    (table,) = compare(runs)

    found = table.entries[0].subject("dice_fpr5")
    assert found is not None
    assert math.isnan(found.value)


def test_few_subjects_are_counted_by_person(make_run: MakeRun) -> None:
    dice = [0.5] * 60
    people = [f"sub-{i % 20}" for i in range(60)]

    (table,) = compare([make_run(dice=dice, subjects=people)])

    found = section(table)
    assert any("Only 20 test subjects" in line for line in found.warnings)
    assert "20 test subjects with 60 scans" in found.tables[0].caption
