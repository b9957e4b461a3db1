import math
from dataclasses import astuple
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import binom, bootstrap

from uadbench.errors import DataError
from uadbench.inference import Interval, few_subjects, interval, intervals

NAN = float("nan")
Floats = NDArray[np.float64]

VALUES = st.lists(
    st.integers(-50, 50).map(lambda number: number / 10), min_size=3, max_size=12
).filter(lambda values: len(set(values)) > 1)


def ends(found: Interval) -> tuple[float, float]:
    return found.low, found.high


def by_scipy(values: Floats) -> tuple[float, float]:
    """BCa from the same resamples: of sorted values, as the order means nothing."""
    found = bootstrap(
        (np.sort(values),), np.mean, n_resamples=10_000, rng=np.random.default_rng(0)
    )
    low, high = found.confidence_interval
    return float(low), float(high)


def coverage(found: list[Interval], truth: float) -> float:
    return float(np.mean([one.low <= truth <= one.high for one in found]))


# 251 subjects need more than one block of resamples.
@pytest.mark.parametrize("subjects", [3, 10, 30, 251])
def test_scipy_agrees_on_the_same_resamples(subjects: int) -> None:
    values = np.random.default_rng(subjects).lognormal(size=subjects)

    found = interval(values)

    assert found.mean == pytest.approx(values.mean(), rel=1e-12)
    assert ends(found) == pytest.approx(by_scipy(values), rel=1e-9)


def test_other_resamples_give_nearly_the_same_interval() -> None:
    values = np.random.default_rng(0).lognormal(size=60)
    reference = bootstrap(
        (values,), np.mean, n_resamples=400_000, batch=50_000, rng=99
    ).confidence_interval

    # Ten thousand resamples leave the ends uncertain by some percent of the width.
    width = reference.high - reference.low
    assert ends(interval(values)) == pytest.approx(tuple(reference), abs=0.05 * width)


@pytest.mark.parametrize("seed", range(3))
def test_equal_resampled_means_count_half_whatever_their_rounding(seed: int) -> None:
    whole = np.random.default_rng(seed).integers(0, 5, 16).astype(float)
    tenths = whole * 0.1

    # Sums of whole numbers are exact, so that scipy sees which means are equal.
    exact = by_scipy(whole)

    assert ends(interval(whole)) == pytest.approx(exact, rel=1e-12)
    assert ends(interval(tenths)) == pytest.approx(np.array(exact) / 10, rel=1e-12)


def test_scipy_counts_rounding_as_a_difference() -> None:
    whole = np.random.default_rng(0).integers(0, 5, 16).astype(float)

    # A library wrong on an edge case: with tenths its interval is another one.
    assert by_scipy(whole * 0.1)[0] * 10 - by_scipy(whole)[0] == pytest.approx(1 / 16)


@given(VALUES)
@settings(max_examples=50)
def test_interval_holds_the_mean_and_lies_within_the_values(
    values: list[float],
) -> None:
    found = interval(values)

    assert min(values) - 1e-12 <= found.low <= found.mean
    assert found.mean <= found.high <= max(values) + 1e-12


@given(VALUES, st.randoms(use_true_random=False))
@settings(max_examples=50)
def test_order_of_subjects_means_nothing(values: list[float], random: Random) -> None:
    shuffled = list(values)
    random.shuffle(shuffled)

    assert interval(shuffled) == interval(values)


@given(VALUES, st.sampled_from([0.001, 2.0, 1000.0]), st.integers(-9, 9))
@settings(max_examples=50)
def test_shift_and_scale_pass_through(
    values: list[float], scale: float, shift: int
) -> None:
    found, moved = interval(values), interval(scale * np.array(values) + shift)

    expected = [scale * edge + shift for edge in (found.mean, *ends(found))]
    assert [moved.mean, *ends(moved)] == pytest.approx(expected, abs=1e-9 * scale)


def test_tiny_values_have_an_interval_too() -> None:
    values = np.random.default_rng(0).random(20)

    found = interval(values * 1e-200)

    assert ends(found) == pytest.approx(np.array(ends(interval(values))) * 1e-200)


def test_undefined_values_are_left_out_and_counted() -> None:
    defined = interval([0.1, 0.4, 0.5, 0.9])

    found = interval([0.1, NAN, 0.4, 0.5, NAN, 0.9])

    assert (found.n, found.undefined, found.subjects) == (4, 2, 4)
    assert (found.mean, *ends(found)) == (defined.mean, *ends(defined))


@pytest.mark.parametrize(
    "values", [[0.2, 0.7], [0.3, 0.3, 0.3, 0.3], [0.1 + 0.2, 0.3, 0.3], [NAN, 1.0, 2.0]]
)
def test_fewer_than_three_subjects_or_equal_ones_have_no_ends(
    values: list[float],
) -> None:
    found = interval(values)

    assert found.mean == pytest.approx(np.nanmean(values))
    assert np.isnan(ends(found)).all()


