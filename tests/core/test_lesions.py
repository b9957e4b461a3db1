import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from skimage import measure
from sklearn.metrics import roc_auc_score

from uadbench.errors import DataError
from uadbench.metrics import LesionDetection, lesion_detection, pro

Mask = NDArray[np.bool_]
Scores = NDArray[np.float64]
Spacing = tuple[float, ...]

MM = (1.0, 1.0, 1.0)
SHAPE = (12, 10, 6)
masks = arrays(np.bool_, (5, 4, 3), elements=st.sampled_from([False, False, True]))


def boxes(*corners: tuple[int, int, int], side: int = 2) -> Mask:
    """A mask of cubes, each of side**3 voxels, from their low corners."""
    mask = np.zeros(SHAPE, bool)
    for x, y, z in corners:
        mask[x : x + side, y : y + side, z : z + side] = True
    return mask


def counts(found: LesionDetection) -> tuple[int, int, int]:
    return found.true_positives, found.false_positives, found.missed


def islands(mask: Mask) -> list[Mask]:
    """The components of a mask, as scikit-image finds them."""
    label: Callable[..., NDArray[np.int64]] = measure.label
    numbers = label(mask, connectivity=mask.ndim)
    return [numbers == i for i in range(1, int(numbers.max()) + 1)]


def component_by_component(
    pred: Mask, ref: Mask, min_voxels: int, overlap: float, inside: Mask
) -> tuple[int, int, int, int]:
    """TP, FP, missed and FP voxels as the words say, lesion after lesion."""

    def meets(part: Mask, cover: Mask) -> bool:
        share = (part & cover).sum() / part.sum()
        return bool(share > 0 and share >= overlap)

    pieces = [p for p in islands(pred & inside) if p.sum() >= min_voxels]
    lesions = [lesion & inside for lesion in islands(ref)]
    lesions = [p for p in lesions if p.sum() >= max(min_voxels, 1)]
    kept = np.any([np.zeros_like(pred), *pieces], axis=0)
    hits = [meets(lesion, kept) for lesion in lesions]
    alarms = [piece for piece in pieces if not meets(piece, ref)]
    voxels = sum(int(piece.sum()) for piece in alarms)
    return sum(hits), len(alarms), len(hits) - sum(hits), voxels


def region_by_region(scores: Scores, labels: Mask, max_fpr: float) -> float:
    """AUPRO as the words say, threshold after threshold."""
    lesions = islands(labels)
    curve = [(0.0, 0.0)]
    for threshold in sorted(set(scores.ravel().tolist()), reverse=True):
        pred = scores >= threshold
        found = [pred[lesion].mean() for lesion in lesions]
        curve.append((float(pred[~labels].mean()), float(np.mean(found))))
    area = 0.0
    for (x0, y0), (x1, y1) in pairwise(curve):
        right = min(x1, max_fpr)
        if right > x0:
            slope = (y1 - y0) / (x1 - x0)
            area += (right - x0) * (y0 + slope * (right - x0) / 2)
    return area / max_fpr


def test_perfect_mask() -> None:
    ref = boxes((0, 0, 0), (5, 5, 3))

    found = lesion_detection(ref, ref, MM)

    assert counts(found) == (2, 0, 0)
    assert (found.precision, found.recall, found.f1) == (1, 1, 1)
    assert found.false_positive_ml == 0


def test_disjoint_mask() -> None:
    found = lesion_detection(
        boxes((8, 0, 0)), boxes((0, 0, 0), (5, 5, 3)), (1.0, 2.0, 5.0)
    )

    assert counts(found) == (0, 1, 2)
    assert (found.precision, found.recall, found.f1) == (0, 0, 0)
    # 8 voxels of 10 mm^3.
    assert found.false_positive_ml == pytest.approx(0.08)


def test_counts_by_hand() -> None:
    ref = boxes((0, 0, 0), (0, 5, 0), (5, 0, 0), (5, 5, 3))
    pred = boxes((0, 0, 0), (0, 6, 0), (9, 8, 4))

    found = lesion_detection(pred, ref, MM)

    # The second lesion is half covered; the last piece covers nothing.
    assert (found.lesions, *counts(found)) == (4, 2, 1, 2)
    assert found.precision == 2 / 3
    assert found.recall == 2 / 4
    assert found.f1 == 2 * 2 / (2 * 2 + 1 + 2)


