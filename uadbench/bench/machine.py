"""The device that is measured: waiting for it, its memory, the rates it reaches."""

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from types import ModuleType

import numpy as np

from uadbench import environment
from uadbench.acceleration import Acceleration
from uadbench.probes import fastest
from uadbench.protocols import Context, Monitor

MIB = 2**20
PRECISIONS = {"fp32": "float32", "bf16": "bfloat16"}
# Rows of the first square matrices. Small enough for a second where a processor has no
# instruction for bf16; of a GPU, large enough that the clock is not what is measured.
ROWS_CPU, ROWS_CUDA = 512, 8192
LARGEST = 16384  # rows
RISE = 1.03  # of the rate, below which larger matrices are no faster
LONGEST = 1.0  # s, that a product may take
COPIED = 256 * MIB  # bytes: more than any cache holds


@dataclass(frozen=True)
class Machine:
    """A device, as work is timed on it.

    Attributes:
        device: "cpu" or "cuda:N".
        acceleration: how it is used.
    """

    device: str
    acceleration: Acceleration = field(default_factory=Acceleration)

    def context(self, monitor: Monitor) -> Context:
        """Return what a method learns or predicts with."""
        return Context(0, self.device, monitor=monitor, acceleration=self.acceleration)

    @property
    def plain(self) -> "Machine":
        """The device as operations are counted on it: what is compiled counts as none.

        On one device, a step has them all.
        """
        return replace(self, acceleration=Acceleration(compile="no"))

    def together(self, rates: Mapping[str, float]) -> Mapping[str, float]:
        """Return what rates of one device become where several share a training."""
        count = self.acceleration.devices if self._cuda() else 1
        return {name: count * rate for name, rate in rates.items()}

    def wait(self) -> None:
        """Return when the device has done what it was given; a GPU works on its own."""
        if torch := self._cuda():
            torch.cuda.synchronize(self.device)

    def reset_memory(self) -> None:
        """Let `memory` count from now on."""
        environment.reset_peak_memory()
        if torch := self._cuda():
            torch.cuda.reset_peak_memory_stats(self.device)

    def memory(self) -> dict[str, float]:
        """Return the peak memory in MiB since `reset_memory`, of host and GPU."""
        found = {"host": environment.peak_memory_mib()}
        if torch := self._cuda():
            found["GPU"] = torch.cuda.max_memory_allocated(self.device) / MIB
        return found

    def _cuda(self) -> ModuleType | None:
        return sys.modules["torch"] if self.device.startswith("cuda") else None


def per_second(
    work: Callable[[], object], seconds: float, wait: Callable[[], None]
) -> float:
    """Return how often work is done in a second, after once to warm up.

    Work that takes longer than `seconds` is done once.

    Args:
        work: what is repeated.
        seconds: how long, at least.
        wait: returns when the device is done.
    """

    def timed() -> float:
        start = time.perf_counter()
        work()
        wait()
        return time.perf_counter() - start

    first = timed()
    if first >= seconds:
        return 1 / first
    spent, count = 0.0, 0
    while spent < seconds:
        spent += timed()
        count += 1
    return count / spent


def matrix_rates(machine: Machine) -> Mapping[str, float]:
    """Return the FLOP/s of a large matrix product by precision; {} without torch.

    Float32 is as torch has it: without TF32, unless a method allows that.
    """
    torch = sys.modules.get("torch")
    if torch is None:
        return {}
    first = ROWS_CUDA if machine.device.startswith("cuda") else ROWS_CPU

    def rate(kind: str, rows: int) -> float:
        # Zeros and ones would cost a GPU less power, and run faster than numbers do.
        matrix = torch.randn(
            (rows, rows), dtype=getattr(torch, kind), device=machine.device
        )

        def multiply() -> None:
            torch.mm(matrix, matrix)
            machine.wait()

        multiply()
        return 2 * rows**3 / fastest(multiply)

    return {
        name: full_rate(partial(rate, kind), first) for name, kind in PRECISIONS.items()
    }


def full_rate(rate: Callable[[int], float], rows: int) -> float:
    """Return the FLOP/s of matrix products as large as it takes for the highest rate.

    Rows are doubled until that raises the rate no more, or would take too long.

    Args:
        rate: returns the FLOP/s of a product of square matrices with some rows.
        rows: of the first.
    """
    best = rate(rows)
    while rows < LARGEST and 2 * (2 * rows) ** 3 < LONGEST * best:
        rows *= 2
        found = rate(rows)
        if found < RISE * best:
            return max(found, best)
        best = found
    return best


def copy_rate() -> float:
    """Return the bytes that numpy reads and writes in a second, copying."""
    source = np.ones(COPIED // 8)
    target = np.empty_like(source)
    np.copyto(target, source)
    return 2 * COPIED / fastest(lambda: np.copyto(target, source))


def device_copy_rate(machine: Machine) -> float:
    """Return the bytes that the device reads and writes in a second, copying.

    On the CPU that is `copy_rate`.
    """
    torch = sys.modules.get("torch")
    if torch is None or not machine.device.startswith("cuda"):
        return copy_rate()
    source = torch.ones(COPIED // 4, device=machine.device)
    target = torch.empty_like(source)

    def copy() -> None:
        target.copy_(source)
        machine.wait()

    copy()
    return 2 * COPIED / fastest(copy)
