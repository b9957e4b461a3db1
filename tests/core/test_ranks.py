import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scikit_posthocs import posthoc_nemenyi_friedman
from scipy.stats import friedmanchisquare, rankdata

from uadbench.errors import DataError, UsageError
from uadbench.inference import Ranks, critical_difference, rank_methods

NAN = float("nan")
Floats = NDArray[np.float64]

# Demsar 2006, table 5a: q at 0.05, which holds the division by the square root of 2.
DEMSAR = {
    2: 1.960,
    3: 2.343,
    4: 2.569,
    5: 2.728,
    6: 2.850,
    7: 2.949,
    8: 3.031,
    9: 3.102,
    10: 3.164,
}
TABLES = st.integers(2, 5).flatmap(
    lambda methods: st.lists(
        st.lists(
            st.integers(0, 6).map(lambda level: level / 10),
            min_size=methods,
            max_size=methods,
        ),
        min_size=1,
        max_size=8,
    )
)


def rank(table: Floats | list[list[float]], higher: bool = True) -> Ranks:
    rows, columns = np.shape(table)
    return rank_methods(
        table, [f"data {i}" for i in range(rows)], list("abcdefghij")[:columns], higher
    )


def by_name(found: Ranks) -> dict[str, float]:
    return dict(zip(found.methods, found.average, strict=True))


def ordered(steps: list[float], datasets: int) -> Floats:
    """Means of methods that are `steps` better than the next, noise 1 on each."""
    noise = np.random.default_rng(0).normal(size=(datasets, len(steps)))
    return np.asarray(noise - np.cumsum(steps))


def test_average_ranks_by_hand() -> None:
    # Ranks 1 2 3, 2 1 3 and, with a tie, 1 2.5 2.5.
    found = rank([[0.9, 0.8, 0.7], [0.5, 0.6, 0.1], [0.9, 0.3, 0.3]])

    assert found.methods == ("a", "b", "c")
    assert found.average == pytest.approx((4 / 3, 5.5 / 3, 8.5 / 3))
    assert found.reason == "too few datasets (3; at least 5 needed)"


def test_the_best_rank_follows_the_direction() -> None:
    # mlr-org/mlr3benchmark#29: the diagram took the largest error for the best.
    table = [[1.0, 2.0, 3.0]] * 6

    assert rank(table, higher=True).methods == ("c", "b", "a")
    assert rank(table, higher=False).methods == ("a", "b", "c")
    assert rank(table, higher=False).average == (1, 2, 3)


@given(TABLES, st.booleans())
@settings(deadline=None, max_examples=50)
def test_ranks_sum_to_the_same_and_mirror_with_the_direction(
    table: list[list[float]], higher: bool
) -> None:
    methods = len(table[0])
    found, mirror = rank(table, higher), rank(table, not higher)

    assert sum(found.average) == pytest.approx(methods * (methods + 1) / 2)
    assert list(found.average) == sorted(found.average)
    for name, value in by_name(mirror).items():
        assert value == pytest.approx(methods + 1 - by_name(found)[name])


@given(TABLES)
@settings(deadline=None, max_examples=50)
def test_scipy_agrees_on_average_ranks(table: list[list[float]]) -> None:
    expected = rankdata(-np.array(table), axis=1).mean(axis=0)

    found = by_name(rank(table))

    assert [found[name] for name in sorted(found)] == pytest.approx(expected)


def test_means_equal_up_to_rounding_tie() -> None:
    found = rank([[0.1 + 0.2, 0.3, 0.1]])

    assert found.average == (1.5, 1.5, 3)


def test_all_zero_means_tie() -> None:
    assert rank([[0.0, 0.0, 0.0]]).average == (2, 2, 2)


@pytest.mark.parametrize(("methods", "q"), DEMSAR.items())
def test_critical_difference_is_that_of_demsars_table(methods: int, q: float) -> None:
    # bittremieuxlab/denovo_benchmarks PR#84: q without the square root of 2.
    # With six times as many datasets as k (k + 1) the difference is q / 6.
    found = 6 * critical_difference(methods, 6 * methods * (methods + 1))

    # The third decimal of the table, made from quantiles of two or three decimals.
    assert found == pytest.approx(q, abs=1e-3)