def test_a_missed_lesion_is_counted() -> None:
    found = lesion_detection(np.zeros(SHAPE, bool), boxes((0, 0, 0)), MM)

    assert counts(found) == (0, 0, 1)
    assert (found.precision, found.recall, found.f1) == (0, 0, 0)


def test_without_lesion_false_positives_are_counted_and_the_rest_is_undefined() -> None:
    found = lesion_detection(boxes((0, 0, 0)), np.zeros(SHAPE, bool), MM)

    assert counts(found) == (0, 1, 0)
    assert found.precision == 0
    assert math.isnan(found.recall)
    assert math.isnan(found.f1)


@pytest.mark.parametrize("shape", [SHAPE, (0, 3, 2)])
def test_two_empty_masks_leave_every_rate_undefined(shape: tuple[int, ...]) -> None:
    empty = np.zeros(shape, bool)

    found = lesion_detection(empty, empty, MM)

    assert (found.lesions, *counts(found)) == (0, 0, 0, 0)
    assert np.isnan([found.precision, found.recall, found.f1]).all()


def test_a_fraction_that_equals_the_overlap_is_enough() -> None:
    # 0.55 * 100 is a little more than 55.
    ref = np.ones((10, 10, 1), bool)
    pred = np.zeros_like(ref)
    pred.ravel()[:55] = True

    assert counts(lesion_detection(pred, ref, MM, overlap=0.55)) == (1, 0, 0)


def test_voxels_that_share_a_corner_are_one_lesion() -> None:
    ref = boxes((0, 0, 0), (2, 2, 2))

    assert lesion_detection(ref, ref, MM).lesions == 1


def test_a_lesion_found_in_pieces_is_one_true_positive() -> None:
    ref = boxes((0, 0, 0), side=5)
    pred = boxes((0, 0, 0), (3, 3, 3))

    found = lesion_detection(pred, ref, MM)

    assert counts(found) == (1, 0, 0)
    assert found.precision == 1


def test_a_component_over_two_lesions_finds_both() -> None:
    ref = boxes((0, 0, 0), (4, 0, 0))
    pred = ref.copy()
    pred[2:4, 0, 0] = True

    assert counts(lesion_detection(pred, ref, MM)) == (2, 0, 0)


def test_a_mask_of_everything_finds_every_lesion_and_is_none() -> None:
    found = lesion_detection(np.ones(SHAPE, bool), boxes((0, 0, 0), (5, 5, 3)), MM)

    # 16 of 720 voxels are lesion, which is less than a tenth.
    assert counts(found) == (2, 1, 0)
    assert found.false_positive_ml == pytest.approx(0.72)


@pytest.mark.parametrize(
    ("overlap", "expected"),
    [(0.0, (1, 0, 0)), (0.1, (1, 0, 0)), (0.3, (1, 0, 0)), (0.31, (0, 1, 1))],
)
def test_a_lesion_is_found_from_the_overlap_on(
    overlap: float, expected: tuple[int, int, int]
) -> None:
    ref, pred = np.zeros((20, 1, 1), bool), np.zeros((20, 1, 1), bool)
    ref[:10] = pred[7:17] = True

    # Each covers 3 of the other's 10 voxels.
    assert counts(lesion_detection(pred, ref, MM, 0, overlap)) == expected


def test_without_overlap_a_touch_is_no_find() -> None:
    ref, pred = np.zeros((20, 1, 1), bool), np.zeros((20, 1, 1), bool)
    ref[:10] = pred[10:] = True

    assert counts(lesion_detection(pred, ref, MM, 0, overlap=0)) == (0, 1, 1)


def test_a_small_lesion_counts_neither_as_found_nor_as_missed_nor_as_false() -> None:
    ref = boxes((0, 0, 0)) | boxes((5, 5, 3), side=1)
    pred = boxes((0, 0, 0)) | boxes((5, 5, 3), side=2)

    found = lesion_detection(pred, ref, MM, min_volume=3)

    assert (found.lesions, *counts(found)) == (1, 1, 0, 0)


def test_a_find_that_is_too_small_is_no_false_positive_and_finds_nothing() -> None:
    ref = boxes((0, 0, 0))
    pred = boxes((0, 0, 0), (5, 5, 3), side=1)

    found = lesion_detection(pred, ref, MM, min_volume=3, overlap=0)

    assert counts(found) == (0, 0, 1)


