import functools
import operator
import pickle
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import astuple
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from uadbench.errors import DataError
from uadbench.metrics import (
    Estimate,
    ScoreCurve,
    dice,
    false_positive_rate,
    precision,
    rank_summary,
    ranking,
    recall,
    tally,
)

Scores = NDArray[np.floating]
Mask = NDArray[np.bool_]
Case = tuple[Scores, Mask]
NAN = float("nan")

# Distance of neighbours of 1.0 in float32, and of neighbouring bins.
ULP, BIN = 2.0**-23, 2.0**-11

# Any float32, and many that share a few bins without being equal.
anywhere = st.floats(allow_nan=False, allow_infinity=False, width=32)
crowded = st.builds(
    lambda sign, bin, beyond: sign * (1 + bin * BIN + beyond * ULP),
    st.sampled_from([-1, 1]),
    st.integers(0, 2),
    st.integers(0, 4),
)
round_numbers = st.integers(-4096, 4096).map(float)


@st.composite
def cases(draw: st.DrawFn, scores: st.SearchStrategy[float]) -> Case:
    voxels = draw(st.lists(st.tuples(scores, st.booleans()), max_size=30))
    return (
        np.array([score for score, _ in voxels], np.float32),
        np.array([label for _, label in voxels], bool),
    )


any_case = cases(anywhere | st.just(0.0)) | cases(crowded)


# With few pages some are closed again, and most scores are in bins.
pages = st.sampled_from([1, 2, tally.PAGES])


@contextmanager
def having(pages: int) -> Iterator[None]:
    """Curves that are made inside have so many pages."""
    with patch.object(tally, "PAGES", pages):
        yield


def curve_of(*added: Case) -> ScoreCurve:
    curve = ScoreCurve()
    for scores, labels in added:
        curve.add(scores, labels)
    return curve


def same(one: ScoreCurve, other: ScoreCurve) -> bool:
    states = one.state(), other.state()
    return all(np.array_equal(states[0][name], states[1][name]) for name in states[0])


def assert_undefined(*estimates: Estimate) -> None:
    for estimate in estimates:
        np.testing.assert_equal(astuple(estimate), (NAN, NAN, NAN))


def assert_within(exact: float, estimate: Estimate) -> None:
    """Bounds hold up to the rounding of sums."""
    if np.isnan(exact):
        assert_undefined(estimate)
    else:
        assert estimate.low - 1e-12 <= exact <= estimate.high + 1e-12
        assert estimate.low - 1e-12 <= estimate.value <= estimate.high + 1e-12


@given(any_case, pages)
def test_exact_rank_metrics_lie_within_the_bounds(case: Case, pages: int) -> None:
    with having(pages):
        curve, exact = curve_of(case), rank_summary(*case)

    assert_within(exact.average_precision, curve.average_precision())
    assert_within(exact.auroc, curve.auroc())
    assert_within(exact.best_dice, curve.best_dice()[0])


@given(any_case, crowded | st.floats(allow_nan=False), pages)
def test_exact_rates_at_any_threshold_lie_within_the_bounds(
    case: Case, threshold: float, pages: int
) -> None:
    scores, labels = case
    cut = scores.astype(np.float64) >= threshold
    with having(pages):
        curve = curve_of(case)

    assert_within(recall(cut, labels), curve.recall(threshold))
    assert_within(
        false_positive_rate(cut, labels), curve.false_positive_rate(threshold)
    )
    if cut.any():
        assert_within(precision(cut, labels), curve.precision(threshold))


@given(any_case, pages)
def test_the_best_dice_is_that_of_its_threshold(case: Case, pages: int) -> None:
    scores, labels = case
    with having(pages):
        best, threshold = curve_of(case).best_dice()

    if labels.any():
        assert dice(scores >= threshold, labels) == best.value == best.low


@given(cases(round_numbers), st.floats(-4100, 4100), pages)
def test_scores_that_are_round_numbers_are_exact(
    case: Case, threshold: float, pages: int
) -> None:
    scores, labels = case
    with having(pages):
        curve, exact = curve_of(case), rank_summary(*case)
    cut = scores.astype(np.float64) >= threshold

    for estimate, value in (
        (curve.average_precision(), exact.average_precision),
        (curve.auroc(), exact.auroc),
        (curve.best_dice()[0], exact.best_dice),
        (curve.recall(threshold), recall(cut, labels)),
        (curve.false_positive_rate(threshold), false_positive_rate(cut, labels)),
        (curve.precision(threshold), precision(cut, labels)),
    ):
        np.testing.assert_allclose(
            (estimate.low, estimate.value, estimate.high), value, rtol=1e-12
        )
    np.testing.assert_equal(curve.best_dice()[1], exact.best_threshold)