def test_critical_difference_of_demsars_example() -> None:
    # Section 3.2.3: four methods on fourteen datasets.
    assert critical_difference(4, 14) == pytest.approx(1.25, abs=5e-3)


@pytest.mark.parametrize("seed", range(5))
def test_scikit_posthocs_agrees_on_which_methods_differ(seed: int) -> None:
    rng = np.random.default_rng(seed)
    table = rng.normal(size=(12, 6)) + np.arange(6) / 2
    p = posthoc_nemenyi_friedman(table).to_numpy()

    found = rank(table)

    index = [ord(name) - ord("a") for name in found.methods]
    apart = np.abs(np.subtract.outer(found.average, found.average))
    np.testing.assert_array_equal(
        apart >= found.critical_difference, p[np.ix_(index, index)] < 0.05
    )
    for one, two in zip(*np.triu_indices(6, 1), strict=True):
        together = any(
            {found.methods[one], found.methods[two]} <= set(clique)
            for clique in found.cliques
        )
        assert together == (p[index[one], index[two]] >= 0.05)


def test_scipy_agrees_on_friedmans_test() -> None:
    table = np.round(ordered([0, 1, 0, 1], 7), 1)

    assert rank(table).friedman_p == pytest.approx(friedmanchisquare(*table.T).pvalue)


def test_normal_values_are_ranked_like_any_others() -> None:
    # sherbold/autorank#4: for normal values the diagram showed no critical difference.
    normal = ordered([0, 1, 2, 1], 20)

    found, skewed = rank(normal), rank(np.exp(5 * normal))

    assert found == skewed
    assert found.critical_difference == critical_difference(4, 20)


def test_cliques_are_the_largest_groups_within_the_critical_difference() -> None:
    # sherbold/autorank#10: wrong groups. Average ranks 1, 2, 3, 4 and 5 on ten datasets
    # with a critical difference of 1.93: neighbours alone can't be told apart.
    found = rank([[5.0, 4.0, 3.0, 2.0, 1.0]] * 10)

    assert found.critical_difference == pytest.approx(1.929, abs=1e-3)
    assert found.cliques == (("a", "b"), ("b", "c"), ("c", "d"), ("d", "e"))


def test_cliques_hold_no_group_that_lies_within_another() -> None:
    # On six datasets the critical difference is 2.49: a, b and c; b, c and d; c, d, e.
    found = rank([[5.0, 4.0, 3.0, 2.0, 1.0]] * 6)

    assert found.cliques == (("a", "b", "c"), ("b", "c", "d"), ("c", "d", "e"))


def test_a_method_that_differs_from_all_is_in_no_clique() -> None:
    # b and c share the last place of thirty datasets: 1, 2.5 and 2.5.
    table = [[3.0, 2.0, 1.0], [3.0, 1.0, 2.0]] * 15

    found = rank(table)

    assert found.average == (1, 2.5, 2.5)
    assert found.cliques == (("b", "c"),)


def test_methods_farther_apart_than_the_critical_difference_form_no_clique() -> None:
    # Sixty datasets put any two neighbours of three well apart.
    found = rank([[3.0, 2.0, 1.0]] * 60)

    assert found.critical_difference < 1
    assert found.cliques == ()


def test_where_friedman_finds_nothing_no_pair_is_tested() -> None:
    found = rank(np.random.default_rng(0).normal(size=(6, 4)))

    assert found.friedman_p > 0.05
    assert found.cliques == (found.methods,)


def test_not_even_a_pair_beyond_the_critical_difference_is_tested_then() -> None:
    rng = np.random.default_rng(41)
    better = np.array([0, 0.5, 0.5, 0.5, 0.5, 1])
    table = rng.normal(size=(6, 6)).round(1) + better

    found = rank(table)

    assert 0.05 < found.friedman_p < 0.051
    assert found.average[-1] - found.average[0] > found.critical_difference + 0.05
    assert found.cliques == (found.methods,)


def test_methods_that_are_equal_everywhere_have_p_one() -> None:
    found = rank([[0.5, 0.5, 0.5]] * 6)

    assert found.friedman_p == 1
    assert found.cliques == (("a", "b", "c"),)


