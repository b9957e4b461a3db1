import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from skimage import metrics as skimage

from uadbench.errors import DataError
from uadbench.metrics import psnr, ssim

Image = NDArray[np.float64]
Mask = NDArray[np.bool_]
Metric = Callable[..., float]

METRICS: list[Metric] = [ssim, psnr]
their_ssim: Callable[..., Any] = skimage.structural_similarity
their_psnr: Callable[..., Any] = skimage.peak_signal_noise_ratio


def pair(shape: tuple[int, ...], seed: int = 0) -> tuple[Image, Image]:
    """An image with structure and a noisy copy."""
    rng = np.random.default_rng(seed)
    image = gaussian_filter(rng.normal(size=shape), 2)
    return image, image + 0.05 * rng.normal(size=shape)


def disc(shape: tuple[int, ...], radius: float = 10) -> Mask:
    x, y = np.indices(shape[:2])
    inside = np.hypot(x - shape[0] / 2, y - shape[1] / 2) < radius
    return np.broadcast_to(inside.reshape(*shape[:2], *(1,) * len(shape[2:])), shape)


def mean_of_slices(image: Image, copy: Image, inside: Mask, data_range: float) -> Image:
    """Scikit-image's SSIM at every voxel inside, slice by slice."""
    return np.concatenate(
        [
            their_ssim(
                image[..., z],
                copy[..., z],
                data_range=data_range,
                gaussian_weights=True,
                sigma=1.5,
                use_sample_covariance=False,
                full=True,
            )[1][inside[..., z]]
            for z in range(image.shape[2])
        ]
    )


def windowed_ssim(a: Image, b: Image, data_range: float) -> float:
    """Wang et al., equation 13, in one window of 11 x 11 px."""
    offset = np.arange(-5, 6)
    bell = np.exp(-(offset**2) / (2 * 1.5**2))
    weight = np.outer(bell, bell) / np.outer(bell, bell).sum()
    mean_a, mean_b = (weight * a).sum(), (weight * b).sum()
    var_a = (weight * (a - mean_a) ** 2).sum()
    var_b = (weight * (b - mean_b) ** 2).sum()
    cov = (weight * (a - mean_a) * (b - mean_b)).sum()
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    return float(luminance * (2 * cov + c2) / (var_a + var_b + c2))


def test_perfect_reconstruction() -> None:
    image, _ = pair((30, 32, 3))
    inside = disc(image.shape)

    assert ssim(image, image, inside) == pytest.approx(1, rel=1e-12)
    assert psnr(image, image, inside) == pytest.approx(20 * math.log10(2**24))


def test_no_error_is_better_than_what_float32_rounds_off() -> None:
    image, _ = pair((30, 32, 3))
    inside = disc(image.shape)

    nearly = psnr(image, image + 1e-12, inside)

    assert nearly == psnr(image, image, inside)
    assert nearly > psnr(image, image + 1e-6, inside)


@pytest.mark.parametrize("size", [1e-200, 1e-170, 1e170, 1e200])
def test_psnr_of_any_magnitude_is_the_same(size: float) -> None:
    image, copy = pair((30, 32))
    inside = disc(image.shape)

    found = psnr(size * image, size * copy, inside)

    assert found == pytest.approx(psnr(image, copy, inside), rel=1e-9)


def test_ssim_in_one_window_is_the_papers() -> None:
    image, copy = pair((25, 25))
    centre = np.zeros((25, 25), bool)
    centre[12, 12] = True
    window = np.s_[7:18, 7:18]

    value = ssim(image, copy, centre, data_range=2.0)

    assert value == pytest.approx(windowed_ssim(image[window], copy[window], 2.0))


def test_ssim_is_the_mean_of_scikit_images_map_inside() -> None:
    image, copy = pair((40, 36, 4))
    inside = np.random.default_rng(1).random(image.shape) < 0.3

    value = ssim(image, copy, inside, data_range=1.5)

    expected = mean_of_slices(image, copy, inside, 1.5).mean()
    assert value == pytest.approx(expected, rel=1e-12)


def test_ssim_weighs_voxels_and_not_slices_alike() -> None:
    image, copy = pair((30, 30, 2))
    inside = np.zeros(image.shape, bool)
    inside[10:20, 10:20, 0] = inside[15, 15, 1] = True

    value = ssim(image, copy, inside, data_range=1.0)

    voxels = mean_of_slices(image, copy, inside, 1.0)
    assert len(voxels) == 101
    assert value == pytest.approx(voxels.mean())


def test_psnr_by_hand() -> None:
    image = np.array([[0.0, 4.0], [2.0, 99.0]])
    copy = np.array([[1.0, 4.0], [0.0, 0.0]])
    inside = np.array([[1, 1], [1, 0]], bool)

    # Errors 1, 0, 4 and a range of 4: 10 log10(16 / (5 / 3)).
    assert psnr(image, copy, inside) == pytest.approx(10 * math.log10(16 * 3 / 5))


def test_scikit_image_agrees_on_psnr() -> None:
    image, copy = pair((20, 20, 5))
    everywhere = np.ones(image.shape, bool)

    value = psnr(image, copy, everywhere, data_range=3.0)

    assert value == pytest.approx(their_psnr(image, copy, data_range=3.0), rel=1e-12)


def test_the_range_is_the_images_inside() -> None:
    image, copy = pair((30, 30))
    inside = disc(image.shape, 6)
    spread = float(np.ptp(image[inside]))

    for metric in METRICS:
        assert metric(image, copy, inside) == metric(image, copy, inside, spread)
        assert metric(image, copy, inside) != metric(image, copy, inside, 2 * spread)


