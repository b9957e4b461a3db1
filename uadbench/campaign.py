"""Several runs side by side: a run and its baseline, or the cells of a comparison."""

import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from uadbench import engine
from uadbench.errors import UadbenchError
from uadbench.files import append_text, read_rows, write_rows
from uadbench.grid import BASELINE, Cell
from uadbench.members import OPTION
from uadbench.plans import Plan, describe
from uadbench.protocols import Monitor
from uadbench.results import Run, find_runs, is_run

CELLS = "cells.csv"
FAILED = "failed"


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


def run_cells(
    cells: Sequence[Cell], monitor: Monitor, *, overwrite: bool = False
) -> Iterator[Outcome]:
    """Run each cell in turn; yield its run, or the error that ended it.

    A cell that fails does not end the others.
    """
    done: list[Path] = []
    for number, cell in enumerate(cells, start=1):
        monitor.say(f"[{number}/{len(cells)}] {cell.folder.name}")
        outcome = _attempt(_on_finished(cell, done), monitor, overwrite=overwrite)
        if isinstance(outcome, Run):
            done.append(outcome.folder)
        yield outcome


def _on_finished(cell: Cell, done: Sequence[Path]) -> Cell:
    """Return a cell that builds on those of its members that are finished."""
    if not cell.members:
        return cell
    found = tuple(folder for folder in cell.members if folder in done)
    given = {**cell.plan.options, OPTION: [str(folder) for folder in found]}
    return replace(cell, plan=replace(cell.plan, options=given), members=found)


def _outdated(cell: Cell) -> bool:
    """Return whether a cell was built on other runs: it has nothing of its own."""
    if not (cell.members and is_run(cell.folder)):
        return False
    then = Run.load(cell.folder).record.get("method", {})
    return _base(then) != _base(describe(cell.plan)["method"])


def _base(method: Mapping[str, Any]) -> tuple[object, object]:
    """Return the runs that a method was built on, and the options of each."""
    return method.get("options", {}).get(OPTION), method.get("members")


def _attempt(cell: Cell, monitor: Monitor, *, overwrite: bool = False) -> Outcome:
    try:
        overwrite = overwrite or _outdated(cell)
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
