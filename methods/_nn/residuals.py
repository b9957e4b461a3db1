"""How far a reconstruction is from its image, pixel by pixel."""

from collections.abc import Callable
from typing import Literal

from torch import Tensor

from uadbench.slices import Normalisation

from .perceptual import structural_similarity

Residual = Literal["l1", "l2", "ssim"]
WINDOW = 1.5  # px, standard deviation, Wang's
# Background and about the brightest tissue. They are the same for all scans: in a range
# of its own, one hot voxel would move the similarity everywhere.
RANGES: dict[Normalisation, tuple[float, float]] = {
    "median": (0.0, 2.0),
    "p90": (-3.0, 3.0),
}


def residual(
    how: Residual, images: Tensor, restored: Tensor, scale: Normalisation
) -> Tensor:
    """Return the residuals of slices, 0 where both are equal.

    l1: |image - reconstruction|.
    l2: its square.
    ssim: 1 - structural similarity (Wang et al. 2004) in Gaussian windows of 1.5 px,
        between 0 and 2; it sees structure where the difference of intensities is small.

    Args:
        how: one of the above.
        images: float (N, 1, S, S).
        restored: the same shape.
        scale: of the intensities, for ssim one of `RANGES`.
    """
    return RESIDUALS[how](images, restored, scale)


def _dissimilarity(images: Tensor, restored: Tensor, scale: Normalisation) -> Tensor:
    low, high = RANGES[scale]
    images, restored = ((pair - low) / (high - low) for pair in (images, restored))
    return 1 - structural_similarity(images, restored, WINDOW)


RESIDUALS: dict[Residual, Callable[[Tensor, Tensor, Normalisation], Tensor]] = {
    "l1": lambda images, restored, _: (images - restored).abs(),
    "l2": lambda images, restored, _: (images - restored) ** 2,
    "ssim": _dissimilarity,
}
