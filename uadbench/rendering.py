"""All reports of some runs into one folder."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from uadbench import registry
from uadbench.errors import OutputError, UsageError
from uadbench.files import is_unwritable, saving, uncovered
from uadbench.options import names
from uadbench.protocols import Report
from uadbench.results import Run

MARK = ".uadbench-report"


def render(
    runs: Sequence[Run],
    out: Path,
    say: Callable[[str], None],
    options: Mapping[str, Any] | None = None,
) -> tuple[list[Path], int]:
    """Render every installed report of finished runs; those that gather come last.

    A report that fails is named and passed over, so that a broken plugin costs nobody
    their tables.

    Args:
        runs: finished or not.
        out: folder of the report.
        say: told what failed or is left out.
        options: values of fields, given to each report that has a field of that name.

    Returns:
        The files written, and the number of reports that failed.

    Raises:
        UsageError: `out` holds what is no report.
        OutputError: the disk is full, or `out` cannot be written.
    """
    files, failed = [], 0
    _claim(out)
    for name, report in _reports(say, options or {}):
        try:
            with uncovered():
                files += report.render(runs, out)
        except OutputError:
            raise
        except Exception as error:  # any report's own
            if is_unwritable(error):
                with saving(out):
                    raise
            failed += 1
            say(f"report '{name}' failed: {type(error).__name__}: {error}")
    return files, failed


def _claim(out: Path) -> None:
    """Make a folder for a report, and mark it, so that only reports are replaced."""
    with saving(out):
        out.mkdir(parents=True, exist_ok=True)
        marked = (out / MARK).exists()
        foreign = [] if marked else sorted(path.name for path in out.iterdir())
    if foreign:
        msg = (
            f"{out}: holds {', '.join(foreign[:3])}, but no report of uadbench. "
            "Choose another folder for the report by --output, or an empty one."
        )
        raise UsageError(msg)
    with saving(out):
        (out / MARK).touch()


def _reports(
    say: Callable[[str], None], options: Mapping[str, Any]
) -> list[tuple[str, Report]]:
    """Return the reports that can be made, those that gather last."""
    first: list[tuple[str, Report]] = []
    last: list[tuple[str, Report]] = []
    for listing in registry.listings("reports"):
        try:
            plugin = registry.load("reports", listing.name)
            known = names(plugin)
            report = plugin(**{k: v for k, v in options.items() if k in known})
            (last if report.gathers else first).append((listing.name, report))
        except Exception as error:  # of a third party's class
            say(f"warning: report '{listing.name}' is left out: {error}")
    return [*first, *last]