def test_float16_is_exact() -> None:
    rng = np.random.default_rng(0)
    labels = rng.random(5000) < 0.1
    scores = rng.normal(labels, 0.1).astype(np.float16)
    scores[:9] = np.float16(6e-8)
    curve, exact = curve_of((scores, labels)), rank_summary(scores, labels)

    assert curve.auroc().low == curve.auroc().high == exact.auroc
    assert curve.best_dice()[0].high == exact.best_dice
    assert curve.best_dice()[1] == exact.best_threshold


def test_a_million_scores_are_within_a_part_in_a_thousand() -> None:
    rng = np.random.default_rng(0)
    labels = rng.random(1_000_000) < 0.02
    scores = rng.normal(labels, 1.0).astype(np.float32)
    curve, exact = curve_of((scores, labels)), rank_summary(scores, labels)

    assert curve.auroc().high - curve.auroc().low < 1e-4
    assert curve.average_precision().high - curve.average_precision().low < 1e-3
    assert curve.auroc().value == pytest.approx(exact.auroc, abs=1e-6)
    assert curve.average_precision().value == pytest.approx(
        exact.average_precision, rel=1e-3
    )


def sigmoid(z: Scores) -> Scores:
    return np.asarray(1 / (1 + np.exp(-z)))


NARROW: list[Callable[[Scores], Scores]] = [
    lambda z: 1e3 + z,
    lambda z: 1e5 + z,
    lambda z: z - 1e5,
    lambda z: 1 - 1e-4 * np.exp(-z),
    lambda z: sigmoid(z + 8),
]


@pytest.mark.parametrize("shape", NARROW)
def test_scores_around_an_offset_or_near_an_upper_end_are_exact(
    shape: Callable[[Scores], Scores],
) -> None:
    rng = np.random.default_rng(0)
    labels = rng.random(200_000) < 0.02
    scores = shape(rng.normal(size=labels.size) + 2.5 * labels).astype(np.float32)
    curve, exact = curve_of((scores, labels)), rank_summary(scores, labels)

    for found, expected in (
        (curve.average_precision(), exact.average_precision),
        (curve.auroc(), exact.auroc),
        (curve.best_dice()[0], exact.best_dice),
    ):
        assert astuple(found) == pytest.approx((expected,) * 3, rel=1e-12)
    assert curve.best_dice()[1] == exact.best_threshold


@pytest.mark.parametrize("shape", [lambda z: sigmoid(5 * z), lambda z: 30 + z])
def test_scores_of_many_bins_with_a_crowd_at_the_top_have_narrow_bounds(
    shape: Callable[[Scores], Scores],
) -> None:
    rng = np.random.default_rng(0)
    labels = rng.random(200_000) < 0.02
    scores = shape(rng.normal(size=labels.size) + 2.5 * labels).astype(np.float32)
    curve, exact = curve_of((scores, labels)), rank_summary(scores, labels)

    for found, expected in (
        (curve.average_precision(), exact.average_precision),
        (curve.auroc(), exact.auroc),
        (curve.best_dice()[0], exact.best_dice),
    ):
        assert_within(expected, found)
        assert found.high - found.low < 1e-3


@pytest.mark.parametrize(
    ("lesion", "healthy", "exact"), [(2, 1, 1.0), (1, 2, 0.0), (1, 1, 0.5)]
)
def test_bounds_of_voxels_in_one_bin_are_reached(
    lesion: int, healthy: int, exact: float
) -> None:
    scores = np.float32(1) + np.float32(ULP) * np.array([lesion, healthy], np.float32)
    labels = np.array([True, False])

    assert rank_summary(scores, labels).auroc == exact
    assert curve_of((scores, labels)).auroc() == Estimate(exact, exact, exact)
    with having(pages=0):
        assert curve_of((scores, labels)).auroc() == Estimate(0.5, low=0, high=1)


def test_average_precision_of_one_bin_by_hand() -> None:
    # Two lesions and a healthy voxel, all in one bin. Worst: 1/2, then 2/3. Best: 1.
    scores = np.array([1 + ULP, 1 + 2 * ULP, 1 + 3 * ULP], np.float32)
    labels = np.array([True, True, False])
    with having(pages=0):
        found = curve_of((scores, labels)).average_precision()

    assert found == Estimate(2 / 3, low=(1 / 2 + 2 / 3) / 2, high=1)
    assert rank_summary(scores, labels).average_precision == found.low


