"""Volumes in and out: ours beside nibabel, one thread and two, cold and cached.

Read the ratios, not the seconds. The last group shows that slices cost in proportion.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from nibabel.nifti1 import Nifti1Image
from numpy.typing import NDArray
from pytest_benchmark.fixture import BenchmarkFixture
from scipy.ndimage import gaussian_filter

from uadbench.ahead import loaded
from uadbench.methods._nn.scans import Grid, filled
from uadbench.protocols import Context, Lazy, Scan
from uadbench.volumes import read_volume, write_volume

SHAPE = (240, 240, 155)
COUNT = 4
GRID = Grid(128, 240.0, "median")


def head(shape: tuple[int, int, int], seed: int = 0) -> NDArray[np.int16]:
    """Return smooth tissue with noise in an ellipsoid, int16 as a scanner has it."""
    rng = np.random.default_rng(seed)
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    inside = sum(axis**2 for axis in axes) < 0.7
    tissue = gaussian_filter(rng.normal(size=shape), 2)
    signal = 800 + 120 * tissue / tissue.std() + rng.normal(scale=30, size=shape)
    return np.asarray(signal * inside, np.int16)


def scan_of(voxels: NDArray[np.float32], name: str) -> Scan:
    spacing = (1.0, 1.0, 1.0)
    slices = tuple(range(voxels.shape[2]))
    return Scan(name, voxels[None], voxels > 0, spacing, np.eye(4), ("T2",), slices)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("heads")
    paths = [folder / f"{number}.nii.gz" for number in range(COUNT)]
    for seed, path in enumerate(paths):
        Nifti1Image(head(SHAPE, seed), np.eye(4)).to_filename(path)
    return paths


def by_nibabel(path: Path) -> NDArray[np.float32]:
    """Return the voxels in numpy's order, as `read_volume` does."""
    image = nib.loadsave.load(path)
    assert isinstance(image, Nifti1Image)
    return np.ascontiguousarray(image.get_fdata(dtype=np.float32))


def by_ours(path: Path) -> NDArray[np.float32]:
    return read_volume(path)[0]


@pytest.mark.benchmark(group=f"read {COUNT} int16 volumes of 240 x 240 x 155")
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("read", [by_nibabel, by_ours])
def test_reading(
    benchmark: BenchmarkFixture,
    files: list[Path],
    read: Callable[[Path], NDArray[np.float32]],
    threads: int,
) -> None:
    def all_of_them() -> list[float]:
        return [float(v[120, 120, 77]) for v in loaded(files, read, threads)]

    found = benchmark(all_of_them)

    assert found == [float(by_nibabel(path)[120, 120, 77]) for path in files]


def to_nibabel(path: Path, voxels: NDArray[np.float32]) -> None:
    Nifti1Image(voxels, np.eye(4)).to_filename(path)


def to_ours(path: Path, voxels: NDArray[np.float32]) -> None:
    write_volume(path, voxels, scan_of(voxels, "a"))


@pytest.mark.benchmark(group="write a float32 score of 240 x 240 x 155")
@pytest.mark.parametrize("write", [to_nibabel, to_ours])
def test_writing(
    benchmark: BenchmarkFixture,
    tmp_path: Path,
    write: Callable[[Path, NDArray[np.float32]], None],
) -> None:
    voxels = head(SHAPE)
    score = np.where(voxels > 0, abs(gaussian_filter(voxels / 800, 1)), 0)
    path = tmp_path / "score.nii.gz"

    benchmark(write, path, score.astype(np.float32))

    benchmark.extra_info["bytes"] = path.stat().st_size
    np.testing.assert_array_equal(by_nibabel(path), score.astype(np.float32))


def lazy(files: list[Path]) -> Lazy[Scan]:
    def load(name: str) -> Scan:
        return scan_of(read_volume(files[int(name)])[0], name)

    names = [str(number) for number in range(len(files))]
    return Lazy(names, load, fingerprint=lambda name: f"head {name}")


@pytest.fixture(params=["cold", "cached"])
def context(
    request: pytest.FixtureRequest, files: list[Path], tmp_path: Path
) -> Iterator[Context]:
    if request.param == "cold":
        yield Context()
    else:
        ctx = Context(cache=tmp_path)
        filled(lazy(files), lambda scan: scan, GRID, ctx, "bench", "training")
        yield ctx


@pytest.mark.benchmark(group=f"slices of {COUNT} volumes to learn from")
def test_slices(
    benchmark: BenchmarkFixture, files: list[Path], context: Context
) -> None:
    def slices() -> int:
        found = filled(
            lazy(files), lambda scan: scan, GRID, context, "bench", "training"
        )
        return sum(len(images) for images, _ in found)

    assert benchmark(slices) > COUNT * 100


@pytest.mark.benchmark(group="read and cut, by number of slices")
@pytest.mark.parametrize("factor", [1, 4, 16])
def test_growth(benchmark: BenchmarkFixture, tmp_path: Path, factor: int) -> None:
    path = tmp_path / "a.nii.gz"
    part = head((240, 240, 20))[..., 5:15]
    voxels = np.tile(part, factor)
    Nifti1Image(voxels, np.eye(4)).to_filename(path)

    def cut() -> int:
        return len(GRID.cut(scan_of(read_volume(path)[0], "a")).images)

    found = benchmark(cut)

    assert found == 10 * factor
