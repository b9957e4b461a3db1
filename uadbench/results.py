"""The run folder: what a run leaves on disk, written atomically and read back.

runs/<name>/run.json           status, options, seed, versions, hardware, timings
            cases.csv          one row for each test case
            summary.json       means with confidence intervals, pooled metrics, counts
            thresholds.json    value, strategy, supervision, hash of the pipeline
            curve.csv          pooled precision, recall and FPR by threshold
            training.csv       numbers that the method logged while it learned
            model.safetensors  what the method learned
            maps/              score and masks on the input's own grid
            shown/             the slice of each case that the figures show
            report/            tables, figures, page
            checkpoint/        state of an unfinished fit
"""

import csv
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from uadbench.errors import OutputError, UsageError

if TYPE_CHECKING:
    import pandas as pd

FORMAT = 1
Row = Mapping[str, object]


@dataclass(frozen=True)
class Run:
    """A run folder, read.

    Attributes:
        folder: where it is.
        record: run.json.
    """

    folder: Path
    record: Mapping[str, Any]

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return the run in a folder.

        Raises:
            UsageError: it holds no run, or one of another format.
        """
        path = folder / "run.json"
        if not path.is_file():
            msg = f"{folder}: no run.json; a folder that 'uadbench run' made is needed."
            raise UsageError(msg)
        record = _read_json(path)
        if record.get("format") != FORMAT:
            msg = (
                f"{folder}: a run folder of format {record.get('format')!r}, but this "
                f"uadbench reads format {FORMAT}. Use the version that made it "
                f"({record.get('versions', {}).get('uadbench', 'unknown')}) or run anew."
            )
            raise UsageError(msg)
        return cls(folder, record)

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.name

    @property
    def done(self) -> bool:
        """True if the run went through to its summary."""
        return bool(self.record["status"] == "done")

    @property
    def method(self) -> str:
        """The method's registered name."""
        return str(self.record["method"]["name"])

    @property
    def title(self) -> str:
        """The method's title for tables and figures."""
        return str(self.record["method"]["title"])

    @cached_property
    def cases(self) -> "pd.DataFrame":
        """cases.csv: a row for each case, with "case", "status", strata and metrics."""
        import pandas as pd

        return pd.read_csv(self.folder / "cases.csv", dtype={"case": str})

    @cached_property
    def summary(self) -> Mapping[str, Any]:
        """summary.json: "cases" (counts), "subject" and "pooled" metrics."""
        return _read_json(self.folder / "summary.json")

    @cached_property
    def thresholds(self) -> Mapping[str, Mapping[str, Any]]:
        """thresholds.json by column suffix ("fpr5", "oracle" ...)."""
        return _read_json(self.folder / "thresholds.json")

    @cached_property
    def curve(self) -> "pd.DataFrame":
        """curve.csv: "threshold", "precision", "recall", "fpr", pooled over cases."""
        import pandas as pd

        return pd.read_csv(self.folder / "curve.csv")

    def shown(self, case: str) -> Mapping[str, NDArray[Any]]:
        """Return the slice of a case that figures show: arrays (X, Y), trace (K, X, Y).

        Always "image", "brain", "lesion", "score"; "mask" and the method's extras where
        it gives them; "spacing" (2,) in mm.
        """
        with np.load(self.folder / "shown" / f"{case}.npz") as arrays:
            return dict(arrays)


def is_run(folder: Path) -> bool:
    """Return whether a folder holds a run."""
    return (folder / "run.json").is_file()


def write_json(path: Path, content: object) -> None:
    """Write JSON, all or nothing; numbers that are not finite become null."""
    text = json.dumps(_finite(content), indent=2, default=str) + "\n"
    write_atomically(path, lambda file: file.write_text(text))


def write_rows(path: Path, rows: list[Row]) -> None:
    """Write rows as CSV, all or nothing; the columns are those of all rows, in order."""
    columns = list(dict.fromkeys(key for row in rows for key in row))

    def write(file: Path) -> None:
        with file.open("w", newline="") as handle:
            table = csv.DictWriter(handle, columns, restval="", lineterminator="\n")
            table.writeheader()
            table.writerows({k: _cell(v) for k, v in row.items()} for row in rows)

    write_atomically(path, write)


def read_rows(path: Path) -> list[dict[str, object]]:
    """Return the rows of a CSV with numbers as floats; [] if there is none."""
    if not path.is_file():
        return []
    with path.open(newline="") as handle:
        return [
            {k: _value(v) for k, v in row.items()} for row in csv.DictReader(handle)
        ]


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
            write(temporary)
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def saving(path: Path) -> Iterator[None]:
    """Turn a failure to write `path` into an OutputError."""
    try:
        yield
    except OSError as error:
        msg = (
            f"{path}: cannot be written ({error.strerror or error}). What is finished is "
            "kept: make room or give write permission, then repeat the same command."
        )
        raise OutputError(msg) from error


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        msg = f"{path}: not readable as JSON ({error}). Run again with --overwrite."
        raise UsageError(msg) from None
    if not isinstance(content, dict):
        msg = f"{path}: expected a JSON object, got {type(content).__name__}."
        raise UsageError(msg)
    return content


def _finite(content: object) -> object:
    """Return JSON content with NaN and infinity as None, which JSON has no words for."""
    if isinstance(content, Mapping):
        return {str(key): _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    if isinstance(content, np.generic):
        return _finite(content.item())
    if isinstance(content, float) and not np.isfinite(content):
        return None
    return content


def _cell(value: object) -> object:
    # repr of a float reads back to the same float, so that a resumed run has the same rows.
    return repr(float(value)) if isinstance(value, float | np.floating) else value


def _value(text: str) -> object:
    try:
        return float(text)
    except ValueError:
        return text


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