@pytest.mark.parametrize(("min_volume", "lesions"), [(8 * 0.75, 1), (6.1, 0)])
def test_a_lesion_of_the_least_volume_counts(min_volume: float, lesions: int) -> None:
    # A float32 header: 8 voxels are 5.9999997 mm^3.
    spacing = tuple(float(np.float32(size)) for size in (1.1, 1.1, 0.75 / 1.21))

    found = lesion_detection(boxes((0, 0, 0)), boxes((0, 0, 0)), spacing, min_volume)

    assert found.lesions == lesions


def test_a_lesion_cut_by_the_brain_mask_stays_one_and_its_size_is_what_is_inside() -> (
    None
):
    inside = np.ones(SHAPE, bool)
    inside[2:9] = False
    ref = np.zeros(SHAPE, bool)
    ref[0:12, 0, 0] = True

    found = lesion_detection(ref, ref, MM, inside=inside)
    half = lesion_detection(ref & (np.arange(12) < 2)[:, None, None], ref, MM, 0, 0.4)

    # 2 + 3 voxels inside are one lesion; without the mask 2 of 12 are too few.
    assert (found.lesions, found.true_positives) == (1, 1)
    assert half.true_positives == 0
    assert counts(
        lesion_detection(
            ref & (np.arange(12) < 2)[:, None, None], ref, MM, 0, 0.4, inside=inside
        )
    ) == (1, 0, 0)


def test_a_lesion_outside_the_brain_is_none() -> None:
    inside = ~boxes((0, 0, 0))

    found = lesion_detection(inside, ~inside, MM, min_volume=0, inside=inside)

    assert (found.lesions, *counts(found)) == (0, 0, 1, 0)


@given(masks, masks, masks, masks)
def test_what_is_predicted_outside_changes_nothing(
    pred: Mask, ref: Mask, inside: Mask, noise: Mask
) -> None:
    found = lesion_detection(pred, ref, MM, 2, 0.2, inside=inside)

    other = np.where(inside, pred, noise)
    assert lesion_detection(other, ref, MM, 2, 0.2, inside=inside) == found


@given(
    masks, masks, masks, st.integers(0, 4), st.sampled_from([0, 0.1, 0.25, 0.5, 2 / 3])
)
def test_counting_component_by_component_agrees(
    pred: Mask, ref: Mask, inside: Mask, min_voxels: int, overlap: float
) -> None:
    spacing = (0.5, 2.0, 3.0)

    found = lesion_detection(
        pred, ref, spacing, 3.0 * min_voxels, overlap, inside=inside
    )

    hits, alarms, missed, voxels = component_by_component(
        pred, ref, min_voxels, overlap, inside
    )
    assert counts(found) == (hits, alarms, missed)
    assert found.false_positive_ml == pytest.approx(voxels * 0.003)


