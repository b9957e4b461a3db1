from pathlib import Path
from typing import Any

import pytest

from uadbench.describing import describe, show, show_results
from uadbench.errors import ContractError, UsageError
from uadbench.results import Run

pytestmark = pytest.mark.usefixtures("toy")


def make_run(dice: object, title: str = "Autoencoder", folder: str = "runs/a") -> Run:
    """Return a finished run without a folder."""
    record = {
        "seed": 3,
        "method": {"name": "ae", "title": title},
        "warnings": ["Lesions are simulated."],
    }
    run = Run(Path(folder), record)
    # What `summary` reads from disk the first time.
    run.__dict__["summary"] = {
        "cases": {"expected": 4, "scored": 3, "failed": 1},
        "subject": {"dice_fpr5": dice, "dice_oracle": {"mean": None, "low": None}},
        "pooled": {"auprc": 0.25, "prevalence": 0.01},
    }
    return run


def plain(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().out.split())


def test_a_name_is_described_in_each_kind_that_has_it() -> None:
    found = describe("toy")

    assert [plugin["kind"] for plugin in found] == ["methods", "datasets", "reports"]
    method, dataset, report = found
    assert method["title"] == "Toy"
    assert method["presets"] == {"demo": {"steps": 4}, "paper": {}}
    assert method["options"][0] == {
        "name": "steps",
        "type": "int, > 0",
        "default": "8",
        "help": "of the fit",
    }
    assert dataset["licence"] == "none"
    assert dataset["description"].startswith("A third party's package")
    assert report["options"] == []


def test_description_is_that_of_the_module_that_is_registered() -> None:
    (phantom,) = describe("phantom")

    assert phantom["description"].startswith("Simulated patients on real anatomy")


def test_unknown_plugin_is_named_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="Did you mean 'phantom'"):
        describe("fantom")


def test_broken_plugin_is_named() -> None:
    with pytest.raises(ContractError, match="'broken' of package 'uadbench-toy'"):
        describe("broken")


def test_shown_plugin_has_title_origin_presets_and_options(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    for plugin in describe("toy")[:2]:
        show(plugin)

    shown = plain(capsys)
    assert "Toy (methods)" in shown
    assert "--preset demo: steps=4" in shown
    assert "--preset paper: the defaults" in shown
    assert "steps int, > 0 8 of the fit" in shown
    assert "Toy data (datasets) reference: made up licence: none" in shown


def test_brackets_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    plugin: dict[str, Any] = {
        "title": "Net [bold]",
        "kind": "methods",
        "reference": "[1]",
        "licence": "",
        "description": "shape [b, c]",
        "presets": {},
        "options": [],
    }

    show(plugin)

    assert plain(capsys) == "Net [bold] (methods) reference: [1] shape [b, c]"


@pytest.mark.parametrize(("columns", "widest"), [("60", 60), ("200", 88)])
def test_shown_text_fills_the_terminal_up_to_what_can_be_read(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    columns: str,
    widest: int,
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    plugin = {**describe("phantom")[0], "options": [], "reference": "", "licence": ""}

    show(plugin)

    lengths = [len(line) for line in capsys.readouterr().out.splitlines()]
    assert widest - 10 < max(lengths) <= widest


def test_results_show_mean_interval_and_counts(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    dice = {"mean": 0.5, "low": 0.25, "high": 0.75}

    show_results([make_run(dice, "Net [1]")], Path("out"))

    shown = plain(capsys)
    # No mask of its own, and an oracle that is undefined.
    row = "Net [1] (seed 3) 0.500 (0.250, 0.750) - - 0.250 0.010 3/4"
    assert row in shown
    assert shown.endswith("note: Lesions are simulated. report: out/index.html")


@pytest.mark.parametrize(("mean", "words"), [(0.5, "0.500"), (None, "-")])
def test_result_without_interval_shows_none(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    mean: float | None,
    words: str,
) -> None:
    monkeypatch.setenv("COLUMNS", "200")

    show_results([make_run({"mean": mean, "low": None, "high": None})], Path("out"))

    assert f"(seed 3) {words} - - 0.250" in plain(capsys)


def test_runs_that_would_look_alike_are_told_apart_by_their_folders(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    runs = [
        make_run({"mean": mean, "low": None, "high": None}, folder=f"runs/{name}")
        for name, mean in (("ae-t2-seed3", 0.5), ("ae-flair-seed3", 0.6))
    ]

    show_results(runs, Path("out"))

    shown = plain(capsys)
    assert "ae-t2-seed3 0.500 - - 0.250" in shown
    assert "ae-flair-seed3 0.600 - - 0.250" in shown
