"""How different two images look, pixel by pixel, where intensities alone say little.

References: Wang et al., "Image quality assessment: from error visibility to structural
similarity", IEEE TIP 13 (2004), for SSIM; Zhang et al., "The unreasonable effectiveness
of deep features as a perceptual metric", CVPR 2018, for LPIPS.
"""

from collections.abc import Callable
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad

from uadbench.errors import UsageError

Distance = Literal["ssim", "lpips"]
WIDTHS = (1.5, 3.0, 6.0)  # px of a slice of 128 px, deviations of the windows
SLICE = 128  # px
STABLE = (0.01**2, 0.03**2)  # Wang's constants, for intensities 0 ... 1


def require(how: Distance, method: str) -> None:
    """Raise a UsageError, naming the method, if this distance cannot be had here."""
    if how != "lpips":
        return
    weights = Path(torch.hub.get_dir()) / "checkpoints"
    found = find_spec("lpips"), next(weights.glob("squeezenet1_1-*.pth"), None)
    if None in found:
        msg = (
            f"{method}: perceptual=lpips needs the package lpips and the weights "
            f"squeezenet1_1-*.pth of torchvision in {weights}; nothing is downloaded "
            "here. Provide both, or set perceptual=ssim."
        )
        raise UsageError(msg)


def distance(how: Distance, images: Tensor, others: Tensor) -> Tensor:
    """Return the distance at each pixel, 0 where both are equal: float (N, 1, S, S).

    ssim: (1 - SSIM) / 2, between 0 and 1, the mean over three widths of its windows.
    lpips: LPIPS with SqueezeNet.

    Args:
        how: one of the above.
        images: float (N, 1, S, S), intensities 0 ... 1.
        others: the same shape.
    """
    return DISTANCES[how](images, others)


def structural_similarity(images: Tensor, others: Tensor, width: float) -> Tensor:
    """Return SSIM at each pixel: float (N, 1, S, S).

    Args:
        images: float (N, 1, S, S), intensities 0 ... 1.
        others: the same shape.
        width: standard deviation of the Gaussian window, px.
    """
    planes = [images, others, images**2, others**2, images * others]
    mean, other_mean, square, other_square, product = (
        _blurred(plane, width) for plane in planes
    )
    variances = square - mean**2 + other_square - other_mean**2
    covariance = product - mean * other_mean
    brightness = (2 * mean * other_mean + STABLE[0]) / (
        mean**2 + other_mean**2 + STABLE[0]
    )
    return brightness * (2 * covariance + STABLE[1]) / (variances + STABLE[1])


def _blurred(images: Tensor, width: float) -> Tensor:
    """Return images (N, 1, S, S) weighted by a Gaussian, cut at 3.5 deviations."""
    reach = int(3.5 * width + 0.5)
    line = torch.arange(-reach, reach + 1, dtype=images.dtype, device=images.device)
    window = torch.exp(-((line / width) ** 2) / 2)
    window = window / window.sum()
    padded = pad(images, (reach,) * 4, mode="replicate")
    across = conv2d(padded, window[None, None, None, :])
    return conv2d(across, window[None, None, :, None])


def _dissimilarity(images: Tensor, others: Tensor) -> Tensor:
    widths = [width * images.shape[-1] / SLICE for width in WIDTHS]
    similarities = [structural_similarity(images, others, width) for width in widths]
    return (1 - torch.stack(similarities).mean(0)) / 2


def _learned(images: Tensor, others: Tensor) -> Tensor:
    network = _lpips(str(images.device))
    # It takes three channels, from -1 to 1.
    pairs = (2 * pair.expand(-1, 3, -1, -1) - 1 for pair in (images, others))
    output: Tensor = network(*pairs)
    return output


@lru_cache(maxsize=1)
def _lpips(device: str) -> nn.Module:
    from lpips import LPIPS

    network: nn.Module = LPIPS(net="squeeze", spatial=True, verbose=False)
    return network.to(device).eval()


DISTANCES: dict[Distance, Callable[[Tensor, Tensor], Tensor]] = {
    "ssim": _dissimilarity,
    "lpips": _learned,
}
