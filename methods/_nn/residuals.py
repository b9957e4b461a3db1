"""How far a reconstruction is from its image, pixel by pixel."""

from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from .tensors import to_array

Residual = Literal["l1", "l2", "ssim"]


def residual(how: Residual, images: Tensor, restored: Tensor) -> Tensor:
    """Return the residuals of the slices of one scan, 0 where both are equal.

    l1: |image - reconstruction|.
    l2: its square.
    ssim: 1 - structural similarity (Wang et al. 2004) in Gaussian windows of 1.5 px,
        between 0 and 2; it sees structure where the difference of intensities is small.

    Args:
        how: one of the above.
        images: float (N, 1, S, S) of one scan, whose range of intensities the
            similarity refers to; at least 11 px a side.
        restored: the same shape.
    """
    return RESIDUALS[how](images, restored)


def _dissimilarity(images: Tensor, restored: Tensor) -> Tensor:
    from skimage.metrics import structural_similarity

    originals, copies = to_array(images[:, 0]), to_array(restored[:, 0])
    maps = [
        structural_similarity(  # type: ignore[no-untyped-call]
            original,
            copy,
            # An image of one intensity has no range; any gives it a score.
            data_range=float(np.ptp(originals)) or 1.0,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            full=True,
        )[1]
        for original, copy in zip(originals, copies, strict=True)
    ]
    return 1 - torch.from_numpy(np.stack(maps)[:, None]).to(images)


RESIDUALS: dict[Residual, Callable[[Tensor, Tensor], Tensor]] = {
    "l1": lambda images, restored: (images - restored).abs(),
    "l2": lambda images, restored: (images - restored) ** 2,
    "ssim": _dissimilarity,
}
