import tracemalloc
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from uadbench.errors import DataError
from uadbench.metrics import (
    auroc,
    average_precision,
    best_dice,
    dice,
    false_positive_rate,
    fpr_at_tpr,
    precision,
    precision_recall_curve,
    rank_summary,
    ranking,
    recall,
    roc_curve,
)

Scores = NDArray[np.floating]
Mask = NDArray[np.bool_]
RankMetric = Callable[[Scores, Mask], float]


def oracle_dice(scores: Scores, labels: Mask) -> float:
    return best_dice(scores, labels)[0]


RANK_METRICS = [average_precision, auroc, oracle_dice, fpr_at_tpr]

# Falling scores with a tie between a lesion and a healthy voxel.
SCORES = np.array([0.9, 0.8, 0.5, 0.5, 0.2])
LABELS = np.array([1, 0, 1, 0, 0], bool)


@st.composite
def scored(draw: st.DrawFn) -> tuple[Scores, Mask]:
    """Scores with many ties, and labels of both classes."""
    size = draw(st.integers(2, 25))
    levels = st.integers(-3, 3).map(lambda level: level / 4)
    scores = draw(st.lists(levels, min_size=size, max_size=size))
    labels = draw(st.lists(st.booleans(), min_size=size, max_size=size))
    labels[:2] = [True, False]
    order = draw(st.permutations(range(size)))
    return np.array(scores)[order], np.array(labels, bool)[order]


def slow_average_precision(scores: Scores, labels: Mask) -> float:
    """The definition: precision times gain in recall, threshold by threshold."""
    area, before = 0.0, 0.0
    for threshold in sorted(set(scores.tolist()), reverse=True):
        pred = scores >= threshold
        found = recall(pred, labels)
        area += (found - before) * precision(pred, labels)
        before = found
    return area


def slow_auroc(scores: Scores, labels: Mask) -> float:
    """The definition: wins of a positive over a negative, ties counting half."""
    pairs = [(p, n) for p in scores[labels] for n in scores[~labels]]
    return float(np.mean([(p > n) + (p == n) / 2 for p, n in pairs]))


def slow_best_dice(scores: Scores, labels: Mask) -> float:
    return max(dice(scores >= threshold, labels) for threshold in scores.tolist())


def slow_fpr_at_tpr(scores: Scores, labels: Mask, tpr: float) -> float:
    cuts = [scores >= threshold for threshold in scores.tolist()]
    return min(
        false_positive_rate(cut, labels) for cut in cuts if recall(cut, labels) >= tpr
    )


@pytest.mark.parametrize(
    ("metric", "perfect"),
    [(average_precision, 1), (auroc, 1), (oracle_dice, 1), (fpr_at_tpr, 0)],
)
def test_perfect_order(metric: RankMetric, perfect: int) -> None:
    scores, labels = np.array([3.0, 2.0, 1.0, 0.0]), np.array([1, 1, 0, 0], bool)

    assert metric(scores, labels) == perfect


def test_worst_order() -> None:
    scores, labels = np.array([0.0, 1.0, 2.0, 3.0]), np.array([1, 0, 0, 0], bool)

    # The lesion comes last of four: precision 1/4 at full recall; Dice 2 / (4 + 1).
    assert average_precision(scores, labels) == 0.25
    assert auroc(scores, labels) == 0
    assert best_dice(scores, labels) == (0.4, 0.0)
    assert fpr_at_tpr(scores, labels) == 1


def test_average_precision_by_hand() -> None:
    # 0.9: precision 1/1, recall 1/2; 0.8: no gain; 0.5: precision 2/4, recall 2/2.
    assert average_precision(SCORES, LABELS) == 1 / 2 * 1 + 1 / 2 * 2 / 4


def test_auroc_by_hand() -> None:
    # The lesion at 0.9 wins 3 of 3; that at 0.5 loses to 0.8, ties with 0.5, beats 0.2.
    assert auroc(SCORES, LABELS) == pytest.approx((3 + 0 + 0.5 + 1) / 6)


def test_best_dice_by_hand() -> None:
    # >= 0.9: 2*1 / (1 + 2); >= 0.8: 2*1 / (2 + 2); >= 0.5: 2*2 / (4 + 2).
    assert best_dice(SCORES, LABELS) == (2 / 3, 0.9)


@pytest.mark.parametrize(
    ("tpr", "rate"),
    # One of two lesions is found at 0.9 without a false positive, both at 0.5 with 2.
    [(0.1, 0), (0.5, 0), (0.51, 2 / 3), (0.95, 2 / 3), (1.0, 2 / 3)],
)
def test_fpr_at_tpr_by_hand(tpr: float, rate: float) -> None:
    assert fpr_at_tpr(SCORES, LABELS, tpr) == rate


