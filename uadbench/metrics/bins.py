"""Bins of float32 scores that the scores' own bits name, so that no range is needed.

The first 20 bits of a score, its prefix, hold sign, exponent and 11 bits of the
fraction. Round numbers are those that have no other bits. Each is a bin of its own, and
so are the scores between two neighbours, which are 2^-11 (0.05 %) of the power of two
below them apart.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uadbench.errors import DataError

Counts = NDArray[np.int64]
Scores = NDArray[np.float32]

# 20 bits hold all of a float16 and integers up to 4096, and cost 16 MiB a count.
SHIFT = 12
REST = np.uint32((1 << SHIFT) - 1)
PREFIXES = 1 << (32 - SHIFT)
NEGATIVE = PREFIXES // 2  # The first that has the sign bit.
# Two a prefix: even bins are round numbers, odd ones the scores between.
BINS = 2 * PREFIXES
# Of the scores' range, what rounding to float32 may take.
ROUNDED = 1e-3


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


def narrowed(scores: NDArray[np.generic]) -> Scores:
    """Return scores as the nearest float32.

    Raises:
        DataError: float32 can't hold them: a score is too large, another than zero
            would become zero, or rounding moves one by over 0.1 % of their range.
    """
    largest, smallest = (
        np.finfo(np.float32).max,
        np.finfo(np.float32).smallest_subnormal,
    )
    with np.errstate(over="ignore", under="ignore"):
        narrow = scores.astype(np.float32, copy=False)
    if scores.dtype.itemsize <= 2 or scores.dtype == np.float32 or not scores.size:
        return narrow
    if np.isinf(narrow).any():
        msg = f"scores: some exceed {largest:.2g}, the largest float32. Scale them."
        raise DataError(msg)
    if ((narrow == 0) & (scores != 0)).any():
        msg = (
            f"scores: some lie nearer to zero than {smallest:.2g}, the smallest "
            "float32. Scale them, or pass them as float32 to count them as zero."
        )
        raise DataError(msg)
    wide = scores.astype(np.float64, copy=False)
    if np.abs(narrow - wide).max() > ROUNDED * np.ptp(wide) > 0:
        msg = (
            f"scores: float32 can't tell them apart, from {wide.min():.10g} to "
            f"{wide.max():.10g}. Subtract what they have in common."
        )
        raise DataError(msg)
    return narrow


def bins_of(scores: Scores) -> NDArray[np.intp]:
    """Return the bin of each score (N,); scores hold no -0.0."""
    bits = scores.view(np.uint32)
    # Rounded down and rounded up: an odd sum if a bit is left beyond the first 20.
    return ((bits >> SHIFT) + ((bits + REST) >> SHIFT)).astype(np.intp)


def ends_of(bins: NDArray[np.integer]) -> tuple[Scores, Scores]:
    """Return the lowest and the highest score of each bin (K,)."""
    round_number = (bins // 2).astype(np.uint32) << np.uint32(SHIFT)
    between = bins % 2 == 1
    first = np.where(between, round_number | np.uint32(1), round_number)
    last = np.where(between, round_number | REST, round_number)
    ends = first.view(np.float32), last.view(np.float32)
    # The bits of negative scores rise as the scores fall.
    return np.minimum(*ends), np.maximum(*ends)


def prefixes_of(scores: Scores) -> NDArray[np.intp]:
    """Return the first 20 bits of each score (N,)."""
    return (scores.view(np.uint32) >> SHIFT).astype(np.intp)


def rests_of(scores: Scores) -> NDArray[np.intp]:
    """Return the other 12 bits of each score (N,)."""
    return (scores.view(np.uint32) & REST).astype(np.intp)


def lowest_of(prefixes: NDArray[np.integer]) -> Scores:
    """Return the lowest score of each prefix (K,)."""
    bits = prefixes.astype(np.uint32) << np.uint32(SHIFT)
    return np.where(prefixes < NEGATIVE, bits, bits | REST).view(np.float32)
