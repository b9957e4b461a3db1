import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from uadbench.metrics import confusion, dice, ranking
from uadbench.oracle import GRID, Counts, best, candidates, counts_at

Scores = NDArray[np.float32]
Mask = NDArray[np.bool_]

tied = st.integers(-4, 4).map(lambda level: level / 8)


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
    subjects = ["one", "one", "two", "three"][: len(cases)]
    every = np.concatenate([s for s, _ in cases]), np.concatenate([y for _, y in cases])
    lesions = [(n, s, y) for n, (s, y) in zip(subjects, cases, strict=True) if y.any()]

    def mean_dice(threshold: float) -> float:
        of: dict[str, list[float]] = {}
        for name, scores, labels in lesions:
            of.setdefault(name, []).append(dice(scores >= threshold, labels))
        return float(np.mean([np.mean(values) for values in of.values()]))

    grid = candidates(ranking(*every))
    index = best((counts_at(grid, s, y) for s, y in cases), subjects)

    if lesions:
        assert index is not None
        largest = max(mean_dice(threshold) for threshold in every[0].tolist())
        assert mean_dice(grid[index]) == pytest.approx(largest)
    else:
        assert index is None


@given(cohorts())
def test_counts_are_those_of_the_masks(cases: list[tuple[Scores, Mask]]) -> None:
    grid = np.linspace(1, -1, 33)

    for scores, labels in cases:
        counts = counts_at(grid, scores, labels)
        expected = [confusion(scores >= threshold, labels) for threshold in grid]
        assert [counts.at(index) for index in range(len(grid))] == expected
        np.testing.assert_allclose(counts.dice, [found.dice for found in expected])
        of_masks = Counts.of((scores >= threshold for threshold in grid), labels)
        assert [of_masks.at(index) for index in range(len(grid))] == expected


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


def test_oracle_among_many_scores_is_at_most_a_thousandth_below_the_best() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(20_000) < 500
    cases = [rng.normal(2.0 * labels, 1.0 + i).astype(np.float32) for i in range(3)]
    every = ranking(np.concatenate(cases), np.tile(labels, 3))

    def best_mean(grid: NDArray[np.floating]) -> float:
        return float(np.mean([counts_at(grid, s, labels).dice for s in cases], 0).max())

    assert best_mean(candidates(every)) > best_mean(every.thresholds) - 0.001


def test_no_voxel_gives_no_candidate_and_no_oracle() -> None:
    nothing = np.zeros(0, np.float32)
    grid = candidates(ranking(nothing, nothing > 0))

    assert grid.size == 0
    assert best([], []) is None
    assert best([counts_at(grid, nothing, nothing > 0)], ["one"]) is None
