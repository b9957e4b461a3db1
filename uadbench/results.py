"""The run folder: what a run leaves on disk, written atomically and read back.

runs/<name>/run.json           status, options, seed, versions, hardware, timings
            cases.csv          one row for each test case, with its subject
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

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from uadbench.errors import UsageError
from uadbench.files import read_json, read_rows, saving, write_json

if TYPE_CHECKING:
    import pandas as pd

FORMAT = 2
REMOVED = "removed"
# What a run folder holds beside run.json.
CONTENT = (
    "baseline",
    "cases.csv",
    "checkpoint",
    "curve.csv",
    "failures.log",
    "maps",
    "model.safetensors",
    "report",
    "shown",
    "summary.json",
    "thresholds.json",
    "training.csv",
)


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
        record = read_json(path)
        if record.get("format") != FORMAT:
            msg = (
                f"{folder}: a run folder of format {record.get('format')!r}, but this "
                f"uadbench reads format {FORMAT}. Use the version that made it "
                f"({record.get('versions', {}).get('uadbench', '?')}) or run anew."
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

    @property
    def whole(self) -> bool:
        """True if every case that was expected is scored."""
        rows = read_rows(self.folder / "cases.csv")
        scored = sum(row["status"] == "ok" for row in rows)
        return bool(scored == self.record["expected"])

    @cached_property
    def cases(self) -> "pd.DataFrame":
        """cases.csv: a row for each case, with "case", "status", strata and metrics."""
        import pandas as pd

        return pd.DataFrame(read_rows(self.folder / "cases.csv"))

    @cached_property
    def summary(self) -> Mapping[str, Any]:
        """summary.json: "cases" (counts), "subject" and "pooled" metrics."""
        return read_json(self.folder / "summary.json")

    @cached_property
    def thresholds(self) -> Mapping[str, Mapping[str, Any]]:
        """thresholds.json by column suffix ("fpr5", "oracle" ...)."""
        return read_json(self.folder / "thresholds.json")

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


def differences(
    old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, object, object]]:
    """Yield each value of `new` that another record has not: name, old and new value.

    Inner names come after those of what they are in: "dataset.options.seed".
    """
    for name, value in new.items():
        before = old.get(name)
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            yield from differences(before, value, f"{prefix}{name}.")
        elif value != before:
            yield f"{prefix}{name}", before, value


def find_runs(folder: Path) -> list[Run]:
    """Return the runs that a folder is or holds, by name; some may be unfinished.

    Raises:
        UsageError: there is none, or none is finished.
    """
    inner = [place.parent for place in sorted(folder.glob("*/run.json"))]
    places = [*([folder] if is_run(folder) else []), *inner]
    if not places:
        msg = f"{folder}: holds no run folder; give one that 'uadbench run' made."
        raise UsageError(msg)
    runs = [Run.load(place) for place in places]
    if not any(run.done for run in runs):
        msg = f"{folder}: no run in it is finished. Repeat its command first."
        raise UsageError(msg)
    return runs


def is_run(folder: Path) -> bool:
    """Return whether a folder holds a run."""
    return (folder / "run.json").is_file()


def check_free(folder: Path) -> None:
    """Raise a UsageError if a folder has the content of a run, but is none."""
    there = [name for name in CONTENT if (folder / name).exists()]
    if there and not is_run(folder):
        msg = (
            f"{folder}: holds {', '.join(there)} but no run.json: not a run folder, "
            "and never overwritten. Choose another --name or --output, or move it away."
        )
        raise UsageError(msg)


def clear(folder: Path) -> None:
    """Remove what a run left, and nothing else; "run.json", which marks it, last.

    Raises:
        UsageError: there is such content without a run.json: it may be somebody's.
        OutputError: it cannot be removed.
    """
    check_free(folder)
    if not is_run(folder):
        return
    # Killed half-way, the rest must neither look like a run nor like somebody's.
    write_json(folder / "run.json", {"format": FORMAT, "status": REMOVED})
    with saving(folder):
        for name in (*CONTENT, "run.json"):
            path = folder / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


@contextmanager
def claim(folder: Path) -> Iterator[None]:
    """Hold a folder of results for this process; however it ends, the lock ends too.

    Raises:
        UsageError: another process holds it.
        OutputError: the folder cannot be made.
    """
    with saving(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock", blocking=False)
        try:
            lock.acquire()
        except Timeout:
            msg = f"{folder}: another uadbench is working in it. Wait for it to end."
            raise UsageError(msg) from None
    try:
        yield
    finally:
        lock.release()
