import errno
from collections.abc import Callable, Sequence
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import ClassVar

import pytest

from uadbench import registry
from uadbench.errors import OutputError, UsageError
from uadbench.protocols import Card
from uadbench.registry import Kind, Listing
from uadbench.rendering import render
from uadbench.results import Run

RUNS = [Run(Path("runs/a"), {"seed": 0})]


class Shelf:
    """Reports that a test puts where installed ones are looked for."""

    def __init__(self) -> None:
        self._made: dict[str, Callable[[], object]] = {}

    def put(self, name: str, make: Callable[[], object]) -> None:
        self._made[name] = make

    def listings(self, kind: Kind) -> list[Listing]:
        group = f"uadbench.{kind}"
        return [Listing(kind, n, "p", EntryPoint(n, "m:r", group)) for n in self._made]

    def load(self, kind: str, name: str) -> Callable[[], object]:
        return self._made[name]


class Writer:
    """A report that writes its name, or raises."""

    card: ClassVar[Card] = Card("Writer")
    gathers = False

    def __init__(self, name: str, error: Exception | None = None) -> None:
        self._name, self._error = name, error

    def render(self, runs: Sequence[Run], out: Path) -> list[Path]:
        if self._error:
            raise self._error
        path = out / f"{self._name}.txt"
        path.write_text(" ".join(sorted(file.name for file in out.glob("[!.]*"))))
        return [path]


class Gatherer(Writer):
    """A report that is made of the others' files."""

    gathers = True


class Unmade:
    """A report that cannot be made."""

    def __init__(self) -> None:
        msg = "no font"
        raise RuntimeError(msg)


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch) -> Shelf:
    fake = Shelf()
    monkeypatch.setattr(registry, "listings", fake.listings)
    monkeypatch.setattr(registry, "load", fake.load)
    return fake


def failing(error: Exception) -> Callable[[], Writer]:
    return lambda: Writer("broken", error)


def test_report_that_gathers_comes_last(tmp_path: Path, shelf: Shelf) -> None:
    shelf.put("a", lambda: Gatherer("a"))
    shelf.put("b", lambda: Writer("b"))
    shelf.put("c", lambda: Writer("c"))
    said: list[str] = []

    files, failed = render(RUNS, tmp_path / "new" / "report", said.append)

    assert [path.name for path in files] == ["b.txt", "c.txt", "a.txt"]
    assert files[-1].read_text() == "b.txt c.txt"
    assert (failed, said) == (0, [])


@pytest.mark.parametrize(
    "error", [ValueError("too few"), FileNotFoundError(errno.ENOENT, "too few")]
)
def test_report_that_fails_is_named_and_the_others_are_made(
    tmp_path: Path, shelf: Shelf, error: Exception
) -> None:
    shelf.put("a", failing(error))
    shelf.put("b", lambda: Writer("b"))
    said: list[str] = []

    files, failed = render(RUNS, tmp_path, said.append)

    assert [path.name for path in files] == ["b.txt"]
    assert failed == 1
    assert said == [f"report 'a' failed: {type(error).__name__}: {error}"]


@pytest.mark.parametrize("make", [Unmade, object])
def test_report_that_cannot_be_made_is_left_out_with_a_warning(
    tmp_path: Path, shelf: Shelf, make: Callable[[], object]
) -> None:
    shelf.put("a", make)
    shelf.put("b", lambda: Writer("b"))
    said: list[str] = []

    files, _ = render(RUNS, tmp_path, said.append)

    assert [path.name for path in files] == ["b.txt"]
    assert len(said) == 1
    assert said[0].startswith("warning: report 'a' is left out: ")


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left"), OutputError("cannot be written")]
)
def test_full_disk_ends_the_report(
    tmp_path: Path, shelf: Shelf, error: Exception
) -> None:
    shelf.put("a", failing(error))

    with pytest.raises(OutputError, match="cannot be written"):
        render(RUNS, tmp_path, print)


def test_folder_that_cannot_be_made_is_an_output_error(
    tmp_path: Path, shelf: Shelf
) -> None:
    shelf.put("a", lambda: Writer("a"))
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(OutputError, match="cannot be written"):
        render(RUNS, tmp_path / "file", print)


def test_report_is_not_written_among_somebodys_files(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("mine")

    with pytest.raises(UsageError, match=r"holds index\.html, but no report"):
        render(RUNS, tmp_path, print)

    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]


def test_full_disk_that_another_error_covers_up_is_told(
    tmp_path: Path, shelf: Shelf
) -> None:
    covered = AttributeError("'Stream' object has no attribute 'pos'")
    covered.__context__ = OSError(errno.ENOSPC, "No space left on device")
    shelf.put("a", failing(covered))

    with pytest.raises(OutputError, match="No space left on device"):
        render(RUNS, tmp_path / "out", print)


def test_file_that_could_not_be_written_is_named(tmp_path: Path, shelf: Shelf) -> None:
    named = OutputError("figures/pr.png: cannot be written")
    named.__context__ = OSError(errno.ENOSPC, "No space left on device")
    shelf.put("a", failing(named))

    with pytest.raises(OutputError, match=r"^figures/pr\.png: cannot be written$"):
        render(RUNS, tmp_path / "out", print)
