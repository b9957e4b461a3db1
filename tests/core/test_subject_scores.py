import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import ArrayLike, NDArray

from uadbench.errors import DataError
from uadbench.metrics import (
    SUBJECT_SCORES,
    auroc,
    brain_max,
    brain_mean,
    brain_top,
)

Pooling = Callable[[ArrayLike], float]
POOLINGS = list(SUBJECT_SCORES.values())
brains = arrays(np.float64, st.integers(1, 300), elements=st.floats(0, 1, width=32))


def test_scores_by_hand() -> None:
    scores = np.arange(1.0, 201.0)

    assert brain_mean(scores) == 100.5
    assert brain_max(scores) == 200
    # 1 % of 200 voxels are two.
    assert brain_top(scores) == 199.5
    assert brain_top(scores, fraction=0.05) == 195.5


def test_of_a_small_brain_the_top_is_one_voxel() -> None:
    assert brain_top([0.1, 0.7, 0.2]) == 0.7


@given(brains, st.floats(0, 1))
def test_the_top_lies_between_mean_and_max(
    scores: NDArray[np.float64], fraction: float
) -> None:
    mean, largest = brain_mean(scores), brain_max(scores)

    assert mean - 1e-12 <= brain_top(scores, fraction) <= largest + 1e-12
    assert brain_top(scores, 1) == pytest.approx(mean)
    assert brain_top(scores, 0) == largest


@given(brains, st.sampled_from([0.0, 0.01, 0.1, 0.5]))
def test_the_top_is_the_mean_of_the_sorted_end(
    scores: NDArray[np.float64], fraction: float
) -> None:
    count = max(1, round(fraction * len(scores)))

    expected = np.mean(sorted(scores)[-count:])

    assert brain_top(scores, fraction) == pytest.approx(expected)


@pytest.mark.parametrize("pooling", POOLINGS)
@given(brains)
def test_order_and_shape_of_the_voxels_do_not_matter(
    pooling: Pooling, scores: NDArray[np.float64]
) -> None:
    turned = scores[::-1].reshape(1, -1, 1)

    assert pooling(turned) == pytest.approx(pooling(scores), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_the_size_of_the_head_does_not_matter(pooling: Pooling) -> None:
    scores = np.random.default_rng(0).random((20, 20, 20))
    small, large = np.zeros((2, 20, 20, 20), bool)
    small[5:15, 5:15, 5:15] = large[2:18, 2:18, 2:18] = True

    assert pooling(np.where(small, 0.5, scores)[small]) == 0.5
    assert pooling(np.where(large, 0.5, scores)[large]) == 0.5


@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_brain_without_voxel_is_undefined(pooling: Pooling) -> None:
    assert math.isnan(pooling(np.zeros(0)))


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite_are_refused(pooling: Pooling, bad: float) -> None:
    with pytest.raises(DataError, match="scores: 1 of 3 are NaN or infinite"):
        pooling([0.0, bad, 1.0])


@pytest.mark.parametrize("fraction", [-0.1, 1.1, np.nan])
def test_fractions_that_are_none_are_refused(fraction: float) -> None:
    with pytest.raises(
        DataError, match=r"fraction: expected a finite number in \[0, 1\]"
    ):
        brain_top([0.1, 0.2], fraction)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_float32_is_averaged_without_loss(pooling: Pooling) -> None:
    scores = np.full(3_000_000, 0.1, np.float32)

    assert pooling(scores) == pytest.approx(float(np.float32(0.1)), rel=1e-12)


def test_the_table_names_its_functions() -> None:
    assert {name: pooling.__name__ for name, pooling in SUBJECT_SCORES.items()} == {
        "brain_mean": "brain_mean",
        "brain_max": "brain_max",
        "brain_top": "brain_top",
    }


def test_the_image_level_auroc_depends_on_the_named_score() -> None:
    # Healthy brains have one bright voxel each, ill ones a small lesion.
    rng = np.random.default_rng(0)
    maps = rng.random((20, 1000)) * 0.1
    ill = np.arange(20) >= 10
    maps[~ill, 0] = 0.9
    maps[ill, :20] = 0.5

    found = {
        name: auroc([pooling(scores) for scores in maps], ill)
        for name, pooling in SUBJECT_SCORES.items()
    }

    assert found == {"brain_mean": 1, "brain_max": 0, "brain_top": 1}
