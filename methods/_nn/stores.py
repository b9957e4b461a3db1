"""Healthy slices at the pace of the device: all of them on it, or streamed to it.

Both give the same batches of the same numbers, in the same layout too, column by column
as slices are cut: a Fourier transform rounds otherwise in another. On CUDA half
precision halves what is kept or sent, where the scale of the intensity makes sure that
its 11 bits suffice.
"""

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import accumulate, islice
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .scans import Healthy
from .steps import Step

SHARE = 0.5  # of the free memory of a device that slices may take
AHEAD = 2  # batches that are read before they are asked for
LARGEST = float(torch.finfo(torch.float16).max)

Draw = Sequence[int]


@dataclass(frozen=True, eq=False)
class Batch:
    """Slices on the device.

    Attributes:
        images: float32 (B, C, S, S).
        brain: bool (B, 1, S, S).
    """

    images: Tensor
    brain: Tensor


Sent = tuple[Batch, torch.cuda.Event | None]


class Store(Protocol):
    """Healthy slices that are asked for by their number."""

    def __len__(self) -> int:
        """Return how many there are."""

    def batches(self, draws: Iterable[Draw]) -> Iterator[Batch]:
        """Yield the slices of each draw of numbers, in order."""


def open_store(healthy: Healthy, device: torch.device, half: bool = False) -> Store:
    """Return the store that fits a device: what is on disk and too large is streamed.

    Args:
        healthy: the slices.
        device: where they are needed.
        half: whether they may be rounded to float16; they stay as they are on the CPU
            and where their scale is not relative.
    """
    halved = half and healthy.relative and device.type == "cuda"
    dtype = torch.float16 if halved else torch.float32
    fits = _bytes(healthy, dtype) <= SHARE * _free(device)
    kind = OnDevice if fits else Streamed
    return kind(healthy, device, dtype)


def every_slice(store: Store, batch: int, generator: torch.Generator) -> Iterator[Step]:
    """Yield all slices of a store once, in order, in batches with one generator."""
    numbers = range(len(store))
    draws = [numbers[start:][:batch] for start in numbers[::batch]]
    for part in store.batches(draws):
        yield Step(part.images, part.brain, generator)


class OnDevice:
    """All slices on the device, where they are picked."""

    def __init__(
        self, healthy: Healthy, device: torch.device, dtype: torch.dtype
    ) -> None:
        self._images = _joined(healthy.images, device, dtype)
        self._brain = _joined(healthy.brain, device, torch.bool)

    def __len__(self) -> int:
        return len(self._images)

    def batches(self, draws: Iterable[Draw]) -> Iterator[Batch]:
        """Yield the slices of each draw of numbers, in order."""
        for draw in draws:
            at = _sent(torch.tensor(draw), self._images.device)
            yield Batch(self._images[at].float(), self._brain[at])


class Streamed:
    """Slices on the host; a thread reads and sends batches before they are needed."""

    def __init__(
        self, healthy: Healthy, device: torch.device, dtype: torch.dtype
    ) -> None:
        self._healthy, self._device, self._dtype = healthy, device, dtype
        self._ends = list(accumulate(len(images) for images in healthy.images))
        self._stream: torch.cuda.Stream | None = None
        if device.type == "cuda":
            self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]  # torch

    def __len__(self) -> int:
        return self._ends[-1]

    def batches(self, draws: Iterable[Draw]) -> Iterator[Batch]:
        """Yield the slices of each draw of numbers, in order."""
        left = iter(draws)
        with ThreadPoolExecutor(1, initializer=self._enter) as reader:
            ahead: deque[Future[Sent]] = deque(
                reader.submit(self._read, draw) for draw in islice(left, AHEAD)
            )
            while ahead:
                sent = ahead.popleft().result()
                ahead.extend(reader.submit(self._read, d) for d in islice(left, 1))
                yield self._received(*sent)

    def _enter(self) -> None:
        """Let the thread work on our device; it would work on the first one."""
        if self._device.type == "cuda":
            torch.cuda.set_device(self._device)

    def _read(self, draw: Draw) -> Sent:
        """Return slices on their way to the device, and what tells of their arrival."""
        # Which scan each is of, and where its slices begin.
        scans = np.searchsorted(self._ends, draw, side="right")
        starts = np.array([0, *self._ends])[scans]
        places = list(zip(scans, np.array(draw) - starts, strict=True))
        images = _stacked([self._healthy.images[scan][at] for scan, at in places])
        brain = _stacked([self._healthy.brain[scan][at] for scan, at in places])
        with torch.cuda.stream(self._stream) if self._stream else nullcontext():
            images = _sent(_rounded(images, self._dtype), self._device).float()
            batch = Batch(images, _sent(brain, self._device))
            return batch, self._stream.record_event() if self._stream else None

    def _received(self, batch: Batch, arrival: torch.cuda.Event | None) -> Batch:
        """Return slices that are there before whatever is computed from now on."""
        if arrival:
            ours = torch.cuda.current_stream(self._device)
            ours.wait_event(arrival)
            # Their memory is not reused before we are done, either.
            for tensor in (batch.images, batch.brain):
                tensor.record_stream(ours)
        return batch


def _joined(
    parts: Sequence[NDArray[np.generic]], device: torch.device, dtype: torch.dtype
) -> Tensor:
    """Return arrays (N, C, S, S) one after the other on a device."""
    channels, height, width = parts[0].shape[1:]
    shape = (sum(map(len, parts)), channels, width, height)
    joined = torch.empty(shape, dtype=dtype, device=device).mT
    start = 0
    for part in parts:
        # A copy, since a mapped file cannot be written to, which torch warns of.
        joined[start : start + len(part)] = _rounded(torch.tensor(part), dtype)
        start += len(part)
    return joined


def _stacked(slices: Sequence[NDArray[np.generic]]) -> Tensor:
    """Return slices (..., S, S) in one batch."""
    columns = np.stack([plane.swapaxes(-1, -2) for plane in slices])
    return torch.from_numpy(np.ascontiguousarray(columns)).mT


def _rounded(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """Return a tensor of another type; what float16 cannot hold becomes its largest."""
    if dtype == torch.float16:
        return tensor.clamp(-LARGEST, LARGEST).half()
    return tensor.to(dtype)


def _sent(tensor: Tensor, device: torch.device) -> Tensor:
    """Return a tensor of the host on a device, without waiting for it."""
    if device.type == "cuda":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


def _free(device: torch.device) -> int:
    """Return the free memory of a device in bytes."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _bytes(healthy: Healthy, dtype: torch.dtype) -> int:
    """Return the memory that all slices take on a device."""
    numbers = sum(images.size for images in healthy.images)
    return numbers * dtype.itemsize + sum(brain.size for brain in healthy.brain)
