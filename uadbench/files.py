"""Files of results: JSON and CSV, written all or nothing."""

import csv
import errno
import hashlib
import io
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from uadbench.errors import OutputError, UadbenchError, UsageError

# The case "007" and the hash "12345678" are words.
TEXT = ("case", "cell", "subject", "status", "error", "content")
Row = Mapping[str, object]
# What a full or protected disk answers.
UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)


def read_json(path: Path) -> dict[str, Any]:
    """Return a JSON object.

    Raises:
        UsageError: it is missing or damaged.
    """
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        msg = f"{path}: not readable as JSON ({error}). Run again with --overwrite."
        raise UsageError(msg) from None
    if not isinstance(content, dict):
        msg = f"{path}: expected a JSON object, got {type(content).__name__}."
        raise UsageError(msg)
    return content


def append_text(path: Path, text: str) -> None:
    """Add text to the end of a file."""
    with saving(path), path.open("a", encoding="utf-8") as file:
        file.write(text)


def write_json(path: Path, content: object) -> None:
    """Write JSON, all or nothing; numbers that are not finite become null."""
    text = json.dumps(_finite(content), indent=2, default=str) + "\n"
    write_atomically(path, lambda file: file.write_text(text))


def write_rows(path: Path, rows: Sequence[Row], columns: Sequence[str] = ()) -> None:
    """Write rows as CSV, all or nothing: the given columns, then those of all rows."""
    names = list(dict.fromkeys([*columns, *(key for row in rows for key in row)]))

    def write(file: Path) -> None:
        with _open(file, "w") as handle:
            table = _table(handle, names)
            table.writeheader()
            table.writerows({k: _cell(v) for k, v in row.items()} for row in rows)

    write_atomically(path, write)


class GrowingRows:
    """A CSV of rows that come one by one, each on disk when it is added.

    A row goes to the end of the file, so that the last takes as long as the first. Only
    one with new columns has all written anew. A process that is killed leaves part of a
    line at most, which `read_rows` passes over.

    Args:
        path: of the CSV.
        rows: that are kept from an earlier file; written with the first that is added.
    """

    def __init__(self, path: Path, rows: Iterable[Row]) -> None:
        self._path = path
        self._rows = list(rows)
        self._columns: list[str] = []

    def add(self, row: Row) -> None:
        """Write one row more.

        Raises:
            OutputError: the disk is full, or the folder cannot be written.
        """
        self._rows.append(row)
        if row.keys() <= set(self._columns):
            with saving(self._path), _open(self._path, "a") as handle:
                cells = {name: _cell(value) for name, value in row.items()}
                _table(handle, self._columns).writerow(cells)
            return
        write_rows(self._path, self._rows)
        self._columns = list(dict.fromkeys(key for row in self._rows for key in row))


def read_rows(path: Path) -> list[dict[str, object]]:
    """Return the rows of a CSV of ours, numbers as floats; [] if there is none."""
    if not path.is_file():
        return []
    with _open(path, "r") as handle:
        text = handle.read()
    # A process that was killed while it added a row has left part of a line.
    whole = io.StringIO(text[: text.rfind("\n") + 1], newline="")
    return [
        {key: text if is_text(key) else _value(text) for key, text in row.items()}
        for row in csv.DictReader(whole)
    ]


def short_hash(words: str) -> str:
    """Return 16 hexadecimal digits that tell one text from another."""
    return hashlib.sha256(words.encode()).hexdigest()[:16]


def is_text(column: str) -> bool:
    """Return whether a column of a CSV of ours holds words, however they look."""
    return column in TEXT or column.startswith("stratum_")


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Call `write` with a temporary path beside `path`, then put it in its place.

    Raises:
        OutputError: the disk is full, or the folder cannot be written.
    """
    with saving(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        # The temporary name keeps the suffixes, by which libraries choose a format.
        handle, name = tempfile.mkstemp(
            dir=path.parent, prefix=".", suffix="".join(path.suffixes) or ".tmp"
        )
        os.close(handle)
        temporary = Path(name)
        try:
            with uncovered():
                write(temporary)
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def uncovered() -> Iterator[None]:
    """Raise what ended a write, not what a library met when it then closed its file.

    That is Ctrl-C, or the OSError of a disk that is full or protected.
    """
    try:
        yield
    except UadbenchError:
        # Its message has the file already.
        raise
    except Exception as error:
        behind: BaseException | None = error
        while behind is not None:
            if isinstance(behind, KeyboardInterrupt) or is_unwritable(behind):
                raise behind from None
            behind = behind.__context__
        raise


def is_unwritable(error: BaseException) -> bool:
    """Return whether an error is that of a full or protected disk."""
    return isinstance(error, OSError) and error.errno in UNWRITABLE


@contextmanager
def saving(path: Path) -> Iterator[None]:
    """Turn a failure to write `path` into an OutputError."""
    try:
        yield
    except OSError as error:
        remedy = (
            "Make room or give write permission, then repeat the same command; run and "
            "compare go on."
            if is_unwritable(error)
            else "Choose another --output, or mend the path."
        )
        msg = f"{path}: cannot be written ({error.strerror or error}). {remedy}"
        raise OutputError(msg) from error


def _finite(content: object) -> object:
    """Return JSON content with NaN and infinity as None: JSON has no words for them."""
    if isinstance(content, Mapping):
        return {str(key): _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    if isinstance(content, np.generic):
        return _finite(content.item())
    if isinstance(content, float) and not np.isfinite(content):
        return None
    return content


def _table(handle: IO[str], names: Sequence[str]) -> "csv.DictWriter[str]":
    return csv.DictWriter(handle, names, restval="", lineterminator="\n")


def _cell(value: object) -> object:
    # repr of a float reads back to the same float: a resumed run has the same rows.
    return repr(float(value)) if isinstance(value, float | np.floating) else value


def _value(text: str) -> float:
    return float(text) if text else float("nan")


def _open(path: Path, mode: str) -> IO[str]:
    # A file name, which may be a case's, need not be UTF-8: its bytes are kept.
    return path.open(mode, newline="", encoding="utf-8", errors="surrogateescape")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
