from dataclasses import replace
from pathlib import Path

import pytest

from uadbench import engine
from uadbench.campaign import (
    Failed,
    outcomes_in,
    run_cells,
    with_baseline,
    write_cells,
)
from uadbench.grid import BASELINE, Cell, grid
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

    options, out = {"toy": {"steps": 2}}, Path("out")
    cells = grid({"toy": plan}, ["toy", "ae"], [0, 1], options, out)

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
    cells = grid({"toy": plan}, ["toy"], [0], {}, tmp_path)

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


def test_method_that_builds_on_runs_gets_those_that_are_finished(
    tmp_path: Path,
) -> None:
    cells = grid({"toy": TOY}, ["ensemble", "toy", BASELINE], [0, 1], {}, tmp_path)
    first, second = (tmp_path / f"toy-toy-seed{seed}" for seed in (0, 1))

    outcomes = list(run_cells([c for c in cells if c.folder != second], Silent()))

    *_, built, failed = outcomes
    assert isinstance(built, Run)
    assert built.record["method"]["options"]["runs"] == [
        str(first),
        str(tmp_path / f"{BASELINE}-toy-seed0"),
    ]
    assert list(built.record["method"]["members"]) == ["toy", BASELINE]
    assert isinstance(failed, Failed)
    assert failed.error.startswith("ensemble: expected at least two finished runs")


def test_what_was_built_on_other_runs_is_built_again_and_else_kept(
    tmp_path: Path,
) -> None:
    one, two, three = (
        Cell(replace(TOY, seed=seed), tmp_path / str(seed)) for seed in (1, 2, 3)
    )
    built = replace(TOY, method="ensemble")
    folders = (one.folder, two.folder, three.folder)
    ensemble = Cell(built, tmp_path / "ensemble", folders)
    weights = tmp_path / "ensemble" / "model.safetensors"

    list(run_cells([one, two, ensemble], Silent()))
    before = weights.stat().st_mtime_ns
    list(run_cells([one, two, ensemble], Silent()))
    kept = weights.stat().st_mtime_ns
    *_, again = run_cells([one, two, three, ensemble], Silent())

    assert kept == before
    assert isinstance(again, Run)
    assert list(again.record["method"]["members"]) == ["toy", "toy-2", "toy-3"]
