"""A subject's anomaly score from its map: which is pooled is named, never implied.

The map is given as its brain voxels, such as `score[brain]`: a mean over the whole
image would measure the size of the head. `auroc` of these scores over healthy and ill
subjects is the image-level AUROC. Each is NaN for a brain without voxel, and a
`DataError` for scores that are not finite.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from .arrays import as_finite, as_number


def brain_mean(scores: ArrayLike) -> float:
    """Return the mean score of the brain's voxels: sensitive to large faint lesions."""
    values = as_finite("scores", scores)
    return float(values.mean(dtype=np.float64)) if values.size else float("nan")


def brain_max(scores: ArrayLike) -> float:
    """Return the largest score in the brain: one outlier decides it."""
    values = as_finite("scores", scores)
    return float(values.max()) if values.size else float("nan")


def brain_top(scores: ArrayLike, fraction: float = 0.01) -> float:
    """Return the mean of the highest scores in the brain.

    Args:
        scores: of the brain's voxels, any shape.
        fraction: of the voxels that are averaged, in [0, 1]; rounded to whole voxels,
            at least one, so that 0 is `brain_max` and 1 is `brain_mean`.

    Raises:
        DataError: scores are not finite, or the fraction is not in [0, 1].
    """
    values = as_finite("scores", scores).ravel()
    count = max(1, round(as_number("fraction", fraction, 0, 1) * len(values)))
    if not len(values):
        return float("nan")
    top = np.partition(values, -count)[-count:]
    return float(top.mean(dtype=np.float64))


# How a map becomes a number, by the name that tables show.
SUBJECT_SCORES: dict[str, Callable[[ArrayLike], float]] = {
    "brain_mean": brain_mean,
    "brain_max": brain_max,
    "brain_top": brain_top,
}
