"""The resamples of a bootstrap, always the same ones, and the BCa interval they give.

BCa: Efron 1987, "Better bootstrap confidence intervals", in the letters of Efron and
Tibshirani 1993, section 14.3. A resample is held as the number of times that it draws
each member, so that one matrix product gives the resampled means of many metrics.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

RESAMPLES = 10_000
LEVEL = 0.95
# Fewer members have so few different resamples that an interval says nothing.
FEWEST = 3
# Counts held at a time: 8 MiB, whatever the number of members.
BLOCK = 1 << 20
# Members differ by 1 in all: what rounding leaves of an equal mean is far below this.
EQUAL_MEANS = 1e-12
# Of the largest value: values as near as this to each other are equal.
EQUAL_VALUES = 1e-9


def draw(members: int, seed: int) -> Iterator[Floats]:
    """Yield how often each resample draws each member, in blocks (rows, members).

    The rows, RESAMPLES in all, are those of scipy.stats.bootstrap for the same seed.
    """
    rng = np.random.default_rng(seed)
    rows = max(1, BLOCK // members)
    for start in range(0, RESAMPLES, rows):
        size = min(rows, RESAMPLES - start)
        drawn = rng.integers(0, members, (size, members))
        drawn += members * np.arange(size)[:, np.newaxis]
        counts = np.bincount(drawn.ravel(), minlength=size * members)
        yield counts.reshape(size, members).astype(np.float64)


def differ(values: Floats) -> NDArray[np.bool_]:
    """Return for each row (M, n) whether its values differ by more than rounding."""
    largest = np.abs(values).max(axis=1, initial=0.0)
    return np.asarray(np.ptp(values, axis=1) > EQUAL_VALUES * largest)


def acceleration(influences: Floats) -> Floats:
    """Return a_hat (M,) of samples.

    Args:
        influences: (M, n), by how much each member moves the estimate: of a mean, the
            member's difference from it, as the jackknife finds it.
    """
    cubes, squares = (influences**3).sum(axis=1), (influences**2).sum(axis=1)
    return np.asarray(cubes / squares**1.5 / 6)


def bca(resampled: Floats, a_hat: Floats) -> Floats:
    """Return both ends (M, 2) of the 95 % BCa interval around an estimate of 0.

    Args:
        resampled: (M, RESAMPLES) estimates minus the estimate, where the members'
            range is about 1.
        a_hat: (M,) accelerations.
    """
    from scipy.special import ndtr, ndtri

    ordered = np.sort(resampled, axis=1)
    # Equal estimates count half; a sum in another order is equal up to rounding.
    below = (ordered < -EQUAL_MEANS).mean(axis=1) + (ordered <= EQUAL_MEANS).mean(
        axis=1
    )
    z0_hat = ndtri(below / 2)[:, np.newaxis]
    z_alpha = ndtri([(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    moved = z0_hat + z_alpha
    alpha = ndtr(z0_hat + moved / (1 - a_hat[:, np.newaxis] * moved))
    # numpy.quantile takes the same fractions for all rows; here each has its own.
    place = alpha * (ordered.shape[1] - 1)
    left = np.floor(place).astype(np.intp)
    right = np.minimum(left + 1, ordered.shape[1] - 1)
    lower = np.take_along_axis(ordered, left, axis=1)
    upper = np.take_along_axis(ordered, right, axis=1)
    return np.asarray(lower + (place - left) * (upper - lower))