@pytest.mark.parametrize("seed", range(3))
def test_component_by_component_agrees_on_a_volume(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pred, ref = rng.random((2, 20, 18, 16)) < 0.04
    everything = np.ones_like(pred)

    found = lesion_detection(pred, ref, MM, 2, 0.25)

    assert found.lesions > 20
    assert counts(found) == component_by_component(pred, ref, 2, 0.25, everything)[:3]


@given(masks, masks, st.sampled_from([0, 1, 2]))
def test_rates_are_fractions_that_flips_do_not_change(
    pred: Mask, ref: Mask, axis: int
) -> None:
    found = lesion_detection(pred, ref, MM, 2)

    for rate in (found.precision, found.recall, found.f1):
        assert math.isnan(rate) or 0 <= rate <= 1
    flipped = lesion_detection(np.flip(pred, axis), np.flip(ref, axis), MM, 2)
    assert flipped == found


@given(masks, masks)
def test_f1_is_the_harmonic_mean_of_precision_and_recall(pred: Mask, ref: Mask) -> None:
    pred[0, 0, 0] = ref[0, 0, 0] = True
    found = lesion_detection(pred, ref, MM, 0, 0)

    p, r = found.precision, found.recall

    assert found.f1 == pytest.approx(2 * p * r / (p + r))


@given(masks, masks)
def test_what_is_false_one_way_is_missed_the_other(a: Mask, b: Mask) -> None:
    there, back = lesion_detection(a, b, MM, 0, 0), lesion_detection(b, a, MM, 0, 0)

    assert there.false_positives == back.missed


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"min_volume": -1.0}, "min_volume: expected a finite number from 0 up"),
        ({"min_volume": np.nan}, "min_volume: expected"),
        ({"overlap": 1.1}, r"overlap: expected a finite number in \[0, 1\], got 1\.1"),
        ({"overlap": -0.1}, "overlap: expected"),
    ],
)
def test_options_out_of_range_are_refused(
    options: dict[str, float], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        lesion_detection(boxes((0, 0, 0)), boxes((0, 0, 0)), MM, **options)


def test_masks_that_have_no_volume_are_refused() -> None:
    slice_ = np.zeros((5, 5), bool)

    with pytest.raises(DataError, match=r"expected shape \(X, Y, Z\), got \(5, 5\)"):
        lesion_detection(slice_, slice_, (1.0, 1.0))


def test_masks_of_other_shapes_or_kinds_are_refused() -> None:
    mask = boxes((0, 0, 0))

    with pytest.raises(DataError, match="pred have shape"):
        lesion_detection(mask[1:], mask, MM)
    with pytest.raises(DataError, match="pred: expected bool, got int64"):
        lesion_detection(mask.astype(np.int64), mask, MM)
    with pytest.raises(DataError, match="inside: expected bool, got int64"):
        lesion_detection(mask, mask, MM, inside=mask.astype(np.int64))
    with pytest.raises(DataError, match=r"inside has shape \(11, 10, 6\), but"):
        lesion_detection(mask, mask, MM, inside=mask[1:])
    with pytest.raises(DataError, match="spacing: expected sizes in mm above 0"):
        lesion_detection(mask, mask, (1.0, 1.0, 0.0))


# Scores of a row of 14 voxels: a lesion of one, a lesion of four, nine healthy.
ROW_LABELS = np.array([1, 0, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0], bool)
ROW_SCORES = np.array([9, 8, 7, 5, 5, 5, 5, 0, 0, 0, 0, 0, 0, 0], float)


@st.composite
def scored(draw: st.DrawFn) -> tuple[Scores, Mask]:
    """Scores with many ties, and labels of both classes."""
    shape = draw(st.sampled_from([(8,), (4, 5), (3, 4, 3)]))
    levels = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])
    scores = draw(arrays(np.float64, shape, elements=levels))
    labels = draw(arrays(np.bool_, shape))
    labels.flat[[0, -1]] = True, False
    return scores, labels


def test_pro_of_a_perfect_order_is_one() -> None:
    assert pro(ROW_LABELS.astype(float), ROW_LABELS) == 1


def test_pro_of_the_worst_order_is_zero() -> None:
    # The lesions come last, where the FPR is 1 already.
    assert pro(-ROW_LABELS.astype(float), ROW_LABELS) == 0
    assert pro(-ROW_LABELS.astype(float), ROW_LABELS, max_fpr=1) == 0


def test_pro_by_hand() -> None:
    # >= 9: FPR 0, overlaps 1 and 0; >= 8: FPR 1/9; >= 7: overlaps 1 and 1/4;
    # >= 5: FPR 2/9, overlaps 1 and 1; then nothing but false positives.
    curve = [(0, 0.5), (1 / 9, 0.5), (1 / 9, 0.625), (2 / 9, 1), (0.3, 1)]
    x, y = np.transpose(curve)

    assert pro(ROW_SCORES, ROW_LABELS) == pytest.approx(np.trapezoid(y, x) / 0.3)


def test_pro_ends_between_two_thresholds() -> None:
    # 1/6 lies half-way from 1/9 to 2/9, where the overlap is half-way from 0.625 to 1.
    area = 0.5 / 9 + (0.625 + 0.8125) / 2 * (1 / 6 - 1 / 9)

    value = pro(ROW_SCORES, ROW_LABELS, max_fpr=1 / 6)

    assert value == pytest.approx(area * 6)