def test_five_datasets_are_tested() -> None:
    found = rank([[3.0, 2.0, 1.0]] * 5)

    assert (found.reason, found.datasets) == ("", 5)
    # Friedman's chi-square is N (k - 1) = 10 where all datasets agree: exp(-10 / 2).
    assert found.friedman_p == pytest.approx(np.exp(-5))


def test_too_few_datasets_give_ranks_and_a_reason() -> None:
    found = rank([[3.0, 2.0, 1.0]] * 4)

    assert found.reason == "too few datasets (4; at least 5 needed)"
    assert found.average == (1, 2, 3)
    assert np.isnan([found.friedman_p, found.critical_difference]).all()
    assert found.cliques == ()


def test_two_methods_are_a_matter_of_a_paired_test() -> None:
    found = rank([[2.0, 1.0]] * 9)

    assert found.reason == (
        "too few methods (2; at least 3 needed): compare two with a paired test"
    )


def test_datasets_with_an_undefined_mean_are_dropped_and_counted() -> None:
    found = rank([[3.0, 2.0, 1.0]] * 4 + [[NAN, 9.0, 1.0]])

    assert (found.datasets, found.dropped) == (4, 1)
    assert found.average == (1, 2, 3)
    assert found.reason == "too few datasets (4; at least 5 needed)"


@pytest.mark.parametrize("table", [np.zeros((0, 3)), [[NAN, 1.0, 2.0]]])
def test_without_a_complete_dataset_ranks_are_undefined(table: Floats) -> None:
    found = rank(table)

    assert np.isnan(found.average).all()
    assert (found.datasets, found.methods) == (0, ("a", "b", "c"))
    assert found.reason == "too few datasets (0; at least 5 needed)"


def test_repetitions_are_not_datasets() -> None:
    # google/fuzzbench#1417: five seeds of one dataset made a critical difference.
    with pytest.raises(DataError, match="dataset 'brats' occurs more than once"):
        rank_methods([[3.0, 2.0, 1.0]] * 5, ["brats"] * 5, list("abc"), higher=True)


def test_a_method_given_twice_is_refused() -> None:
    with pytest.raises(DataError, match="method 'ae' occurs more than once"):
        rank_methods([[2.0, 1.0]], ["brats"], ["ae", "ae"], higher=True)


def test_a_metric_without_a_better_side_is_refused() -> None:
    with pytest.raises(UsageError, match="the metric has no better side"):
        rank_methods([[2.0, 1.0]], ["brats"], ["ae", "ddpm"], higher=None)


def test_wrong_shapes_and_infinite_means_are_refused() -> None:
    with pytest.raises(DataError, match=r"expected shape \(1, 2\), a row .* \(2, 1\)"):
        rank_methods([[2.0], [1.0]], ["brats"], ["ae", "ddpm"], higher=True)
    with pytest.raises(DataError, match=r"expected shape \(datasets, methods\)"):
        rank_methods([2.0, 1.0], ["brats"], ["ae", "ddpm"], higher=True)
    with pytest.raises(DataError, match="1 of 2 are infinite"):
        rank_methods([[2.0, np.inf]], ["brats"], ["ae", "ddpm"], higher=True)


@pytest.mark.parametrize(("methods", "datasets"), [(1, 5), (0, 3), (3, 0), (3, -3)])
def test_a_critical_difference_of_nothing_is_refused(
    methods: int, datasets: int
) -> None:
    with pytest.raises(DataError, match=f"at least 2 .*, got {methods} and {datasets}"):
        critical_difference(methods, datasets)


def test_names_may_be_an_array() -> None:
    names = np.array(["x", "y", "z"])

    assert rank_methods([[1, 2, 3]], ["data"], names, True).methods == ("z", "y", "x")  # type: ignore[arg-type]


def test_no_method_is_not_a_matter_of_a_paired_test() -> None:
    found = rank_methods(np.zeros((1, 0)), ["data"], [], True)

    assert found.reason == "too few methods (0; at least 3 needed)"


def test_differences_below_rounding_of_the_largest_tie() -> None:
    assert rank([[1e6, 1e-7, 2e-7, 3e-7]] * 6).average == (1, 3, 3, 3)
