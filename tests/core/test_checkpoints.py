import resource
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from uadbench.checkpoints import FileCheckpoint, load_arrays, save_arrays
from uadbench.errors import OutputError, UsageError


@pytest.fixture
def small_disk() -> Iterator[None]:
    """No file may grow past 2 kB."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_arrays_come_back_however_they_lie_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    square = np.arange(12.0).reshape(3, 4)
    arrays = {
        "plain": square,
        "transposed": square.T,
        "every second": square[:, ::2],
        "reversed": square[::-1],
        "fortran": np.asfortranarray(square),
        "scalar": np.array(7, np.int64),
        "half": square.astype(np.float16),
        "mask": square > 3,
        "none": np.zeros((0, 3), np.float32),
    }

    save_arrays(path, arrays)

    found = load_arrays(path)
    assert set(found) == set(arrays)
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize("content", [b"", b"not safetensors at all"])
def test_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)

    with pytest.raises(UsageError, match=r"model\.safetensors: not readable .* Delete"):
        load_arrays(path)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not readable"):
        load_arrays(tmp_path / "model.safetensors")


def test_checkpoint_without_file_has_nothing(tmp_path: Path) -> None:
    assert FileCheckpoint(tmp_path / "checkpoint" / "fit").load() is None


def test_checkpoint_returns_what_was_saved_last(tmp_path: Path) -> None:
    checkpoint = FileCheckpoint(tmp_path / "checkpoint" / "fit")

    checkpoint.save({"step": np.array(1)})
    checkpoint.save({"step": np.array(2)})

    found = FileCheckpoint(tmp_path / "checkpoint" / "fit").load()
    assert found is not None
    assert found["step"] == 2


def test_parts_have_files_of_their_own(tmp_path: Path) -> None:
    whole = FileCheckpoint(tmp_path / "fit")
    part = whole.child("first.step")

    part.save({"a": np.array(1)})

    assert whole.load() is None
    assert [path.name for path in tmp_path.iterdir()] == ["fit-first.step.safetensors"]


def test_every_save_of_any_part_is_told(tmp_path: Path) -> None:
    saves: list[str] = []
    checkpoint = FileCheckpoint(tmp_path / "fit", lambda: saves.append("saved"))

    checkpoint.save({"a": np.zeros(1)})
    checkpoint.child("part").save({"a": np.zeros(1)})

    assert saves == ["saved", "saved"]


@pytest.mark.usefixtures("small_disk")
def test_full_disk_keeps_the_earlier_checkpoint(tmp_path: Path) -> None:
    checkpoint = FileCheckpoint(tmp_path / "fit")
    checkpoint.save({"step": np.array(1)})

    with pytest.raises(OutputError, match=r"fit\.safetensors: cannot be written"):
        checkpoint.save({"weights": np.zeros(10_000)})

    found = checkpoint.load()
    assert found is not None
    assert found["step"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["fit.safetensors"]
