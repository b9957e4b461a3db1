from dataclasses import replace
from pathlib import Path

import pytest

from uadbench import engine
from uadbench.campaign import (
    BASELINE,
    Cell,
    Failed,
    grid,
    outcomes_in,
    run_cells,
    with_baseline,
    write_cells,
)
from uadbench.errors import UsageError
from uadbench.plans import Plan
from uadbench.protocols import Silent
from uadbench.results import Run, find_runs

pytestmark = pytest.mark.usefixtures("toy")
TOY = Plan("toy", "toy", device="cpu", data_options={"cases": 2})


class Ear(Silent):
    """A monitor that remembers what was said."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def say(self, message: str) -> None:
        self.heard.append(message)

    warn = say


def both(plan: Plan, folder: Path, *, overwrite: bool = False) -> list[Run]:
    """A run and its baseline, none of which may fail."""
    outcomes = with_baseline(plan, folder, Silent(), overwrite=overwrite)
    runs = [outcome for outcome in outcomes if isinstance(outcome, Run)]
    assert len(runs) == len(outcomes)
    return runs


def test_run_has_the_plain_intensity_beside_it(tmp_path: Path) -> None:
    plan = replace(TOY, preset="paper", options={"steps": 2}, seed=1)

    runs = both(plan, tmp_path / "a")

    assert [run.method for run in runs] == ["toy", BASELINE]
    assert [run.folder for run in runs] == [tmp_path / "a", tmp_path / "a" / "baseline"]
    assert [run.record["seed"] for run in runs] == [1, 1]
    assert runs[0].record["data_hash"] == runs[1].record["data_hash"]
    assert [run.folder for run in find_runs(tmp_path / "a")] == [
        run.folder for run in runs
    ]


def test_baseline_alone_has_no_baseline(tmp_path: Path) -> None:
    runs = both(replace(TOY, method=BASELINE), tmp_path)

    assert [run.method for run in runs] == [BASELINE]
    assert not (tmp_path / "baseline").exists()


def test_overwriting_a_run_replaces_its_baseline_too(tmp_path: Path) -> None:
    both(TOY, tmp_path)

    runs = both(replace(TOY, seed=1), tmp_path, overwrite=True)

    assert [run.record["seed"] for run in runs] == [1, 1]


def test_grid_has_a_cell_for_each_method_and_seed_and_adds_the_baseline() -> None:
    cells = grid({"toy": TOY}, ["toy"], [0, 5], {"toy": {"steps": 3}}, Path("out"))

    assert [(cell.plan.method, cell.plan.seed, cell.folder) for cell in cells] == [
        ("toy", 0, Path("out/toy-toy-seed0")),
        ("toy", 5, Path("out/toy-toy-seed5")),
        (BASELINE, 0, Path(f"out/{BASELINE}-toy-seed0")),
        (BASELINE, 5, Path(f"out/{BASELINE}-toy-seed5")),
    ]
    assert [cell.plan.options for cell in cells] == [{"steps": 3}, {"steps": 3}, {}, {}]


def test_grid_goes_over_the_datasets_in_turn() -> None:
    more = replace(TOY, data_options={"cases": 3})

    cells = grid({"few": TOY, "more": more}, ["toy"], [0], {}, Path("out"))

    assert [(cell.folder.name, cell.plan.data_options["cases"]) for cell in cells] == [
        ("toy-few-seed0", 2),
        (f"{BASELINE}-few-seed0", 2),
        ("toy-more-seed0", 3),
        (f"{BASELINE}-more-seed0", 3),
    ]


def test_the_same_dataset_twice_is_refused() -> None:
    same = replace(TOY, data_options={"cases": "2", "seed": 0})

    with pytest.raises(UsageError, match="'a' and 'b' are toy with the same options"):
        grid({"a": TOY, "b": same}, ["toy"], [0], {}, Path("out"))


def test_baseline_that_is_asked_for_comes_once_in_its_place() -> None:
    cells = grid({"toy": TOY}, [BASELINE, "toy", BASELINE], [0], {}, Path("out"))

    assert [cell.plan.method for cell in cells] == [BASELINE, "toy"]


def test_preset_goes_to_the_methods_that_were_asked_for_alone() -> None:
    cells = grid({"toy": replace(TOY, preset="paper")}, ["toy"], [0], {}, Path("out"))

    assert [cell.plan.preset for cell in cells] == ["paper", None]


def test_option_of_a_method_that_is_not_compared_is_refused() -> None:
    with pytest.raises(UsageError, match="'ae' is not among --methods"):
        grid({"toy": TOY}, ["toy"], [0], {"ae": {"size": 3}}, Path("out"))


def test_every_cell_is_checked_before_the_first_is_run() -> None:
    with pytest.raises(UsageError, match="toy: options: no 'step'"):
        grid({"toy": TOY}, [BASELINE, "toy"], [0], {"toy": {"step": 3}}, Path("out"))


def test_cell_that_fails_does_not_end_the_others(tmp_path: Path) -> None:
    leaky = replace(TOY, data_options={"leak": True})
    cells = [Cell(leaky, tmp_path / "leaky"), Cell(TOY, tmp_path / "sound")]
    ear = Ear()

    failed, run = run_cells(cells, ear)

    assert isinstance(failed, Failed)
    assert "both in train and test" in failed.error
    assert isinstance(run, Run)
    assert run.done
    assert ear.heard == [
        "[1/2] leaky",
        f"leaky failed: {failed.error}",
        "[2/2] sound",
    ]


def test_cells_come_one_by_one(tmp_path: Path) -> None:
    cells = [Cell(TOY, tmp_path / "a"), Cell(TOY, tmp_path / "b")]

    next(run_cells(cells, Silent()))

    assert not (tmp_path / "b").exists()


def test_what_became_of_each_cell_is_written(tmp_path: Path) -> None:
    run = Run(tmp_path / "toy-seed0", {"timings": {"fit": 1.25, "predict": 2.0}})

    write_cells([run, Failed(tmp_path / "toy-seed1", "no, nothing")], tmp_path)

    assert (tmp_path / "cells.csv").read_text() == (
        "cell,status,seconds,error\n"
        "toy-seed0,done,3.2,\n"
        'toy-seed1,failed,,"no, nothing"\n'
    )


def test_failed_cells_are_read_back_with_the_runs_beside_them(tmp_path: Path) -> None:
    leaky = replace(TOY, data_options={"leak": True})
    cells = [Cell(TOY, tmp_path / "sound"), Cell(leaky, tmp_path / "leaky")]
    write_cells(list(run_cells(cells, Silent())), tmp_path)

    run, failed = outcomes_in(tmp_path)

    assert isinstance(run, Run)
    assert run.folder == tmp_path / "sound"
    assert isinstance(failed, Failed)
    assert (failed.name, "both in train and test" in failed.error) == ("leaky", True)


def test_cell_that_was_finished_later_has_failed_no_more(tmp_path: Path) -> None:
    write_cells([Failed(tmp_path / "toy", "no room")], tmp_path)
    engine.run(TOY, tmp_path / "toy", Silent())

    (run,) = outcomes_in(tmp_path)

    assert run.name == "toy"
    assert isinstance(run, Run)
