"""How far a reconstruction is from its image, pixel by pixel."""

from collections.abc import Callable
from typing import Literal

from torch import Tensor

from .perceptual import structural_similarity

Residual = Literal["l1", "l2", "ssim"]
WINDOW = 1.5  # px, standard deviation, Wang's


def residual(how: Residual, images: Tensor, restored: Tensor) -> Tensor:
    """Return the residuals of the slices of one scan, 0 where both are equal.

    l1: |image - reconstruction|.
    l2: its square.
    ssim: 1 - structural similarity (Wang et al. 2004) in Gaussian windows of 1.5 px,
        between 0 and 2; it sees structure where the difference of intensities is small.

    Args:
        how: one of the above.
        images: float (N, 1, S, S) of one scan, whose range of intensities the
            similarity refers to.
        restored: the same shape.
    """
    return RESIDUALS[how](images, restored)


def _dissimilarity(images: Tensor, restored: Tensor) -> Tensor:
    # An image of one intensity has no range; any gives it a score.
    extent = float(images.max() - images.min()) or 1.0
    return 1 - structural_similarity(images / extent, restored / extent, WINDOW)


RESIDUALS: dict[Residual, Callable[[Tensor, Tensor], Tensor]] = {
    "l1": lambda images, restored: (images - restored).abs(),
    "l2": lambda images, restored: (images - restored) ** 2,
    "ssim": _dissimilarity,
}
