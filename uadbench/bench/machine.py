"""The device that is measured: waiting for it, its memory, the rates it reaches."""

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import ModuleType

import numpy as np

from uadbench import environment
from uadbench.acceleration import Acceleration
from uadbench.probes import fastest
from uadbench.protocols import Context, Monitor

MIB = 2**20
PRECISIONS = {"fp32": "float32", "bf16": "bfloat16"}
# Rows of a square matrix: large enough for full speed, small enough for a second even
# where a processor has no instruction for bf16.
ROWS_CPU, ROWS_CUDA = 512, 8192
PRODUCTS = 4  # timed together: the clock must not be what is measured
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
    rows = ROWS_CUDA if machine.device.startswith("cuda") else ROWS_CPU

    def rate(kind: str) -> float:
        matrix = torch.ones(
            (rows, rows), dtype=getattr(torch, kind), device=machine.device
        )

        def multiply(times: int) -> None:
            for _ in range(times):
                torch.mm(matrix, matrix)
            machine.wait()

        multiply(1)
        return PRODUCTS * 2 * rows**3 / fastest(lambda: multiply(PRODUCTS))

    return {name: rate(kind) for name, kind in PRECISIONS.items()}


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
