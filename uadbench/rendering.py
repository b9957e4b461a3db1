"""All reports of some runs into one folder."""

from collections.abc import Callable, Sequence
from pathlib import Path

from uadbench import registry
from uadbench.errors import OutputError, UadbenchError
from uadbench.files import saving
from uadbench.protocols import Report
from uadbench.results import Run


def render(
    runs: Sequence[Run], out: Path, say: Callable[[str], None]
) -> tuple[list[Path], int]:
    """Render every installed report of finished runs; those that gather come last.

    A report that fails is named and passed over, so that a broken plugin costs nobody
    their tables.

    Returns:
        The files written, and the number of reports that failed.

    Raises:
        OutputError: the disk is full, or `out` cannot be written.
    """
    files, failed = [], 0
    with saving(out):
        out.mkdir(parents=True, exist_ok=True)
    for name, report in _reports(say):
        try:
            with saving(out):
                files += report.render(runs, out)
        except OutputError:
            raise
        except Exception as error:  # any report's own
            failed += 1
            say(f"report '{name}' failed: {type(error).__name__}: {error}")
    return files, failed


def _reports(say: Callable[[str], None]) -> list[tuple[str, Report]]:
    reports: list[tuple[str, Report]] = []
    for listing in registry.listings("reports"):
        try:
            reports.append((listing.name, registry.load("reports", listing.name)()))
        except UadbenchError as error:
            say(f"warning: {error}")
    return sorted(reports, key=lambda item: item[1].gathers)
