"""Several runs side by side: a run and its baseline, or the grid of a comparison."""

import json
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from uadbench import engine
from uadbench.errors import UadbenchError, UsageError
from uadbench.files import append_text, read_rows, write_rows
from uadbench.plans import Plan, describe
from uadbench.protocols import Monitor
from uadbench.results import Run, find_runs

BASELINE = "intensity"
CELLS = "cells.csv"
FAILED = "failed"


@dataclass(frozen=True)
class Cell:
    """One run of a comparison.

    Attributes:
        plan: what is run.
        folder: where.
    """

    plan: Plan
    folder: Path


@dataclass(frozen=True)
class Failed:
    """A run that did not finish.

    Attributes:
        folder: where it was run; it may not be there.
        error: why.
    """

    folder: Path
    error: str

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.name


Outcome = Run | Failed


def with_baseline(
    plan: Plan, folder: Path, monitor: Monitor, *, overwrite: bool = False
) -> list[Outcome]:
    """Return the run of a plan and, in its folder, that of the plain intensity.

    A map has to beat the image it was made from before it means anything (Meissen et
    al. 2021), so that every table has the intensity as a row. If it fails, as on
    several modalities, its cell says why and the run stands.

    Raises:
        UadbenchError: as `engine.run` of the plan.
    """
    main = engine.run(plan, folder, monitor, overwrite=overwrite)
    if plan.method == BASELINE:
        return [main]
    baseline = replace(plan, method=BASELINE, preset=None, options={})
    return [main, _attempt(Cell(baseline, folder / "baseline"), monitor)]


def grid(
    plans: Mapping[str, Plan],
    methods: Sequence[str],
    seeds: Sequence[int],
    options: Mapping[str, Mapping[str, object]],
    folder: Path,
) -> list[Cell]:
    """Return the cells of a comparison, every option checked, nothing run.

    The baseline is added once if it is not among the methods.

    Args:
        plans: what all cells of a dataset share, by the dataset's label.
        methods: names.
        seeds: one run of each method on each dataset for each.
        options: by method.
        folder: of the comparison; each cell gets a folder in it.

    Raises:
        UsageError: an unknown name, option or value; options of an absent method; two
            datasets that are the same.
    """
    for name in options:
        if name not in methods:
            msg = f"--set {name}....: '{name}' is not among --methods."
            raise UsageError(msg)
    cells = [
        Cell(
            replace(plan, seed=seed, options=options.get(plan.method, {})),
            folder / f"{plan.method}-{label}-seed{seed}",
        )
        for label, shared in plans.items()
        for plan in _with_methods(shared, methods)
        for seed in seeds
    ]
    for cell in cells:
        describe(cell.plan)
    _check_distinct(plans)
    return cells


def _with_methods(plan: Plan, methods: Sequence[str]) -> list[Plan]:
    # Nobody asked for the baseline: a preset that it does not know must not stop it.
    presets: dict[str, str | None] = dict.fromkeys(methods, plan.preset)
    presets.setdefault(BASELINE)
    return [replace(plan, method=name, preset=p) for name, p in presets.items()]


def _check_distinct(plans: Mapping[str, Plan]) -> None:
    """Raise a UsageError if two datasets are the same: one would repeat the other."""
    known: dict[str, str] = {}
    for label, plan in plans.items():
        dataset = describe(plan)["dataset"]
        first = known.setdefault(json.dumps(dataset, sort_keys=True), label)
        if first != label:
            msg = (
                f"--datasets: '{first}' and '{label}' are {plan.dataset} with the same "
                f"options. Give one of them others by --set-data {label}.NAME=VALUE."
            )
            raise UsageError(msg)


def run_cells(
    cells: Sequence[Cell], monitor: Monitor, *, overwrite: bool = False
) -> Iterator[Outcome]:
    """Run each cell in turn; yield its run, or the error that ended it.

    A cell that fails does not end the others.
    """
    for number, cell in enumerate(cells, start=1):
        monitor.say(f"[{number}/{len(cells)}] {cell.folder.name}")
        yield _attempt(cell, monitor, overwrite=overwrite)


def _attempt(cell: Cell, monitor: Monitor, *, overwrite: bool = False) -> Outcome:
    try:
        return engine.run(cell.plan, cell.folder, monitor, overwrite=overwrite)
    except UadbenchError as error:
        return _failed(cell, str(error), monitor)
    except Exception as error:  # of a method, such as a GPU without memory left
        cell.folder.mkdir(parents=True, exist_ok=True)
        append_text(cell.folder / "failures.log", traceback.format_exc())
        return _failed(cell, f"{type(error).__name__}: {error}", monitor)


def _failed(cell: Cell, error: str, monitor: Monitor) -> Failed:
    monitor.warn(f"{cell.folder.name} failed: {error}")
    return Failed(cell.folder, error)


def write_cells(outcomes: Sequence[Outcome], folder: Path) -> None:
    """Write cells.csv: what became of each cell of a comparison, and its time in s."""
    rows: list[dict[str, object]] = [
        {
            "cell": outcome.name,
            "status": FAILED,
            "seconds": "",
            "error": outcome.error,
        }
        if isinstance(outcome, Failed)
        else {
            "cell": outcome.name,
            "status": "done",
            "seconds": round(sum(outcome.record["timings"].values()), 1),
            "error": "",
        }
        for outcome in outcomes
    ]
    write_rows(folder / CELLS, rows)


def outcomes_in(folder: Path) -> list[Outcome]:
    """Return the runs that a folder is or holds, and the failed cells of a comparison.

    Raises:
        UsageError: there is no run, or none is finished.
    """
    runs = find_runs(folder)
    done = {run.name for run in runs if run.done}
    failed = {
        str(row["cell"]): str(row["error"])
        for row in read_rows(folder / CELLS)
        if row["status"] == FAILED and row["cell"] not in done
    }
    return [
        *(run for run in runs if run.name not in failed),
        *(Failed(folder / cell, error) for cell, error in failed.items()),
    ]
