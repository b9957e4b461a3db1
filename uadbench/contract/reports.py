"""What a report promises, tried on a finished run."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from uadbench import registry
from uadbench.contract.check import Check
from uadbench.errors import ContractError
from uadbench.protocols import Report, Silent
from uadbench.results import Run

# Of the phantom, for a small run that has lesions; its numbers are worth nothing.
SMALL = {"size": 32, "slices": 3, "n_train": 2, "n_val": 2, "n_test": 3}


def report_checks(name: str, run: Run | None = None) -> list[Check]:
    """Return the checks of what a report makes.

    Args:
        name: of the plugin.
        run: a finished one to render; None makes a small one.
    """
    return [
        Check("is built without options", partial(check_build, name), vital=True),
        Check("renders a run into its folder", partial(check_files, name, run)),
    ]


def build(name: str) -> Report:
    """Return a report with its defaults."""
    report: Report = registry.load("reports", name)()
    return report


def check_build(name: str) -> None:
    """Raise whatever building a report without options raises."""
    build(name)


def check_files(name: str, run: Run | None = None) -> None:
    """Raise unless a report returns the files it made, and leaves the run alone."""
    with tempfile.TemporaryDirectory() as folder, _finished(run) as shown:
        out = Path(folder) / "report"
        out.mkdir()
        before = _contents(shown.folder)
        files = build(name).render([shown], out)
        check_rendered(files, out)
        if _contents(shown.folder) != before:
            msg = "it changes the run folder: write below the folder it is given."
            raise ContractError(msg)


def check_rendered(files: list[Path], out: Path) -> None:
    """Raise a ContractError unless the files exist and lie below a folder."""
    for path in files:
        if not path.is_file() or out not in path.parents:
            msg = f"render returns {path}, which is no file below {out}."
            raise ContractError(msg)


@contextmanager
def _finished(run: Run | None) -> Iterator[Run]:
    """Give a run, a small one where there is none."""
    if run is not None:
        yield run
        return
    # Only here: whoever checks a method need not wait for these.
    from uadbench import engine
    from uadbench.plans import Plan

    plan = Plan("intensity", "phantom", data_options=SMALL)
    with tempfile.TemporaryDirectory() as folder:
        yield engine.run(plan, Path(folder) / "run", Silent())


def _contents(folder: Path) -> dict[Path, tuple[int, int]]:
    """Return size and time of every file below a folder."""
    return {
        path: (path.stat().st_size, path.stat().st_mtime_ns)
        for path in folder.rglob("*")
    }
