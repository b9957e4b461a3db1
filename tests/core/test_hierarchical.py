import math
from dataclasses import astuple

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binom, t

from uadbench.errors import DataError
from uadbench.inference import (
    Hierarchical,
    Interval,
    hierarchical_interval,
    hierarchical_intervals,
    interval,
)

NAN = float("nan")
Floats = NDArray[np.float64]


def trained(
    rng: np.random.Generator, seeds: int, subjects: int, between: float
) -> Floats:
    """A metric (seeds, subjects) around 0.5, seeds `between` apart."""
    return np.asarray(
        0.5
        + between * rng.normal(size=(seeds, 1))
        + 0.2 * rng.normal(size=subjects)
        + 0.1 * rng.normal(size=(seeds, subjects))
    )


def width(found: Interval) -> float:
    return found.high - found.low


def test_three_seeds_by_hand() -> None:
    found = hierarchical_interval([[0, 2, 4], [1, 3, 5], [2, 4, 12]])

    # Seed means 2, 3, 6; subject means 1, 3, 7.
    assert found.over_subjects == interval([1, 3, 7])
    assert found.over_both.mean == pytest.approx(11 / 3)
    assert found.spread == pytest.approx(math.sqrt(13 / 3))
    assert found.seeds == 3
    # Student's 97.5 % quantile of two degrees of freedom; the mean's error is 13 / 9.
    student = 4.302653 * math.sqrt(13 / 9)
    below, above = 11 / 3 - found.over_subjects.low, found.over_subjects.high - 11 / 3
    assert found.over_both.low == pytest.approx(11 / 3 - math.hypot(below, student))
    assert found.over_both.high == pytest.approx(11 / 3 + math.hypot(above, student))


@pytest.mark.parametrize("times", [2, 20])
def test_repeated_seeds_are_not_more_subjects(times: int) -> None:
    # google/fuzzbench#1417: repetitions taken for observations.
    values = trained(np.random.default_rng(0), 3, 40, between=0.02)

    once = hierarchical_interval(values)
    often = hierarchical_interval(np.tile(values, (times, 1)))
    pooled = interval(np.tile(values, (times, 1)).ravel())

    assert often.over_subjects.subjects == 40
    assert width(often.over_subjects) == pytest.approx(width(once.over_subjects))
    assert width(often.over_both) > 0.98 * width(once.over_subjects)
    assert width(pooled) < 0.75 * width(once.over_subjects)


def test_seeds_that_agree_add_nothing() -> None:
    values = np.random.default_rng(0).random(30)

    found = hierarchical_interval(np.tile(values, (4, 1)))

    assert found.spread == pytest.approx(0, abs=1e-15)
    assert found.over_both.low == pytest.approx(found.over_subjects.low, rel=1e-12)
    assert found.over_both.high == pytest.approx(found.over_subjects.high, rel=1e-12)


def test_the_interval_over_both_adds_the_variances_of_seeds_and_subjects() -> None:
    rng = np.random.default_rng(0)
    seeds, subjects = rng.normal(size=(20, 1)), rng.normal(size=60)

    found = hierarchical_interval(seeds + subjects)

    error = t(19).ppf(0.975) * seeds.std(ddof=1) / math.sqrt(20)
    assert width(found.over_subjects) == pytest.approx(
        2 * 1.96 * subjects.std() / math.sqrt(60), rel=0.03
    )
    assert width(found.over_both) == pytest.approx(
        math.hypot(width(found.over_subjects), 2 * error), rel=0.01
    )
    assert found.spread == pytest.approx(seeds.std(ddof=1))


# Standard deviations of seeds, subjects, and the rest, as in the docstring.
@pytest.mark.parametrize("apart", [(0.1, 0.02, 0.02), (0.1, 0.2, 0.1)])
@pytest.mark.parametrize(("seeds", "subjects"), [(3, 30), (3, 100), (5, 100), (8, 100)])
def test_new_trainings_are_covered_by_the_interval_over_both_alone(
    apart: tuple[float, float, float], seeds: int, subjects: int
) -> None:
    rng = np.random.default_rng(0)
    shapes = [(600, seeds, 1), (600, 1, subjects), (600, seeds, subjects)]
    parts = zip(apart, shapes, strict=True)

    found = hierarchical_intervals(sum(sd * rng.normal(size=n) for sd, n in parts))

    def covered(intervals: list[Interval]) -> int:
        return sum(one.low <= 0 <= one.high for one in intervals)

    # Of 600 tables, 0.1 % of the time fewer than this many would be at 95 %.
    assert covered([one.over_both for one in found]) >= binom.ppf(0.001, 600, 0.95)
    assert covered([one.over_subjects for one in found]) < 0.9 * 600


