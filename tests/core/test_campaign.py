from dataclasses import replace
from pathlib import Path

import pytest

from uadbench.campaign import (
    BASELINE,
    Cell,
    grid,
    run_cells,
    with_baseline,
    write_cells,
)
from uadbench.errors import DataError, UsageError
from uadbench.plans import Plan
from uadbench.protocols import Silent
from uadbench.results import Run, find_runs
from uadbench.views import PROTOCOLS

pytestmark = pytest.mark.usefixtures("toy")
TOY = Plan("toy", "toy", device="cpu", data_options={"cases": 2})


class Ear(Silent):
    """A monitor that remembers what was said."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def say(self, message: str) -> None:
        self.heard.append(message)

    warn = say


class Plans:
    """An engine that remembers plans and runs none."""

    def __init__(self) -> None:
        self.seen: list[Plan] = []

    def __call__(self, plan: Plan, folder: Path, *_: object, **__: object) -> Run:
        self.seen.append(plan)
        return Run(folder, {})


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


def test_baseline_is_processed_and_cut_as_the_run(tmp_path: Path) -> None:
    plan = replace(TOY, postprocess="median:3", thresholds=("fixed:1",), limit=1)

    ours, baseline = both(plan, tmp_path)

    assert ours.record["postprocess"] == "median:3"
    assert "fixed:1" in ours.record["thresholds"]
    for name in ("postprocess", "thresholds", "limit", "protocol", "seed"):
        assert baseline.record[name] == ours.record[name]
    assert baseline.thresholds["fpr5_post"]["postprocess"] == "median:3"


def test_cells_differ_in_nothing_but_method_seed_preset_and_options() -> None:
    steps, cuts = "median:3", ("fixed:1",)
    plan = replace(TOY, preset="paper", limit=1, postprocess=steps, thresholds=cuts)

    cells = grid(plan, ["toy", "ae"], [0, 1], {"toy": {"steps": 2}}, Path("out"))

    alike = [
        replace(cell.plan, method="toy", preset="paper", seed=0, options={})
        for cell in cells
    ]
    assert alike == [plan] * 6


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_cell_and_every_baseline_has_the_protocol_that_is_asked_for(
    protocol: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, run = replace(TOY, protocol=protocol), Plans()
    monkeypatch.setattr("uadbench.campaign.engine.run", run)

    with_baseline(plan, tmp_path, Silent())
    cells = grid(plan, ["toy"], [0], {}, tmp_path)

    assert [seen.method for seen in run.seen] == ["toy", BASELINE]
    every = [*run.seen, *(cell.plan for cell in cells)]
    assert {seen.protocol for seen in every} == {protocol}


def test_baseline_alone_has_no_baseline(tmp_path: Path) -> None:
    runs = both(replace(TOY, method=BASELINE), tmp_path)

    assert [run.method for run in runs] == [BASELINE]
    assert not (tmp_path / "baseline").exists()


def test_overwriting_a_run_replaces_its_baseline_too(tmp_path: Path) -> None:
    both(TOY, tmp_path)

    runs = both(replace(TOY, seed=1), tmp_path, overwrite=True)

    assert [run.record["seed"] for run in runs] == [1, 1]


def test_grid_has_a_cell_for_each_method_and_seed_and_adds_the_baseline() -> None:
    cells = grid(TOY, ["toy"], [0, 5], {"toy": {"steps": 3}}, Path("out"))

    assert [(cell.plan.method, cell.plan.seed, cell.folder) for cell in cells] == [
        ("toy", 0, Path("out/toy-seed0")),
        ("toy", 5, Path("out/toy-seed5")),
        (BASELINE, 0, Path(f"out/{BASELINE}-seed0")),
        (BASELINE, 5, Path(f"out/{BASELINE}-seed5")),
    ]
    assert [cell.plan.options for cell in cells] == [{"steps": 3}, {"steps": 3}, {}, {}]


def test_baseline_that_is_asked_for_comes_once_in_its_place() -> None:
    cells = grid(TOY, [BASELINE, "toy", BASELINE], [0], {}, Path("out"))

    assert [cell.plan.method for cell in cells] == [BASELINE, "toy"]


def test_preset_goes_to_the_methods_that_were_asked_for_alone() -> None:
    cells = grid(replace(TOY, preset="paper"), ["toy"], [0], {}, Path("out"))

    assert [cell.plan.preset for cell in cells] == ["paper", None]


def test_option_of_a_method_that_is_not_compared_is_refused() -> None:
    with pytest.raises(UsageError, match="'ae' is not among --methods"):
        grid(TOY, ["toy"], [0], {"ae": {"size": 3}}, Path("out"))


def test_every_cell_is_checked_before_the_first_is_run() -> None:
    with pytest.raises(UsageError, match="toy: options: no 'step'"):
        grid(TOY, [BASELINE, "toy"], [0], {"toy": {"step": 3}}, Path("out"))


def test_cell_that_fails_does_not_end_the_others(tmp_path: Path) -> None:
    leaky = replace(TOY, data_options={"leak": True})
    cells = [Cell(leaky, tmp_path / "leaky"), Cell(TOY, tmp_path / "sound")]
    ear = Ear()

    failed, run = run_cells(cells, ear)

    assert isinstance(failed, Cell)
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
    run = Run(tmp_path / "toy-seed0", {})
    cell = Cell(TOY, tmp_path / "toy-seed1", error=str(DataError("no, nothing")))

    write_cells([run, cell], tmp_path)

    assert (tmp_path / "cells.csv").read_text() == (
        'cell,status,error\ntoy-seed0,done,\ntoy-seed1,failed,"no, nothing"\n'
    )
