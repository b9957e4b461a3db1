"""The random masks of IterMask2 as published: one at a time, square by square.

Written from a description of the original's procedure, on slices of 240 px of 1 mm.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import multivariate_normal
from torch import from_numpy
from torch.nn.functional import interpolate

SIZE = 240  # px of 1 mm
LARGE, SMALL = "large", "small"
REGIMES = (LARGE, LARGE, SMALL)


def published_mask(
    rng: np.random.Generator, brain: NDArray[np.bool_], regime: str | None = None
) -> NDArray[np.bool_]:
    """Return a random mask of a brain: bool (240, 240), inside it."""
    regime = regime or REGIMES[rng.integers(3)]
    c11, c22 = rng.uniform(0.3, 10, 2)
    scale = np.sqrt(c11 * c22)
    c12 = rng.choice([-1, 1]) * rng.uniform(0, scale)
    pixels = np.argwhere(brain)
    centre = pixels[rng.integers(len(pixels))]

    unit = 0.1 if regime == LARGE else 0.4
    grid = (np.moveaxis(np.indices(brain.shape), 0, -1) - centre) * unit
    law = multivariate_normal([0, 0], [[c11, c12], [c12, c22]], allow_singular=True)
    weights = law.pdf(grid)[brain]
    weights /= weights.sum()

    few, many = (100, 200) if regime == LARGE else (5, 20)
    numbers = (
        int(rng.uniform(few * scale, many * scale)),
        rng.integers(5, 10),
        rng.integers(3, 10),
    )
    count = sum(numbers)
    rows = pixels[rng.choice(len(pixels), count, p=weights), 0]
    columns = pixels[rng.choice(len(pixels), count, p=weights), 1]
    kept = np.ones(brain.shape, np.float32)
    for row, column, side in zip(
        rows, columns, np.repeat([4, 8, 16], numbers), strict=True
    ):
        kept[row : row + side, column : column + side] = 0
    return (kept == 0) & brain


def resized(mask: NDArray[np.bool_], size: int) -> NDArray[np.float32]:
    """Return the masked part of each of size x size larger pixels."""
    image = from_numpy(mask.astype(np.float32))[None, None]
    smaller = interpolate(image, size=(size, size), mode="area")[0, 0]
    return np.asarray(smaller.numpy())