def test_the_interval_over_both_is_never_narrower() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(50, 3, 40)) + rng.normal(size=(50, 1, 40))

    for found in hierarchical_intervals(values):
        assert found.over_both.low <= found.over_subjects.low
        assert found.over_both.high >= found.over_subjects.high


def test_several_metrics_at_once_are_each_as_alone() -> None:
    values = np.random.default_rng(0).random((3, 4, 20))
    values[1, 2, 5] = NAN
    groups = np.repeat(np.arange(10), 2)

    found = hierarchical_intervals(values, groups)

    for one, metric in zip(found, values, strict=True):
        alone = hierarchical_interval(metric, groups)
        assert astuple(one.over_both) == pytest.approx(astuple(alone.over_both))
        assert astuple(one.over_subjects) == pytest.approx(astuple(alone.over_subjects))
        assert one.spread == alone.spread


@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_any_magnitude_has_the_same_interval(size: float) -> None:
    values = trained(np.random.default_rng(0), 3, 20, 0.1)

    found, scaled = hierarchical_interval(values), hierarchical_interval(size * values)

    assert scaled.over_both.low / size == pytest.approx(found.over_both.low, rel=1e-9)
    assert scaled.spread / size == pytest.approx(found.spread, rel=1e-9)


def test_order_of_ties_means_nothing() -> None:
    rng = np.random.default_rng(0)
    missed = (rng.random((3, 18)) < 0.4).astype(float)

    found = {
        (round(one.low, 12), round(one.high, 12))
        for _ in range(10)
        for one in [
            hierarchical_interval(
                missed[rng.permutation(3)][:, rng.permutation(18)]
            ).over_both
        ]
    }

    assert len(found) == 1


def test_order_of_seeds_and_subjects_means_nothing() -> None:
    rng = np.random.default_rng(0)
    values = trained(rng, 4, 20, 0.1)

    found = hierarchical_interval(values)
    turned = hierarchical_interval(rng.permutation(values[::-1], axis=1))

    assert turned.over_both.low == pytest.approx(found.over_both.low, rel=1e-12)
    assert turned.over_both.high == pytest.approx(found.over_both.high, rel=1e-12)


def test_a_subject_that_one_seed_leaves_undefined_is_counted_once() -> None:
    values = trained(np.random.default_rng(0), 3, 10, 0.1)
    holes = values.copy()
    holes[0, 2] = holes[1, 2] = holes[2, 7] = NAN
    whole = hierarchical_interval(np.delete(values, [2, 7], axis=1))

    found = hierarchical_interval(holes)

    for part, expected in (
        (found.over_subjects, whole.over_subjects),
        (found.over_both, whole.over_both),
    ):
        assert (part.n, part.undefined, part.subjects) == (8, 2, 8)
        assert (part.mean, part.low, part.high) == (
            expected.mean,
            expected.low,
            expected.high,
        )
    assert found.spread == whole.spread


def test_scans_of_a_subject_are_averaged_first() -> None:
    values = trained(np.random.default_rng(0), 3, 10, 0.1)
    groups = np.repeat(np.arange(10), 3)

    found = hierarchical_interval(np.repeat(values, 3, axis=1), groups)
    once = hierarchical_interval(values)

    assert (found.over_both.n, found.over_both.subjects) == (30, 10)
    assert width(found.over_both) == pytest.approx(width(once.over_both), rel=1e-9)
    assert found.spread == pytest.approx(once.spread)


@pytest.mark.parametrize("seeds", [1, 2])
def test_fewer_than_three_seeds_say_nothing_about_new_seeds(seeds: int) -> None:
    values = trained(np.random.default_rng(0), seeds, 10, 0.1)

    found = hierarchical_interval(values)

    assert not np.isnan([found.over_subjects.low, found.over_subjects.high]).any()
    assert np.isnan([found.over_both.low, found.over_both.high]).all()
    assert math.isnan(found.spread) == (seeds == 1)


def test_without_a_defined_subject_all_is_undefined() -> None:
    found = hierarchical_interval([[NAN, 1.0], [1.0, NAN], [NAN, NAN]])

    assert found.over_both.undefined == 2
    assert np.isnan([found.over_both.mean, found.over_both.low, found.spread]).all()


def test_where_all_subjects_are_equal_there_is_no_interval() -> None:
    found = hierarchical_interval([[0, 1, 2], [1, 2, 0], [2, 0, 1]])

    assert isinstance(found, Hierarchical)
    assert found.over_both.mean == 1
    assert np.isnan([found.over_both.low, found.over_both.high]).all()


def test_wrong_shape_and_no_seed_are_refused() -> None:
    with pytest.raises(DataError, match=r"expected shape \(S, N\), got \(3,\)"):
        hierarchical_interval([0.1, 0.2, 0.3])
    with pytest.raises(DataError, match="expected a row for each seed, got none"):
        hierarchical_interval(np.zeros((0, 5)))
