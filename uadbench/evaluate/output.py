"""The folder of an evaluation: held from its begin, with two files at its end."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from uadbench import files
from uadbench.errors import UsageError
from uadbench.results import claim, is_run

from .run import Evaluation

WRITTEN = ("cases.csv", "summary.json")


@contextmanager
def reserved(folder: Path, *, overwrite: bool) -> Iterator[None]:
    """Hold the folder for this evaluation; leave none that holds nothing.

    Raises:
        UsageError: results lie there, or another process holds it.
        OutputError: it cannot be written.
    """
    _check_free(folder, overwrite=overwrite)
    made = not folder.exists()
    with claim(folder):
        # Another evaluation may have ended in between.
        _check_free(folder, overwrite=overwrite)
        try:
            yield
        finally:
            if made and not any((folder / name).exists() for name in WRITTEN):
                (folder / ".lock").unlink()
                folder.rmdir()


def write(folder: Path, found: Evaluation, content: dict[str, Any]) -> None:
    """Write cases.csv and summary.json; OutputError if they can't be."""
    files.write_rows(folder / "cases.csv", found.rows)
    files.write_json(folder / "summary.json", content)


def _check_free(folder: Path, *, overwrite: bool) -> None:
    """Raise a UsageError if what lies in a folder must not be replaced."""
    there = [name for name in WRITTEN if (folder / name).exists()]
    if is_run(folder):
        msg = f"{folder}: a run's folder. Choose another --output."
    elif any((folder / name).is_dir() for name in there):
        msg = f"{folder}: {' and '.join(there)} in it is a folder. Choose another."
    elif there and not overwrite:
        msg = (
            f"{folder}: holds {' and '.join(there)}. Choose another --output, or "
            "replace them with --overwrite."
        )
    else:
        return
    raise UsageError(msg)
