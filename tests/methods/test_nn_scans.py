from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from uadbench.cache import Pair
from uadbench.errors import DataError
from uadbench.methods._nn.scans import (
    Grid,
    filled,
    gather,
    one_modality,
    with_modalities,
)
from uadbench.protocols import Context, Lazy, Scan

GRID = Grid(32, 192.0, "median")


def same(scan: Scan) -> Scan:
    return scan


def test_all_slices_that_count_are_gathered(
    scans: Callable[..., Lazy[Scan]], scan: Callable[..., Scan]
) -> None:
    two = [scan("a", slices=(0, 2)), scan("b", slices=(1,))]

    healthy = gather(two, same, GRID, Context(), "toy", "training")

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
    healthy = gather(scans, same, GRID, Context(), "toy", "training")

    assert len(healthy) == 1
    assert healthy.brain[0].any()


def test_no_healthy_slice_is_an_error_that_says_so(scan: Callable[..., Scan]) -> None:
    empty = [scan("a", slices=())]

    with pytest.raises(DataError, match=r"toy: no healthy slice .* in 1 validation"):
        filled(empty, same, GRID, Context(), "toy", "validation")


class Counted:
    """Scans that count how often each is loaded; the content of one may change."""

    def __init__(self, scan: Callable[..., Scan], names: str = "abc") -> None:
        self.scan, self.loads, self.content = scan, Counter[str](), dict.fromkeys(names)
        self.lazy = Lazy(names, self.load, fingerprint=self.fingerprint)

    def load(self, name: str) -> Scan:
        self.loads[name] += 1
        return self.scan(self.content[name] or name, channels=2)

    def fingerprint(self, name: str) -> str:
        return f"{name} {self.content[name]}"

    def filled(
        self, ctx: Context, grid: Grid = GRID, modality: str = "T1w"
    ) -> Sequence[Pair]:
        def choose(scan: Scan) -> Scan:
            return one_modality(scan, "toy", modality)

        return filled(self.lazy, choose, grid, ctx, "toy", "training")


def same_pairs(one: Sequence[Pair], other: Sequence[Pair]) -> bool:
    return all(
        np.array_equal(np.concatenate(a), np.concatenate(b))
        for a, b in zip(zip(*one, strict=True), zip(*other, strict=True), strict=True)
    )


@pytest.fixture
def counted(scan: Callable[..., Scan]) -> Counted:
    return Counted(scan)


def test_a_second_call_takes_the_slices_from_the_cache(
    counted: Counted, tmp_path: Path
) -> None:
    ctx = Context(cache=tmp_path / ".cache")
    fresh = counted.filled(Context())
    first = counted.filled(ctx)
    counted.loads.clear()

    second = counted.filled(ctx)

    # The first scan tells what the method chooses.
    assert counted.loads == {"a": 1}
    assert same_pairs(first, fresh)
    assert same_pairs(second, fresh)


@pytest.mark.parametrize(
    "options",
    [
        {"grid": Grid(48, 192.0, "median")},
        {"grid": Grid(32, 200.0, "median")},
        {"grid": Grid(32, 192.0, "p90")},
        {"modality": "FLAIR"},
    ],
    ids=["size", "field", "normalisation", "modality"],
)
def test_other_options_give_their_own_slices(
    counted: Counted, tmp_path: Path, options: dict[str, Any]
) -> None:
    ctx = Context(cache=tmp_path)
    counted.filled(ctx)

    found = counted.filled(ctx, **options)

    assert same_pairs(found, counted.filled(Context(), **options))
    assert not same_pairs(found, counted.filled(Context()))


def test_a_scan_that_changed_is_read_again(counted: Counted, tmp_path: Path) -> None:
    ctx = Context(cache=tmp_path)
    before = counted.filled(ctx)
    counted.content["b"] = "other"

    after = counted.filled(ctx)

    assert same_pairs(after, counted.filled(Context()))
    assert not same_pairs(after, before)


@pytest.mark.parametrize(
    "module", ["uadbench.slices", "uadbench.methods._nn.scans", "numpy"]
)
def test_slices_are_made_anew_by_other_code(
    counted: Counted, tmp_path: Path, edit: Callable[[str], None], module: str
) -> None:
    ctx = Context(cache=tmp_path)
    counted.filled(ctx)
    counted.loads.clear()

    edit(module)
    counted.filled(ctx)

    assert counted.loads == {"a": 2, "b": 1, "c": 1}


def test_scans_of_unknown_content_are_not_cached(
    scan: Callable[..., Scan], tmp_path: Path
) -> None:
    unknown = Lazy("ab", scan)

    filled(unknown, same, GRID, Context(cache=tmp_path), "toy", "training")

    assert list(tmp_path.iterdir()) == []


def test_chosen_modalities_are_gathered_in_their_order(
    scan: Callable[..., Scan],
) -> None:
    def turned(two: Scan) -> Scan:
        return with_modalities(two, "toy", ["T1w", "FLAIR"])

    two = scan("a", channels=2)

    healthy = gather([two], turned, GRID, Context(), "toy", "training")

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
