"""Several runs side by side: a run and its baseline, or the cells of a comparison."""

import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from uadbench import engine
from uadbench.errors import UadbenchError, UsageError
from uadbench.files import append_text, read_rows, write_rows
from uadbench.grid import BASELINE, Cell
from uadbench.members import OPTION
from uadbench.plans import Job, Plan, resolve
from uadbench.protocols import Monitor
from uadbench.results import Run, find_runs, is_run
from uadbench.views import View
from uadbench.words import advice

CELLS = "cells.csv"
DONE = "done"


@dataclass(frozen=True)
class Missing:
    """A cell without result.

    Attributes:
        folder: where it is run; it may not be there.
        error: why it failed; "" while it waits for its turn.
    """

    folder: Path
    error: str = ""

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.name

    @property
    def status(self) -> str:
        """As in cells.csv."""
        return "failed" if self.error else "waiting"

    def __str__(self) -> str:
        if self.error:
            return f"{self.name} failed: {self.error}"
        return f"{self.name} is not finished. Repeat the comparison's command."


Outcome = Run | Missing


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


def check_cells(
    cells: Sequence[Cell], folder: Path, *, overwrite: bool = False
) -> list[Job]:
    """Return the job of each cell if none is known to fail; nothing on disk changes.

    Raises:
        UsageError: the folder is a run's own, or a cell's holds a run with other
            settings; and as `plans.resolve`.
        DataError, ContractError: as `plans.resolve`.
    """
    if is_run(folder):
        msg = (
            f"{folder}: is a run's own folder; a comparison needs another. Choose "
            "another --name or --output."
        )
        raise UsageError(msg)
    views: dict[str, View] = {}
    jobs = []
    for cell in cells:
        with _advising(cell):
            awaited = len(cell.members)
            job = resolve(cell.plan, views.get(cell.label), awaited)
            # Until its members are finished, nobody knows which runs it will have.
            renew = bool(awaited)
            engine.check(job, cell.folder, overwrite=overwrite, renew=renew)
        views[cell.label] = job.view
        jobs.append(job)
    return jobs


@contextmanager
def _advising(cell: Cell) -> Iterator[None]:
    """Let what is wrong with a cell be said in the words of a comparison."""
    try:
        yield
    except UadbenchError as error:
        raise type(error)(_advice(str(error), cell)) from error


def _advice(message: str, cell: Cell) -> str:
    return advice(message, cell.plan.method, cell.label) if cell.label else message


def compare(
    cells: Sequence[Cell], folder: Path, monitor: Monitor, *, overwrite: bool = False
) -> list[Outcome]:
    """Run cells that were checked; cells.csv tells from the start how far they are."""
    outcomes = [_before(cell, overwrite=overwrite) for cell in cells]
    write_cells(outcomes, folder)
    for number, outcome in enumerate(run_cells(cells, monitor, overwrite=overwrite)):
        outcomes[number] = outcome
        write_cells(outcomes, folder)
    return outcomes


def run_cells(
    cells: Sequence[Cell], monitor: Monitor, *, overwrite: bool = False
) -> Iterator[Outcome]:
    """Run each cell in turn; yield its run, or the error that ended it.

    A cell that fails does not end the others. What was built on other runs is built
    again once all its members are finished; else it is kept, and the cell failed.
    """
    done: list[Path] = []
    for number, cell in enumerate(cells, start=1):
        monitor.say(f"[{number}/{len(cells)}] {cell.folder.name}")
        ready = _on_finished(cell, done)
        renew = bool(cell.members) and ready.members == cell.members
        outcome = _attempt(ready, monitor, overwrite=overwrite, renew=renew)
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


def _attempt(
    cell: Cell, monitor: Monitor, *, overwrite: bool = False, renew: bool = False
) -> Outcome:
    try:
        return engine.run(
            cell.plan, cell.folder, monitor, overwrite=overwrite, renew=renew
        )
    except UadbenchError as error:
        return _failed(cell, str(error), monitor)
    except Exception as error:  # of a method, such as a GPU without memory left
        cell.folder.mkdir(parents=True, exist_ok=True)
        append_text(cell.folder / "failures.log", traceback.format_exc())
        return _failed(cell, f"{type(error).__name__}: {error}", monitor)


def _failed(cell: Cell, error: str, monitor: Monitor) -> Missing:
    missing = Missing(cell.folder, _advice(error, cell))
    monitor.warn(str(missing))
    return missing


def _before(cell: Cell, *, overwrite: bool) -> Outcome:
    """Return what is there of a cell before it is run."""
    if not overwrite and is_run(cell.folder):
        run = Run.load(cell.folder)
        if run.done:
            return run
    return Missing(cell.folder)


def write_cells(outcomes: Sequence[Outcome], folder: Path) -> None:
    """Write cells.csv: what became of each cell of a comparison, and its time in s."""
    rows: list[dict[str, object]] = [
        {
            "cell": outcome.name,
            "status": outcome.status,
            "seconds": "",
            "error": outcome.error,
        }
        if isinstance(outcome, Missing)
        else {
            "cell": outcome.name,
            "status": DONE,
            "seconds": round(sum(outcome.record["timings"].values()), 1),
            "error": "",
        }
        for outcome in outcomes
    ]
    write_rows(folder / CELLS, rows)


def outcomes_in(folder: Path) -> list[Outcome]:
    """Return the runs that a folder is or holds, and a comparison's missing cells.

    Of a cell that failed no earlier run counts, whatever its folder holds.

    Raises:
        UsageError: there is no run, or none is finished, and no cell is missing.
    """
    missing = {
        str(row["cell"]): Missing(folder / str(row["cell"]), str(row["error"]))
        for row in read_rows(folder / CELLS)
        if row["status"] != DONE
    }
    try:
        runs = find_runs(folder)
    except UsageError:
        if not missing:
            raise
        runs = []
    return [*(run for run in runs if run.name not in missing), *missing.values()]
