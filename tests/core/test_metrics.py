from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from sklearn.metrics import jaccard_score, precision_score, recall_score

from uadbench.errors import DataError
from uadbench.metrics import (
    METRICS,
    Confusion,
    confusion,
    dice,
    false_positive_rate,
    jaccard,
    precision,
    recall,
)

Mask = NDArray[np.bool_]
Overlap = Callable[[Mask, Mask], float]
OVERLAPS = [dice, jaccard, precision, recall, false_positive_rate]
NAN = float("nan")

# 2 of 3 predicted are lesion, 2 of 4 lesion voxels are found, 1 of 3 healthy is not.
PRED = np.array([1, 1, 1, 0, 0, 0, 0], bool)
REF = np.array([1, 1, 0, 1, 1, 0, 0], bool)

masks = arrays(np.bool_, (3, 4, 2))


@pytest.mark.parametrize(
    ("metric", "perfect"),
    [
        (dice, 1.0),
        (jaccard, 1.0),
        (precision, 1.0),
        (recall, 1.0),
        (false_positive_rate, 0.0),
    ],
)
def test_perfect_mask(metric: Overlap, perfect: float) -> None:
    assert metric(REF, REF) == perfect


@pytest.mark.parametrize(
    ("metric", "worst"),
    [
        (dice, 0.0),
        (jaccard, 0.0),
        (precision, 0.0),
        (recall, 0.0),
        (false_positive_rate, 1.0),
    ],
)
def test_opposite_mask(metric: Overlap, worst: float) -> None:
    assert metric(~REF, REF) == worst


@pytest.mark.parametrize(
    ("metric", "value"),
    [
        (dice, 0.0),
        (jaccard, 0.0),
        (precision, 0.0),
        (recall, 0.0),
        (false_positive_rate, 0.0),
    ],
)
def test_empty_prediction(metric: Overlap, value: float) -> None:
    found = metric(np.zeros_like(REF), REF)

    np.testing.assert_equal(found, value)


@pytest.mark.parametrize(
    ("metric", "value"),
    [
        (dice, NAN),
        (jaccard, NAN),
        (precision, 0.0),
        (recall, NAN),
        (false_positive_rate, 3 / 7),
    ],
)
def test_empty_reference(metric: Overlap, value: float) -> None:
    found = metric(PRED, np.zeros_like(REF))

    np.testing.assert_equal(found, value)


@pytest.mark.parametrize(
    ("metric", "value"),
    [
        (dice, NAN),
        (jaccard, NAN),
        (precision, NAN),
        (recall, NAN),
        (false_positive_rate, 0.0),
    ],
)
def test_both_masks_empty(metric: Overlap, value: float) -> None:
    empty = np.zeros(4, bool)

    np.testing.assert_equal(metric(empty, empty), value)


def test_false_positive_rate_is_undefined_without_healthy_voxel() -> None:
    everything = np.ones(4, bool)

    assert np.isnan(false_positive_rate(everything, everything))


@pytest.mark.parametrize("metric", OVERLAPS)
def test_no_voxel_at_all_is_undefined(metric: Overlap) -> None:
    none = np.zeros((0, 3), bool)

    assert np.isnan(metric(none, none))


@pytest.mark.parametrize(
    ("metric", "value"),
    [
        (dice, 4 / 7),  # 2 * 2 / (3 + 4)
        (jaccard, 2 / 5),  # 2 / (3 + 4 - 2)
        (precision, 2 / 3),
        (recall, 2 / 4),
        (false_positive_rate, 1 / 3),
    ],
)
def test_overlap_as_counted_by_hand(metric: Overlap, value: float) -> None:
    assert metric(PRED, REF) == pytest.approx(value, rel=1e-15)


@pytest.mark.parametrize("metric", OVERLAPS)
def test_masks_of_other_shapes_are_refused(metric: Overlap) -> None:
    with pytest.raises(DataError, match=r"pred have shape \(7, 1\), but ref have \(7,"):
        metric(PRED[:, None], REF)


@pytest.mark.parametrize("metric", OVERLAPS)
@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_masks_that_are_not_bool_are_refused(metric: Overlap, kind: type) -> None:
    with pytest.raises(DataError, match="pred: expected bool, got"):
        metric(PRED.astype(kind), REF)
    with pytest.raises(DataError, match="ref: expected bool, got"):
        metric(PRED, REF.astype(kind))


@given(masks, masks)
def test_dice_is_symmetric_for_masks_that_are_not_empty(a: Mask, b: Mask) -> None:
    a[0, 0, 0] = b[2, 2, 1] = True

    assert dice(a, b) == dice(b, a)


@given(masks, masks)
def test_jaccard_is_symmetric_and_follows_from_dice(a: Mask, b: Mask) -> None:
    a[0, 0, 0] = b[2, 2, 1] = True

    assert jaccard(a, b) == jaccard(b, a)
    assert jaccard(a, b) == pytest.approx(dice(a, b) / (2 - dice(a, b)))


@pytest.mark.parametrize("seed", range(3))
def test_scikit_learn_agrees_on_jaccard(seed: int) -> None:
    pred, ref = np.random.default_rng(seed).random((2, 500)) < 0.3

    assert jaccard(pred, ref) == pytest.approx(jaccard_score(ref, pred), rel=1e-12)


@given(masks, masks)
def test_dice_is_the_harmonic_mean_of_precision_and_recall(a: Mask, b: Mask) -> None:
    a[0, 0, 0] = b[0, 0, 0] = True
    p, r = precision(a, b), recall(a, b)

    assert dice(a, b) == pytest.approx(2 * p * r / (p + r))


@given(masks, masks)
def test_scikit_learn_agrees_but_where_there_is_neither(pred: Mask, ref: Mask) -> None:
    given = {"y_true": ref.ravel(), "y_pred": pred.ravel(), "zero_division": 0}

    if pred.any() or ref.any():
        assert precision(pred, ref) == pytest.approx(precision_score(**given))
    if ref.any():
        assert recall(pred, ref) == pytest.approx(recall_score(**given))


def test_a_method_that_abstains_is_not_precise() -> None:
    lesion, silence = np.array([1, 1, 0, 0], bool), np.zeros(4, bool)
    attempt = np.array([0, 1, 1, 0], bool)

    assert precision(silence, lesion) == 0 < precision(attempt, lesion)


@pytest.mark.parametrize("metric", OVERLAPS)
@given(pred=masks, ref=masks, axis=st.sampled_from([0, 1, 2]))
def test_overlap_is_a_fraction_that_flips_do_not_change(
    metric: Overlap, pred: Mask, ref: Mask, axis: int
) -> None:
    value = metric(pred, ref)

    assert np.isnan(value) or 0 <= value <= 1
    np.testing.assert_equal(metric(np.flip(pred, axis), np.flip(ref, axis)), value)


@given(masks, masks)
def test_fpr_is_one_minus_recall_of_the_healthy(pred: Mask, ref: Mask) -> None:
    specificity = recall(~pred, ~ref)

    np.testing.assert_allclose(false_positive_rate(pred, ref), 1 - specificity)


def test_every_overlap_metric_has_a_title_and_a_direction() -> None:
    known = {metric.name: metric.higher for metric in METRICS}

    assert {name: known[name] for name in Confusion().metrics()} == {
        "dice": True,
        "precision": True,
        "recall": True,
        "fpr": False,
    }


@given(masks, masks, masks, masks)
def test_counts_of_two_cases_add_up(a: Mask, b: Mask, c: Mask, d: Mask) -> None:
    both = confusion(np.concatenate([a, c]), np.concatenate([b, d]))

    assert confusion(a, b) + confusion(c, d) == both
