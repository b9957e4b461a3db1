"""Checkpoints of an unfinished fit as safetensors files."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from uadbench.errors import UsageError
from uadbench.files import write_atomically
from uadbench.protocols import Arrays


class FileCheckpoint:
    """One file for each part: `stem`.safetensors, `stem`-part.safetensors.

    Args:
        stem: path without the extension.
        saved: called after each save, by any part.
    """

    def __init__(self, stem: Path, saved: Callable[[], object] = lambda: None) -> None:
        self._stem = stem
        self._saved = saved

    @property
    def path(self) -> Path:
        """The file of this part."""
        return self._stem.with_name(f"{self._stem.name}.safetensors")

    def load(self) -> Arrays | None:
        """Return what was saved last, or None."""
        return load_arrays(self.path) if self.path.is_file() else None

    def save(self, arrays: Arrays) -> None:
        """Replace what was saved, all or nothing."""
        save_arrays(self.path, arrays)
        self._saved()

    def child(self, name: str) -> "FileCheckpoint":
        """Return the checkpoint of a part of the work."""
        stem = self._stem.with_name(f"{self._stem.name}-{name}")
        return FileCheckpoint(stem, self._saved)


def count_parameters(state: Arrays) -> int:
    """Return the numbers of a method's state that are parameters: no "_name"."""
    return sum(array.size for name, array in state.items() if not name.startswith("_"))


def save_arrays(path: Path, arrays: Arrays) -> None:
    """Write arrays as safetensors, all or nothing."""
    # safetensors writes the memory of an array as it lies: a transposed one would come
    # back with its numbers in the wrong places.
    ordered = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    # Its own writer hides a full disk behind an error of its own.
    write_atomically(path, lambda file: file.write_bytes(save(ordered)))


def load_arrays(path: Path) -> Arrays:
    """Return the arrays of a safetensors file.

    Raises:
        UsageError: it is damaged.
    """
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        msg = f"{path}: not readable ({error}). Delete it, or run with --overwrite."
        raise UsageError(msg) from None