def test_pro_weighs_lesions_alike_whatever_their_size() -> None:
    labels = np.zeros((30, 30), bool)
    labels[:10, :10] = labels[20, 20] = True
    only_small, only_large = np.zeros((2, 30, 30))
    only_small[20, 20] = only_large[:10, :10] = 1

    # One of two lesions at FPR 0, then straight to both at FPR 1.
    for scores in (only_small, only_large):
        assert pro(scores, labels) == pytest.approx(0.5 + 0.5 * 0.3 / 2)


@given(scored(), st.sampled_from([0.05, 0.3, 0.5, 1.0]))
def test_pro_region_by_region_agrees(case: tuple[Scores, Mask], max_fpr: float) -> None:
    assert pro(*case, max_fpr) == pytest.approx(
        region_by_region(*case, max_fpr), rel=1e-9, abs=1e-12
    )


@pytest.mark.parametrize("seed", range(3))
def test_pro_of_one_lesion_up_to_one_is_auroc(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = np.zeros((15, 15, 15), bool)
    labels[3:8, 4:9, 5:9] = True
    scores = np.round(rng.normal(labels, 1.0), 1)

    assert pro(scores, labels, max_fpr=1) == pytest.approx(
        roc_auc_score(labels.ravel(), scores.ravel()), rel=1e-12
    )


@given(scored())
def test_pro_is_a_fraction_that_sees_only_the_order(case: tuple[Scores, Mask]) -> None:
    scores, labels = case
    value = pro(scores, labels)

    assert 0 <= value <= 1 + 1e-12
    assert pro(np.exp(3 * scores) - 7, labels) == value
    flipped = pro(np.flip(scores), np.flip(labels))
    assert flipped == pytest.approx(value, abs=1e-12)


@given(scored(), st.sampled_from([0.1, 0.3, 1.0]))
def test_pro_of_a_constant_score_is_chance(
    case: tuple[Scores, Mask], max_fpr: float
) -> None:
    scores, labels = case

    value = pro(np.full_like(scores, 0.4), labels, max_fpr)

    assert value == pytest.approx(max_fpr / 2)


def test_pro_counts_inside_only_and_keeps_a_cut_lesion_one() -> None:
    labels = np.array([1, 1, 1, 1, 0, 1, 0, 0], bool)
    inside = np.array([1, 0, 0, 1, 1, 1, 1, 1], bool)
    scores = np.array([5, np.nan, np.inf, 1, 4, 2, 0, 3.0])

    # Lesions of two voxels (0 and 3) and of one (5); healthy are 4, 6 and 7.
    # >= 5: 1/4 at FPR 0; then FPR 1/3 and 2/3; >= 2: 3/4; >= 1: 1; then FPR 1.
    value = pro(scores, labels, max_fpr=1, inside=inside)

    assert value == pytest.approx((2 / 3) * 0.25 + 1 / 3)


@pytest.mark.parametrize("labels", [np.zeros(5, bool), np.ones(5, bool)])
def test_pro_without_lesion_or_without_healthy_voxel_is_undefined(labels: Mask) -> None:
    scores = np.arange(5.0)

    assert math.isnan(pro(scores, labels))
    assert math.isnan(pro(scores[:0], labels[:0]))


def test_pro_with_every_lesion_outside_is_undefined() -> None:
    assert math.isnan(pro(ROW_SCORES, ROW_LABELS, inside=~ROW_LABELS))


@pytest.mark.parametrize("max_fpr", [0, -0.1, 1.1, np.nan])
def test_pro_refuses_a_limit_that_is_no_rate(max_fpr: float) -> None:
    with pytest.raises(DataError, match=r"max_fpr: expected a rate in \(0, 1\]"):
        pro(ROW_SCORES, ROW_LABELS, max_fpr)


def test_pro_refuses_other_shapes_kinds_and_scores_that_are_not_finite() -> None:
    with pytest.raises(DataError, match="scores have shape"):
        pro(ROW_SCORES[1:], ROW_LABELS)
    with pytest.raises(DataError, match="labels: expected bool"):
        pro(ROW_SCORES, ROW_LABELS.astype(np.int64))
    with pytest.raises(DataError, match="scores: 1 of 14 are NaN or infinite"):
        pro(np.where(ROW_SCORES == 8, np.nan, ROW_SCORES), ROW_LABELS)
    with pytest.raises(DataError, match="inside has shape"):
        pro(ROW_SCORES, ROW_LABELS, inside=ROW_LABELS[1:])
