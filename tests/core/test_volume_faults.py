# nibabel annotates only some of its functions.
# mypy: allow-untyped-calls

import gzip
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from nibabel.orientations import axcodes2ornt
from numpy.typing import NDArray

from uadbench.errors import DataError
from uadbench.volumes import check_on_grid, read_grid, read_volume

SHAPE = (7, 6, 5)
AFFINE = np.array([[-2, 0, 0, 90], [0, -2, 0, 126], [0, 0, 6, -72], [0, 0, 0, 1.0]])
Damage = Callable[[Path], object]


def save(path: Path, voxels: NDArray[Any], affine: NDArray[Any] = AFFINE) -> Path:
    nib.nifti1.Nifti1Image(voxels, affine).to_filename(path)
    return path


def noise(shape: tuple[int, ...] = SHAPE) -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    return save(tmp_path / "sound.nii.gz", noise())


def with_sform(*diagonal: float) -> Damage:
    def damage(path: Path) -> None:
        image = nib.nifti1.Nifti1Image(noise(), None)
        image.header.set_sform(np.diag(diagonal), code=1)
        image.to_filename(path)

    return damage


def with_voxel(value: float) -> Damage:
    def damage(path: Path) -> None:
        voxels = noise()
        voxels[1, 2, 3] = value
        save(path, voxels)

    return damage


def cut_to(fraction: float) -> Damage:
    def damage(path: Path) -> None:
        content = path.read_bytes()
        path.write_bytes(content[: int(fraction * len(content))])

    return damage


def with_another_checksum(path: Path) -> None:
    content = bytearray(path.read_bytes())
    # A gzip file ends with the sum and the size of what it holds, 4 bytes each.
    content[-8] ^= 1
    path.write_bytes(content)


def as_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def as_dangling_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("not-fetched")


def as_colours(path: Path) -> None:
    save(path, np.zeros(SHAPE, [("R", "u1"), ("G", "u1"), ("B", "u1")]))


HEADER_FAULTS: dict[str, tuple[Damage, str]] = {
    "missing": (Path.unlink, "there is no such file."),
    "folder": (as_folder, "there is no such file."),
    "dangling link": (
        as_dangling_link,
        "there is no such file. The link points to nothing: fetch it.",
    ),
    "text": (lambda p: p.write_text("not an image"), "not a readable NIfTI file"),
    "empty": (lambda p: p.write_bytes(b""), "not a readable NIfTI file"),
    "zip of text": (
        lambda p: p.write_bytes(gzip.compress(b"text " * 200)),
        "not a readable NIfTI file",
    ),
    "cut header": (cut_to(0.02), "not a readable NIfTI file"),
    "4D": (
        lambda p: save(p, noise((*SHAPE, 3))),
        "shape (7, 6, 5, 3), but a 3D volume (X, Y, Z) was expected.",
    ),
    "2D": (lambda p: save(p, noise((7, 6))), "shape (7, 6), but a 3D"),
    "singular affine": (with_sform(1, 1, 0, 1), "its affine is not invertible"),
    "NaN affine": (with_sform(1, np.nan, 1, 1), "its affine is not invertible"),
    "colours": (as_colours, "but plain numbers were expected."),
}
VOXEL_FAULTS: dict[str, tuple[Damage, str]] = {
    "cut": (cut_to(0.9), "cannot be read to its end"),
    "checksum": (with_another_checksum, "cannot be read to its end (CRC check failed"),
    "NaN": (with_voxel(np.nan), "1 voxels are NaN or infinite"),
    "infinite": (with_voxel(np.inf), "1 voxels are NaN or infinite"),
}


@pytest.mark.parametrize(
    ("damage", "message"), HEADER_FAULTS.values(), ids=HEADER_FAULTS
)
def test_an_unfit_file_is_named_with_what_was_expected(
    sound: Path, damage: Damage, message: str
) -> None:
    damage(sound)

    with pytest.raises(DataError, match=re.escape(f"{sound}: ")) as caught:
        read_grid(sound)

    assert message in str(caught.value)
    with pytest.raises(DataError, match=re.escape(message)):
        read_volume(sound)


@pytest.mark.parametrize(("damage", "message"), VOXEL_FAULTS.values(), ids=VOXEL_FAULTS)
def test_unfit_voxels_are_found_when_read(
    sound: Path, damage: Damage, message: str
) -> None:
    damage(sound)

    assert read_grid(sound).shape == SHAPE
    with pytest.raises(DataError, match=re.escape(f"{sound}: {message}")):
        read_volume(sound)


def test_a_truncated_plain_file_is_found_when_read(sound: Path) -> None:
    plain = sound.with_name("plain.nii")
    plain.write_bytes(gzip.decompress(sound.read_bytes())[:-100])

    with pytest.raises(DataError, match=r"plain\.nii: cannot be read to its end"):
        read_volume(plain)


def test_a_packed_file_with_garbage_inside_is_found_when_read(tmp_path: Path) -> None:
    path = save(tmp_path / "large.nii.gz", noise((80, 80, 80)))
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 1000] = bytes([255]) * 1000
    path.write_bytes(content)

    assert read_grid(path).shape == (80, 80, 80)
    with pytest.raises(DataError, match=r"large\.nii\.gz: cannot be read to its end"):
        read_volume(path)


def test_another_image_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.mgz"
    nib.freesurfer.mghformat.MGHImage(noise(), np.eye(4)).to_filename(path)

    with pytest.raises(DataError, match="MGHImage, but a NIfTI file was expected"):
        read_grid(path)


def test_the_same_grid_in_other_axes_is_the_same(tmp_path: Path, sound: Path) -> None:
    other = nib.nifti1.Nifti1Image.from_filename(sound).as_reoriented(
        axcodes2ornt("ASL")
    )
    other.to_filename(tmp_path / "other.nii")

    check_on_grid(tmp_path / "other.nii", read_grid(sound), sound.name)


def test_rounding_of_an_affine_is_forgiven(tmp_path: Path, sound: Path) -> None:
    affine = AFFINE.copy()
    # 0.001 is the tolerance, which float32 holds as a little more.
    affine[0, 2] = 1e-3
    path = save(tmp_path / "other.nii", noise(), affine)

    check_on_grid(path, read_grid(sound), sound.name)


def test_grids_of_other_shapes_are_told_with_numbers(
    tmp_path: Path, sound: Path
) -> None:
    path = save(tmp_path / "other.nii", noise((7, 6, 4)))

    with pytest.raises(DataError) as caught:
        check_on_grid(path, read_grid(sound), "sound.nii.gz")

    expected = "shape (7, 6, 4), but sound.nii.gz has (7, 6, 5). Resample one"
    assert f"{path}: {expected}" in str(caught.value)


def test_gap_is_told_with_digits_enough_to_see_it(tmp_path: Path, sound: Path) -> None:
    affine = AFFINE.copy()
    affine[0, 2] = 1.0001e-3
    path = save(tmp_path / "other.nii", noise(), affine)

    with pytest.raises(DataError, match=r"by up to 0\.0010001 \(allowed: 0\.001\)"):
        check_on_grid(path, read_grid(sound), sound.name)


def test_grids_of_other_affines_are_told_with_numbers(
    tmp_path: Path, sound: Path
) -> None:
    affine = AFFINE.copy()
    affine[1, 3] += 2.5
    path = save(tmp_path / "other.nii", noise(), affine)

    with pytest.raises(DataError, match=r"sound\.nii\.gz by up to 2\.5 \(allowed"):
        check_on_grid(path, read_grid(sound), sound.name)
