from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import (
    average_precision_score,
    roc_auc_score,
)

from uadbench.errors import DataError
from uadbench.metrics import (
    auroc,
    average_precision,
    best_dice,
    dice,
    false_positive_rate,
    precision,
    ranking,
    recall,
)

Scores = NDArray[np.floating]
Mask = NDArray[np.bool_]
RankMetric = Callable[[Scores, Mask], float]


def oracle_dice(scores: Scores, labels: Mask) -> float:
    return best_dice(scores, labels)[0]


RANK_METRICS = [average_precision, auroc, oracle_dice]

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


@pytest.mark.parametrize("metric", RANK_METRICS)
def test_perfect_order_is_one(metric: RankMetric) -> None:
    assert metric(np.array([3.0, 2.0, 1.0, 0.0]), np.array([1, 1, 0, 0], bool)) == 1


def test_worst_order() -> None:
    scores, labels = np.array([0.0, 1.0, 2.0, 3.0]), np.array([1, 0, 0, 0], bool)

    # The lesion comes last of four: precision 1/4 at full recall; Dice 2 / (4 + 1).
    assert average_precision(scores, labels) == 0.25
    assert auroc(scores, labels) == 0
    assert best_dice(scores, labels) == (0.4, 0.0)


def test_average_precision_by_hand() -> None:
    # 0.9: precision 1/1, recall 1/2; 0.8: no gain; 0.5: precision 2/4, recall 2/2.
    assert average_precision(SCORES, LABELS) == 1 / 2 * 1 + 1 / 2 * 2 / 4


def test_auroc_by_hand() -> None:
    # The lesion at 0.9 wins 3 of 3; that at 0.5 loses to 0.8, ties with 0.5, beats 0.2.
    assert auroc(SCORES, LABELS) == pytest.approx((3 + 0 + 0.5 + 1) / 6)


def test_best_dice_by_hand() -> None:
    # >= 0.9: 2*1 / (1 + 2); >= 0.8: 2*1 / (2 + 2); >= 0.5: 2*2 / (4 + 2).
    assert best_dice(SCORES, LABELS) == (2 / 3, 0.9)


def test_of_equal_dice_the_highest_threshold_is_taken() -> None:
    scores, labels = np.array([4.0, 3.0, 2.0, 1.0]), np.array([1, 0, 0, 1], bool)

    # 2*1 / (1 + 2) at 4, and 2*2 / (4 + 2) at 1.
    assert best_dice(scores, labels) == (2 / 3, 4.0)


@given(scored())
def test_twins_that_loop_over_thresholds_agree(case: tuple[Scores, Mask]) -> None:
    assert average_precision(*case) == pytest.approx(slow_average_precision(*case))
    assert auroc(*case) == pytest.approx(slow_auroc(*case))
    assert oracle_dice(*case) == slow_best_dice(*case)


@given(scored())
def test_oracle_threshold_reaches_the_oracle_dice(case: tuple[Scores, Mask]) -> None:
    scores, labels = case
    best, threshold = best_dice(scores, labels)

    assert dice(scores >= threshold, labels) == best


@pytest.mark.parametrize("seed", range(5))
def test_scikit_learn_agrees_on_scores_with_ties(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.random(2000) < 0.05
    scores = np.round(rng.normal(labels, 1.0), 1)

    assert average_precision(scores, labels) == pytest.approx(
        average_precision_score(labels, scores), rel=1e-12
    )
    assert auroc(scores, labels) == pytest.approx(
        roc_auc_score(labels, scores), rel=1e-12
    )


@pytest.mark.parametrize("metric", RANK_METRICS)
@given(case=scored())
def test_rank_metrics_see_only_the_order(
    metric: RankMetric, case: tuple[Scores, Mask]
) -> None:
    scores, labels = case

    assert metric(np.exp(3 * scores) - 7, labels) == metric(scores, labels)


@pytest.mark.parametrize("metric", RANK_METRICS)
@given(case=scored())
def test_rank_metrics_are_fractions_that_voxel_order_does_not_change(
    metric: RankMetric, case: tuple[Scores, Mask]
) -> None:
    scores, labels = case
    value = metric(scores, labels)

    assert 0 <= value <= 1 + 1e-12
    assert metric(scores[::-1], labels[::-1]) == value


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


def test_without_healthy_voxel_auroc_alone_is_undefined() -> None:
    everything = np.ones(5, bool)

    assert np.isnan(auroc(SCORES, everything))
    assert average_precision(SCORES, everything) == pytest.approx(1)
    assert best_dice(SCORES, everything) == (1, 0.2)
    assert np.isnan(ranking(SCORES, everything).false_positive_rate).all()


@pytest.mark.parametrize("metric", [average_precision, auroc, best_dice, ranking])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite_are_refused(
    metric: Callable[..., object], bad: float
) -> None:
    with pytest.raises(DataError, match=r"scores: 1 of 5 are NaN or infinite\."):
        metric(np.where(SCORES == 0.8, bad, SCORES), LABELS)


@pytest.mark.parametrize("metric", [average_precision, auroc, best_dice])
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
