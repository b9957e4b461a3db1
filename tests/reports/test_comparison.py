"""Comparisons: which runs stand in one table, and what is said about them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from uadbench.errors import UsageError
from uadbench.reports._tables.comparison import compare, left_out
from uadbench.reports._tables.entry import Entry
from uadbench.reports._tables.layout import section
from uadbench.reports.curves import Curves
from uadbench.reports.qualitative import Qualitative
from uadbench.reports.table import Table
from uadbench.results import Run

MakeRun = Callable[..., Run]
AE = {"method": "ae", "title": "Autoencoder"}
INTENSITY = {"method": "intensity", "title": "Intensity", "own_mask": False}


@pytest.mark.parametrize(
    "other",
    [
        {"record": {"protocol": "itermask2-2d"}},
        {"content": "other voxels"},
        {"record": {"dataset": {"name": "bids", "title": "BIDS", "options": {}}}},
    ],
)
def test_runs_that_may_not_be_compared_get_tables_of_their_own(
    make_run: MakeRun, other: dict[str, Any], tmp_path: Path
) -> None:
    runs = [make_run(), make_run(**AE, **other)]

    Table().render(runs, tmp_path)

    text = (tmp_path / "table.md").read_text()
    sections = text.split("\n## ")
    assert len(compare(runs)) == len(sections) == 2
    assert "IterMask2" in sections[0]
    assert "Autoencoder" not in sections[0]
    assert (tmp_path / "table.tex").read_text().count("\\toprule") == 4


def test_runs_without_a_common_scored_case_get_tables_of_their_own(
    make_run: MakeRun,
) -> None:
    first = make_run(dice=(0.2, None), content="these voxels")
    second = make_run(**AE, dice=(None, 0.4), content="other voxels")

    assert len(compare([first, second])) == 2


def test_tables_of_one_title_are_told_apart_by_what_differs(make_run: MakeRun) -> None:
    phantom = {"name": "phantom", "title": "Phantom"}
    runs = [
        make_run(record={"dataset": {**phantom, "options": {"modality": words}}})
        for words in (["T2"], ["T1", "FLAIR"])
    ]

    titles = [table.title for table in compare(runs)]

    assert titles == [
        "Phantom, protocol volume (modality=T2)",
        "Phantom, protocol volume (modality=T1,FLAIR)",
    ]


def test_variants_of_one_method_are_rows_told_apart_by_their_options(
    make_run: MakeRun,
) -> None:
    method = {"name": "ae", "title": "Autoencoder", "preset": None}
    runs = [
        make_run(record={"method": {**method, "options": {"size": 64, "latent": n}}})
        for n in (8, 128)
    ]

    (table,) = compare(runs)

    titles = [entry.title for entry in table.entries]
    assert titles == ["Autoencoder (latent=8)", "Autoencoder (latent=128)"]


def test_a_failed_case_keeps_a_run_in_its_table(
    make_run: MakeRun,
) -> None:
    whole, broken = make_run(), make_run(**AE, dice=(0.2, 0.4, None))

    tables = compare([whole, broken])

    assert whole.record["data_hash"] != broken.record["data_hash"]
    assert len(tables) == 1


@pytest.mark.parametrize(
    ("wishes", "words"),
    [
        ({}, "Only 3 test subjects"),
        ({}, "Preset 'demo' (IterMask2)"),
        ({}, "No run of 'intensity'"),
        ({"record": {"warnings": ["Disk was slow."]}}, "Disk was slow."),
    ],
)
def test_tables_warn_of_what_weakens_them(
    make_run: MakeRun, wishes: dict[str, Any], words: str
) -> None:
    (table,) = compare([make_run(**wishes)])

    warnings = section(table).warnings

    assert any(words in warning for warning in warnings)


def test_a_large_real_comparison_has_no_warning(make_run: MakeRun) -> None:
    record = {
        "dataset": {"name": "bids", "title": "BIDS", "options": {}},
        "method": {"name": "x", "title": "X", "preset": "paper", "options": {}},
    }
    dice = [0.5] * 50
    plain = {**record, "method": {**record["method"], "name": "intensity"}}

    (table,) = compare([make_run(dice=dice, record=r) for r in (record, plain)])

    assert section(table).warnings == ()


def test_few_validation_scans_are_warned_of(make_run: MakeRun) -> None:
    (table,) = compare([make_run(validation=30), make_run(validation=10, seed=1)])

    found = [text for text in section(table).warnings if "validation scans" in text]

    assert len(found) == 1
    assert "few healthy validation scans (10)" in found[0]


def test_a_run_that_is_given_twice_is_no_second_seed(make_run: MakeRun) -> None:
    run, again, other = make_run(), make_run(), make_run(seed=1)

    (table,) = compare([run, again, other])

    assert table.entries[0].runs == (run, other)
    assert left_out([run, again, other]) == [
        f"{again.folder} is left out: it repeats {run.folder}."
    ]


def test_no_finished_run_is_a_usage_error(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run(record={"status": "running"})

    with pytest.raises(UsageError, match=r"got run0 \(running\)"):
        Table().render([run], tmp_path)


def test_seconds_per_case_count_scored_cases_only(make_run: MakeRun) -> None:
    run: Run = make_run(dice=(0.5, None, 0.5), record={"timings": {"predict": 3.0}})

    found = Entry("IterMask2", (run,)).seconds

    assert found is not None
    assert found.value == pytest.approx(1.5)


def test_a_method_that_failed_on_every_case_stays_in_the_table(
    make_run: MakeRun, tmp_path: Path
) -> None:
    runs = [make_run(**AE, dice=(None, None, None)), make_run()]

    Table().render(runs, tmp_path)

    text = (tmp_path / "table.md").read_text()
    assert "Autoencoder is not ranked: only 0 of 3 cases scored." in text
    assert text.count("## Phantom") == 1


def test_reports_of_a_run_without_any_scored_case_are_written(
    make_run: MakeRun, tmp_path: Path
) -> None:
    run = make_run(dice=(None, None))

    files = [r.render([run], tmp_path) for r in (Table(), Curves(), Qualitative())]

    assert [len(written) for written in files] == [4, 2, 0]
    assert "nan" not in (tmp_path / "table.md").read_text()


def test_seeds_of_a_method_that_builds_on_runs_are_one_row(make_run: MakeRun) -> None:
    def built(seed: int, *members: str) -> Run:
        options = {"runs": [f"runs/{name}-seed{seed}" for name in members]}
        method = {
            "name": "ensemble",
            "title": "Ensemble",
            "options": options,
            "members": {name: {"size": 64} for name in members},
        }
        return make_run(record={"method": method, "seed": seed})

    (comparison,) = compare(
        [built(0, "ae", "dae"), built(1, "ae", "dae"), built(0, "ae", "vae")]
    )

    assert [(entry.title, entry.seeds) for entry in comparison.entries] == [
        ("Ensemble (members=ae+dae)", (0, 1)),
        ("Ensemble (members=ae+vae)", (0,)),
    ]
