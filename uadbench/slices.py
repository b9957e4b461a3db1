"""Volumes to axial slices on a square grid in mm, and back.

A network sees slices of `size` x `size` px that cover `field` mm around the brain, at
the same scale for every subject. One pair of small matrices resamples a slice in each
direction: a triangle filter as wide as the coarser of the two grids, so that going down
averages and going up interpolates.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from uadbench.errors import DataError
from uadbench.protocols import Scan

Floats = NDArray[np.float32]
Normalisation = Literal["median", "p90", "none"]


def normalise(image: Floats, brain: NDArray[np.bool_], how: Normalisation) -> Floats:
    """Return the image on a scale that is comparable between subjects.

    median: divided by the brain's median, which a bright lesion hardly moves; the
        background becomes 0.
    p90: IterMask2's scale, 6 v / p90 - 3 without clipping; the background becomes -3.
    none: as it is; the background becomes 0.

    Args:
        image: float32 (X, Y, Z).
        brain: bool (X, Y, Z).
        how: one of the above.

    Raises:
        DataError: the brain is empty or its statistic is not positive.
    """
    if not brain.any():
        msg = "the brain mask is empty."
        raise DataError(msg)
    inside = image[brain]
    scale = {
        "median": lambda: float(np.median(inside)),
        "p90": lambda: float(np.percentile(inside, 90)) / 6,
        "none": lambda: 1.0,
    }[how]()
    if not scale > 0:
        msg = (
            f"the image has a non-positive {how} inside the brain: nothing to scale by."
        )
        raise DataError(msg)
    offset = 3.0 if how == "p90" else 0.0
    return np.where(brain, image / scale, 0).astype(np.float32) - np.float32(offset)


@dataclass(frozen=True, eq=False)
class Slices:
    """The slices of one scan that count and contain brain, on the network's grid.

    Attributes:
        images: float32 (N, C, S, S).
        brain: bool (N, S, S), pixels that are at least half brain.
        index: the axial slice of the scan behind each.
    """

    images: Floats
    brain: NDArray[np.bool_]
    index: tuple[int, ...]
    _back: tuple[Floats, Floats]
    _shape: tuple[int, int, int]

    def paste(self, maps: NDArray[np.float32]) -> Floats:
        """Return maps (..., N, S, S) as volumes (..., X, Y, Z), 0 in other slices."""
        pasted = np.zeros((*maps.shape[:-3], *self._shape), np.float32)
        for place in np.ndindex(maps.shape[:-3]):
            planes = np.moveaxis(maps[place], 0, -1)
            pasted[place][..., list(self.index)] = resample(planes, *self._back)
        return pasted

    def paste_masks(self, masks: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return masks (..., N, S, S) as volumes (..., X, Y, Z)."""
        return self.paste(masks.astype(np.float32)) > 0.5


def cut(scan: Scan, size: int, field: float, how: Normalisation) -> Slices:
    """Return the slices of a scan at `size` px over `field` mm, normalised.

    The field is centred on the brain; it grows where the brain would not fit.

    Raises:
        DataError: naming the scan, as `normalise`.
    """
    try:
        images = [normalise(channel, scan.brain, how) for channel in scan.image]
    except DataError as error:
        msg = f"{scan.id}: {error}"
        raise DataError(msg) from None
    index = tuple(z for z in scan.slices if scan.brain[..., z].any())
    spans = [_span(scan.brain, axis) * scan.spacing[axis] for axis in (0, 1)]
    extent = max(float(high - low) for low, high in spans)
    # Two pixels of margin keep the brain's edge off the border of the grid.
    field = max(field, extent * size / (size - 4))
    step = field / size
    down, back = [], []
    for axis in (0, 1):
        corner = float(spans[axis].mean()) - field / 2
        spacing, count = scan.spacing[axis], scan.brain.shape[axis]
        down.append(weights(count, size, corner / spacing, step / spacing))
        back.append(weights(size, count, -corner / step, spacing / step))
    # The background's value must not fade in at the border of the volume: resample the
    # difference to it.
    background = np.float32(-3.0 if how == "p90" else 0.0)
    volumes = [*(image - background for image in images), scan.brain]
    *channels, inside = (
        np.moveaxis(resample(volume, *down), -1, 0)[list(index)] for volume in volumes
    )
    return Slices(
        images=np.stack(channels, axis=1) + background,
        brain=inside >= 0.5,
        index=index,
        _back=(back[0], back[1]),
        _shape=scan.brain.shape,
    )


def _span(brain: NDArray[np.bool_], axis: int) -> NDArray[np.float64]:
    """Return the brain's two edges along an axis, in voxels from the corner."""
    others = tuple(a for a in range(3) if a != axis)
    occupied = np.flatnonzero(brain.any(axis=others))
    return np.array([occupied[0], occupied[-1] + 1], np.float64)


def resample(volume: NDArray[np.generic], rows: Floats, columns: Floats) -> Floats:
    """Return a volume (A, B, Z) resampled by weights (S, A) and (T, B): (S, T, Z)."""
    # Two products of whole volumes: many small ones, one for each slice, take longer.
    across = np.tensordot(rows, volume.astype(np.float32, copy=False), axes=(1, 0))
    return np.tensordot(columns, across, axes=(1, 1)).swapaxes(0, 1)


def weights(count: int, size: int, corner: float, step: float) -> Floats:
    """Return the (size, count) matrix that resamples `count` pixels onto `size`.

    Args:
        count: pixels of the source.
        size: pixels of the target.
        corner: first edge of the target, in source pixels from the source's first edge.
        step: size of a target pixel, in source pixels.
    """
    centres = corner + (np.arange(size) + 0.5) * step - 0.5
    width = max(1.0, step)
    # The kernel is normalised over the endless lattice: outside lies background, and
    # a pixel half outside shall be half background.
    pad = int(np.ceil(width)) + 1
    reach = np.arange(
        min(-pad, int(np.floor(centres[0])) - pad),
        max(count + pad, int(np.ceil(centres[-1])) + pad + 1),
    )
    kernel = np.maximum(0.0, 1.0 - np.abs(reach[None] - centres[:, None]) / width)
    kernel /= kernel.sum(axis=1, keepdims=True)
    return kernel[:, (reach >= 0) & (reach < count)].astype(np.float32)
