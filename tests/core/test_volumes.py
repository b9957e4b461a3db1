# nibabel annotates only some of its functions.
# mypy: allow-untyped-calls

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from uadbench.protocols import Scan
from uadbench.volumes import read_grid, read_mask, read_volume, write_volume

Affine = NDArray[np.float64]
SHAPE = (7, 6, 5)
SPACING = (0.94, 1.1, 6.5)


def straight(axes: str) -> Affine:
    """An affine whose voxel axes point to such as "PIR"; SPACING is that in RAS."""
    affine = np.eye(4)
    affine[:3, :3] = 0
    for column, code in enumerate(axes):
        row = "RAS".find(code) if code in "RAS" else "LPI".find(code)
        affine[row, column] = SPACING[row] if code in "RAS" else -SPACING[row]
    affine[:3, 3] = (-90.5, -126.25, 71.0)
    return affine


def oblique() -> Affine:
    affine = straight("LPS")
    turn = Rotation.from_euler("xyz", [12, -8, 20], degrees=True).as_matrix()
    affine[:3, :3] = turn @ affine[:3, :3]
    return affine


def sheared() -> Affine:
    affine = straight("RAS")
    affine[0, 1] = 0.4
    return affine


AFFINES = {
    "LPS": straight("LPS"),
    "RAS": straight("RAS"),
    "PIR": straight("PIR"),
    "SLA": straight("SLA"),
    "oblique": oblique(),
    "sheared": sheared(),
}


def save(
    path: Path,
    voxels: NDArray[Any],
    affine: Affine,
    codes: tuple[int, int] = (1, 1),
) -> Path:
    """Write a file as another tool would; codes are those of sform and qform."""
    image = nib.nifti1.Nifti1Image(voxels, affine)
    image.set_sform(affine, code=codes[0])
    image.set_qform(affine, code=codes[1])
    nib.loadsave.save(image, path)
    return path


def load(path: Path) -> Any:  # nibabel's images have no common static type
    return nib.loadsave.load(path)


def noise(shape: tuple[int, ...] = SHAPE) -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def scan_of(path: Path) -> Scan:
    voxels, grid = read_volume(path)
    return Scan(
        id="a",
        image=voxels[None],
        brain=np.ones(grid.shape, bool),
        spacing=grid.spacing,
        affine=grid.affine,
        modalities=("T1w",),
        slices=tuple(range(grid.shape[2])),
        axes=grid.axes,
        xform=grid.xform,
    )


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    return save(tmp_path / "sound.nii.gz", noise(), straight("LPS"))


@pytest.mark.parametrize("affine", AFFINES.values(), ids=AFFINES)
def test_voxels_keep_their_place_in_the_world(tmp_path: Path, affine: Affine) -> None:
    voxels = noise()
    path = save(tmp_path / "a.nii", voxels, affine, codes=(1, 0))

    read, grid = read_volume(path)

    there = np.linalg.inv(grid.affine) @ affine @ [2, 4, 3, 1]
    i, j, k = np.rint(there[:3]).astype(int)
    assert read[i, j, k] == voxels[2, 4, 3]
    assert read.shape == grid.shape
    assert (np.argmax(np.abs(grid.affine[:3, :3]), axis=0) == (0, 1, 2)).all()
    assert (np.diag(grid.affine) > 0).all()


@pytest.mark.parametrize("affine", AFFINES.values(), ids=AFFINES)
def test_a_written_map_has_the_grid_and_voxels_of_the_input(
    tmp_path: Path, affine: Affine
) -> None:
    codes = (2, 0) if affine is AFFINES["sheared"] else (2, 2)
    path = save(tmp_path / "a.nii.gz", noise(), affine, codes)
    scan = scan_of(path)

    write_volume(tmp_path / "deep" / "b.nii.gz", scan.image[0], scan)

    source = load(path)
    copy = load(tmp_path / "deep" / "b.nii.gz")
    assert copy.shape == source.shape
    np.testing.assert_allclose(copy.affine, source.affine, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(copy.get_fdata(), source.get_fdata())
    for code in ("sform_code", "qform_code"):
        assert copy.header[code] == source.header[code]
    np.testing.assert_allclose(
        copy.header.get_zooms(), source.header.get_zooms(), rtol=1e-6
    )
    assert copy.header.get_xyzt_units()[0] == "mm"
    assert nib.orientations.aff2axcodes(copy.affine) == tuple(scan.axes)


@settings(deadline=None, max_examples=30)
@given(
    angles=st.tuples(*[st.floats(-180, 180)] * 3),
    axes=st.sampled_from(["RAS", "LPS", "PIR", "ASL"]),
)
def test_any_rotation_survives_reading_and_writing(
    tmp_path_factory: pytest.TempPathFactory,
    angles: tuple[float, float, float],
    axes: str,
) -> None:
    folder = tmp_path_factory.mktemp("turned")
    affine = straight(axes)
    turn = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    affine[:3, :3] = turn @ affine[:3, :3]
    path = save(folder / "a.nii", noise(), affine)
    scan = scan_of(path)

    write_volume(folder / "b.nii", scan.image[0], scan)

    copy = load(folder / "b.nii")
    np.testing.assert_array_equal(copy.get_fdata(), noise())
    np.testing.assert_allclose(copy.affine, load(path).affine, rtol=0, atol=1e-6)


def test_a_mask_is_written_with_the_type_asked_for(tmp_path: Path, sound: Path) -> None:
    scan = scan_of(sound)

    write_volume(tmp_path / "mask.nii.gz", scan.image[0] > 0, scan, np.uint8)

    copy = load(tmp_path / "mask.nii.gz")
    assert copy.get_data_dtype() == np.uint8
    assert read_mask(tmp_path / "mask.nii.gz")[0].sum() == (scan.image > 0).sum()


def test_spacing_and_axes_are_those_of_the_header(tmp_path: Path) -> None:
    grid = read_grid(save(tmp_path / "a.nii", noise(), straight("PIR")))

    # P is disk axis 0 (7 voxels), I axis 1 (6), R axis 2 (5): RAS has 5, 7, 6.
    assert grid.shape == (5, 7, 6)
    assert grid.axes == "PIR"
    assert grid.spacing == pytest.approx(SPACING, rel=1e-6)


@pytest.mark.parametrize(
    ("codes", "xform"), [((4, 1), 4), ((0, 3), 3), ((2, 0), 2), ((0, 0), 1)]
)
def test_the_code_is_that_of_the_affine_in_use(
    tmp_path: Path, codes: tuple[int, int], xform: int
) -> None:
    path = save(tmp_path / "a.nii", noise(), straight("RAS"), codes)

    assert read_grid(path).xform == xform


def test_a_trailing_axis_of_one_is_dropped(tmp_path: Path) -> None:
    path = save(tmp_path / "a.nii", noise((*SHAPE, 1)), straight("RAS"))

    voxels, grid = read_volume(path)

    assert voxels.shape == grid.shape == SHAPE


def test_a_mask_is_what_is_above_zero(tmp_path: Path) -> None:
    voxels = np.zeros(SHAPE, np.float32)
    voxels[1, 1, 1], voxels[2, 2, 2], voxels[3, 3, 3] = 0.25, 2, -1
    path = save(tmp_path / "a.nii", voxels, straight("RAS"))

    mask, _ = read_mask(path)

    assert mask.dtype == bool
    assert np.argwhere(mask).tolist() == [[1, 1, 1], [2, 2, 2]]