def test_rates_are_exact_at_the_edges_of_a_bin_and_in_doubt_inside() -> None:
    scores = np.array([1, 1 + ULP, 1 + 2 * ULP, 1 + BIN], np.float32)
    labels = np.array([False, True, False, True])
    with having(pages=0):
        curve = curve_of((scores, labels))

    assert curve.false_positive_rate(1.0) == Estimate(1, 1, 1)
    assert curve.false_positive_rate(1 + ULP) == Estimate(0.5, 0.5, 0.5)
    assert curve.false_positive_rate(1 + 2 * ULP) == Estimate(0.25, low=0, high=0.5)
    assert curve.false_positive_rate(1 + BIN) == Estimate(0, 0, 0)
    assert curve.recall(1 + 2 * ULP) == Estimate(0.75, low=0.5, high=1)
    # 1 to 2 lesions and 0 to 1 healthy voxel.
    assert curve.precision(1 + 2 * ULP) == Estimate(1.5 / 2, low=1 / 2, high=1)


def test_below_all_scores_everything_is_predicted_and_above_nothing() -> None:
    scores, labels = np.array([-2.0, 0.5, 3e38]), np.array([False, True, False])
    curve = curve_of((scores, labels))

    assert curve.recall(-np.inf) == Estimate(1, 1, 1)
    assert curve.precision(-1e300) == Estimate(1 / 3, 1 / 3, 1 / 3)
    assert curve.false_positive_rate(1e300) == Estimate(0, 0, 0)
    assert curve.precision(np.inf) == Estimate(0, 0, 0)


def test_precision_of_nothing_is_undefined_without_a_lesion() -> None:
    curve = curve_of((np.array([1.0]), np.array([False])))

    assert_undefined(curve.precision(2))


@pytest.mark.parametrize(
    ("label", "expected"), [(True, Estimate(1, 1, 1)), (False, Estimate(0, 0, 0))]
)
def test_precision_in_a_bin_of_one_class_is_not_in_doubt(
    label: bool, expected: Estimate
) -> None:
    with having(pages=0):
        curve = curve_of((np.array([1 + 2 * ULP], np.float32), np.array([label])))

    assert curve.precision(1 + 3 * ULP) == expected


def test_both_zeros_are_one_score() -> None:
    curve = curve_of((np.array([-0.0, 0.0]), np.array([True, False])))

    assert curve.auroc() == Estimate(0.5, 0.5, 0.5)
    assert curve.best_dice() == (Estimate(2 / 3, 2 / 3, 2 / 3), 0.0)


# An example reads twenty curves of three million counters.
@settings(max_examples=25)
@given(any_case, any_case, any_case, pages)
def test_merging_is_adding_in_any_order(
    one: Case, two: Case, three: Case, pages: int
) -> None:
    with having(pages):
        together = curve_of(one, two, three)
        a, b, c = curve_of(one), curve_of(two), curve_of(three)

        assert same(functools.reduce(operator.add, [a, b, c]), together)
        assert same(sum([b, c], start=a), together)
        assert same(a + (b + c), together)
        assert same(c + a + b, together)
        assert same(curve_of(three, one, two), together)
        assert same(a, curve_of(one))


def test_around_an_offset_the_ranking_has_every_score_as_a_threshold() -> None:
    # An oracle's thresholds are chosen among these: too few are no upper bound.
    rng = np.random.default_rng(0)
    labels = rng.random(5000) < 0.1
    scores = (1e5 + rng.normal(size=5000) + 2 * labels).astype(np.float32)

    found, exact = curve_of((scores, labels)).ranking(), ranking(scores, labels)

    assert np.array_equal(found.thresholds, exact.thresholds)
    assert np.array_equal(found.true_positives, exact.true_positives)
    assert np.array_equal(found.false_positives, exact.false_positives)


def test_a_sum_of_curves_is_a_curve_of_its_own() -> None:
    one = curve_of((np.array([1.0]), np.array([True])))

    total = sum([one])
    assert isinstance(total, ScoreCurve)
    total.add(np.array([2.0]), np.array([True]))

    assert (one.positives, total.positives) == (1, 2)
    with pytest.raises(TypeError):
        1 + one


@given(any_case, pages)
def test_a_curve_is_what_pooled_voxels_give(case: Case, pages: int) -> None:
    scores, labels = case
    with having(pages):
        halves = curve_of((scores[::2], labels[::2]), (scores[1::2], labels[1::2]))

        assert same(halves, curve_of(case))
    assert (halves.positives, halves.negatives) == (labels.sum(), (~labels).sum())
    np.testing.assert_equal(halves.prevalence, labels.mean() if len(labels) else np.nan)


def test_more_scores_than_fit_one_round_are_all_counted() -> None:
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 9, (2, 300, 300)).astype(np.float32)
    labels = rng.random(scores.shape) < 0.3
    curve = curve_of((scores, labels))

    assert (curve.positives, curve.negatives) == (labels.sum(), (~labels).sum())
    assert curve.recall(5).value == recall(scores >= 5, labels)


