"""Bins of float32 scores that the scores' own bits name, so that no range is needed.

Round numbers are those that the first 20 bits hold: sign, exponent and 11 bits of the
fraction. Each is a bin of its own, and so are the scores between two neighbours, which
are 2^-11 (0.05 %) of the power of two below them apart.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uadbench.errors import DataError

Counts = NDArray[np.int64]

# 20 bits hold all of a float16 and integers up to 4096, and cost 16 MiB a count.
SHIFT = 12
REST = np.uint32((1 << SHIFT) - 1)
# Even bins are round numbers, odd ones the scores between; half have the sign bit.
BINS = 2 << (32 - SHIFT)
NEGATIVE = BINS // 2
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


def count(scores: NDArray[np.float32], counts: Counts) -> None:
    """Add finite scores to the (BINS,) counts."""
    for start in range(0, len(scores), CHUNK):
        # Adding zero makes one score of -0.0 and 0.0.
        bits = (scores[start : start + CHUNK] + np.float32(0)).view(np.uint32)
        # Rounded down and rounded up: an odd sum if a bit is left beyond the first 20.
        bins = (bits >> SHIFT) + ((bits + REST) >> SHIFT)
        np.add.at(counts, bins.astype(np.intp), 1)


def occupied(every: Counts, lesion: Counts) -> Bins:
    """Return the bins that hold a voxel, from (BINS,) counts."""
    used = np.flatnonzero(every)
    # The bits of negative scores rise as the scores fall.
    used = np.concatenate((used[used < NEGATIVE][::-1], used[used >= NEGATIVE]))
    round_number = (used // 2).astype(np.uint32) << np.uint32(SHIFT)
    between = used % 2 == 1
    ends = np.where(between, [round_number | 1, round_number | REST], round_number)
    scores = ends.view(np.float32).astype(np.float64)
    return Bins(
        lowest=scores.min(axis=0),
        highest=scores.max(axis=0),
        lesion=lesion[used],
        healthy=every[used] - lesion[used],
    )
