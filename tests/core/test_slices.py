import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from uadbench.errors import DataError
from uadbench.protocols import Scan
from uadbench.slices import Normalisation, cut, normalise, weights

SHAPE = (40, 48, 6)
Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]


def ellipse(radii_mm: tuple[float, float], spacing: tuple[float, float]) -> Mask:
    """A brain around the middle of SHAPE, in slices 1 to 4."""
    x, y = np.ogrid[: SHAPE[0], : SHAPE[1]]
    across = (x - 19.5) * spacing[0] / radii_mm[0]
    along = (y - 23.5) * spacing[1] / radii_mm[1]
    brain = np.zeros(SHAPE, bool)
    brain[..., 1:5] = (across**2 + along**2 < 1)[..., None]
    return brain


def smooth(channels: int = 1) -> Floats:
    """Slow waves around 100: float32 (C, X, Y, Z)."""
    c, x, y, z = np.indices((channels, *SHAPE))
    waves = np.sin(x / 9 + c) + np.cos(y / 11) + np.sin(z / 4)
    return np.asarray(100 + 10 * waves, np.float32)


def make_scan(
    brain: Mask | None = None,
    image: Floats | None = None,
    spacing: tuple[float, float, float] = (1, 1, 5),
    slices: tuple[int, ...] = (1, 2, 3, 4),
) -> Scan:
    if brain is None:
        brain = ellipse((14, 18), spacing[:2])
    if image is None:
        image = smooth()
    return Scan(
        id="sub-1",
        image=image,
        brain=brain,
        spacing=spacing,
        affine=np.diag([*spacing, 1.0]),
        modalities=("T1w", "FLAIR")[: len(image)],
        slices=slices,
    )


def test_median_scale_puts_the_brain_median_at_one_and_background_at_zero() -> None:
    brain = ellipse((14, 18), (1, 1))

    scaled = normalise(smooth()[0], brain, "median")

    assert np.median(scaled[brain]) == pytest.approx(1, abs=1e-5)
    assert (scaled[~brain] == 0).all()
    assert scaled.dtype == np.float32


def test_p90_scale_puts_the_percentile_at_three_and_background_at_minus_three() -> None:
    brain = ellipse((14, 18), (1, 1))

    scaled = normalise(smooth()[0], brain, "p90")

    assert np.percentile(scaled[brain], 90) == pytest.approx(3, abs=1e-4)
    assert (scaled[~brain] == -3).all()
    assert scaled.max() > 3  # bright tissue is not clipped


def test_no_scale_keeps_the_values_inside_the_brain() -> None:
    brain = ellipse((14, 18), (1, 1))

    scaled = normalise(smooth()[0], brain, "none")

    np.testing.assert_array_equal(scaled[brain], smooth()[0][brain])
    assert (scaled[~brain] == 0).all()


@pytest.mark.parametrize("how", ["median", "p90"])
@settings(deadline=None, max_examples=20)
@given(gain=st.floats(0.01, 1000))
def test_scales_do_not_depend_on_the_gain_of_the_scanner(
    how: Normalisation, gain: float
) -> None:
    brain = ellipse((14, 18), (1, 1))

    louder = normalise(smooth()[0] * np.float32(gain), brain, how)

    np.testing.assert_allclose(louder, normalise(smooth()[0], brain, how), atol=1e-4)


@pytest.mark.parametrize("how", ["median", "p90"])
def test_an_image_without_positive_level_is_refused(how: Normalisation) -> None:
    scan = make_scan(image=np.zeros_like(smooth()))

    with pytest.raises(DataError, match=f"sub-1: .*non-positive {how}"):
        cut(scan, 32, 48, how)


def test_an_empty_brain_is_refused_by_the_name_of_the_scan() -> None:
    scan = make_scan(brain=np.zeros(SHAPE, bool))

    with pytest.raises(DataError, match="sub-1: the brain mask is empty"):
        cut(scan, 32, 48, "median")


def test_the_same_pixels_come_back_exactly() -> None:
    image, brain = smooth(), ellipse((14, 18), (1, 1))
    scan = make_scan(image=image)

    slices = cut(scan, 48, 48.0, "none")

    # 48 px of 1 mm around a brain centred in 40 x 48 voxels: 4 px of margin along x.
    inside = np.where(brain, image[0], 0)[..., 1:5]
    np.testing.assert_array_equal(slices.images[:, 0, 4:44], np.moveaxis(inside, -1, 0))
    assert (slices.images[:, 0, :4] == 0).all()
    np.testing.assert_array_equal(
        slices.brain[:, 4:44], np.moveaxis(brain[..., 1:5], -1, 0)
    )
    pasted = slices.paste(slices.images[:, 0])
    np.testing.assert_array_equal(pasted[..., 1:5], inside)


@pytest.mark.parametrize("size", [24, 36, 100, 150])
def test_cut_and_paste_of_a_smooth_image_is_close(size: int) -> None:
    image = smooth()
    scan = make_scan(brain=np.ones(SHAPE, bool), image=image, slices=(0, 3, 5))

    slices = cut(scan, size, 60.0, "none")
    pasted = slices.paste(slices.images[:, 0])

    # Away from the volume's border, where the background mixes in.
    inner = (slice(5, -5), slice(5, -5), [0, 3, 5])
    np.testing.assert_allclose(pasted[inner], image[0][inner], rtol=0.02)


@pytest.mark.parametrize("size", [24, 36, 100, 150])
def test_cutting_and_pasting_keep_the_mass(size: int) -> None:
    image = smooth()
    scan = make_scan(image=image)
    mass = image[0][scan.scored].sum()

    slices = cut(scan, size, 60.0, "none")

    area = (60.0 / size) ** 2
    assert slices.images.sum() * area == pytest.approx(mass, rel=0.01)
    assert slices.paste(slices.images[:, 0]).sum() == pytest.approx(mass, rel=0.01)


