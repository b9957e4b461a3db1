"""NIfTI volumes in and out: read into RAS+ axes, written on the input's own grid."""

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import nibabel as nib
import numpy as np
from isal.igzip_lib import IsalError
from nibabel.filebasedimages import ImageFileError
from nibabel.orientations import (
    OrientationError,
    aff2axcodes,
    axcodes2ornt,
    inv_ornt_aff,
    io_orientation,
    ornt_transform,
)
from nibabel.spatialimages import HeaderDataError
from numpy.typing import DTypeLike, NDArray

from uadbench.errors import DataError
from uadbench.packed import is_packed, read_header, unpacked, write_packed
from uadbench.protocols import Scan

Kind = TypeVar("Kind", bound=np.generic)

# Affines that went through another tool differ in the last digits of a float32.
AFFINE_TOLERANCE = 1e-3
UNREADABLE: tuple[type[Exception], ...] = (
    OSError,
    EOFError,
    zlib.error,
    IsalError,  # type: ignore[assignment]  # its stub forgets that it is a class
    ImageFileError,
    HeaderDataError,
    OrientationError,
    ValueError,
)


@dataclass(frozen=True, eq=False)
class Grid:
    """Where the voxels of a volume lie: what a NIfTI header says of it.

    Attributes:
        shape: (X, Y, Z) in RAS+ axes.
        affine: (4, 4), voxel to RAS+ mm, in RAS+ axes.
        spacing: voxel size in mm.
        axes: orientation on disk.
        xform: NIfTI code of the affine.
    """

    shape: tuple[int, int, int]
    affine: NDArray[np.float64]
    spacing: tuple[float, float, float]
    axes: str
    xform: int


@dataclass(frozen=True, eq=False)
class Opened:
    """A NIfTI file of which the header is read, and not yet the voxels.

    Attributes:
        path: where it is.
        grid: where its voxels lie.
        image: as nibabel has it.
    """

    path: Path
    grid: Grid
    image: nib.nifti1.Nifti1Pair

    def values(self) -> NDArray[np.float32]:
        """Return the voxels, float32 (X, Y, Z) in RAS+ axes, in any order in memory.

        Most files hold the first axis fastest: a copy into numpy's order takes longer
        than to unpack the file, and a mask made of the voxels is faster to copy.

        Raises:
            DataError: the file is truncated, has NaN or infinity, or is too large.
        """
        path = self.path
        try:
            voxels = unpacked(self.image, path, _canonical)
        except UNREADABLE as error:
            msg = f"{path}: cannot be read to its end ({error}). Copy the file again."
            raise DataError(msg) from None
        except MemoryError:
            msg = (
                f"{path}: no memory for shape {self.grid.shape}. Check that its header "
                "is right, or find more memory."
            )
            raise DataError(msg) from None
        broken = int(voxels.size - np.isfinite(voxels).sum())
        if broken:
            msg = (
                f"{path}: {broken} voxels are NaN or infinite; all must be finite "
                "numbers. Replace them, such as by 0 outside the brain."
            )
            raise DataError(msg)
        values: NDArray[np.float32] = voxels.reshape(self.grid.shape)
        return values


def open_volume(path: Path) -> Opened:
    """Return a NIfTI file of which the header is read.

    Raises:
        DataError: the file is missing, is not NIfTI, is not 3D or has no valid affine.
    """
    image = _open(path)
    return Opened(path, _grid(image, path), image)


def read_grid(path: Path) -> Grid:
    """Return the grid of a NIfTI file without reading its voxels.

    Raises:
        DataError: as `open_volume`.
    """
    return open_volume(path).grid


def read_volume(path: Path) -> tuple[NDArray[np.float32], Grid]:
    """Return the voxels, float32 (X, Y, Z) in RAS+ axes, and their grid.

    Raises:
        DataError: as `open_volume` and `Opened.values`.
    """
    opened = open_volume(path)
    return _in_rows(opened.values()), opened.grid


def read_mask(path: Path) -> tuple[NDArray[np.bool_], Grid]:
    """Return voxels > 0, bool (X, Y, Z) in RAS+ axes, and their grid.

    Raises:
        DataError: as `read_volume`.
    """
    opened = open_volume(path)
    return _in_rows(opened.values() > 0), opened.grid


def grid_gap(found: Grid, grid: Grid, owner: str) -> str | None:
    """Return in numbers how a grid differs from that of `owner`; None where it fits."""
    if found.shape != grid.shape:
        return f"shape {found.shape}, but {owner} has {grid.shape}"
    gap = float(np.abs(found.affine - grid.affine).max())
    # 0.001 in float32 is a little more.
    if gap <= AFFINE_TOLERANCE * (1 + 1e-6):
        return None
    return (
        f"its affine differs from that of {owner} by up to {gap:.7g} "
        f"(allowed: {AFFINE_TOLERANCE})"
    )


