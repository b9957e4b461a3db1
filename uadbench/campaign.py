"""Several runs of one dataset side by side: a run and its baseline, or a comparison."""

import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from uadbench import engine
from uadbench.errors import UadbenchError, UsageError
from uadbench.files import append_text, write_rows
from uadbench.plans import Plan, describe
from uadbench.protocols import Monitor
from uadbench.results import Run

BASELINE = "intensity"


@dataclass(frozen=True)
class Cell:
    """One run of a comparison.

    Attributes:
        plan: what is run.
        folder: where.
        error: why it did not finish, or "".
    """

    plan: Plan
    folder: Path
    error: str = ""


Outcome = Run | Cell


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
    plan: Plan,
    methods: Sequence[str],
    seeds: Sequence[int],
    options: Mapping[str, Mapping[str, object]],
    folder: Path,
) -> list[Cell]:
    """Return the cells of a comparison, every option checked, nothing run.

    The baseline is added once if it is not among the methods.

    Args:
        plan: what all cells share.
        methods: names.
        seeds: one run of each method for each.
        options: by method.
        folder: of the comparison; each cell gets a folder in it.

    Raises:
        UsageError: an unknown name, option or value; options of an absent method.
    """
    for name in options:
        if name not in methods:
            msg = f"--set {name}....: '{name}' is not among --methods."
            raise UsageError(msg)
    # Nobody asked for the baseline: a preset that it does not know must not stop it.
    presets: dict[str, str | None] = dict.fromkeys(methods, plan.preset)
    presets.setdefault(BASELINE)
    shared = [replace(plan, method=name, preset=p) for name, p in presets.items()]
    cells = [
        Cell(
            replace(each, seed=seed, options=options.get(each.method, {})),
            folder / f"{each.method}-seed{seed}",
        )
        for each in shared
        for seed in seeds
    ]
    for cell in cells:
        describe(cell.plan)
    return cells


def run_cells(
    cells: Sequence[Cell], monitor: Monitor, *, overwrite: bool = False
) -> Iterator[Outcome]:
    """Run each cell in turn; yield its run, or the cell with the error that ended it.

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


def _failed(cell: Cell, error: str, monitor: Monitor) -> Cell:
    monitor.warn(f"{cell.folder.name} failed: {error}")
    return replace(cell, error=error)


def write_cells(outcomes: Sequence[Outcome], folder: Path) -> None:
    """Write cells.csv: what became of each cell of a comparison."""
    rows = [
        {"cell": outcome.name, "status": "done", "error": ""}
        if isinstance(outcome, Run)
        else {"cell": outcome.folder.name, "status": "failed", "error": outcome.error}
        for outcome in outcomes
    ]
    write_rows(folder / "cells.csv", rows)
