import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from uadbench.errors import ContractError, DataError, UsageError
from uadbench.kinds import THRESHOLDS
from uadbench.specs import Kind, Spec, parse
from uadbench.thresholds import (
    DEFAULTS,
    HEADLINE,
    SUPERVISION,
    Threshold,
    healthy_quantile,
    healthy_threshold,
    strategies,
    suffix,
)

Scores = NDArray[np.float32]

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

    assert reached.sum() / scores.size <= rate
    # One step down is a distinct score more, and one too many.
    lower = scores[~reached].max()
    assert (scores >= lower).sum() / scores.size > rate


def test_rate_is_used_up_where_its_product_is_rounded_down() -> None:
    scores = np.arange(100, dtype=np.float32)

    assert (scores >= healthy_threshold(scores, 0.29)).sum() == 29


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


def test_quantile_is_a_score_that_occurs() -> None:
    scores = np.array([4, 1, 3, 2], np.float32)

    # The median lies between 2 and 3: the higher of the two.
    assert healthy_quantile(scores, 0.5) == 3
    with pytest.raises(DataError, match="no healthy validation voxel"):
        healthy_quantile(scores[:0], 0.5)


def test_every_strategy_says_what_it_has_seen() -> None:
    assert SUPERVISION.keys() == THRESHOLDS.keys()


def test_strategies_asked_for_come_after_the_default_ones_and_once() -> None:
    found = strategies(["fixed:0.5", "fpr@healthy:0.01", "own", "oracle"])

    assert found == (*DEFAULTS, Spec("fixed", 0.5))


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (Spec("fpr@healthy", 0.05), HEADLINE),
        (Spec("fpr@healthy", 0.005), "fpr0p5"),
        (Spec("quantile@healthy", 0.975), "q97p5"),
        (Spec("quantile@healthy", 0.07), "q7"),
        (Spec("fixed", -0.25), "fixedm0p25"),
        (Spec("fixed", 0.8123458), "fixed0p8123458"),
        (Spec("fixed", 1900004.0), "fixed1900004"),
        (Spec("dice@lesion-val"), "lesionval"),
    ],
)
def test_suffix_of_a_strategy_can_end_a_column(spec: Spec, expected: str) -> None:
    assert suffix(spec) == expected


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_strategy_in_words_is_the_same_strategy(number: float) -> None:
    spec = Spec("fixed", number)

    assert (
        parse("--threshold", str(spec), {"fixed": Kind("fixed", "", "SCORE")}) == spec
    )


def test_number_without_bounds_is_told_without_them() -> None:
    with pytest.raises(UsageError, match="'size' takes a number, got 'big'"):
        parse("--by", "size:big", {"size": Kind("size", "", "NUMBER")})


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("fpr@health:0.1", "Did you mean 'fpr@healthy'"),
        ("fpr@healthy", "expected 'fpr@healthy:RATE', got 'fpr@healthy'"),
        ("fpr@healthy:1.5", "takes a number above 0 and below 1, got '1.5'"),
        ("fixed:high", "'fixed' takes a number above -3.4.* got 'high'"),
        ("fixed:1e39", "and below 3.40282e"),
        ("oracle:3", "expected 'oracle', got 'oracle:3'"),
    ],
)
def test_strategy_that_cannot_be_is_explained(word: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        strategies([word])


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


def test_damaged_threshold_is_never_taken_for_the_own_mask() -> None:
    threshold = Threshold(None, "dice@lesion-val", "lesion-val", "hash")

    with pytest.raises(DataError, match="'dice@lesion-val' has no value"):
        threshold.apply(np.zeros(2, np.float32), np.array([True, False]))
