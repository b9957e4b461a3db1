import errno
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from uadbench.cache import Pair, cached
from uadbench.protocols import Silent

KEY, OTHER = 8 * "0123", 8 * "abcd"
DAY = 24 * 3600
FILES = ("images.npy", "brain.npy", "sums.json")


class Warned(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def warn(self, message: str) -> None:
        self.lines.append(message)


def pairs() -> list[Pair]:
    """Two scans with slices and one without, between them."""
    rng = np.random.default_rng(0)
    shapes = [(3, 2, 4, 4), (0, 2, 4, 4), (2, 2, 4, 4)]
    return [
        (rng.normal(size=shape).astype(np.float32), rng.random((shape[0], 1, 4, 4)) > 0)
        for shape in shapes
    ]


def unneeded() -> list[Pair]:
    pytest.fail("made again, although it was stored")


def check_equal(found: object, expected: list[Pair]) -> None:
    assert isinstance(found, list)
    for arrays, twins in zip(
        zip(*found, strict=True), zip(*expected, strict=True), strict=True
    ):
        array, twin = np.concatenate(arrays), np.concatenate(twins)
        assert array.dtype == twin.dtype
        np.testing.assert_array_equal(array, twin)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "deep" / KEY
    cached(place, pairs, Silent())
    return place


def test_what_was_stored_comes_back(folder: Path) -> None:
    check_equal(cached(folder, unneeded, Silent()), pairs())


def test_stored_arrays_are_mapped_and_can_be_written_to_without_a_trace(
    folder: Path,
) -> None:
    images, _ = cached(folder, unneeded, Silent())[0]
    base = images
    while isinstance(base.base, np.ndarray):
        base = base.base
    images[0] = 7

    assert isinstance(base, np.memmap)
    check_equal(cached(folder, unneeded, Silent()), pairs())


def test_stored_files_are_npy(folder: Path) -> None:
    images = np.load(folder / "images.npy")

    np.testing.assert_array_equal(images, np.concatenate([p[0] for p in pairs()]))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    "damage", [Path.unlink, cut, flip, lambda p: p.write_bytes(b""), lambda p: None]
)
def test_what_is_damaged_is_made_again(
    folder: Path, damage: Callable[[Path], object], name: str
) -> None:
    before = (folder / name).read_bytes()
    damage(folder / name)
    changed = not (folder / name).exists() or (folder / name).read_bytes() != before
    calls: list[int] = []

    def make() -> list[Pair]:
        calls.append(1)
        return pairs()

    # A flipped bit of JSON may be a blank that says the same.
    check_equal(cached(folder, make, Silent()), pairs())
    assert len(calls) <= changed
    assert name == "sums.json" or len(calls) == changed
    check_equal(cached(folder, unneeded, Silent()), pairs())


def test_content_of_another_form_is_made_again(folder: Path) -> None:
    (folder / "sums.json").write_text('{"sums": 3}')

    check_equal(cached(folder, pairs, Silent()), pairs())


def test_without_room_the_work_goes_on_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    monitor = Warned()

    check_equal(cached(tmp_path / KEY, pairs, monitor), pairs())

    assert len(monitor.lines) == 1
    assert "not kept for the next run" in monitor.lines[0]
    assert "No space left" in monitor.lines[0]
    assert [p.name for p in tmp_path.iterdir()] == [f"{KEY}.lock"]


def test_beside_another_process_that_writes_the_same_nothing_is_stored(
    tmp_path: Path,
) -> None:
    monitor = Warned()
    with FileLock(tmp_path / f"{KEY}.lock"):
        check_equal(cached(tmp_path / KEY, pairs, monitor), pairs())

    assert monitor.lines == []
    assert not (tmp_path / KEY).exists()


def test_rest_of_a_killed_process_is_replaced(tmp_path: Path) -> None:
    part = tmp_path / f"{KEY}.part"
    part.mkdir()
    (part / "images.npy").write_bytes(b"half")

    cached(tmp_path / KEY, pairs, Silent())

    assert not part.exists()
    check_equal(cached(tmp_path / KEY, unneeded, Silent()), pairs())


