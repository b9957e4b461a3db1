"""Ours beside what one would use instead; read the ratios, not the seconds."""

from collections.abc import Callable

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from scipy.ndimage import zoom

from uadbench.protocols import Scan
from uadbench.slices import cut


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