def check_on_grid(path: Path, grid: Grid, owner: str) -> None:
    """Raise a DataError that shows the numbers if a file lies on another grid.

    Args:
        path: the file to check.
        grid: where it shall lie.
        owner: the name of the file that the grid comes from.
    """
    gap = grid_gap(read_grid(path), grid, owner)
    if gap:
        msg = f"{path}: {gap}. Resample one onto the other."
        raise DataError(msg)


def write_volume(
    path: Path, voxels: NDArray[Any], scan: Scan, dtype: DTypeLike = np.float32
) -> None:
    """Write (X, Y, Z) voxels of a scan as NIfTI, on the grid that the scan had on disk.

    Raises:
        OSError: the disk is full or the folder cannot be written.
    """
    image = nib.nifti1.Nifti1Image(voxels.astype(dtype), scan.affine)
    ours, disk = axcodes2ornt("RAS"), axcodes2ornt(tuple(scan.axes))
    image = image.as_reoriented(ornt_transform(ours, disk))
    image.set_sform(image.affine, code=scan.xform)
    # A quaternion holds no shear: with code 0, every reader takes the sform.
    image.set_qform(image.affine, code=0 if _is_sheared(scan.affine) else scan.xform)
    image.header.set_xyzt_units("mm")
    path.parent.mkdir(parents=True, exist_ok=True)
    if is_packed(path):
        write_packed(image, path)
    else:
        nib.loadsave.save(image, path)


def _is_sheared(affine: NDArray[np.float64]) -> bool:
    """Return whether the axes of an affine are not at right angles."""
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return not np.allclose(axes.T @ axes, np.eye(3), atol=1e-5)


def _open(path: Path) -> nib.nifti1.Nifti1Pair:
    if not path.is_file():
        link = " The link points to nothing: fetch it." if path.is_symlink() else ""
        msg = f"{path}: there is no such file.{link}"
        raise DataError(msg)
    try:
        image = read_header(path) if is_packed(path) else nib.loadsave.load(path)
    except UNREADABLE as error:
        reason = str(error).replace(str(path), path.name)
        msg = f"{path}: not a readable NIfTI file ({reason})."
        raise DataError(msg) from None
    if not isinstance(image, nib.nifti1.Nifti1Pair):
        msg = f"{path}: {type(image).__name__}, but a NIfTI file was expected."
        raise DataError(msg)
    return image


def _in_rows(volume: NDArray[Kind]) -> NDArray[Kind]:
    """Return a volume in numpy's own order in memory.

    Plane by plane: the strides of a whole volume, often powers of two, fill a few lines
    of the processor's cache and leave the others empty.
    """
    rows = np.empty(volume.shape, volume.dtype)
    for y in range(volume.shape[1]):
        rows[:, y] = volume[:, y].copy(order="K")
    return rows


def _canonical(image: nib.nifti1.Nifti1Pair) -> NDArray[np.float32]:
    """Return all voxels in RAS+ axes."""
    canonical = nib.funcs.as_closest_canonical(image)
    voxels: NDArray[np.float32] = canonical.get_fdata(
        caching="unchanged", dtype=np.float32
    )
    return voxels


def _grid(image: nib.nifti1.Nifti1Pair, path: Path) -> Grid:
    shape = image.shape
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) != 3 or 0 in shape:
        msg = f"{path}: shape {image.shape}, but a 3D volume (X, Y, Z) was expected."
        raise DataError(msg)
    kind = image.get_data_dtype()
    if kind.kind not in "iuf":
        msg = f"{path}: voxels of type {kind}, but plain numbers were expected."
        raise DataError(msg)
    affine = np.asarray(image.affine, np.float64)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        msg = f"{path}: its affine is not invertible; the file's header is damaged."
        raise DataError(msg)
    try:
        order = io_orientation(affine)
        turned = inv_ornt_aff(order, shape)
    except UNREADABLE as error:
        msg = f"{path}: its affine gives no axes ({error}); its header is damaged."
        raise DataError(msg) from None
    canonical = affine @ turned
    x, y, z = (shape[int(axis)] for axis in np.argsort(order[:, 0]))
    sx, sy, sz = (float(size) for size in np.linalg.norm(canonical[:3, :3], axis=0))
    header = image.header
    return Grid(
        shape=(x, y, z),
        affine=canonical,
        spacing=(sx, sy, sz),
        axes="".join(aff2axcodes(affine)),
        xform=int(header["sform_code"]) or int(header["qform_code"]) or 1,
    )