def test_errors_of_the_making_are_its_own(tmp_path: Path) -> None:
    def fail() -> list[Pair]:
        raise FileNotFoundError(errno.ENOENT, "a scan is gone")

    with pytest.raises(FileNotFoundError, match="a scan is gone"):
        cached(tmp_path / KEY, fail, Silent())

    assert list(tmp_path.iterdir()) == []


def test_a_mapped_array_outlives_its_folder(folder: Path) -> None:
    found = cached(folder, unneeded, Silent())

    shutil.rmtree(folder)

    check_equal(found, pairs())


def age(folder: Path, days: float) -> None:
    """Let it be some days since a folder was used."""
    then = time.time() - days * DAY
    for path in (*folder.iterdir(), folder):
        os.utime(path, (then, then))


def store_another(shelf: Path) -> None:
    cached(shelf / OTHER, pairs, Silent())


def test_what_was_not_used_for_thirty_days_is_removed(folder: Path) -> None:
    age(folder, 31)
    store_another(folder.parent)

    assert not folder.exists()
    check_equal(cached(folder.parent / OTHER, unneeded, Silent()), pairs())


def test_what_was_used_within_thirty_days_is_kept(folder: Path) -> None:
    age(folder, 29)
    store_another(folder.parent)

    check_equal(cached(folder, unneeded, Silent()), pairs())


def test_reading_is_a_use(folder: Path) -> None:
    age(folder, 31)
    cached(folder, unneeded, Silent())
    store_another(folder.parent)

    check_equal(cached(folder, unneeded, Silent()), pairs())


def test_nothing_is_removed_without_something_new(folder: Path) -> None:
    store_another(folder.parent)
    age(folder, 31)

    cached(folder.parent / OTHER, unneeded, Silent())

    assert folder.exists()


def test_old_rest_of_a_killed_process_is_removed(folder: Path) -> None:
    part = folder.rename(folder.with_suffix(".part"))
    age(part, 31)
    store_another(part.parent)

    assert not part.exists()


def test_what_is_not_of_the_cache_is_never_removed(tmp_path: Path) -> None:
    named, fuller, target = (tmp_path / x for x in ("notes", 32 * "1", "elsewhere"))
    for place in (named, fuller, target):
        place.mkdir()
        (place / "images.npy").touch()
    (fuller / "mine.txt").touch()
    for place in (named, fuller, target):
        age(place, 99)
    link = tmp_path / (32 * "2")
    link.symlink_to(target)
    file = tmp_path / (32 * "3")
    file.touch()
    os.utime(file, (0, 0))

    store_another(tmp_path)

    assert all(path.exists() for path in (named, fuller, target, link, file))


def test_what_another_process_writes_is_not_removed(folder: Path) -> None:
    age(folder, 31)
    with FileLock(folder.with_suffix(".lock")):
        store_another(folder.parent)

    assert folder.exists()


def test_what_was_used_while_it_was_being_locked_is_kept(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Late(FileLock):
        def __enter__(self) -> "Late":
            os.utime(folder / "sums.json")
            super().__enter__()
            return self

    age(folder, 31)
    monkeypatch.setattr("uadbench.cache.FileLock", Late)
    store_another(folder.parent)

    assert folder.exists()


def test_what_cannot_be_removed_or_touched_is_no_hindrance(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, *_: object, ignore_errors: bool = False) -> None:
        if not ignore_errors:
            raise PermissionError(errno.EACCES, "another user's", str(path))

    age(folder, 31)
    monkeypatch.setattr("shutil.rmtree", refuse)
    monkeypatch.setattr("os.utime", refuse)
    monitor = Warned()

    check_equal(cached(folder.parent / OTHER, pairs, monitor), pairs())
    check_equal(cached(folder, unneeded, monitor), pairs())

    assert monitor.lines == []


def test_a_disk_that_knows_no_locks_keeps_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Lockless(FileLock):
        def __enter__(self) -> "Lockless":
            msg = "FileSystem does not appear to support flock"
            raise NotImplementedError(msg)

    monkeypatch.setattr("uadbench.cache.FileLock", Lockless)
    monitor = Warned()

    check_equal(cached(tmp_path / KEY, pairs, monitor), pairs())

    assert "support flock" in monitor.lines[0]
    assert not (tmp_path / KEY).exists()
