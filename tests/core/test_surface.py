from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion
from scipy.spatial.distance import cdist

from uadbench.errors import DataError
from uadbench.metrics import (
    assd,
    hausdorff95,
    surface_dice,
    surface_distances,
)

Mask = NDArray[np.bool_]
Spacing = tuple[float, ...]
SurfaceMetric = Callable[[Mask, Mask, Spacing], float]

MM = (1.0, 1.0, 1.0)
THICK = (0.9, 1.1, 6.0)


def surface_dice_1mm(pred: Mask, ref: Mask, spacing: Spacing) -> float:
    return surface_dice(pred, ref, spacing, 1.0)


DISTANCES: list[SurfaceMetric] = [hausdorff95, assd]
METRICS: list[SurfaceMetric] = [*DISTANCES, surface_dice_1mm]


def voxels(*where: tuple[int, ...], shape: tuple[int, ...] = (9, 9, 9)) -> Mask:
    mask = np.zeros(shape, bool)
    for index in where:
        mask[index] = True
    return mask


def edge(mask: Mask) -> Mask:
    """The surface by scipy's erosion, to which beyond the array is outside."""
    eroded: Mask = binary_erosion(mask)
    return mask & ~eroded


def brute(pred: Mask, ref: Mask, spacing: Spacing) -> tuple[float, float, float]:
    """HD95, ASSD and surface Dice at 1 mm from every pair of surface voxels."""
    pairs = cdist(np.argwhere(edge(pred)) * spacing, np.argwhere(edge(ref)) * spacing)
    to_ref, to_pred = pairs.min(axis=1), pairs.min(axis=0)
    both = np.concatenate((to_ref, to_pred))
    worst = max(np.percentile(to_ref, 95), np.percentile(to_pred, 95))
    return float(worst), float(both.mean()), float((both <= 1.000001).mean())


def three(pred: Mask, ref: Mask, spacing: Spacing) -> tuple[float, float, float]:
    found = surface_distances(pred, ref, spacing)
    return found.hausdorff95(), found.assd(), found.surface_dice(1.0)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Mask, Mask, Spacing]:
    """Two masks, neither empty, with a spacing; of a slice or a volume."""
    shape = draw(st.sampled_from([(5, 7), (4, 5, 3), (1, 6, 2)]))
    masks = arrays(np.bool_, shape)
    pred, ref = (draw(masks.filter(lambda mask: bool(mask.any()))) for _ in range(2))
    sizes = st.sampled_from([0.5, 0.9, 1.0, 1.1, 6.0])
    return pred, ref, tuple(draw(sizes) for _ in shape)


@pytest.mark.parametrize(
    ("metric", "perfect"), [(hausdorff95, 0.0), (assd, 0.0), (surface_dice_1mm, 1.0)]
)
def test_perfect_mask(metric: SurfaceMetric, perfect: float) -> None:
    ref = np.zeros((9, 9, 9), bool)
    ref[2:7, 3:6, 0:5] = True

    assert metric(ref, ref, THICK) == perfect


def test_two_voxels_are_as_far_apart_as_their_centres() -> None:
    pred, ref = voxels((1, 2, 3)), voxels((4, 6, 3))
    diagonal_mm = (1.0, 2.0, 5.0)

    assert three(pred, ref, MM) == (5.0, 5.0, 0.0)
    assert hausdorff95(pred, ref, diagonal_mm) == pytest.approx(np.sqrt(9 + 64))


def test_three_voxels_by_hand() -> None:
    # To the reference: 0 and 3 mm. To the prediction: 0 mm.
    pred, ref = voxels((0, 0), (3, 0), shape=(5, 5)), voxels((0, 0), shape=(5, 5))

    # 95 % of the way from rank 0 to rank 1; 3 mm over three voxels; 2 of 3 within 1 mm.
    assert three(pred, ref, (1.0, 1.0)) == pytest.approx((2.85, 1.0, 2 / 3))


def test_what_lies_inside_a_surface_does_not_count() -> None:
    solid = np.zeros((7, 7, 7), bool)
    solid[1:6, 1:6, 1:6] = True
    hollow = solid.copy()
    hollow[3, 3, 3] = False

    found = surface_distances(hollow, solid, MM)

    # The hole makes its 6 face neighbours surface, each 1 mm from the outer one.
    outer = 5**3 - 3**3
    assert sorted(found.to_ref.tolist()) == [0] * outer + [1] * 6
    assert found.to_pred.tolist() == [0] * outer


