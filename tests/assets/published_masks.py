"""IterMask2's random masks as published: one at a time, square by square.

Written from a description of the procedure, for slices of 240 px of 1 mm.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import multivariate_normal
from torch import from_numpy
from torch.nn.functional import interpolate


def published_mask(
    rng: np.random.Generator, brain: NDArray[np.bool_], small: bool
) -> NDArray[np.bool_]:
    """Return a random mask of one regime inside a brain: bool (240, 240)."""
    return (kept_pixels(rng, brain, small) == 0) & brain


def published_sample(
    rng: np.random.Generator, brain: NDArray[np.bool_], small: bool, size: int
) -> NDArray[np.float32]:
    """Return a random mask as a network is given it, in parts of larger pixels."""
    kept = resized(kept_pixels(rng, brain, small), size)
    return (1 - kept) * resized(brain.astype(np.float32), size)


def resized(image: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Return the mean over each of size x size larger pixels."""
    smaller = interpolate(from_numpy(image)[None, None], (size, size), mode="area")
    return np.asarray(smaller[0, 0])


def kept_pixels(
    rng: np.random.Generator, brain: NDArray[np.bool_], small: bool
) -> NDArray[np.float32]:
    """Return 0 in random squares of one regime, 1 elsewhere: float32 (240, 240)."""
    c11, c22 = rng.uniform(0.3, 10, 2)
    scale = np.sqrt(c11 * c22)
    c12 = rng.choice([-1, 1]) * rng.uniform(0, scale)
    pixels = np.argwhere(brain)
    centre = pixels[rng.integers(len(pixels))]

    grid = (np.moveaxis(np.indices(brain.shape), 0, -1) - centre) * (
        0.4 if small else 0.1
    )
    law = multivariate_normal([0, 0], [[c11, c12], [c12, c22]], allow_singular=True)
    weights = law.pdf(grid)[brain]
    weights /= weights.sum()

    few, many = (5, 20) if small else (100, 200)
    numbers = (
        int(rng.uniform(few * scale, many * scale)),
        int(rng.integers(5, 10)),
        int(rng.integers(3, 10)),
    )
    rows = pixels[rng.choice(len(pixels), sum(numbers), p=weights), 0]
    columns = pixels[rng.choice(len(pixels), sum(numbers), p=weights), 1]
    kept = np.ones(brain.shape, np.float32)
    sides = np.repeat([4, 8, 16], numbers)
    for row, column, side in zip(rows, columns, sides, strict=True):
        kept[row : row + side, column : column + side] = 0
    return kept