def test_which_scores_are_counted_each_does_not_depend_on_their_order() -> None:
    rng = np.random.default_rng(0)
    scores = np.sort(rng.standard_normal(300_000, np.float32))
    labels = rng.random(scores.size) < 0.1
    order = rng.permutation(scores.size)
    rising, falling = curve_of((scores, labels)), curve_of((scores[::-1], labels[::-1]))

    assert same(rising, falling)
    assert same(rising, curve_of((scores[order], labels[order])))


@given(any_case, pages)
def test_saved_and_pickled_curves_are_the_same(case: Case, pages: int) -> None:
    with having(pages):
        curve = curve_of(case)

        assert same(ScoreCurve.from_state(curve.state()), curve)
        assert same(pickle.loads(pickle.dumps(curve)), curve)
        assert len(pickle.dumps(curve)) < 5000


@pytest.mark.parametrize("counts", [[[1], [3]], [[2], [-1]]])
def test_a_state_with_impossible_counts_is_refused(counts: list[list[int]]) -> None:
    state = curve_of((np.array([1.0]), np.array([True]))).state()

    with pytest.raises(DataError, match="state: expected what a ScoreCurve returned"):
        ScoreCurve.from_state({**state, "of_scores": np.array(counts)})


def test_a_state_with_bins_where_single_scores_are_counted_is_refused() -> None:
    with having(pages=0):
        state = curve_of((np.array([1.0]), np.array([True]))).state()

    with pytest.raises(DataError, match="or bins where single scores are counted"):
        ScoreCurve.from_state(state)


def test_what_a_state_holds_twice_is_added() -> None:
    state = curve_of((np.array([1.0]), np.array([True]))).state()
    twice = {
        name: np.concatenate((part, part), axis=-1) for name, part in state.items()
    }

    assert ScoreCurve.from_state(twice).positives == 2


def test_memory_does_not_grow_with_cases() -> None:
    rng = np.random.default_rng(0)
    scores, labels = rng.random((2, 100_000), np.float32), np.zeros((2, 100_000), bool)
    tracemalloc.start()
    try:
        curve = curve_of(*[(scores, labels)] * 20)
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert curve.negatives == 20 * scores.size
    assert kept < 57 * 2**20
    assert peak < kept + 4 * 2**20


def test_wider_scores_are_rounded_to_float32() -> None:
    wide = np.array([0.1, 1 / 3, 1e-40, 16_777_217])
    labels = np.array([True, False, True, False])

    assert same(curve_of((wide, labels)), curve_of((wide.astype(np.float32), labels)))


@pytest.mark.parametrize("lesion", [True, False])
def test_one_class_leaves_undefined_what_needs_the_other(lesion: bool) -> None:
    curve = curve_of((np.array([1.0, 2.0]), np.array([lesion, lesion])))
    needs_lesion = [curve.average_precision(), curve.best_dice()[0], curve.recall(1)]

    assert_undefined(curve.auroc())
    if lesion:
        assert needs_lesion == [Estimate(1, 1, 1)] * 3
        assert_undefined(curve.false_positive_rate(1))
    else:
        assert_undefined(*needs_lesion)
        assert curve.false_positive_rate(1.5) == Estimate(0.5, 0.5, 0.5)


def test_without_a_voxel_all_is_undefined() -> None:
    curve = ScoreCurve()

    assert_undefined(
        curve.average_precision(),
        curve.auroc(),
        curve.best_dice()[0],
        curve.recall(0),
        curve.false_positive_rate(0),
        curve.precision(0),
    )
    np.testing.assert_equal((curve.best_dice()[1], curve.prevalence), (NAN, NAN))


@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        ([0.1, np.nan], [True, False], "scores: 1 of 2 are NaN or infinite"),
        ([0.1, 1e39], [True, False], r"some exceed 3\.4e\+38, the largest float32"),
        ([0.1, 1e-50], [True, False], "nearer to zero than 1.4e-45, the smallest fl"),
        ([1e9, 1e9 + 5], [True, False], "can't tell them apart, from 1000000000 to 1"),
        ([2**30, 2**30 + 1], [True, False], "Subtract what they have in common"),
        ([0.1], [True, False], r"scores have shape \(1,\), but labels have \(2,\)"),
        ([0.1, 0.2], [1, 0], "labels: expected bool, got int64"),
    ],
)
def test_wrong_cases_are_refused_and_not_counted(
    scores: list[float], labels: list[bool], message: str
) -> None:
    curve = ScoreCurve()

    with pytest.raises(DataError, match=message):
        curve.add(scores, labels)
    assert curve.negatives == curve.positives == 0


def test_equal_scores_are_never_too_near_to_each_other() -> None:
    curve = curve_of((np.array([0.1, 0.1]), np.array([True, False])))

    assert curve.auroc() == Estimate(0.5, 0.5, 0.5)


def test_a_threshold_that_is_not_a_number_is_refused() -> None:
    with pytest.raises(DataError, match="threshold: expected a score, got NaN"):
        ScoreCurve().recall(NAN)