@pytest.mark.parametrize(("values", "undefined"), [([], 0), ([NAN, NAN], 2)])
def test_without_a_defined_value_all_is_undefined_but_the_counts(
    values: list[float], undefined: int
) -> None:
    found = interval(values)

    assert (found.n, found.undefined, found.subjects) == (0, undefined, 0)
    assert np.isnan([found.mean, *ends(found)]).all()


def test_a_subject_counts_once_however_many_scans_it_has() -> None:
    # a: mean of 1, 2, 3 is 2; b: 4, its other scan undefined; c: 9; d: no value.
    values = [1.0, 4.0, 2.0, 9.0, 3.0, NAN, NAN]
    groups = ["a", "b", "a", "c", "a", "b", "d"]

    found = interval(values, groups)

    assert found.mean == 5
    assert ends(found) == ends(interval([2.0, 4.0, 9.0]))
    assert (found.n, found.undefined, found.subjects) == (5, 2, 3)


def test_repeated_scans_do_not_narrow_the_interval() -> None:
    values = np.random.default_rng(0).random(20)
    fivefold, groups = np.repeat(values, 5), np.repeat(np.arange(20), 5)
    once = interval(values)

    clustered, pooled = interval(fivefold, groups), interval(fivefold)

    assert ends(clustered) == pytest.approx(ends(once), rel=1e-12)
    # Scans taken for subjects: narrower by the square root of 5, and wrong.
    ratio = (once.high - once.low) / (pooled.high - pooled.low)
    assert ratio == pytest.approx(math.sqrt(5), rel=0.05)


@given(VALUES)
@settings(max_examples=20)
def test_subjects_with_one_scan_each_are_as_no_groups(values: list[float]) -> None:
    assert interval(values, np.arange(len(values))) == interval(values)


def test_two_subjects_with_many_scans_have_no_interval() -> None:
    found = interval([1.0, 2.0, 3.0, 4.0], ["a", "a", "b", "b"])

    assert (found.mean, found.subjects) == (2.5, 2)
    assert np.isnan(ends(found)).all()


def test_many_metrics_at_once_are_the_metrics_one_by_one() -> None:
    table = np.random.default_rng(0).lognormal(size=(6, 25))
    table[1, 3:9] = NAN
    table[2, :6] = NAN
    table[3] = NAN
    table[4] = 0.5
    groups = np.arange(25) // 2

    for subjects in (None, groups):
        found = intervals(table, subjects)

        for one, row in zip(found, table, strict=True):
            np.testing.assert_allclose(
                astuple(one), astuple(interval(row, subjects)), rtol=1e-12
            )


def test_no_metric_gives_no_interval() -> None:
    assert intervals(np.zeros((0, 5))) == []


def within(rate: float, repetitions: int) -> tuple[float, float]:
    """The bounds that a rate of successes leaves once in a thousand by chance."""
    low, high = binom.interval(0.999, repetitions, rate)
    return low / repetitions, high / repetitions


def test_of_fifty_dice_like_values_the_interval_covers_95_percent() -> None:
    samples = np.random.default_rng(1).beta(2, 2, (1000, 50))

    low, high = within(0.95, 1000)
    assert low <= coverage(intervals(samples), 0.5) <= high


@pytest.mark.parametrize(("subjects", "rate"), [(30, 0.88), (100, 0.919)])
def test_of_skewed_values_it_covers_what_its_docstring_says(
    subjects: int, rate: float
) -> None:
    samples = np.random.default_rng(2).lognormal(size=(1000, subjects))

    low, high = within(rate, 1000)
    assert low <= coverage(intervals(samples), math.exp(0.5)) <= high


def test_clusters_cover_where_scans_taken_for_subjects_do_not() -> None:
    # Sixty subjects with one to five scans each, which are much alike.
    rng = np.random.default_rng(3)
    groups = np.repeat(np.arange(60), np.arange(60) % 5 + 1)
    samples = rng.normal(size=(1000, 60))[:, groups]
    samples += 0.3 * rng.normal(size=samples.shape)

    low, high = within(0.95, 1000)
    assert low <= coverage(intervals(samples, groups), 0) <= high
    assert coverage(intervals(samples), 0) < 0.75


@pytest.mark.parametrize("bad", [np.inf, -np.inf])
def test_infinite_values_are_refused(bad: float) -> None:
    with pytest.raises(DataError, match="values: 1 of 3 are infinite"):
        interval([0.1, bad, 0.3])


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(DataError, match=r"expected shape \(N,\), got \(2, 3\)"):
        interval(np.zeros((2, 3)))
    with pytest.raises(DataError, match=r"expected shape \(M, N\), got \(3,\)"):
        intervals([0.1, 0.2, 0.3])
    with pytest.raises(DataError, match=r"groups: expected 3, .* got shape \(2,\)"):
        interval([0.1, 0.2, 0.3], ["a", "b"])


def test_fewer_than_fifty_subjects_are_warned_of() -> None:
    assert few_subjects(50) == ""
    assert few_subjects(1).startswith("Only 1 test subject: intervals")
    assert few_subjects(49) == (
        "Only 49 test subjects: intervals are wide, and a small difference between "
        "methods may be chance."
    )
