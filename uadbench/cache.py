"""Slices of many scans in two files, mapped into memory instead of made again."""

import os
import re
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from isal.isal_zlib import crc32
from numpy.typing import NDArray

from uadbench.errors import OutputError, UsageError
from uadbench.files import read_json, write_json
from uadbench.protocols import Monitor

# Of some scans: images, float32 (N, C, S, S), and brain, bool (N, 1, S, S).
Pair = tuple[NDArray[np.float32], NDArray[np.bool_]]
PART = 256  # slices
FILES = ("images.npy", "brain.npy")
SUMS = "sums.json"
# Names of folders: fingerprints; those that are being written have a suffix.
OURS = re.compile(r"[0-9a-f]{32}(\.part)?")
KEPT = 30 * 24 * 3600  # seconds since the last use
UNUSABLE = (OSError, UsageError, ValueError, KeyError, TypeError)


def cached(
    folder: Path, make: Callable[[], list[Pair]], monitor: Monitor
) -> Sequence[Pair]:
    """Return what a folder holds of an earlier call, or else make it and store it.

    Nothing that is wrong with the folder ends the work: what is damaged is made again,
    and without room, or beside another process that writes the same, nothing is stored.

    What is stored comes back in parts of slices, whatever scans they are from. Folders
    beside it that no call has used for 30 days are removed when it is stored.

    Args:
        folder: its name says what is stored; it may not be there.
        make: returns one pair for each scan, at least one slice in all.
        monitor: told that nothing could be stored.
    """
    found = _mapped(folder)
    if found is not None:
        return found
    made = make()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _remove_unused(folder.parent)
        with _lock(folder):
            _store(folder, made)
    except Timeout:
        return made
    # Some versions of filelock raise the last on disks that know no locks.
    except (OSError, OutputError, NotImplementedError) as error:
        monitor.warn(
            f"warning: slices are not kept for the next run ({error}). Make room, or "
            "give another --cache."
        )
        return made
    return _mapped(folder) or made


def _lock(folder: Path) -> FileLock:
    return FileLock(folder.with_suffix(".lock"), blocking=False)


def _remove_unused(shelf: Path) -> None:
    """Remove folders that no call has used for 30 days.

    One that is locked or cannot be removed stays.
    """
    for folder in shelf.iterdir():
        # The lock file stays: another process may be about to take it.
        with suppress(OSError, Timeout):
            if _is_unused(folder):
                with _lock(folder):
                    # Another process may have used it meanwhile.
                    if _is_unused(folder):
                        shutil.rmtree(folder)


def _is_unused(folder: Path) -> bool:
    """Return whether a folder is certainly of a cache, and of no use for 30 days."""
    if not OURS.fullmatch(folder.name) or not folder.is_dir():
        return False
    content = list(folder.iterdir())
    if not {path.name for path in content} <= {*FILES, SUMS}:
        return False
    used = max(path.stat().st_mtime for path in (folder, *content))
    return time.time() - used > KEPT


def _store(folder: Path, pairs: Sequence[Pair]) -> None:
    """Write a folder, all or nothing."""
    part = folder.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    try:
        for name, arrays in zip(FILES, zip(*pairs, strict=True), strict=True):
            _save(part / name, arrays)
        sums = {name: _checksum(part / name) for name in FILES}
        write_json(part / SUMS, sums)
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _save(path: Path, arrays: Sequence[NDArray[Any]]) -> None:
    """Write arrays as if they were one, without a copy of all in memory."""
    first = arrays[0]
    header = {
        "descr": np.lib.format.dtype_to_descr(first.dtype),
        "fortran_order": False,
        "shape": (sum(map(len, arrays)), *first.shape[1:]),
    }
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for array in arrays:
            file.write(np.ascontiguousarray(array).data)
        file.flush()
        os.fsync(file.fileno())


def _mapped(folder: Path) -> list[Pair] | None:
    """Return what a folder holds; None where it is not sound."""
    if not folder.is_dir():
        return None
    try:
        _check(folder, read_json(folder / SUMS))
        # Copy on write: torch warns of arrays that it could not write to.
        images, brain = (np.load(folder / name, mmap_mode="c") for name in FILES)
    except UNUSABLE:
        return None
    with suppress(OSError):
        # The time of the last use; another user's cache cannot have it.
        os.utime(folder / SUMS)
    # In parts, so that who copies one part after the other never holds all.
    starts = range(0, len(images), PART)
    return [(images[at : at + PART], brain[at : at + PART]) for at in starts]


def _check(folder: Path, sums: object) -> None:
    if sums != {name: _checksum(folder / name) for name in FILES}:
        msg = "another checksum"
        raise ValueError(msg)


def _checksum(path: Path) -> int:
    return crc32(np.memmap(path, np.uint8, "r"))
