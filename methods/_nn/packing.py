"""Slices of several scans travel together, in batches that are always full."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import torch
from torch import Tensor

Owner = TypeVar("Owner")
Tensors = tuple[Tensor, ...]

# Scans are held until they are whole: 1.5 GB of 240 x 240 x 155 voxels.
AHEAD = 32


def packed(
    scans: Iterable[tuple[Owner, Tensors]],
    process: Callable[..., Tensors],
    batch: int,
    ahead: int = AHEAD,
) -> Iterator[tuple[Owner, Tensors]]:
    """Yield what `process` makes of the slices of each scan, in order.

    A scan is yielded as soon as its last slice is done, and read only when the slices
    at hand fill no batch. All batches have one shape, so that how sums are rounded does
    not depend on what travels together: the last is filled up with repeated slices.

    Args:
        scans: each with its owner, whatever shall come back with its results, and
            tensors with one row for each of its slices.
        process: maps such tensors of `batch` slices, whatever scans they are from, to
            tensors with one row for each slice. For a scan without slices it gets black
            ones, to tell what its results look like.
        batch: slices at a time.
        ahead: scans at most that are read and not yielded; what there is of slices goes
            in a batch then.
    """
    owners: deque[tuple[Owner, int]] = deque()
    inputs, outputs = Rows(), Rows()

    def whole() -> Iterator[tuple[Owner, Tensors]]:
        while owners and owners[0][1] <= len(outputs):
            owner, count = owners.popleft()
            yield owner, outputs.take(count)

    def processed(least: int) -> Iterator[tuple[Owner, Tensors]]:
        while len(inputs) >= least:
            outputs.put(_filled_up(process, inputs.take(batch), batch))
            yield from whole()

    for owner, slices in scans:
        owners.append((owner, len(slices[0])))
        inputs.put(slices)
        if not len(slices[0]):
            outputs.put(_filled_up(process, slices, batch))
            yield from whole()
        yield from processed(batch if len(owners) < ahead else 1)
    yield from processed(1)


class Rows:
    """A queue of rows: first in, first out, whatever tensors they came in."""

    def __init__(self) -> None:
        self._parts: list[Tensors] = []

    def __len__(self) -> int:
        return sum(len(part[0]) for part in self._parts)

    def put(self, rows: Tensors) -> None:
        """Append the rows of tensors that all have as many."""
        self._parts.append(rows)

    def take(self, most: int) -> Tensors:
        """Remove and return the first rows, `most` or as many as there are."""
        rows = self._parts[0]
        if len(self._parts) > 1:
            rows = tuple(map(torch.cat, zip(*self._parts, strict=True)))
        self._parts = [tuple(column[most:] for column in rows)]
        return tuple(column[:most] for column in rows)


def _filled_up(process: Callable[..., Tensors], rows: Tensors, batch: int) -> Tensors:
    """Return what `process` makes of rows if they come as a batch."""
    count = len(rows[0])
    if count == 0:
        # Not every layer takes an empty batch.
        filled = tuple(column.new_zeros(batch, *column.shape[1:]) for column in rows)
    elif count < batch:
        places = torch.arange(batch) % count
        filled = tuple(column[places] for column in rows)
    else:
        filled = rows
    return tuple(column[:count] for column in process(*filled))