def test_a_recall_of_just_the_asked_rate_is_enough() -> None:
    # 19 of 20 lesions score above the healthy voxel, the last one below.
    scores, labels = np.arange(21.0), np.arange(21) != 1

    assert fpr_at_tpr(scores, labels, 19 / 20) == 0
    assert fpr_at_tpr(scores, labels, np.nextafter(19 / 20, 1)) == 1


@pytest.mark.parametrize("tpr", [0.0, -0.5, 1.5, np.nan])
def test_a_recall_outside_of_0_to_1_is_refused(tpr: float) -> None:
    with pytest.raises(DataError, match=r"tpr: expected a rate in \(0, 1\], got"):
        fpr_at_tpr(SCORES, LABELS, tpr)


def test_of_equal_dice_the_highest_threshold_is_taken() -> None:
    scores, labels = np.array([4.0, 3.0, 2.0, 1.0]), np.array([1, 0, 0, 1], bool)

    # 2*1 / (1 + 2) at 4, and 2*2 / (4 + 2) at 1.
    assert best_dice(scores, labels) == (2 / 3, 4.0)


@given(scored())
def test_twins_that_loop_over_thresholds_agree(case: tuple[Scores, Mask]) -> None:
    assert average_precision(*case) == pytest.approx(slow_average_precision(*case))
    assert auroc(*case) == pytest.approx(slow_auroc(*case))
    assert oracle_dice(*case) == slow_best_dice(*case)


@given(case=scored(), tpr=st.floats(0.01, 1))
def test_a_twin_that_tries_every_threshold_agrees_on_fpr_at_tpr(
    case: tuple[Scores, Mask], tpr: float
) -> None:
    assert fpr_at_tpr(*case, tpr) == slow_fpr_at_tpr(*case, tpr)


@given(scored())
def test_one_summary_and_a_whole_ranking_give_what_each_metric_gives(
    case: tuple[Scores, Mask],
) -> None:
    summary, ranks = rank_summary(*case), ranking(*case)

    assert summary.average_precision == average_precision(*case)
    assert summary.auroc == auroc(*case)
    assert (summary.best_dice, summary.best_threshold) == best_dice(*case)
    assert (summary.positives, summary.negatives) == (ranks.positives, ranks.negatives)
    assert ranks.average_precision() == summary.average_precision
    assert ranks.auroc() == summary.auroc
    assert ranks.best_dice() == best_dice(*case)


@given(scored())
def test_no_threshold_but_a_lesion_score_is_needed_for_the_best_dice(
    case: tuple[Scores, Mask],
) -> None:
    scores, labels = case
    best, threshold = best_dice(scores, labels)

    assert threshold in scores[labels]
    assert best == ranking(scores, labels).dice.max()


@given(scored())
def test_oracle_threshold_reaches_the_oracle_dice(case: tuple[Scores, Mask]) -> None:
    scores, labels = case
    best, threshold = best_dice(scores, labels)

    assert dice(scores >= threshold, labels) == best


def drawn(size: int, prevalence: float) -> tuple[Scores, Mask]:
    rng = np.random.default_rng(size)
    labels = rng.random(size) < prevalence
    return rng.normal(labels, 1.0), labels


FEW, MANY = drawn(20_000, 0.02), drawn(20_000, 0.7)
ADVERSARIAL = {
    "few lesions": FEW,
    "mostly lesion": MANY,
    "many ties": (np.round(FEW[0], 1), FEW[1]),
    "constant": (np.full(50, 0.3), np.arange(50) < 7),
    "two voxels": (np.array([0.1, 0.2]), np.array([True, False])),
    "rising": (np.sort(FEW[0]), FEW[1]),
    "falling": (np.sort(FEW[0])[::-1], FEW[1]),
    "half is zero": (np.maximum(FEW[0], 0), FEW[1]),
    "all below zero": (-np.exp(FEW[0]), FEW[1]),
    "two zeros": (np.array([0.0, -0.0, 0.0, -0.0]), np.array([1, 0, 0, 1], bool)),
    "tiny": (np.array([5e-324, 1e-323, 0, 0, 2e-323]), LABELS),
    "huge": (np.array([1.7e308, -1.7e308, 0, 1, 1e308]), LABELS),
    "all magnitudes": (FEW[0] * 10.0 ** (FEW[0] * 60), FEW[1]),
    "float16": (FEW[0].astype(np.float16), FEW[1]),
    "float32": (FEW[0].astype(np.float32), FEW[1]),
    "big-endian": (FEW[0].astype(">f4"), FEW[1]),
    "int16": ((FEW[0] * 1000).astype(np.int16), FEW[1]),
    "uint8": ((np.exp(FEW[0]) * 3).astype(np.uint8), FEW[1]),
    "int64 to the end of float64": (2**53 - np.array([3, 1, 0, 1, 2]), LABELS),
    "a mask": (FEW[0] > 1, FEW[1]),
    "every other voxel": (FEW[0][::2], FEW[1][::2]),
    "volume": (FEW[0].reshape(10, 20, 100), FEW[1].reshape(10, 20, 100)),
}


