"""Rank metrics beside scikit-learn's; read the ratios, not the seconds.

    pytest tests/benchmarks/test_ranking_speed.py --benchmark-enable --benchmark-only

Without `--benchmark-enable` everything runs once, on few voxels.
"""

from collections.abc import Callable, Sequence
from statistics import median
from time import perf_counter, process_time
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pytest_benchmark.fixture import BenchmarkFixture
from sklearn.metrics import average_precision_score, roc_auc_score

from uadbench.metrics import ScoreCurve, average_precision, rank_summary

Case = tuple[NDArray[np.float32], NDArray[np.bool_]]
Measure = Callable[[NDArray[np.float32], NDArray[np.bool_]], object]

VOXELS = 20_000_000
PREVALENCE = 0.02


def drawn(voxels: int, benchmark: BenchmarkFixture) -> Case:
    """Return scores of overlapping classes, few of them if nothing is measured."""
    size = 10_000 if benchmark.disabled else voxels
    rng = np.random.default_rng(0)
    labels = rng.random(size, np.float32) < PREVALENCE
    return rng.standard_normal(size, np.float32) + labels, labels


def clipped(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return scores more than half of which are zero."""
    return np.maximum(scores, 0)


def score_curve(scores: NDArray[np.float32], labels: NDArray[np.bool_]) -> ScoreCurve:
    curve = ScoreCurve()
    curve.add(scores, labels)
    return curve


def sklearn_average_precision(
    scores: NDArray[np.float32], labels: NDArray[np.bool_]
) -> float:
    return float(average_precision_score(labels, scores))


def sklearn_both(
    scores: NDArray[np.float32], labels: NDArray[np.bool_]
) -> tuple[float, float]:
    """Return AUPRC and AUROC, which sorts twice and gives no best Dice."""
    return sklearn_average_precision(scores, labels), roc_auc_score(labels, scores)


def timed(
    benchmark: BenchmarkFixture, measure: Measure, rounds: int = 3, **given: Any
) -> object:
    # pytest-benchmark has no types for this.
    pedantic: Any = benchmark.pedantic
    return pedantic(measure, rounds=rounds, **given)


OURS: list[Measure] = [average_precision, rank_summary, score_curve]
THEIRS: list[Measure] = [sklearn_average_precision, sklearn_both]


@pytest.mark.parametrize(
    ("ours", "theirs", "times"),
    [
        (average_precision, sklearn_average_precision, 20),
        (rank_summary, sklearn_both, 12),
    ],
)
@pytest.mark.benchmark(group="promised: 2e7 voxels, in alternation with scikit-learn")
def test_so_many_times_faster_than_scikit_learn(
    benchmark: BenchmarkFixture, ours: Measure, theirs: Measure, times: int
) -> None:
    case = drawn(VOXELS, benchmark)
    seconds = []

    def alternate() -> tuple[Case, dict[str, object]]:
        start = perf_counter()
        theirs(*case)
        seconds.append(perf_counter() - start)
        return case, {}

    timed(benchmark, ours, setup=alternate)

    if benchmark.stats is not None:
        ratio = median(seconds) / benchmark.stats.stats.median
        benchmark.extra_info["times faster than scikit-learn"] = ratio
        assert ratio >= times


@pytest.mark.parametrize("shape", [np.asarray, clipped, np.exp])
# Time on the core: what else the machine does is not counted.
@pytest.mark.benchmark(group="ScoreCurve.add of 2e7 voxels", timer=process_time)
def test_scores_are_counted_whatever_their_shape(
    benchmark: BenchmarkFixture, shape: Callable[..., NDArray[np.float32]]
) -> None:
    scores, labels = drawn(VOXELS, benchmark)
    curve = ScoreCurve()

    timed(benchmark, curve.add, rounds=9, args=(shape(scores), labels))

    rounds = 1
    if benchmark.stats is not None:
        rounds = benchmark.stats.stats.rounds
        speed = VOXELS / benchmark.stats.stats.median
        benchmark.extra_info["voxels per second"] = speed
        assert speed >= 1e8
    assert curve.positives == rounds * labels.sum()
    assert curve.negatives == rounds * (~labels).sum()


def test_scikit_learn_has_the_same_values(benchmark: BenchmarkFixture) -> None:
    scores, labels = drawn(VOXELS, benchmark)
    expected = sklearn_both(scores, labels)

    summary = benchmark(rank_summary, scores, labels)

    assert summary.average_precision == pytest.approx(expected[0], rel=1e-12)
    assert summary.auroc == pytest.approx(expected[1], rel=1e-12)


def growth(voxels: int, measures: Sequence[Measure]) -> list[Any]:
    group = pytest.mark.benchmark(group=f"growth: {voxels:.0e} voxels")
    return [
        pytest.param(
            measure, voxels, marks=group, id=f"{measure.__name__}-{voxels:.0e}"
        )
        for measure in measures
    ]


@pytest.mark.parametrize(
    ("measure", "voxels"),
    [
        *growth(100_000, [*OURS, *THEIRS]),
        *growth(1_000_000, [*OURS, *THEIRS]),
        *growth(10_000_000, [*OURS, *THEIRS]),
        *growth(VOXELS, [*OURS, *THEIRS]),
        # scikit-learn would take minutes a round.
        *growth(100_000_000, OURS),
    ],
)
def test_growth(benchmark: BenchmarkFixture, measure: Measure, voxels: int) -> None:
    """A measurement, which promises nothing."""
    timed(benchmark, measure, args=drawn(voxels, benchmark))
