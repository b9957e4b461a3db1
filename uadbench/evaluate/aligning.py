"""Volumes of any grid, read onto the grid of a reference."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from uadbench.errors import DataError
from uadbench.volumes import Grid, Opened, grid_gap, open_volume

Volume = NDArray[np.float32]


class Aligner:
    """Reads volumes onto one grid.

    Attributes:
        resampled: whether one lay on another.
    """

    def __init__(self, grid: Grid, owner: str, resample: bool) -> None:
        self._grid = grid
        self._owner = owner
        self._resample = resample
        self.resampled = False

    def read(self, path: Path, *, nearest: bool) -> Volume:
        """Return the voxels of a file on the grid, float32 (X, Y, Z).

        Raises:
            DataError: it is unreadable, or on another grid and not to be resampled.
        """
        opened = open_volume(path)
        gap = grid_gap(opened.grid, self._grid, self._owner)
        if gap is None:
            return opened.values()
        if not self._resample:
            msg = (
                f"{path}: {gap}. Resample one onto the other: "
                "--on-geometry-mismatch resample does."
            )
            raise DataError(msg)
        self.resampled = True
        return resample(opened, self._grid, nearest=nearest)


def resample(opened: Opened, grid: Grid, *, nearest: bool) -> Volume:
    """Return a volume on another grid, float32 (X, Y, Z).

    Values between voxels are linear, or those of the nearest. What the volume does not
    cover is background, 0, where nearest; else it gets the lowest value, so that it
    ranks last. Nothing is smoothed before a finer volume gets a coarser grid.

    Raises:
        DataError: it is unreadable, or the two do not overlap.
    """
    from scipy.ndimage import affine_transform

    own = opened.grid
    to_own = np.linalg.inv(own.affine) @ grid.affine
    corners = np.indices((2, 2, 2)).reshape(3, -1).T * (np.array(grid.shape) - 1)
    reached = corners @ to_own[:3, :3].T + to_own[:3, 3]
    last = np.array(own.shape) - 1
    if (reached.max(0) < 0).any() or (reached.min(0) > last).any():
        msg = (
            f"{opened.path}: lies apart from its reference, says its affine. "
            "Check the file."
        )
        raise DataError(msg)
    voxels = opened.values()
    # "constant" would take a coordinate of -1e-12 for one outside the volume.
    moved = affine_transform(
        voxels,
        to_own[:3, :3],
        to_own[:3, 3],
        output_shape=grid.shape,
        order=0 if nearest else 1,
        mode="grid-constant",
        cval=0.0 if nearest else float(voxels.min()),
    )
    return np.asarray(moved, np.float32)