@pytest.mark.parametrize("metric", METRICS)
def test_a_volume_of_one_slice_is_that_slice(metric: Metric) -> None:
    image, copy = pair((30, 25))
    inside = disc(image.shape)

    value = metric(image[..., None], copy[..., None], inside[..., None])

    assert value == metric(image, copy, inside)


@pytest.mark.parametrize("metric", METRICS)
def test_what_lies_far_outside_changes_nothing(metric: Metric) -> None:
    image, copy = pair((60, 60, 2))
    inside = disc(image.shape, 8)
    # A window reaches 5 px beyond its centre.
    far = ~disc(image.shape, 8 + 8)

    value = metric(image, np.where(far, 1e3, copy), inside)

    assert value == metric(image, copy, inside)


@pytest.mark.parametrize("metric", METRICS)
@given(st.sampled_from([0.01, 3.0, 1000.0]), st.sampled_from([0, 1]))
def test_scale_of_intensities_and_flips_change_nothing(
    metric: Metric, scale: float, axis: int
) -> None:
    image, copy = pair((30, 26, 2))
    inside = disc(image.shape, 7)
    arrays = (scale * image, scale * copy, inside)

    value = metric(*(np.flip(array, axis) for array in arrays))

    assert value == pytest.approx(metric(image, copy, inside))


@given(st.integers(0, 20))
def test_ssim_is_symmetric_and_at_most_one(seed: int) -> None:
    image, copy = pair((15, 15), seed)
    inside = disc(image.shape, 5)

    value = ssim(image, copy, inside, 1.0)

    assert -1 <= value <= 1
    assert value == pytest.approx(ssim(copy, image, inside, 1.0))


@pytest.mark.parametrize("metric", METRICS)
def test_more_noise_is_worse(metric: Metric) -> None:
    image, copy = pair((40, 40))
    inside = disc(image.shape)

    values = [metric(image, image + k * (copy - image), inside) for k in (1, 2, 4)]

    assert values == sorted(values, reverse=True)


@pytest.mark.parametrize("metric", METRICS)
def test_nothing_inside_is_undefined(metric: Metric) -> None:
    image, copy = pair((20, 20, 2))

    assert math.isnan(metric(image, copy, np.zeros(image.shape, bool)))
    assert math.isnan(metric(image, copy, np.zeros(image.shape, bool), 1.0))


@pytest.mark.parametrize("metric", METRICS)
def test_a_constant_image_has_no_range_of_its_own(metric: Metric) -> None:
    constant, inside = np.full((20, 20), 0.5), disc((20, 20), 6)

    assert math.isnan(metric(constant, constant + 0.1, inside))
    assert metric(constant, constant + 0.1, inside, 1.0) == pytest.approx(
        {ssim: (2 * 0.5 * 0.6 + 1e-4) / (0.5**2 + 0.6**2 + 1e-4), psnr: 20.0}[metric]
    )


@pytest.mark.parametrize("metric", METRICS)
def test_integers_and_float32_are_taken_as_numbers(metric: Metric) -> None:
    rng = np.random.default_rng(0)
    image, copy = rng.integers(0, 255, (2, 20, 20))
    inside = disc((20, 20), 6)

    values = {
        metric(image.astype(kind), copy.astype(kind), inside)
        for kind in (np.uint8, np.int64, np.float32, np.float64)
    }

    # Bytes would wrap around in their difference.
    assert len(values) == 1


@pytest.mark.parametrize("metric", METRICS)
def test_shapes_that_differ_or_have_no_slices_are_refused(metric: Metric) -> None:
    image, copy = pair((20, 20, 2))
    inside = disc(image.shape)

    with pytest.raises(DataError, match=r"got \(20, 20, 2\) and \(19, 20, 2\)"):
        metric(image, copy[1:], inside)
    with pytest.raises(DataError, match=r"expected one shape, \(X, Y\) or \(X, Y, Z\)"):
        metric(image[None], copy[None], inside[None])
    with pytest.raises(DataError, match=r"inside has shape \(19, 20, 2\)"):
        metric(image, copy, inside[1:])
    with pytest.raises(DataError, match="inside: expected bool, got uint8"):
        metric(image, copy, inside.astype(np.uint8))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_images_that_are_not_finite_are_refused(metric: Metric, bad: float) -> None:
    image, _ = pair((20, 20))
    broken = image.copy()
    broken[0, 0] = bad

    with pytest.raises(DataError, match="image: 1 of 400 are NaN or infinite"):
        metric(broken, image, disc(image.shape))
    with pytest.raises(DataError, match="reconstruction: 1 of 400 are NaN"):
        metric(image, broken, disc(image.shape))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("data_range", [0.0, -1.0, np.nan, np.inf])
def test_ranges_that_are_none_are_refused(metric: Metric, data_range: float) -> None:
    image, copy = pair((20, 20))

    with pytest.raises(DataError, match="data_range: expected a number above 0"):
        metric(image, copy, disc(image.shape), data_range)


def test_slices_smaller_than_a_window_are_refused() -> None:
    image, copy = pair((10, 30, 2))
    everywhere = np.ones(image.shape, bool)

    with pytest.raises(DataError, match=r"at least 11 px a side, got \(10, 30, 2\)"):
        ssim(image, copy, everywhere)
    assert psnr(image, copy, everywhere) > 0
