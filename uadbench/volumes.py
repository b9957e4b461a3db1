"""NIfTI volumes in and out: read into RAS+ axes, written back on the input's own grid."""

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.orientations import (
    aff2axcodes,
    axcodes2ornt,
    ornt_transform,
)
from nibabel.spatialimages import HeaderDataError
from numpy.typing import DTypeLike, NDArray

from uadbench.errors import DataError
from uadbench.protocols import Scan

# Affines that went through another tool differ in the last digits of a float32.
AFFINE_TOLERANCE = 1e-3
UNREADABLE = (
    OSError,
    EOFError,
    zlib.error,
    ImageFileError,
    HeaderDataError,
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


def read_grid(path: Path) -> Grid:
    """Return the grid of a NIfTI file without reading its voxels.

    Raises:
        DataError: the file is missing, is not NIfTI, is not 3D or has no valid affine.
    """
    return _grid(_open(path), path)


def read_volume(path: Path) -> tuple[NDArray[np.float32], Grid]:
    """Return the voxels, float32 (X, Y, Z) in RAS+ axes, and their grid.

    Raises:
        DataError: as `read_grid`; or the file is truncated, or has NaN or infinity.
    """
    image = _open(path)
    grid = _grid(image, path)
    try:
        canonical = nib.funcs.as_closest_canonical(image)
        voxels = canonical.get_fdata(dtype=np.float32, caching="unchanged")
    except UNREADABLE as error:
        msg = f"{path}: cannot be read to its end ({error}). Copy the file again."
        raise DataError(msg) from None
    voxels = voxels.reshape(grid.shape)
    broken = int(voxels.size - np.isfinite(voxels).sum())
    if broken:
        msg = (
            f"{path}: {broken} voxels are NaN or infinite; all must be finite numbers."
        )
        raise DataError(msg)
    return np.ascontiguousarray(voxels), grid


def read_mask(path: Path) -> tuple[NDArray[np.bool_], Grid]:
    """Return voxels > 0, bool (X, Y, Z) in RAS+ axes, and their grid; errors as above."""
    voxels, grid = read_volume(path)
    return voxels > 0, grid


def check_same_grid(path: Path, other: Path) -> None:
    """Raise a DataError that shows the numbers if two files lie on different grids."""
    ours, theirs = read_grid(path), read_grid(other)
    if ours.shape != theirs.shape:
        msg = f"{other}: shape {theirs.shape}, but {path.name} has {ours.shape}."
        raise DataError(msg + " Resample one onto the other.")
    gap = float(np.abs(ours.affine - theirs.affine).max())
    if gap > AFFINE_TOLERANCE:
        msg = (
            f"{other}: its affine differs from that of {path.name} by up to {gap:.4g} mm"
            f" (allowed: {AFFINE_TOLERANCE}). Resample one onto the other."
        )
        raise DataError(msg)


def write_volume(
    path: Path, voxels: NDArray[Any], scan: Scan, dtype: DTypeLike = np.float32
) -> None:
    """Write (X, Y, Z) voxels of a scan as NIfTI, on the grid that the scan had on disk.

    Raises:
        OSError: the disk is full or the folder cannot be written.
    """
    image = nib.nifti1.Nifti1Image(voxels.astype(dtype), scan.affine)
    here, there = axcodes2ornt(aff2axcodes(scan.affine)), axcodes2ornt(tuple(scan.axes))
    image = image.as_reoriented(ornt_transform(here, there))
    image.set_sform(image.affine, code=scan.xform)
    # A sheared affine does not fit into a quaternion; readers then use the sform.
    image.set_qform(image.affine, code=scan.xform, strip_shears=True)
    image.header.set_xyzt_units("mm")
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.loadsave.save(image, path)


def _open(path: Path) -> Any:  # nibabel's images have no common static type
    if not path.is_file():
        msg = f"{path}: there is no such file."
        raise DataError(msg)
    try:
        return nib.loadsave.load(path)
    except UNREADABLE as error:
        msg = f"{path}: not a readable NIfTI file ({error})."
        raise DataError(msg) from None


def _grid(image: Any, path: Path) -> Grid:
    shape = image.shape
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) != 3 or 0 in shape:
        msg = f"{path}: shape {image.shape}, but a 3D volume (X, Y, Z) was expected."
        raise DataError(msg)
    affine = image.affine
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        msg = f"{path}: its affine is not invertible; the file's header is damaged."
        raise DataError(msg)
    order = nib.orientations.io_orientation(affine)
    back = nib.orientations.inv_ornt_aff(order, shape)
    canonical = affine @ back
    header = image.header
    xform = int(header["sform_code"]) or int(header["qform_code"]) or 1
    return Grid(
        shape=tuple(shape[int(axis)] for axis in np.argsort(order[:, 0])),
        affine=canonical,
        spacing=tuple(float(v) for v in np.linalg.norm(canonical[:3, :3], axis=0)),
        axes="".join(aff2axcodes(affine)),
        xform=xform,
    )
