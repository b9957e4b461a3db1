from dataclasses import replace
from pathlib import Path

import pytest

from uadbench import engine
from uadbench.campaign import (
    Missing,
    check_cells,
    compare,
    outcomes_in,
    run_cells,
    with_baseline,
    write_cells,
)
from uadbench.errors import UsageError
from uadbench.files import read_rows, write_json
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


def statuses(folder: Path) -> list[object]:
    return [row["status"] for row in read_rows(folder / "cells.csv")]


class Reader(Silent):
    """A monitor that reads cells.csv at the beginning of each cell."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seen: list[list[object]] = []

    def say(self, message: str) -> None:
        self.seen.append(statuses(self.folder))


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

    assert isinstance(failed, Missing)
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

    write_cells([run, Missing(tmp_path / "toy-seed1", "no, nothing")], tmp_path)

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
    assert isinstance(failed, Missing)
    assert (failed.name, "both in train and test" in failed.error) == ("leaky", True)


def test_earlier_run_of_a_cell_that_failed_is_no_result(tmp_path: Path) -> None:
    engine.run(TOY, tmp_path / "toy", Silent())
    write_cells([Missing(tmp_path / "toy", "no room")], tmp_path)

    assert outcomes_in(tmp_path) == [Missing(tmp_path / "toy", "no room")]


def test_cell_that_is_repeated_with_success_has_failed_no_more(tmp_path: Path) -> None:
    write_cells([Missing(tmp_path / "toy", "no room")], tmp_path)
    compare([Cell(TOY, tmp_path / "toy")], tmp_path, Silent())

    (run,) = outcomes_in(tmp_path)

    assert isinstance(run, Run)


def test_cells_that_wait_are_read_back_even_if_no_run_is_there(tmp_path: Path) -> None:
    write_cells([Missing(tmp_path / "a"), Missing(tmp_path / "b", "no")], tmp_path)

    assert [str(outcome) for outcome in outcomes_in(tmp_path)] == [
        "a is not finished. Repeat the comparison's command.",
        "b failed: no",
    ]


def test_file_tells_from_the_start_what_became_of_each_cell(tmp_path: Path) -> None:
    cells = [Cell(TOY, tmp_path / "a"), Cell(TOY, tmp_path / "b")]
    engine.run(TOY, tmp_path / "b", Silent())
    first, anew = Reader(tmp_path), Reader(tmp_path)

    compare(cells, tmp_path, first)
    compare(cells, tmp_path, anew, overwrite=True)

    assert first.seen == [["waiting", "done"], ["done", "done"]]
    assert anew.seen == [["waiting", "waiting"], ["done", "waiting"]]
    assert statuses(tmp_path) == ["done", "done"]


def test_unfinished_run_of_an_earlier_attempt_waits(tmp_path: Path) -> None:
    run = engine.run(TOY, tmp_path / "a", Silent())
    write_json(run.folder / "run.json", {**run.record, "status": "running"})
    reader = Reader(tmp_path)

    compare([Cell(TOY, run.folder)], tmp_path, reader)

    assert reader.seen == [["waiting"]]
    assert statuses(tmp_path) == ["done"]


def test_jobs_of_a_comparison_share_a_view_of_each_dataset(tmp_path: Path) -> None:
    more = replace(TOY, data_options={"cases": 3})
    cells = grid({"few": TOY, "more": more}, ["toy"], [0, 1], {}, tmp_path)

    jobs = check_cells(cells, tmp_path)

    assert [len(job.view.test) for job in jobs] == [2] * 4 + [3] * 4
    assert len({id(job.view.train) for job in jobs}) == 2
    assert list(tmp_path.iterdir()) == []


def test_conflict_of_any_cell_is_found_before_the_first_is_run(tmp_path: Path) -> None:
    cells = grid({"toy": TOY}, ["toy"], [0], {}, tmp_path)
    engine.run(replace(cells[-1].plan, limit=1), cells[-1].folder, Silent())

    with pytest.raises(UsageError, match=r"other settings: limit \(1, now None\)"):
        check_cells(cells, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [cells[-1].folder.name]
    check_cells(cells, tmp_path, overwrite=True)


def test_content_that_is_no_run_is_found_before_the_first_is_run(
    tmp_path: Path,
) -> None:
    cells = grid({"toy": TOY}, ["toy"], [0], {}, tmp_path)
    (cells[-1].folder / "report").mkdir(parents=True)

    with pytest.raises(UsageError, match=r"holds report but no run\.json"):
        check_cells(cells, tmp_path, overwrite=True)


def test_comparison_takes_no_folder_of_a_run(tmp_path: Path) -> None:
    engine.run(TOY, tmp_path, Silent())

    with pytest.raises(UsageError, match="is a run's own folder"):
        check_cells([], tmp_path, overwrite=True)


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
    assert isinstance(failed, Missing)
    assert failed.error.startswith("ensemble: expected at least 2 finished runs")


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


@pytest.fixture
def trio(tmp_path: Path) -> list[Cell]:
    """Two runs and the ensemble of both, all finished."""
    one, two = (Cell(replace(TOY, seed=seed), tmp_path / str(seed)) for seed in (1, 2))
    plan, members = replace(TOY, method="ensemble"), (one.folder, two.folder)
    cells = [one, two, Cell(plan, tmp_path / "ensemble", members)]
    assert all(isinstance(outcome, Run) for outcome in run_cells(cells, Silent()))
    return cells


def content(cell: Cell) -> dict[str, bytes]:
    """Return all files of a cell's folder."""
    paths = (path for path in cell.folder.rglob("*") if path.is_file())
    return {str(path): path.read_bytes() for path in paths}


