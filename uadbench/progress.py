"""Monitors: a bar on a terminal, plain lines in a log file, training curves on disk."""

import csv
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from uadbench.files import saving, write_atomically
from uadbench.protocols import Monitor, Silent

Item = TypeVar("Item")
SECONDS_BETWEEN_LINES = 10.0


class Bars(AbstractContextManager["Bars"]):
    """Live bars for a terminal."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
        )
        self._notes: dict[str, str] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def track(
        self, steps: Iterable[Item], label: str, total: int, done: int = 0
    ) -> Iterator[Item]:
        """Yield the steps while a bar fills."""
        task = self._progress.add_task(label, total=total, completed=done, note="")
        for step in steps:
            yield step
            self._progress.update(task, advance=1, note=self._notes.get(label, ""))

    def log(self, name: str, value: float, step: int) -> None:
        """Show the number beside the bar of the same label, "label/loss"."""
        label, _, quantity = name.rpartition("/")
        self._notes[label] = f"{quantity} {value:.4g}"

    def say(self, message: str) -> None:
        """Print one line above the bars."""
        self._progress.console.print(message, markup=False, highlight=False)

    warn = say


class Lines(AbstractContextManager["Lines"]):
    """One plain line now and then, for log files."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._notes: dict[str, str] = {}

    def __exit__(self, *_: object) -> None:
        """End without a trace."""

    def track(
        self, steps: Iterable[Item], label: str, total: int, done: int = 0
    ) -> Iterator[Item]:
        """Yield the steps; print how far they are every ten seconds and at the end."""
        last = start = time.monotonic()
        for count, step in enumerate(steps, start=done + 1):
            yield step
            now = time.monotonic()
            if now - last > SECONDS_BETWEEN_LINES or count == total:
                last = now
                note = self._notes.get(label, "")
                self.say(f"{label} {count}/{total} {now - start:.0f} s {note}".rstrip())

    def log(self, name: str, value: float, step: int) -> None:
        """Show the number in the next line of the same label."""
        label, _, quantity = name.rpartition("/")
        self._notes[label] = f"{quantity} {value:.4g}"

    def say(self, message: str) -> None:
        """Print one line."""
        self._console.print(message, markup=False, highlight=False, soft_wrap=True)

    warn = say


class Quiet(Silent, AbstractContextManager["Quiet"]):
    """Nothing but warnings."""

    def __init__(self, console: Console) -> None:
        self._lines = Lines(console)

    def __exit__(self, *_: object) -> None:
        """End without a trace."""

    def warn(self, message: str) -> None:
        """Print one line."""
        self._lines.warn(message)


class Recorder:
    """Passes everything on to a monitor, and logged numbers to a CSV file as well.

    Steps that a resumed fit repeats are logged again; a reader keeps the last.
    """

    def __init__(self, monitor: Monitor, path: Path) -> None:
        self._monitor = monitor
        self._path = path
        text = path.read_text() if path.is_file() else "name,step,value\n"
        # A run killed while it wrote may have left half a line.
        whole = text[: text.rfind("\n") + 1]
        write_atomically(path, lambda file: file.write_text(whole))

    def track(
        self, steps: Iterable[Item], label: str, total: int, done: int = 0
    ) -> Iterator[Item]:
        """Pass on."""
        yield from self._monitor.track(steps, label, total, done)

    def log(self, name: str, value: float, step: int) -> None:
        """Pass on and append a line."""
        self._monitor.log(name, value, step)
        with saving(self._path), self._path.open("a", newline="") as file:
            csv.writer(file, lineterminator="\n").writerow((name, step, repr(value)))

    def say(self, message: str) -> None:
        """Pass on."""
        self._monitor.say(message)

    def warn(self, message: str) -> None:
        """Pass on."""
        self._monitor.warn(message)


def monitor(quiet: bool) -> Bars | Lines | Quiet:
    """Return the monitor that fits where stderr goes."""
    console = Console(stderr=True)
    if quiet:
        return Quiet(console)
    return Bars(console) if console.is_terminal else Lines(console)
