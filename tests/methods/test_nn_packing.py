"""Slices of several scans share batches, and each scan gets its own back."""

from collections.abc import Iterable, Iterator
from itertools import accumulate, pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from uadbench.methods._nn.packing import Rows, packed

Pair = tuple[Tensor, Tensor]
lengths = st.lists(st.integers(0, 7), max_size=8)


class Line:
    """Processes numbers, and remembers the batches that it saw."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []

    def __call__(self, numbers: Tensor, others: Tensor) -> Pair:
        self.batches.append(numbers.tolist())
        return 2 * numbers, numbers + others


def scans(counts: Iterable[int]) -> list[tuple[str, Pair]]:
    """Return scans "0", "1" ... whose slices are numbered through."""
    ends = [0, *accumulate(counts)]
    places = [torch.arange(start, end) for start, end in pairwise(ends)]
    return [(str(i), (place, place + 100)) for i, place in enumerate(places)]


def read(given: list[tuple[str, Pair]], diary: list[str]) -> Iterator[tuple[str, Pair]]:
    for name, slices in given:
        diary.append(f"read {name}")
        yield name, slices


@given(lengths, st.integers(1, 6), st.integers(1, 4))
def test_every_scan_gets_what_it_would_get_alone(
    counts: list[int], batch: int, ahead: int
) -> None:
    line, alone = Line(), Line()
    expected = [(name, alone(*slices)) for name, slices in scans(counts)]

    found = list(packed(scans(counts), line, batch, ahead))

    assert [name for name, _ in found] == [name for name, _ in expected]
    for (_, got), (_, wanted) in zip(found, expected, strict=True):
        assert [column.tolist() for column in got] == [
            column.tolist() for column in wanted
        ]


@given(lengths, st.integers(1, 6))
def test_all_batches_are_full_and_no_more_than_needed(
    counts: list[int], batch: int
) -> None:
    line = Line()
    counts = [count for count in counts if count]

    list(packed(scans(counts), line, batch))

    assert {len(numbers) for numbers in line.batches} <= {batch}
    assert len(line.batches) == -(-sum(counts) // batch)
    repeated = [place for numbers in line.batches for place in numbers][: sum(counts)]
    assert repeated == list(range(sum(counts)))


def test_a_scan_without_slices_has_results_of_the_shape_of_others() -> None:
    line = Line()

    ((_, results),) = packed(scans([0]), line, 3)

    assert line.batches == [[0, 0, 0]]
    assert all(len(column) == 0 for column in results)


def test_last_batch_is_filled_up_with_its_own_slices() -> None:
    line = Line()

    list(packed(scans([3, 4]), line, 5))

    assert line.batches == [[0, 1, 2, 3, 4], [5, 6, 5, 6, 5]]


def test_scans_are_read_when_they_are_needed_and_yielded_when_they_are_whole() -> None:
    diary: list[str] = []

    for name, _ in packed(read(scans([2, 1, 5, 3]), diary), Line(), 4):
        diary.append(f"yield {name}")

    assert diary == [
        *("read 0", "read 1", "read 2"),
        *("yield 0", "yield 1", "yield 2"),
        *("read 3", "yield 3"),
    ]


def test_a_scan_of_many_batches_is_not_waited_for_by_the_one_before() -> None:
    line = Line()

    names = (name for name, _ in packed(scans([2, 9]), line, 3))

    assert (next(names), len(line.batches)) == ("0", 1)
    assert (next(names), len(line.batches)) == ("1", 4)


def test_no_more_scans_are_held_than_allowed() -> None:
    diary: list[str] = []

    for name, _ in packed(read(scans([1] * 5), diary), Line(), 100, ahead=2):
        diary.append(f"yield {name}")

    assert diary == [
        *("read 0", "read 1", "yield 0", "yield 1"),
        *("read 2", "read 3", "yield 2", "yield 3"),
        *("read 4", "yield 4"),
    ]


def test_what_was_whole_before_a_scan_fails_to_be_read_has_been_yielded() -> None:
    def broken() -> Iterator[tuple[str, Pair]]:
        yield from scans([2, 3])
        msg = "unreadable"
        raise OSError(msg)

    stream = packed(broken(), Line(), 4)

    assert next(stream)[0] == "0"
    with pytest.raises(OSError, match="unreadable"):
        next(stream)


def test_no_scan_gives_nothing() -> None:
    assert list(packed([], Line(), 4)) == []


def test_rows_come_out_as_they_went_in() -> None:
    rows = Rows()
    rows.put((torch.tensor([1, 2]), torch.tensor([[1.0], [2.0]])))
    rows.put((torch.tensor([3]), torch.tensor([[3.0]])))

    numbers, columns = rows.take(2)
    rest, _ = rows.take(5)

    assert (numbers.tolist(), columns.tolist()) == ([1, 2], [[1.0], [2.0]])
    assert (rest.tolist(), len(rows)) == ([3], 0)
