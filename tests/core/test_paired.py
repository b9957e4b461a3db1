import itertools
import math
from time import process_time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import rankdata, wilcoxon
from statsmodels.stats.multitest import multipletests

from uadbench.errors import DataError
from uadbench.inference import Paired, compare_to, interval

NAN = float("nan")
Values = dict[str, float]

# Few levels, so that ties and pairs without a difference occur.
TENTHS = st.integers(0, 10).map(lambda level: level / 10)
# Columns: a reference and five others, compared in one call.
TABLES = st.lists(st.tuples(*[TENTHS] * 6), min_size=6, max_size=10)


def by_subject(values: NDArray[np.float64] | list[float]) -> Values:
    return {f"sub-{i:03d}": float(value) for i, value in enumerate(values)}


def named(others: list[NDArray[np.float64]]) -> dict[str, Values]:
    return {f"method {i}": by_subject(values) for i, values in enumerate(others)}


def compare(
    reference: NDArray[np.float64] | list[float],
    other: NDArray[np.float64] | list[float],
    higher: bool | None = True,
) -> Paired:
    others = {"other": by_subject(other)}
    (found,) = compare_to(by_subject(reference), others, higher)
    return found


def every_sign(apart: NDArray[np.float64]) -> float:
    """The definition: all signs equally likely; zeros ranked, and left out (Pratt)."""
    ranks = rankdata(np.abs(apart)) * (apart != 0)
    seen = abs(float(np.sign(apart) @ ranks))
    signs = np.array(list(itertools.product([-1, 1], repeat=len(apart))))
    return float(np.mean(np.abs(signs @ ranks) >= seen - 1e-9))


def test_six_pairs_by_hand() -> None:
    # Differences 1, 2, 3, 4, 5 and -6: ranks as they are, 15 for and 6 against, of 21.
    found = compare([0, 0, 0, 0, 0, 6], [1, 2, 3, 4, 5, 0])

    assert found.difference.mean == 1.5
    assert found.effect == pytest.approx((15 - 6) / 21)
    # Of 64 choices of signs 14 have a negative rank sum of at most 6.
    assert found.p == pytest.approx(2 * 14 / 64)
    assert (found.n, found.dropped, found.reason) == (6, 0, "")


def test_all_pairs_better_by_hand() -> None:
    found = compare([0.0] * 6, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0])

    assert found.effect == 1
    assert found.p == found.p_holm == pytest.approx(2 / 64)


@given(TABLES)
@settings(max_examples=10, deadline=None)
def test_small_samples_are_exact_with_ties_and_zeros(
    table: list[tuple[float, ...]],
) -> None:
    reference, *others = np.array(table).T

    found = compare_to(by_subject(reference), named(others), higher=True)

    for one, other in zip(found, others, strict=True):
        tenths = np.rint(10 * other) - np.rint(10 * reference)
        assert one.p == pytest.approx(every_sign(tenths))


@pytest.mark.parametrize("pairs", [6, 20, 50, 51, 300])
def test_scipy_agrees_where_no_pair_ties(pairs: int) -> None:
    rng = np.random.default_rng(pairs)
    reference = rng.normal(size=pairs)
    other = reference + rng.normal(0.2, 1, pairs)

    found = compare(reference, other)

    exact = wilcoxon(other, reference, method="exact")
    assert found.p == pytest.approx(exact.pvalue, rel=1e-9)


@pytest.mark.parametrize("pairs", [6, 50, 51, 70, 600])
def test_few_pairs_that_differ_are_exact_among_any_number(pairs: int) -> None:
    apart = np.zeros(pairs)
    apart[:5] = [1, 2, 3, 4, 5]

    # Five signs: no choice of them has a chance below 1 in 32, on either side.
    assert compare(np.zeros(pairs), apart).p == 2 / 32


def test_hundreds_of_pairs_take_no_time() -> None:
    rng = np.random.default_rng(0)
    apart = rng.normal(0.05, 1, 500)
    start = process_time()

    compare(np.zeros(500), apart)

    assert process_time() - start < 2


def test_many_ties_and_zeros_take_the_corrected_normal_distribution() -> None:
    rng = np.random.default_rng(0)
    apart = rng.integers(-20, 22, 600).astype(float)
    assert np.count_nonzero(apart) > 500

    found = compare(np.zeros(600), apart)

    # Cureton 1967: a zero has no sign, and adds nothing to the variance.
    ranks = rankdata(np.abs(apart)) * (apart != 0)
    z = np.sign(apart) @ ranks / math.sqrt(ranks @ ranks)
    assert found.p == pytest.approx(math.erfc(abs(z) / math.sqrt(2)), rel=1e-9)


def test_differences_equal_up_to_rounding_tie() -> None:
    # 0.3 - 0.2 and 0.2 - 0.1 are not the same number.
    reference, other = [0.2, 0.1, 0.3, 0.4, 0.5, 0.6], [0.3, 0.2, 0.4, 0.5, 0.6, 0.7]

    assert compare(reference, other).p == pytest.approx(2 / 64)
    assert compare(reference, other).effect == 1


def test_a_difference_of_rounding_is_none() -> None:
    found = compare([0.1 + 0.2] * 6, [0.3] * 6)

    assert (found.p, found.effect) == (1, 0)


def test_equal_methods_have_p_one() -> None:
    found = compare([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], [0.1, 0.2, 0.3, 0.4, 0.5, 0.6])

    assert (found.p, found.p_holm, found.effect) == (1, 1, 0)
    assert found.difference.mean == 0


def test_all_zero_values_have_p_one() -> None:
    assert compare([0.0] * 6, [0.0] * 6).p == 1