@pytest.mark.parametrize("case", ADVERSARIAL.values(), ids=ADVERSARIAL)
def test_scikit_learn_agrees(case: tuple[Scores, Mask]) -> None:
    scores, labels = case
    summary = rank_summary(scores, labels)

    assert summary.average_precision == pytest.approx(
        average_precision_score(labels.ravel(), scores.ravel()), rel=1e-12
    )
    assert summary.auroc == pytest.approx(
        roc_auc_score(labels.ravel(), scores.ravel()), rel=1e-12
    )
    assert dice(scores >= summary.best_threshold, labels) == summary.best_dice


@pytest.mark.parametrize("share", [0.02, 0.7])
def test_a_ranking_takes_at_most_twelve_times_the_scores_memory(share: float) -> None:
    rng = np.random.default_rng(0)
    scores = rng.random(500_000, np.float32)
    labels = rng.random(len(scores)) < share
    tracemalloc.start()
    try:
        ranking(scores, labels)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak <= 12 * scores.nbytes


NOT_SCORES: dict[str, tuple[object, str]] = {
    "complex": ([1j, 2j], "expected real numbers, got complex128"),
    "dates": (np.array([1, 2], "M8[s]"), r"expected real numbers, got datetime64\[s\]"),
    "strings": (["1", "2"], "expected real numbers, got <U1"),
    "objects": ([2**70, 1], "expected real numbers, got object"),
    "ragged": ([[1.0], [1.0, 2.0]], "expected an array, got rows of different lengths"),
    "masked": (np.ma.masked_array([1.0, 2.0], [True, False]), "got a masked one"),
    "integers that float64 skips": (2**53 + np.arange(2), "got int64 beyond them"),
    "negative ones": (-(2**53) - np.arange(2), "got int64 beyond them"),
    "long doubles": (np.array([1.0, 2.0], np.longdouble), "got float128 beyond them"),
}


@pytest.mark.parametrize(("scores", "text"), NOT_SCORES.values(), ids=NOT_SCORES)
def test_what_is_no_score_is_refused(scores: Any, text: str) -> None:
    with pytest.raises(DataError, match=f"scores: .*{text}"):
        auroc(scores, [True, False])


def test_labels_with_a_mask_are_refused() -> None:
    labels: Any = np.ma.masked_array([True, False], [True, False])

    with pytest.raises(DataError, match="labels: expected a plain array, got a masked"):
        auroc([0.1, 0.2], labels)


def test_a_recall_that_is_no_number_is_refused() -> None:
    text: Any = "1"

    with pytest.raises(DataError, match=r"tpr: expected a rate in \(0, 1\], got '1'"):
        fpr_at_tpr(SCORES, LABELS, text)


@pytest.mark.parametrize("label", [True, False])
def test_one_voxel(label: bool) -> None:
    summary = rank_summary([0.3], [label])
    found = (summary.average_precision, summary.best_dice, summary.best_threshold)

    np.testing.assert_equal(found, (1, 1, 0.3) if label else (np.nan,) * 3)
    np.testing.assert_equal(summary.auroc, np.nan)


def test_where_scikit_learn_gives_zero_for_no_lesion_it_is_undefined() -> None:
    labels = np.zeros(5, bool)

    with pytest.warns(UserWarning, match="No positive class"):
        assert average_precision_score(labels, SCORES) == 0
    assert np.isnan(average_precision(SCORES, labels))


def test_the_best_threshold_has_no_negative_zero() -> None:
    _, threshold = best_dice(np.array([-0.0, -0.0]), np.array([True, False]))

    assert not np.signbit(threshold)


@pytest.mark.parametrize("metric", [average_precision, rank_summary])
def test_metrics_take_at_most_twice_the_memory_of_scores_of_few_lesions(
    metric: Callable[..., object],
) -> None:
    rng = np.random.default_rng(0)
    scores = rng.random(2_000_000, np.float32)
    labels = rng.random(len(scores)) < 0.02
    tracemalloc.start()
    try:
        metric(scores, labels)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak <= 2 * scores.nbytes


@pytest.mark.parametrize("metric", RANK_METRICS)
@given(case=scored())
def test_rank_metrics_see_only_the_order(
    metric: RankMetric, case: tuple[Scores, Mask]
) -> None:
    scores, labels = case

    assert metric(np.exp(3 * scores) - 7, labels) == metric(scores, labels)


