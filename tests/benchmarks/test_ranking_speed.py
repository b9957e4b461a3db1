"""Rank metrics beside scikit-learn's; read the ratios, not the seconds.

    pytest tests/benchmarks/test_ranking_speed.py --benchmark-enable --benchmark-only

Without `--benchmark-enable` everything runs once, on few voxels.
"""

from collections.abc import Callable
from statistics import median
from time import perf_counter

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
ROUNDS = 5


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


OURS = [average_precision, rank_summary, score_curve]
THEIRS = [sklearn_average_precision, sklearn_both]


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

    benchmark.pedantic(ours, setup=alternate, rounds=ROUNDS)

    if not benchmark.disabled:
        ratio = median(seconds) / benchmark.stats.stats.median
        benchmark.extra_info["times faster than scikit-learn"] = ratio
        assert ratio >= times


@pytest.mark.parametrize("shape", [np.asarray, clipped, np.exp, np.round])
@pytest.mark.benchmark(group="promised: ScoreCurve.add of 2e7 voxels within 0.2 s")
def test_a_score_curve_takes_1e8_voxels_a_second(
    benchmark: BenchmarkFixture, shape: Callable[..., NDArray[np.float32]]
) -> None:
    scores, labels = drawn(VOXELS, benchmark)
    curve = ScoreCurve()

    benchmark.pedantic(curve.add, args=(shape(scores), labels), rounds=ROUNDS)

    if not benchmark.disabled:
        # The fastest round: whatever else the machine does only adds to it.
        assert VOXELS / benchmark.stats.stats.min >= 1e8


def test_scikit_learn_has_the_same_values(benchmark: BenchmarkFixture) -> None:
    case = drawn(VOXELS, benchmark)
    expected = sklearn_both(*case)

    summary = benchmark.pedantic(rank_summary, args=case, rounds=1)

    assert (summary.average_precision, summary.auroc) == pytest.approx(
        expected, rel=1e-12
    )


def growth(voxels: int, measures: list[Measure]) -> list[object]:
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
        # scikit-learn would take minutes a round.
        *growth(100_000_000, OURS),
    ],
)
def test_growth(benchmark: BenchmarkFixture, measure: Measure, voxels: int) -> None:
    benchmark.pedantic(measure, args=drawn(voxels, benchmark), rounds=ROUNDS)
