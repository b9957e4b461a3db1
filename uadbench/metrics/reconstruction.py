"""Metrics of how well healthy tissue is reconstructed.

`inside` is where they count: the brain without its lesion, which a good model of
healthy brains does not reproduce. A volume is (X, Y, Z), a slice (X, Y).
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uadbench.errors import DataError

from .arrays import Bools, as_finite, as_inside

WINDOW = 11  # px: 3.5 sigma of 1.5 px to each side, as in Wang et al.
HIGHEST = float(20 * np.log10(2.0**24))  # dB
Image = NDArray[np.float64]


def ssim(
    image: ArrayLike,
    reconstruction: ArrayLike,
    inside: ArrayLike,
    data_range: float | None = None,
) -> float:
    """Return the mean structural similarity over the voxels inside, at most 1.

    Wang et al., TIP 2004: Gaussian windows of 1.5 px, K1 = 0.01, K2 = 0.03, computed on
    the axial slices, since slices may be thick, and averaged over all voxels inside. A
    window reaches 5 px beyond its voxel, and so beyond `inside`: leave out a margin
    around the lesion where that matters.

    Args:
        image: (X, Y) or (X, Y, Z), at least 11 x 11 px.
        reconstruction: same shape.
        inside: bool, same shape, what counts.
        data_range: of intensities; if None, the image's largest minus its smallest
            inside. Only values from one data range compare.

    NaN if nothing is inside, or if the image is constant there and no range is given.

    Raises:
        DataError: shapes differ or are not (X, Y) or (X, Y, Z), an image is not finite,
            `inside` is not bool, or `data_range` is not positive.
    """
    from skimage.metrics import structural_similarity

    original, copy, chosen = _checked(image, reconstruction, inside)
    span = _data_range(original, chosen, data_range)
    if min(original.shape[:2]) < WINDOW:
        msg = f"image: expected at least {WINDOW} px a side, got {original.shape}."
        raise DataError(msg)
    if np.isnan(span):
        return float("nan")
    total = 0.0
    for z in np.flatnonzero(chosen.any(axis=(0, 1))):
        _, similarity = structural_similarity(  # type: ignore[no-untyped-call]
            original[..., z],
            copy[..., z],
            data_range=span,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            full=True,
        )
        total += similarity[chosen[..., z]].sum()
    return float(total / np.count_nonzero(chosen))


def psnr(
    image: ArrayLike,
    reconstruction: ArrayLike,
    inside: ArrayLike,
    data_range: float | None = None,
) -> float:
    """Return the peak signal-to-noise ratio over the voxels inside, in dB.

    10 log10(data_range^2 / mean squared error), but at most 144.5, an error of 2^-24 of
    the range: what float32 rounds off. So a perfect copy has the best value, and not an
    infinite one, which no mean survives. Arguments, NaN and errors are those of `ssim`,
    but for the size, which does not matter.
    """
    original, copy, chosen = _checked(image, reconstruction, inside)
    span = _data_range(original, chosen, data_range)
    if np.isnan(span):
        return float("nan")
    apart = np.abs(original - copy)[chosen]
    largest = float(apart.max())
    if not largest:
        return HIGHEST
    # Relative to the largest, since a square may leave the range of numbers.
    error = np.log10(largest) + np.log10(np.mean((apart / largest) ** 2)) / 2
    return float(min(20 * (np.log10(span) - error), HIGHEST))


def _checked(
    image: ArrayLike, reconstruction: ArrayLike, inside: ArrayLike
) -> tuple[Image, Image, Bools]:
    """Return all three as (X, Y, Z); a slice has one Z."""
    original = as_finite("image", image).astype(np.float64)
    copy = as_finite("reconstruction", reconstruction).astype(np.float64)
    if original.ndim not in (2, 3) or original.shape != copy.shape:
        msg = (
            "image and reconstruction: expected one shape, (X, Y) or (X, Y, Z), "
            f"got {original.shape} and {copy.shape}."
        )
        raise DataError(msg)
    chosen = as_inside(inside, original.shape)
    volume = (*original.shape, 1)[:3]
    return original.reshape(volume), copy.reshape(volume), chosen.reshape(volume)


def _data_range(image: Image, inside: Bools, given: float | None) -> float:
    """Return the range of intensities; NaN if nothing is inside or differs."""
    if given is not None and not (np.isfinite(given) and given > 0):
        msg = f"data_range: expected a number above 0, got {given}."
        raise DataError(msg)
    if not inside.any():
        return float("nan")
    return given or float(np.ptp(image[inside])) or float("nan")