def test_pairs_without_a_difference_weaken_the_effect() -> None:
    # Two zeros share ranks 1 and 2; the others hold 3 to 6, all for the method.
    found = compare([0.0] * 6, [0, 0, 1, 2, 3, 4])

    assert found.effect == pytest.approx((3 + 4 + 5 + 6) / 21)
    assert found.p == pytest.approx(2 / 16)


@pytest.mark.parametrize(("higher", "effect"), [(True, 1), (False, -1), (None, 1)])
def test_a_positive_effect_is_better_than_the_reference(
    higher: bool | None, effect: int
) -> None:
    found = compare([0.0] * 6, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], higher)

    assert found.effect == effect
    assert found.difference.mean == 3.5
    assert found.p == pytest.approx(2 / 64)


@given(TABLES, st.booleans())
@settings(max_examples=10, deadline=None)
def test_the_other_direction_mirrors_the_effect_and_keeps_p(
    table: list[tuple[float, ...]], higher: bool
) -> None:
    reference, *others = np.array(table).T
    found, mirror = (
        compare_to(by_subject(reference), named(others), direction)
        for direction in (higher, not higher)
    )

    for one, other in zip(found, mirror, strict=True):
        assert other.effect == -one.effect
        assert (other.p, other.p_holm) == (one.p, one.p_holm)
        assert -1 <= one.effect <= 1
        assert 0 < one.p <= one.p_holm <= 1


def test_a_method_and_its_reference_may_change_sides() -> None:
    rng = np.random.default_rng(0)
    reference, other = rng.random(12), rng.random(12)

    found, turned = compare(reference, other), compare(other, reference)

    assert turned.effect == pytest.approx(-found.effect)
    assert turned.p == pytest.approx(found.p)
    assert turned.difference.mean == pytest.approx(-found.difference.mean)


def test_difference_has_the_bootstrap_interval_of_its_pairs() -> None:
    rng = np.random.default_rng(0)
    reference, other = rng.random(30), rng.random(30)

    assert compare(reference, other, False).difference == interval(other - reference)


def test_undefined_in_either_is_dropped_and_counted() -> None:
    reference = {**by_subject([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, NAN, NAN]), "sub-a": 0.9}
    other = {**by_subject([0.2, 0.4, 0.6, 0.8, 0.9, 1.2, 0.3, NAN]), "sub-b": 0.7}
    whole = compare([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], [0.2, 0.4, 0.6, 0.8, 0.9, 1.2])

    (found,) = compare_to(reference, {"other": other}, higher=True)

    assert (found.n, found.dropped) == (6, 4)
    assert (found.effect, found.p) == (whole.effect, whole.p)
    assert found.difference.mean == whole.difference.mean


def test_order_of_subjects_means_nothing() -> None:
    rng = np.random.default_rng(0)
    reference, other = by_subject(rng.random(9)), by_subject(rng.random(9))

    found = compare_to(reference, {"a": other}, higher=True)
    turned = compare_to(reference, {"a": dict(reversed(other.items()))}, higher=True)

    assert turned == found


def test_five_pairs_can_not_reach_the_five_percent_level() -> None:
    found = compare([0.0] * 5, [1.0, 2.0, 3.0, 4.0, 5.0])

    assert found.effect == 1
    assert math.isnan(found.p)
    assert math.isnan(found.p_holm)
    assert found.reason == (
        "too few pairs (5; at least 6 needed): no result could have p < 0.05"
    )


def test_without_a_pair_all_is_undefined() -> None:
    found = compare([NAN, 1.0], [1.0, NAN])

    assert (found.n, found.dropped) == (0, 2)
    assert np.isnan([found.effect, found.p, found.difference.mean]).all()
    assert found.reason.startswith("too few pairs (0;")


def test_holm_by_hand() -> None:
    # p of 1/32, 1/16 and 1 (all, all but the smallest, and none of six differ).
    reference = by_subject([0.0] * 6)
    others = {
        "none": by_subject([0.0] * 6),
        "all": by_subject([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
        "five": by_subject([0.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
    }

    none, every, five = compare_to(reference, others, higher=True)

    assert [one.name for one in (none, every, five)] == ["none", "all", "five"]
    assert [none.p, every.p, five.p] == pytest.approx([1, 1 / 32, 1 / 16])
    assert every.p_holm == pytest.approx(3 / 32)
    assert five.p_holm == pytest.approx(2 / 16)
    assert none.p_holm == 1


def test_holm_counts_only_what_was_tested() -> None:
    rng = np.random.default_rng(0)
    reference = by_subject(rng.random(30))
    others = {f"m{i}": by_subject(rng.random(30) + i / 10) for i in range(4)}
    few = {"few": {"sub-000": 0.5}}

    found = compare_to(reference, {**few, **others}, higher=True)

    expected = multipletests([one.p for one in found[1:]], method="holm")[1]
    assert math.isnan(found[0].p_holm)
    assert [one.p_holm for one in found[1:]] == pytest.approx(expected)


def test_two_seeds_of_four_subjects_are_four_pairs_each() -> None:
    # google/fuzzbench#1417: subjects are keys, so that repetitions can't become pairs.
    seeds = {"seed 0": by_subject([1.0] * 4), "seed 1": by_subject([2.0] * 4)}

    found = compare_to(by_subject([0.0] * 4), seeds, higher=True)

    assert [one.n for one in found] == [4, 4]
    assert all(one.reason for one in found)


def test_no_other_method_gives_no_comparison() -> None:
    assert compare_to(by_subject([1.0, 2.0]), {}, higher=True) == []
    assert compare_to({}, {}, higher=True) == []


def test_infinite_values_are_refused() -> None:
    with pytest.raises(DataError, match="values: 1 of 4 are infinite"):
        compare([0.1, 0.2], [0.1, np.inf])
