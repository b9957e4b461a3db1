import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import bootstrap

from uadbench.errors import DataError
from uadbench.inference import Hierarchical, Interval, hierarchical_interval, interval

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


def slowly(values: Floats) -> tuple[float, float]:
    """Resample rows and columns in a loop; scipy makes BCa of two samples from it."""
    values = values[np.argsort(values.mean(axis=1))]
    values = values[:, np.argsort(values.mean(axis=0))]
    seeds, subjects = values.shape

    def drawn(size: int, seed: int) -> NDArray[np.int64]:
        return np.random.default_rng(seed).integers(0, size, (10_000, size))

    means = np.array(
        [
            values[np.ix_(rows, columns)].mean()
            for rows, columns in zip(drawn(seeds, 1), drawn(subjects, 0), strict=True)
        ]
    )

    def statistic(rows: Floats, columns: Floats, axis: int) -> Floats:
        picked = values[
            rows.astype(int)[..., :, np.newaxis],
            columns.astype(int)[..., np.newaxis, :],
        ]
        return np.asarray(picked.mean(axis=(-2, -1)))

    members = np.arange(seeds), np.arange(subjects)
    few = bootstrap(members, statistic, n_resamples=2, method="percentile")
    few.bootstrap_distribution = means
    low, high = bootstrap(
        members, statistic, n_resamples=0, bootstrap_result=few
    ).confidence_interval
    return float(low), float(high)


def test_three_seeds_by_hand() -> None:
    found = hierarchical_interval([[0, 2, 4], [1, 3, 5], [2, 4, 12]])

    # Seed means 2, 3, 6; subject means 1, 3, 7.
    assert found.over_subjects == interval([1, 3, 7])
    assert found.over_both.mean == pytest.approx(11 / 3)
    assert found.spread == pytest.approx(math.sqrt(13 / 3))
    assert found.seeds == 3


# 251 subjects need more than one block of resamples.
@pytest.mark.parametrize("shape", [(3, 10), (5, 40), (3, 251)])
def test_scipy_agrees_on_resamples_of_both(shape: tuple[int, int]) -> None:
    values = np.random.default_rng(0).lognormal(size=shape)

    found = hierarchical_interval(values).over_both

    assert (found.low, found.high) == pytest.approx(slowly(values), rel=1e-9)


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

    variance = seeds.var() / 20 + subjects.var() / 60
    assert width(found.over_both) == pytest.approx(
        2 * 1.96 * math.sqrt(variance), rel=0.03
    )
    assert width(found.over_subjects) == pytest.approx(
        2 * 1.96 * subjects.std() / math.sqrt(60), rel=0.03
    )
    assert found.spread == pytest.approx(seeds.std(ddof=1))


def test_new_trainings_are_covered_by_the_interval_over_both_alone() -> None:
    rng = np.random.default_rng(0)

    found = [hierarchical_interval(trained(rng, 8, 30, 0.1)) for _ in range(150)]

    def coverage(intervals: list[Interval]) -> float:
        return float(np.mean([one.low <= 0.5 <= one.high for one in intervals]))

    assert coverage([one.over_subjects for one in found]) < 0.87
    assert coverage([one.over_both for one in found]) > 0.9


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


def test_where_all_margins_are_equal_there_is_no_interval() -> None:
    found = hierarchical_interval([[0, 1, 2], [1, 2, 0], [2, 0, 1]])

    assert isinstance(found, Hierarchical)
    assert found.over_both.mean == 1
    assert np.isnan([found.over_both.low, found.over_both.high]).all()


def test_wrong_shape_and_no_seed_are_refused() -> None:
    with pytest.raises(DataError, match=r"expected shape \(S, N\), got \(3,\)"):
        hierarchical_interval([0.1, 0.2, 0.3])
    with pytest.raises(DataError, match="expected a row for each seed, got none"):
        hierarchical_interval(np.zeros((0, 5)))