def test_beyond_the_array_is_outside() -> None:
    full = np.ones((5, 5), bool)

    found = surface_distances(full, voxels((2, 2), shape=(5, 5)), (1.0, 1.0))

    assert len(found.to_ref) == 16
    assert found.to_ref.min() == 2


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("spacing", [MM, THICK])
@pytest.mark.parametrize("density", [0.002, 0.3, 0.95])
def test_brute_force_agrees(seed: int, spacing: Spacing, density: float) -> None:
    rng = np.random.default_rng(seed)
    pred, ref = rng.random((2, 12, 11, 10)) < density
    pred[0, 0, 0] = ref[-1, -1, -1] = True

    assert three(pred, ref, spacing) == pytest.approx(
        brute(pred, ref, spacing), rel=1e-12
    )


@given(pairs())
def test_brute_force_agrees_on_any_pair(case: tuple[Mask, Mask, Spacing]) -> None:
    assert three(*case) == pytest.approx(brute(*case), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("spacing", [MM, THICK])
def test_one_search_gives_what_the_three_functions_give(spacing: Spacing) -> None:
    rng = np.random.default_rng(0)
    pred, ref = rng.random((2, 8, 8, 8)) < 0.1

    assert three(pred, ref, spacing) == (
        hausdorff95(pred, ref, spacing),
        assd(pred, ref, spacing),
        surface_dice(pred, ref, spacing, 1.0),
    )


@pytest.mark.parametrize("metric", DISTANCES)
@pytest.mark.parametrize(
    ("shape", "spacing", "diagonal"),
    [((3, 4), (1.0, 1.0), 5.0), ((2, 3, 6), (1.0, 2.0, 3.0), np.sqrt(4 + 36 + 324))],
)
def test_a_missed_lesion_is_the_diagonal_of_the_image(
    metric: SurfaceMetric, shape: tuple[int, ...], spacing: Spacing, diagonal: float
) -> None:
    ref = voxels((1,) * len(shape), shape=shape)

    assert metric(np.zeros(shape, bool), ref, spacing) == pytest.approx(diagonal)


def test_a_missed_lesion_has_no_surface_in_common() -> None:
    assert surface_dice(np.zeros((9, 9, 9), bool), voxels((1, 1, 1)), MM, 1e6) == 0


@given(pairs())
def test_no_find_is_worse_than_a_miss(case: tuple[Mask, Mask, Spacing]) -> None:
    pred, ref, spacing = case

    for metric in DISTANCES:
        assert metric(pred, ref, spacing) < metric(np.zeros_like(ref), ref, spacing)


@pytest.mark.parametrize("metric", METRICS)
def test_without_lesion_in_the_reference_nothing_is_defined(
    metric: SurfaceMetric,
) -> None:
    empty = np.zeros((9, 9, 9), bool)

    assert np.isnan(metric(voxels((1, 1, 1)), empty, MM))
    assert np.isnan(metric(empty, empty, MM))
    assert np.isnan(metric(empty[:0], empty[:0], MM))


def test_distances_to_an_empty_mask_are_infinite() -> None:
    found = surface_distances(np.zeros((9, 9, 9), bool), voxels((1, 1, 1)), MM)

    assert found.to_ref.tolist() == []
    assert found.to_pred.tolist() == [np.inf]


@pytest.mark.parametrize("metric", METRICS)
@given(case=pairs())
def test_surface_metrics_are_symmetric(
    metric: SurfaceMetric, case: tuple[Mask, Mask, Spacing]
) -> None:
    pred, ref, spacing = case

    assert metric(pred, ref, spacing) == pytest.approx(metric(ref, pred, spacing))


@pytest.mark.parametrize("metric", METRICS)
@given(case=pairs(), data=st.data())
def test_flips_and_turned_axes_change_nothing(
    metric: SurfaceMetric, case: tuple[Mask, Mask, Spacing], data: st.DataObject
) -> None:
    pred, ref, spacing = case
    order = data.draw(st.permutations(range(pred.ndim)))
    axis = data.draw(st.integers(0, pred.ndim - 1))
    turned = [np.flip(mask.transpose(order), axis) for mask in (pred, ref)]

    value = metric(turned[0], turned[1], tuple(spacing[i] for i in order))

    assert value == pytest.approx(metric(pred, ref, spacing), abs=1e-12)


@pytest.mark.parametrize("metric", METRICS)
@given(case=pairs())
def test_an_empty_margin_changes_nothing(
    metric: SurfaceMetric, case: tuple[Mask, Mask, Spacing]
) -> None:
    pred, ref, spacing = case

    value = metric(np.pad(pred, 3), np.pad(ref, 3), spacing)

    assert value == pytest.approx(metric(pred, ref, spacing), abs=1e-12)


@given(pairs(), st.sampled_from([0.1, 0.7, 3.0]))
def test_distances_grow_with_the_spacing(
    case: tuple[Mask, Mask, Spacing], factor: float
) -> None:
    pred, ref, spacing = case
    larger = tuple(factor * size for size in spacing)

    for metric in DISTANCES:
        assert metric(pred, ref, larger) == pytest.approx(
            factor * metric(pred, ref, spacing)
        )
    assert surface_dice(pred, ref, larger, factor) == surface_dice(
        pred, ref, spacing, 1.0
    )


@given(pairs(), st.floats(0, 10), st.floats(0, 10))
def test_surface_dice_is_a_fraction_that_grows_with_the_tolerance(
    case: tuple[Mask, Mask, Spacing], one: float, other: float
) -> None:
    small, large = sorted((one, other))

    assert 0 <= surface_dice(*case, small) <= surface_dice(*case, large) <= 1
    assert surface_dice(*case, 1e3) == 1


def test_a_distance_just_beyond_the_tolerance_is_not_within_it() -> None:
    given = voxels((0, 0, 0)), voxels((2, 0, 0)), (1.0005, 1.0, 1.0)

    assert surface_dice(*given, 2.0) == 0
    assert surface_dice(*given, 2.001) == 1


@pytest.mark.parametrize("steps", range(1, 9))
def test_a_distance_that_equals_the_tolerance_is_within_it(steps: int) -> None:
    # A header's float32 reads 1.1 mm as 1.10000002, and a product rounds once more.
    spacing = (float(np.float32(1.1)), 1.0, 1.0)

    value = surface_dice(voxels((0, 0, 0)), voxels((steps, 0, 0)), spacing, 1.1 * steps)

    assert value == 1


def test_masks_are_left_as_they_are() -> None:
    pred, ref = voxels((1, 1, 1)), voxels((2, 2, 2))
    before = pred.copy(), ref.copy()

    three(pred, ref, MM)

    np.testing.assert_array_equal((pred, ref), before)


@pytest.mark.parametrize("metric", METRICS)
def test_order_in_memory_does_not_matter(metric: SurfaceMetric) -> None:
    pred, ref = np.random.default_rng(0).random((2, 6, 7, 8)) < 0.2

    value = metric(np.asfortranarray(pred), ref[::-1][::-1], THICK)

    assert value == metric(pred, ref, THICK)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    ("spacing", "words"),
    [
        ((1.0, 1.0), "expected a size in mm for each of 3 axes"),
        (1.0, "expected a size in mm for each of 3 axes"),
        ((1.0, 0.0, 1.0), "expected sizes in mm above 0"),
        ((1.0, -1.0, 1.0), "expected sizes in mm above 0"),
        ((1.0, np.nan, 1.0), "expected sizes in mm above 0"),
        ((1.0, np.inf, 1.0), "expected sizes in mm above 0"),
    ],
)
def test_spacings_that_are_none_are_refused(
    metric: SurfaceMetric, spacing: Spacing, words: str
) -> None:
    with pytest.raises(DataError, match=f"spacing: {words}"):
        metric(voxels((1, 1, 1)), voxels((1, 1, 1)), spacing)