def test_p90_background_does_not_fade_at_the_border_of_the_volume() -> None:
    slices = cut(make_scan(), 30, 90.0, "p90")

    assert (slices.images[:, 0, 0] == -3).all()
    assert slices.images.min() >= -3 - 1e-5


def test_only_listed_slices_with_brain_are_cut() -> None:
    scan = make_scan(slices=(0, 2, 4, 5))

    slices = cut(scan, 32, 48, "median")

    assert slices.index == (2, 4)
    assert slices.images.shape == (2, 1, 32, 32)
    assert slices.brain.shape == (2, 32, 32)


def test_a_scan_without_such_slices_gives_none_and_pastes_to_zero() -> None:
    slices = cut(make_scan(slices=(0,)), 32, 48, "median")

    assert slices.index == ()
    assert slices.images.shape == (0, 1, 32, 32)
    pasted = slices.paste(slices.images[:, 0])
    assert pasted.shape == SHAPE
    assert not pasted.any()


def test_pasting_leaves_other_slices_at_zero() -> None:
    slices = cut(make_scan(slices=(2,)), 32, 48, "median")

    pasted = slices.paste(np.ones((1, 32, 32), np.float32))

    assert np.flatnonzero(pasted.any(axis=(0, 1))).tolist() == [2]


def test_channels_are_cut_alike_and_scaled_each_on_its_own() -> None:
    image = smooth(channels=2)
    image[1] *= 7

    slices = cut(make_scan(image=image), 48, 48, "median")

    assert slices.images.shape == (4, 2, 48, 48)
    for channel in (0, 1):
        inside = slices.images[:, channel][slices.brain]
        assert np.median(inside) == pytest.approx(1, abs=1e-3)


def test_anisotropic_voxels_become_square_pixels() -> None:
    spacing = (1.5, 0.75, 6.0)
    scan = make_scan(brain=ellipse((15, 15), spacing[:2]), spacing=spacing)

    slices = cut(scan, 64, 64.0, "median")

    # A circle of radius 15 mm has a diameter of 30 px of 1 mm along both axes.
    width = slices.brain[0].any(axis=1).sum()
    height = slices.brain[0].any(axis=0).sum()
    assert width == pytest.approx(30, abs=2)
    assert height == pytest.approx(30, abs=2)
    assert slices.brain[0].sum() == pytest.approx(np.pi * 15**2, rel=0.05)


def test_the_brain_lies_in_the_middle_of_the_field() -> None:
    brain = np.roll(ellipse((9, 12), (1, 1)), (8, -9), axis=(0, 1))

    slices = cut(make_scan(brain=brain), 64, 64.0, "median")

    rows, columns = np.nonzero(slices.brain[0])
    assert rows.mean() == pytest.approx(31.5, abs=0.5)
    assert columns.mean() == pytest.approx(31.5, abs=0.5)


def test_the_field_grows_for_a_brain_that_would_not_fit() -> None:
    brain = ellipse((18, 23), (1, 1))

    slices = cut(make_scan(brain=brain), 32, 20.0, "median")

    # 46 mm of brain on 32 px less two on each side: the brain spans 28 px.
    columns = np.flatnonzero(slices.brain[0].any(axis=0))
    assert columns[0] == 2
    assert columns[-1] == 29
    assert not slices.brain[:, :2].any()


def test_masks_come_back_on_the_native_grid() -> None:
    scan = make_scan()
    slices = cut(scan, 96, 48.0, "median")

    pasted = slices.paste_masks(slices.brain)

    overlap = 2 * (pasted & scan.brain).sum() / (pasted.sum() + scan.brain.sum())
    assert pasted.dtype == bool
    assert overlap > 0.97


def test_a_stack_of_masks_keeps_its_leading_axis() -> None:
    slices = cut(make_scan(), 32, 48.0, "median")
    trace = np.stack([slices.brain, np.zeros_like(slices.brain)])

    pasted = slices.paste_masks(trace)

    assert pasted.shape == (2, *SHAPE)
    assert pasted[0].any()
    assert not pasted[1].any()


def test_a_resampling_to_the_same_pixels_is_the_identity() -> None:
    np.testing.assert_array_equal(weights(9, 9, 0, 1), np.eye(9))


def test_a_resampling_to_half_the_pixels_is_a_triangle_over_four() -> None:
    found = weights(8, 4, 0, 2)

    # Target 1 is centred at source 2.5; distances 1.5, .5, .5, 1.5 over a width of 2
    # weigh 1/4, 3/4, 3/4, 1/4, which sum to 2.
    expected = [0, 1 / 8, 3 / 8, 3 / 8, 1 / 8, 0, 0, 0]
    np.testing.assert_allclose(found[1], expected, atol=1e-7)


def test_a_resampling_to_twice_the_pixels_interpolates_linearly() -> None:
    found = weights(4, 8, 0, 0.5)

    # Target 3 is centred at source 1.25.
    np.testing.assert_allclose(found[3], [0, 0.75, 0.25, 0], atol=1e-7)


@settings(deadline=None)
@given(
    count=st.integers(1, 40),
    size=st.integers(1, 40),
    corner=st.floats(-60, 60),
    step=st.floats(0.1, 8),
)
def test_resampling_weights_are_shares(
    count: int, size: int, corner: float, step: float
) -> None:
    found = weights(count, size, corner, step)

    assert found.shape == (size, count)
    assert (found >= 0).all()
    assert (found.sum(axis=1) <= 1 + 1e-5).all()
