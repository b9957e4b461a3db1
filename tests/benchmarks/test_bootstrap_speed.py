"""Ours beside what one would use instead; read the ratios, not the seconds."""

from collections.abc import Callable

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from scipy.stats import bootstrap

from uadbench.inference import intervals

# A summary of BraTS: metrics at several thresholds, 251 test subjects.
METRICS, SUBJECTS = 40, 251


def by_matrix_product(values: np.ndarray) -> list[tuple[float, float]]:
    """Return the BCa ends of each row, from resamples that all share."""
    return [(found.low, found.high) for found in intervals(values)]


def by_scipy(values: np.ndarray) -> list[tuple[float, float]]:
    """Return the BCa ends of each row, one call each."""
    found = [
        bootstrap((row,), np.mean, n_resamples=10_000, rng=np.random.default_rng(0))
        for row in values
    ]
    return [
        (float(b.low), float(b.high)) for b in (f.confidence_interval for f in found)
    ]


def by_scipy_at_once(values: np.ndarray) -> list[tuple[float, float]]:
    """Return the BCa ends of each row, in one call that is given all of them."""
    low, high = bootstrap(
        (values,),
        np.mean,
        axis=1,
        n_resamples=10_000,
        batch=500,
        rng=np.random.default_rng(0),
    ).confidence_interval
    return [(float(a), float(b)) for a, b in np.stack([low, high], axis=1)]


@pytest.mark.benchmark(group="BCa intervals of 40 metrics of 251 subjects")
@pytest.mark.parametrize("method", [by_matrix_product, by_scipy, by_scipy_at_once])
def test_intervals_of_a_summary(
    benchmark: BenchmarkFixture,
    method: Callable[[np.ndarray], list[tuple[float, float]]],
) -> None:
    values = np.random.default_rng(0).random((METRICS, SUBJECTS))
    # Sorted, so that the resamples are the same for all.
    values.sort(axis=1)

    found = benchmark(method, values)

    np.testing.assert_allclose(found, by_matrix_product(values), rtol=1e-9)