@pytest.mark.parametrize("metric", METRICS)
def test_masks_of_other_shapes_or_kinds_are_refused(metric: SurfaceMetric) -> None:
    mask = voxels((1, 1, 1))

    with pytest.raises(DataError, match=r"pred have shape \(8, 9, 9\), but ref have"):
        metric(mask[1:], mask, MM)
    with pytest.raises(DataError, match="ref: expected bool, got uint8"):
        metric(mask, mask.view(np.uint8), MM)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("ndim", [0, 1, 4])
def test_masks_that_are_no_image_are_refused(metric: SurfaceMetric, ndim: int) -> None:
    mask = np.ones((3,) * ndim, bool)

    with pytest.raises(DataError, match=r"expected shape \(X, Y\) or \(X, Y, Z\), got"):
        metric(mask, mask, (1.0,) * ndim)


def test_spacings_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(DataError, match="spacing: expected real numbers, got <U1"):
        hausdorff95(voxels((1, 1, 1)), voxels((1, 1, 1)), ["a", "b", "c"])


@pytest.mark.parametrize("tolerance", [-0.1, np.nan, np.inf])
def test_tolerances_that_are_none_are_refused(tolerance: float) -> None:
    with pytest.raises(
        DataError, match="tolerance: expected a finite number from 0 up"
    ):
        surface_dice(voxels((1, 1, 1)), voxels((1, 1, 1)), MM, tolerance)


@pytest.mark.parametrize("corner", list(product((0, 8), repeat=3)))
def test_lesions_in_the_corners_are_whole(corner: tuple[int, int, int]) -> None:
    found = three(voxels(corner), voxels((4, 4, 4)), THICK)

    assert found[:2] == pytest.approx((4 * np.linalg.norm(THICK),) * 2)
