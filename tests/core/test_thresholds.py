import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from uadbench.errors import ContractError, DataError
from uadbench.metrics import dice, ranking
from uadbench.thresholds import (
    GRID,
    HEADLINE,
    HEALTHY_RATES,
    Threshold,
    calibrate,
    candidates,
    dice_at,
    healthy_threshold,
    oracle,
)

Scores = NDArray[np.float32]
Mask = NDArray[np.bool_]

tied = st.integers(-4, 4).map(lambda level: level / 8)
smooth = st.floats(-1e3, 1e3, width=32)
healthy = st.one_of(
    st.lists(tied, min_size=1, max_size=60), st.lists(smooth, min_size=1, max_size=60)
).map(lambda scores: np.array(scores, np.float32))


@given(healthy, st.floats(0.001, 0.999))
def test_healthy_threshold_is_the_smallest_that_keeps_the_rate(
    scores: Scores, rate: float
) -> None:
    threshold = healthy_threshold(scores, rate)
    reached = scores >= threshold

    assert reached.sum() <= rate * scores.size
    # One step down is a distinct score more, and one too many.
    lower = scores[~reached].max()
    assert (scores >= lower).sum() > rate * scores.size


def test_healthy_threshold_by_hand() -> None:
    scores = np.arange(100, dtype=np.float32).reshape(10, 10)

    # 5 of 100 may reach it: 95 to 99; the next float after 94 is the smallest cut.
    threshold = healthy_threshold(scores, 0.05)

    assert threshold == np.nextafter(np.float32(94), np.float32(np.inf))
    assert (scores >= threshold).sum() == 5


def test_tied_scores_are_refused_together() -> None:
    scores = np.array([0, 0, 0, 0, 0, 0, 1, 1, 1, 2], np.float32)

    # At 30 %, 3 may reach it, but the 3 ones and the 2 would be 4.
    assert (scores >= healthy_threshold(scores, 0.3)).tolist() == [False] * 9 + [True]


def test_nothing_reaches_the_threshold_of_constant_scores() -> None:
    scores = np.full(50, 0.25, np.float32)

    threshold = healthy_threshold(scores, 0.05)

    assert threshold > 0.25
    assert threshold == pytest.approx(0.25)


def test_too_few_voxels_for_the_rate_allow_none() -> None:
    scores = np.arange(10, dtype=np.float32)

    assert healthy_threshold(scores, 0.05) > 9


def test_no_healthy_voxel_is_an_error() -> None:
    with pytest.raises(DataError, match="no healthy validation voxel"):
        healthy_threshold(np.zeros((0, 3), np.float32), 0.05)


def test_calibrated_thresholds_carry_what_they_have_seen() -> None:
    scores = np.arange(1000, dtype=np.float32)

    found = calibrate(scores, "hash")

    assert HEADLINE in found
    reached = {suffix: t.apply(scores, None).sum() for suffix, t in found.items()}
    assert reached == {"fpr5": 50, "fpr1": 10}
    assert {t.supervision for t in found.values()} == {"healthy-val"}
    assert {t.strategy for t in found.values()} == {
        f"fpr@healthy:{rate}" for rate in HEALTHY_RATES.values()
    }


def test_threshold_survives_its_record() -> None:
    threshold = Threshold(0.1, "fpr@healthy:0.05", "healthy-val", "hash")

    assert Threshold.load(threshold.record(), "hash") == threshold


def test_threshold_of_another_pipeline_is_refused() -> None:
    record = Threshold(0.1, "fpr@healthy:0.05", "healthy-val", "old").record()

    with pytest.raises(DataError, match="belongs to pipeline old, not to new"):
        Threshold.load(record, "new")


def test_score_that_equals_the_threshold_is_abnormal() -> None:
    scores = np.array([0.1, 0.2, 0.3], np.float32)
    threshold = Threshold(float(np.float32(0.2)), "by hand", "none", "hash")

    assert threshold.apply(scores, None).tolist() == [False, True, True]


def test_threshold_without_value_is_the_own_mask() -> None:
    own = np.array([True, False])
    threshold = Threshold(None, "own", "healthy-val", "hash")

    assert threshold.apply(np.zeros(2, np.float32), own) is own
    with pytest.raises(ContractError, match="for every scan"):
        threshold.apply(np.zeros(2, np.float32), None)


@st.composite
def cohorts(draw: st.DrawFn) -> list[tuple[Scores, Mask]]:
    """A few cases with tied scores, some without lesion."""
    cases = []
    for _ in range(draw(st.integers(1, 4))):
        size = draw(st.integers(1, 12))
        scores = draw(st.lists(tied, min_size=size, max_size=size))
        labels = draw(st.lists(st.booleans(), min_size=size, max_size=size))
        cases.append((np.array(scores, np.float32), np.array(labels, bool)))
    return cases


@given(cohorts())
def test_oracle_is_the_best_of_all_thresholds(cases: list[tuple[Scores, Mask]]) -> None:
    every = np.concatenate([s for s, _ in cases]), np.concatenate([y for _, y in cases])
    lesions = [(s, y) for s, y in cases if y.any()]

    def mean_dice(threshold: float) -> float:
        return float(np.mean([dice(s >= threshold, y) for s, y in lesions]))

    grid = candidates(ranking(*every))
    found = oracle(grid, [dice_at(grid, ranking(*case)) for case in cases])

    if lesions:
        best = max(mean_dice(threshold) for threshold in every[0].tolist())
        assert mean_dice(found) == pytest.approx(best)
    else:
        assert np.isnan(found)


@given(cohorts())
def test_dice_at_is_the_dice_of_the_masks(cases: list[tuple[Scores, Mask]]) -> None:
    grid = np.linspace(1, -1, 33)

    for scores, labels in cases:
        expected = [dice(scores >= threshold, labels) for threshold in grid]
        np.testing.assert_allclose(dice_at(grid, ranking(scores, labels)), expected)


@given(cohorts())
def test_few_distinct_scores_are_all_candidates(
    cases: list[tuple[Scores, Mask]],
) -> None:
    scores, labels = cases[0]
    ranks = ranking(scores, labels)

    np.testing.assert_array_equal(candidates(ranks), ranks.thresholds)


def test_candidates_are_dense_where_lesions_are() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(200_000) < 2000
    scores = rng.normal(3.0 * labels, 1.0).astype(np.float32)

    grid = candidates(ranking(scores, labels))

    # No more than 1 / GRID of the lesion, or of all voxels, lies between two of them,
    # but for the one voxel that rounding adds.
    assert len(grid) <= 2 * GRID
    for values in (scores[labels], scores):
        counts = (values[:, None] >= grid[None, ::20]).mean(axis=0)
        assert np.diff(counts).max() <= 20 / (GRID - 1) + 1 / values.size


def test_no_voxel_gives_no_candidate_and_no_oracle() -> None:
    grid = candidates(ranking(np.zeros(0), np.zeros(0, bool)))

    assert grid.size == 0
    assert np.isnan(oracle(grid, []))
