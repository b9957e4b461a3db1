from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from uadbench.errors import DataError
from uadbench.methods._nn.scans import Grid, gather, require_one_modality
from uadbench.protocols import Context, Lazy, Scan

GRID = Grid(32, 192.0, "median")


def test_all_slices_that_count_are_gathered(
    scans: Callable[..., Lazy[Scan]], scan: Callable[..., Scan]
) -> None:
    two = [scan("a", slices=(0, 2)), scan("b", slices=(1,))]

    healthy = gather(two, GRID, Context(), "toy", "training")

    assert healthy.images.shape == healthy.brain.shape == (3, 1, 32, 32)
    assert healthy.images.dtype == np.float32
    np.testing.assert_array_equal(healthy.images[:2], GRID.cut(two[0]).images)
    np.testing.assert_array_equal(healthy.images[2:], GRID.cut(two[1]).images)


def test_slices_without_brain_are_left_out(scan: Callable[..., Scan]) -> None:
    whole = scan("a")
    brain = whole.brain.copy()
    brain[..., 0] = False
    # A single voxel is less than half of a pixel of the grid.
    brain[..., 1] = False
    brain[18, 20, 1] = True

    healthy = gather([replace(whole, brain=brain)], GRID, Context(), "toy", "training")

    assert len(healthy.images) == 1
    assert healthy.brain.any()


def test_no_healthy_slice_is_an_error_that_says_so(scan: Callable[..., Scan]) -> None:
    with pytest.raises(DataError, match=r"toy: no healthy slice .* in 1 validation"):
        gather([scan("a", slices=())], GRID, Context(), "toy", "validation")


def test_several_modalities_are_an_error_that_names_them(
    scan: Callable[..., Scan],
) -> None:
    two = scan("sub-7", channels=2)

    with pytest.raises(DataError, match="one modality, got FLAIR, T1w in sub-7"):
        gather([two], GRID, Context(), "toy", "training")


def test_one_modality_passes(scan: Callable[..., Scan]) -> None:
    require_one_modality(scan("a"), "toy")