@pytest.mark.parametrize("metric", RANK_METRICS)
@given(case=scored(), random=st.randoms())
def test_rank_metrics_are_fractions_that_voxel_order_does_not_change(
    metric: RankMetric, case: tuple[Scores, Mask], random: Random
) -> None:
    scores, labels = case
    order = random.sample(range(len(scores)), len(scores))
    value = metric(scores, labels)

    assert 0 <= value <= 1
    assert metric(scores[order], labels[order]) == value


@given(scored())
def test_auroc_of_the_opposite_score_is_one_minus(case: tuple[Scores, Mask]) -> None:
    scores, labels = case

    assert auroc(-scores, labels) == pytest.approx(1 - auroc(scores, labels))


@given(scored())
def test_constant_score_gives_prevalence_and_chance(case: tuple[Scores, Mask]) -> None:
    _, labels = case
    constant, share = np.full(len(labels), 0.3), float(labels.mean())

    assert average_precision(constant, labels) == pytest.approx(share)
    assert auroc(constant, labels) == 0.5
    assert best_dice(constant, labels) == pytest.approx((2 * share / (1 + share), 0.3))
    assert fpr_at_tpr(constant, labels) == 1


@given(scored())
def test_a_ranking_counts_what_the_mask_at_each_threshold_holds(
    case: tuple[Scores, Mask],
) -> None:
    scores, labels = case
    ranks = ranking(scores, labels)
    cuts = [scores >= threshold for threshold in ranks.thresholds]

    assert (np.diff(ranks.thresholds) < 0).all()
    assert (ranks.positives, ranks.negatives) == (labels.sum(), (~labels).sum())
    for curve, metric in (
        (ranks.dice, dice),
        (ranks.precision, precision),
        (ranks.recall, recall),
        (ranks.false_positive_rate, false_positive_rate),
    ):
        np.testing.assert_allclose(curve, [metric(cut, labels) for cut in cuts])


@pytest.mark.parametrize("metric", RANK_METRICS)
def test_without_lesion_rank_metrics_are_undefined(metric: RankMetric) -> None:
    assert np.isnan(metric(SCORES, np.zeros(5, bool)))
    assert np.isnan(metric(np.zeros(0), np.zeros(0, bool)))


def test_without_lesion_curves_are_undefined_but_for_the_false_positives() -> None:
    ranks = ranking(SCORES, np.zeros(5, bool))

    assert np.isnan(ranks.dice).all()
    assert np.isnan(ranks.recall).all()
    assert ranks.precision.tolist() == [0, 0, 0, 0]
    assert ranks.false_positive_rate.tolist() == [0.2, 0.4, 0.8, 1.0]


def test_without_healthy_voxel_what_counts_them_is_undefined() -> None:
    everything = np.ones(5, bool)

    assert np.isnan(auroc(SCORES, everything))
    assert np.isnan(fpr_at_tpr(SCORES, everything))
    assert average_precision(SCORES, everything) == pytest.approx(1)
    assert best_dice(SCORES, everything) == (1, 0.2)
    assert np.isnan(ranking(SCORES, everything).false_positive_rate).all()


EVERY_FUNCTION = [
    average_precision,
    auroc,
    best_dice,
    fpr_at_tpr,
    precision_recall_curve,
    rank_summary,
    ranking,
    roc_curve,
]


@pytest.mark.parametrize("metric", EVERY_FUNCTION)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite_are_refused(
    metric: Callable[..., object], bad: float
) -> None:
    with pytest.raises(DataError, match=r"scores: 1 of 5 are NaN or infinite\."):
        metric(np.where(SCORES == 0.8, bad, SCORES), LABELS)


@pytest.mark.parametrize("metric", EVERY_FUNCTION)
def test_wrong_shape_and_labels_that_are_not_bool_are_refused(
    metric: Callable[..., object],
) -> None:
    with pytest.raises(DataError, match=r"scores have shape \(4,\), but labels"):
        metric(SCORES[:4], LABELS)
    with pytest.raises(DataError, match="labels: expected bool, got int64"):
        metric(SCORES, LABELS.astype(np.int64))


@pytest.mark.parametrize("metric", RANK_METRICS)
@pytest.mark.parametrize("kind", [np.float16, np.float32, np.int32])
def test_precision_of_the_scores_does_not_matter_where_it_keeps_the_order(
    metric: RankMetric, kind: type
) -> None:
    scores = np.array([7, 3, 3, 1, 0, 7, 2], np.float64)
    labels = np.array([1, 0, 1, 0, 0, 1, 1], bool)

    assert metric(scores.astype(kind), labels) == metric(scores, labels)


def test_volumes_are_ranked_voxel_by_voxel() -> None:
    scores, labels = SCORES[:4].reshape(2, 1, 2), LABELS[:4].reshape(2, 1, 2)

    assert auroc(scores, labels) == auroc(SCORES[:4], LABELS[:4])
