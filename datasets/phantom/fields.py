"""The grid of a scan in mm, and smooth random fields on it."""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

FIELD = 192.0  # mm, in-plane
GAP = 5.5  # mm, from slice to slice
CENTRE = (0.0, -17.0, 17.0)  # mm in the template: the middle of the brain
FINE = 128  # px: tissues are drawn at least as fine as this, then averaged


@dataclass(frozen=True)
class Grid:
    """Square axial slices around the middle of the brain.

    Attributes:
        size: px in-plane.
        slices: how many.
    """

    size: int
    slices: int

    @property
    def fine(self) -> "Grid":
        """The grid that tissues are drawn on, a whole multiple of this one in-plane."""
        return Grid(self.size * max(1, round(FINE / self.size)), self.slices)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels (X, Y, Z)."""
        return self.size, self.size, self.slices

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Voxel size in mm."""
        return FIELD / self.size, FIELD / self.size, GAP

    @cached_property
    def axes(self) -> tuple[Floats, Floats, Floats]:
        """Voxel centres along each axis, mm from the centre of the grid."""
        x, y, z = (
            ((np.arange(count) - (count - 1) / 2) * step).astype(np.float32)
            for count, step in zip(self.shape, self.spacing, strict=True)
        )
        return x, y, z

    @property
    def affine(self) -> NDArray[np.float64]:
        """Voxel to mm: (4, 4)."""
        affine = np.diag([*self.spacing, 1.0])
        affine[:3, 3] = [a[0] + c for a, c in zip(self.axes, CENTRE, strict=True)]
        return affine

    @cached_property
    def points(self) -> Floats:
        """Voxel centres, mm from the centre of the grid: (3, X, Y, Z)."""
        return np.stack(np.meshgrid(*self.axes, indexing="ij"))

    def box(self, centre: Floats, reach: float) -> tuple[slice, slice, slice]:
        """Return the voxels within `reach` mm of a point along each axis."""
        x, y, z = (
            slice(*np.searchsorted(axis, [middle - reach, middle + reach]))
            for axis, middle in zip(self.axes, centre, strict=True)
        )
        return x, y, z


def smooth_noise(rng: np.random.Generator, grid: Grid, knots: float) -> Floats:
    """Return a smooth random field of mean 0 and variance 1: float32 (X, Y, Z).

    A cubic B-spline with normal numbers on a lattice of `knots` mm: the same generator
    gives the same field on a finer grid.
    """
    x, y, z = (
        _basis(count, step, knots)
        for count, step in zip(grid.shape, grid.spacing, strict=True)
    )
    lattice = rng.standard_normal(
        (z.shape[1], x.shape[1], y.shape[1]), dtype=np.float32
    )
    # In float64: a float32 product depends on the number of threads in its last digit.
    planes = np.tensordot(z, lattice.astype(np.float64), axes=1)
    return np.moveaxis(x @ planes @ y.T, 0, -1).astype(np.float32, order="C")


def ramp(values: Floats, low: float, high: float) -> Floats:
    """Return 0 below `low`, 1 above `high` and a smooth step between."""
    t = np.clip((values - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


@lru_cache(maxsize=64)
def _basis(count: int, step: float, knots: float) -> NDArray[np.float64]:
    """Return the (count, lattice) cubic B-splines; each row has length 1."""
    centres = (np.arange(count) - (count - 1) / 2) * step / knots
    # Edges of the grid, not its first centres: they are the same on a finer grid.
    reach = int(np.ceil(count * step / 2 / knots)) + 1
    distance = np.abs(centres[:, None] - np.arange(-reach, reach + 1)[None])
    near = 2 / 3 - distance**2 + distance**3 / 2
    far = np.maximum(2 - distance, 0) ** 3 / 6
    weights = np.where(distance < 1, near, far)
    return np.asarray(weights / np.linalg.norm(weights, axis=1, keepdims=True))
