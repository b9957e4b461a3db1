from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from uadbench.errors import DataError
from uadbench.methods._nn.scans import Grid, cuts, gather, one_modality, with_modalities
from uadbench.protocols import Context, Lazy, Scan

GRID = Grid(32, 192.0, "median")


def same(scan: Scan) -> Scan:
    return scan


def test_all_slices_that_count_are_gathered(
    scans: Callable[..., Lazy[Scan]], scan: Callable[..., Scan]
) -> None:
    two = [scan("a", slices=(0, 2)), scan("b", slices=(1,))]

    healthy = gather(cuts(two, same, GRID, Context(), "toy", "training"))

    assert len(healthy) == 3
    assert [part.shape for part in healthy.images] == [(2, 1, 32, 32), (1, 1, 32, 32)]
    assert [part.shape for part in healthy.brain] == [(2, 1, 32, 32), (1, 1, 32, 32)]
    for part, one in zip(healthy.images, two, strict=True):
        assert part.dtype == np.float32
        np.testing.assert_array_equal(part, GRID.cut(one).images)


def test_slices_without_brain_are_left_out(scan: Callable[..., Scan]) -> None:
    whole = scan("a")
    brain = whole.brain.copy()
    brain[..., 0] = False
    # A single voxel is less than half of a pixel of the grid.
    brain[..., 1] = False
    brain[18, 20, 1] = True

    scans = [replace(whole, brain=brain)]
    healthy = gather(cuts(scans, same, GRID, Context(), "toy", "training"))

    assert len(healthy) == 1
    assert healthy.brain[0].any()


def test_no_healthy_slice_is_an_error_that_says_so(scan: Callable[..., Scan]) -> None:
    empty = cuts([scan("a", slices=())], same, GRID, Context(), "toy", "validation")

    with pytest.raises(DataError, match=r"toy: no healthy slice .* in 1 validation"):
        gather(empty)


def test_chosen_modalities_are_gathered_in_their_order(
    scan: Callable[..., Scan],
) -> None:
    def turned(two: Scan) -> Scan:
        return with_modalities(two, "toy", ["T1w", "FLAIR"])

    two = scan("a", channels=2)

    healthy = gather(cuts([two], turned, GRID, Context(), "toy", "training"))

    (images,), (brain,) = healthy.images, healthy.brain
    assert brain.shape == (3, 1, 32, 32)
    np.testing.assert_array_equal(images, GRID.cut(two).images[:, ::-1])


def test_several_modalities_are_an_error_that_names_them(
    scan: Callable[..., Scan],
) -> None:
    two = scan("sub-7", channels=2)

    with pytest.raises(DataError, match="one modality, got FLAIR, T1w in sub-7"):
        one_modality(two, "toy")


def test_one_of_several_modalities_can_be_named(scan: Callable[..., Scan]) -> None:
    two = scan("a", channels=2)

    chosen = one_modality(two, "toy", "T1w")

    assert chosen.modalities == ("T1w",)
    np.testing.assert_array_equal(chosen.image, two.image[1:])


@pytest.mark.parametrize("channels", [1, 2])
def test_a_modality_that_is_not_there_is_an_error_with_those_that_are(
    channels: int, scan: Callable[..., Scan]
) -> None:
    brain = scan("sub-7", channels=channels)

    with pytest.raises(DataError, match=r"toy: no 'T2' in sub-7. There .*FLAIR"):
        one_modality(brain, "toy", "T2")


def test_the_only_modality_needs_no_name(scan: Callable[..., Scan]) -> None:
    assert one_modality(scan("a"), "toy").modalities == ("FLAIR",)
