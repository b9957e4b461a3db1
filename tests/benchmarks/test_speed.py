"""Ours beside what one would use instead; read the ratios, not the seconds."""

from collections.abc import Callable

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from scipy.ndimage import zoom
from sklearn.metrics import average_precision_score, roc_auc_score

from uadbench.metrics import ranking
from uadbench.protocols import Scan
from uadbench.slices import cut

VOXELS = 1_000_000


def by_one_sort(scores: np.ndarray, labels: np.ndarray) -> tuple[float, ...]:
    """Return AUPRC, AUROC and the best Dice."""
    ranks = ranking(scores, labels)
    return ranks.average_precision(), ranks.auroc(), ranks.best_dice()[0]


def by_scikit_learn(scores: np.ndarray, labels: np.ndarray) -> tuple[float, ...]:
    """Return AUPRC and AUROC, which sorts twice and gives no best Dice."""
    return (
        float(average_precision_score(labels, scores)),
        float(roc_auc_score(labels, scores)),
    )


@pytest.mark.benchmark(group="AUPRC and AUROC of 1e6 voxels")
@pytest.mark.parametrize("metrics", [by_one_sort, by_scikit_learn])
def test_ranking_metrics(
    benchmark: BenchmarkFixture, metrics: Callable[..., tuple[float, ...]]
) -> None:
    rng = np.random.default_rng(0)
    labels = rng.random(VOXELS) < 0.03
    scores = (rng.random(VOXELS) + 0.5 * labels).astype(np.float32)

    found = benchmark(metrics, scores, labels)

    assert found[:2] == pytest.approx(by_scikit_learn(scores, labels), abs=1e-6)


def by_matrices(scan: Scan) -> np.ndarray:
    """Return the slices at 128 px, averaged over the field of each pixel."""
    return cut(scan, 128, 240.0, "none").images


def by_zoom(scan: Scan) -> np.ndarray:
    """Return the slices at 128 px, interpolated without averaging."""
    return zoom(scan.image[0], (128 / 240, 128 / 240, 1), order=1)


@pytest.mark.benchmark(group="240 x 240 x 155 voxels to 128 px")
@pytest.mark.parametrize("resample", [by_matrices, by_zoom])
def test_slices_of_a_volume(
    benchmark: BenchmarkFixture, resample: Callable[[Scan], np.ndarray]
) -> None:
    shape = (240, 240, 155)
    brain = np.zeros(shape, bool)
    brain[40:200, 30:210] = True
    image = np.random.default_rng(0).random(shape, np.float32) * brain
    spacing = (1.0, 1.0, 1.0)
    scan = Scan(
        "a", image[None], brain, spacing, np.eye(4), ("T2",), tuple(range(shape[2]))
    )

    found = benchmark(resample, scan)

    assert found.size == 128 * 128 * 155