def test_finished_ensemble_is_kept_where_one_of_its_members_fails(
    trio: list[Cell],
) -> None:
    one, two, ensemble = trio
    before = content(ensemble)
    third = Cell(replace(TOY, data_options={"leak": True}), one.folder.parent / "3")
    more = replace(ensemble, members=(one.folder, third.folder, two.folder))
    changed = replace(one, plan=replace(one.plan, options={"steps": 1}))

    *_, kept = run_cells([one, two, third, more], Silent())
    *_, failed = run_cells([changed, two, ensemble], Silent())
    *_, small = run_cells([changed, two, ensemble], Silent(), overwrite=False)

    # Of the three that were asked for, those two are finished that it was built on.
    assert isinstance(kept, Run)
    assert isinstance(failed, Missing)
    assert "got 1" in failed.error
    assert small == failed
    assert content(ensemble) == before


def test_ensemble_of_fewer_members_does_not_replace_one_of_more(
    trio: list[Cell],
) -> None:
    one, two, ensemble = trio
    third = Cell(replace(TOY, seed=3), one.folder.parent / "3")
    more = replace(ensemble, members=(*ensemble.members, third.folder))
    list(run_cells([one, two, third, more], Silent()))
    before = content(ensemble)
    changed = replace(third, plan=replace(third.plan, options={"steps": 1}))

    *_, kept = run_cells([one, two, changed, more], Silent())

    assert isinstance(kept, Missing)
    assert "holds a run with other settings: method.options.runs" in kept.error
    assert content(ensemble) == before


def test_ensemble_with_other_settings_is_not_renewed(trio: list[Cell]) -> None:
    one, two, ensemble = trio
    before = content(ensemble)
    third = Cell(replace(TOY, seed=3), one.folder.parent / "3")
    plan = replace(ensemble.plan, limit=1)
    more = replace(ensemble, plan=plan, members=(*ensemble.members, third.folder))

    *_, failed = run_cells([one, two, third, more], Silent())

    assert isinstance(failed, Missing)
    assert "limit (None, now 1)" in failed.error
    assert content(ensemble) == before


def test_ensemble_is_kept_however_its_folder_is_written(
    trio: list[Cell], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = trio[0].folder.parent
    monkeypatch.chdir(root)
    short = [
        replace(
            cell,
            folder=Path(cell.folder.name),
            members=tuple(Path(folder.name) for folder in cell.members),
        )
        for cell in trio
    ]
    weights = trio[-1].folder / "model.safetensors"
    before = weights.stat().st_mtime_ns

    *_, again = run_cells(short, Silent())

    assert isinstance(again, Run)
    assert weights.stat().st_mtime_ns == before


def test_advice_for_a_failed_cell_is_one_that_a_comparison_takes(
    tmp_path: Path,
) -> None:
    plan = replace(TOY, method="ensemble")

    (failed,) = run_cells([Cell(plan, tmp_path / "e", label="toy")], Silent())

    assert isinstance(failed, Missing)
    assert "Give their folders by --set ensemble.runs=" in failed.error
