"""Bins of float32 scores that the scores' own bits name, so that no range is needed.

A bin holds all scores with the same first 20 bits: sign, exponent and 11 bits of the
fraction. At any scale it is 2^-11 (0.05 %) as wide as the power of two below it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uadbench.errors import DataError

Counts = NDArray[np.int64]

# 20 bits hold all of a float16 and of an integer up to 4096, and cost 8 MiB a count.
SHIFT = 12
BINS = 1 << (32 - SHIFT)
NEGATIVE = BINS // 2
REST = np.uint32((1 << SHIFT) - 1)
# Scores at a time, so that their bits stay in the cache.
CHUNK = 1 << 16


@dataclass(frozen=True, eq=False)
class Bins:
    """K bins that hold a voxel, from the highest score down.

    Attributes:
        lowest: (K,) float64, the lowest score that a bin's voxels may have.
        highest: (K,) float64, the highest; where equal, the voxels are known as ties.
        lesion: (K,) lesion voxels.
        healthy: (K,) healthy voxels.
    """

    lowest: NDArray[np.float64]
    highest: NDArray[np.float64]
    lesion: Counts
    healthy: Counts


def narrowed(scores: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return scores as the nearest float32.

    Raises:
        DataError: a score is too large for that.
    """
    try:
        with np.errstate(over="raise"):
            return scores.astype(np.float32, copy=False)
    except FloatingPointError:
        largest = np.finfo(np.float32).max
        msg = f"scores: some exceed {largest:.2g}, the largest float32. Scale them."
        raise DataError(msg) from None


def count(
    scores: NDArray[np.float32], every: Counts, round_ones: Counts | None = None
) -> None:
    """Add scores to the (BINS,) counts of all, and of those without further bits."""
    for start in range(0, len(scores), CHUNK):
        # Adding zero makes one score of -0.0 and 0.0.
        bits = (scores[start : start + CHUNK] + np.float32(0)).view(np.uint32)
        bins = (bits >> SHIFT).astype(np.intp)
        np.add.at(every, bins, 1)
        if round_ones is not None:
            # By index: a mask that is neither rare nor regular is read at half speed.
            np.add.at(round_ones, bins[np.flatnonzero((bits & REST) == 0)], 1)


def occupied(every: Counts, round_ones: Counts, lesion: Counts) -> Bins:
    """Return the bins that hold a voxel, from (BINS,) counts."""
    used = np.flatnonzero(every)
    # The bits of negative scores rise as the scores fall.
    used = np.concatenate((used[used < NEGATIVE][::-1], used[used >= NEGATIVE]))
    near = used.astype(np.uint32) << np.uint32(SHIFT)
    far = np.where(every[used] == round_ones[used], near, near | REST)
    ends = np.stack([near, far]).view(np.float32).astype(np.float64)
    return Bins(
        lowest=ends.min(axis=0),
        highest=ends.max(axis=0),
        lesion=lesion[used],
        healthy=every[used] - lesion[used],
    )
