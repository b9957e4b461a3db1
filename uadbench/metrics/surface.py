"""Metrics of the distance between the surfaces of two masks, in mm.

A surface is the voxels of a mask with a face neighbour outside it; what lies beyond the
array is outside. A distance runs from the centre of a surface voxel of one mask to the
nearest centre in the other's surface. So does MONAI. DeepMind's `surface-distance`
puts the surface on the corners between voxels and weighs its elements by area instead:
it differs by about half a voxel.

Masks are 2-D or 3-D. A slice is passed as (X, Y): in (X, Y, 1) every voxel is surface.
Cut both masks to what is scored first. What is not defined is NaN, but a miss is not:

reference empty             NaN, whether something is predicted or not
prediction empty, a miss    diagonal of the image for Hausdorff and ASSD, 0 for Dice

The diagonal is that of the whole array as it is passed, sqrt(sum((shape spacing)^2)):
no distance in it is larger, so that a miss is never better than a find.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uadbench.errors import DataError

from .arrays import (
    ROUNDING,
    Bools,
    as_masks,
    as_number,
    as_spacing,
    bounding_box,
)

Distances = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SurfaceDistances:
    """The distances between two surfaces: three metrics from one search.

    Attributes:
        to_ref: (P,) mm, from each surface voxel of the prediction; infinite if the
            reference is empty.
        to_pred: (R,) mm, from each surface voxel of the reference; infinite if the
            prediction is empty.
        diagonal: of the image, in mm.
    """

    to_ref: Distances
    to_pred: Distances
    diagonal: float

    def hausdorff95(self) -> float:
        """See `hausdorff95`."""
        if not (len(self.to_ref) and len(self.to_pred)):
            return self._missed_or_undefined()
        directed = (np.percentile(d, 95) for d in (self.to_ref, self.to_pred))
        return float(max(directed))

    def assd(self) -> float:
        """See `assd`."""
        if not (len(self.to_ref) and len(self.to_pred)):
            return self._missed_or_undefined()
        return float(np.concatenate((self.to_ref, self.to_pred)).mean())

    def surface_dice(self, tolerance: float) -> float:
        """See `surface_dice`."""
        limit = as_number("tolerance", tolerance, 0) * (1 + ROUNDING)
        if not len(self.to_pred):
            return float("nan")
        return float((np.concatenate((self.to_ref, self.to_pred)) <= limit).mean())

    def _missed_or_undefined(self) -> float:
        return self.diagonal if len(self.to_pred) else float("nan")


def surface_distances(
    pred: ArrayLike, ref: ArrayLike, spacing: ArrayLike
) -> SurfaceDistances:
    """Return the distances from each surface to the other.

    Raises:
        DataError: shapes differ, a mask is not bool or neither 2-D nor 3-D, or a
            spacing is not positive.
    """
    found, truth = as_masks(pred, ref)
    if found.ndim not in (2, 3):
        msg = (
            f"pred: expected shape (X, Y) or (X, Y, Z), got {found.shape}. "
            "Measure the cases of a batch one by one."
        )
        raise DataError(msg)
    size = as_spacing(spacing, found.ndim)
    box = bounding_box(found | truth)
    ours, theirs = _surface(found[box]), _surface(truth[box])
    return SurfaceDistances(
        to_ref=_nearest(ours, theirs, size),
        to_pred=_nearest(theirs, ours, size),
        diagonal=float(np.linalg.norm(found.shape * size)),
    )


def hausdorff95(pred: ArrayLike, ref: ArrayLike, spacing: ArrayLike) -> float:
    """Return the larger of the two directed 95th percentiles of distance, in mm.

    Percentiles are linear between the two nearest ranks (numpy's and MONAI's default).
    The maximum is Huttenlocher et al., TPAMI 1993. NaN without a reference; the image's
    diagonal if the prediction is empty.

    Raises:
        DataError: shapes differ, a mask is not bool, or a spacing is not positive.
    """
    return surface_distances(pred, ref, spacing).hausdorff95()


def assd(pred: ArrayLike, ref: ArrayLike, spacing: ArrayLike) -> float:
    """Return the average symmetric surface distance in mm.

    The mean over the voxels of both surfaces together (Heimann et al., TMI 2009), not
    the mean of two means. NaN without a reference; the image's diagonal if the
    prediction is empty.

    Raises:
        DataError: shapes differ, a mask is not bool, or a spacing is not positive.
    """
    return surface_distances(pred, ref, spacing).assd()


def surface_dice(
    pred: ArrayLike, ref: ArrayLike, spacing: ArrayLike, tolerance: float
) -> float:
    """Return the fraction of both surfaces within `tolerance` mm of the other.

    Normalised surface Dice (Nikolov et al., JMIR 2021), counted on voxels as MONAI does
    rather than on areas; a distance that equals the tolerance is within it. NaN without
    a reference; 0 if the prediction is empty.

    Raises:
        DataError: shapes differ, a mask is not bool, a spacing is not positive, or the
            tolerance is negative.
    """
    return surface_distances(pred, ref, spacing).surface_dice(tolerance)


def _surface(mask: Bools) -> Bools:
    inner = mask.copy()
    for axis in range(mask.ndim):
        here, around = np.moveaxis(inner, axis, 0), np.moveaxis(mask, axis, 0)
        here[1:] &= around[:-1]
        here[:-1] &= around[1:]
        here[:1] = here[-1:] = False
    return mask & ~inner


def _nearest(start: Bools, goal: Bools, spacing: NDArray[np.float64]) -> Distances:
    """Return mm from each voxel of `start` to the nearest of `goal`, in array order."""
    from scipy.spatial import KDTree

    if not goal.any():
        return np.full(np.count_nonzero(start), np.inf)
    # A search among surface voxels beats a distance transform of the box, above all
    # where a false positive far away makes the box large.
    tree = KDTree(
        _centres(goal, spacing), leafsize=32, compact_nodes=False, balanced_tree=False
    )
    distances = np.zeros(np.count_nonzero(start))
    apart = start & ~goal
    distances[apart[start]] = tree.query(_centres(apart, spacing))[0]
    return distances


def _centres(mask: Bools, spacing: NDArray[np.float64]) -> NDArray[np.float64]:
    index = np.unravel_index(np.flatnonzero(mask), mask.shape)
    return np.stack(index, axis=-1) * spacing
