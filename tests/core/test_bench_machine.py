import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from uadbench.acceleration import Acceleration
from uadbench.bench import machine
from uadbench.bench.machine import Machine, full_rate, per_second
from uadbench.protocols import Silent

CPU = Machine("cpu")


@pytest.mark.parametrize(
    ("takes", "rate"),
    [(0.4, 1 / 0.4), (1.0, 1.0), (7.0, 1 / 7)],
)
def test_work_is_repeated_for_some_seconds_after_a_warm_up(
    clock: Any, takes: float, rate: float
) -> None:
    done = per_second(clock.work(takes), 1.0, lambda: None)

    assert done == pytest.approx(rate)
    assert clock.now == pytest.approx({0.4: 4 * 0.4, 1.0: 1.0, 7.0: 7.0}[takes])


def test_matrix_products_and_copies_are_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "ROWS_CPU", 16)
    monkeypatch.setattr(machine, "LARGEST", 64)
    monkeypatch.setattr(machine, "COPIED", 1 << 12)

    rates = machine.matrix_rates(CPU)

    assert rates.keys() == {"fp32", "bf16"}
    assert min(rates.values()) > 0
    assert min(machine.copy_rate(), machine.device_copy_rate(CPU)) > 0


def test_rates_are_operations_and_bytes_in_a_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(machine, "fastest", lambda work: work() or 2.0)
    monkeypatch.setattr(machine, "ROWS_CPU", 16)
    monkeypatch.setattr(machine, "COPIED", 1 << 12)

    assert machine.matrix_rates(CPU) == dict.fromkeys(["fp32", "bf16"], 16**3)
    assert machine.copy_rate() == 1 << 12


@pytest.mark.parametrize(
    ("rates", "rows", "best"),
    [
        ({512: 60, 1024: 70, 2048: 71}, [512, 1024, 2048], 71),
        ({512: 60, 1024: 50}, [512, 1024], 60),
        # A product of 1024 rows would take two seconds.
        ({512: 1}, [512], 1),
        ({2**n: 1000 * n for n in range(9, 15)}, [2**n for n in range(9, 15)], 14000),
    ],
    ids=["no faster", "slower", "too long", "as large as allowed"],
)
def test_matrices_grow_for_as_long_as_that_raises_the_rate(
    rates: dict[int, float], rows: list[int], best: float
) -> None:
    asked: list[int] = []

    def rate(size: int) -> float:
        asked.append(size)
        return 1e9 * rates[size]

    assert full_rate(rate, 512) == 1e9 * best
    assert asked == rows


def test_without_torch_no_product_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch")
    monkeypatch.setattr(machine, "COPIED", 1 << 12)

    assert machine.matrix_rates(CPU) == {}
    assert machine.device_copy_rate(CPU) > 0


def fake_torch(heard: list[str]) -> SimpleNamespace:
    """Return a torch whose GPU is the CPU, and which notes what it is asked."""

    def note(name: str, answer: int = 0) -> Callable[[str], int]:
        def noted(device: str) -> int:
            heard.append(f"{name} {device}")
            return answer

        return noted

    def fill(kind: str) -> Callable[..., torch.Tensor]:
        def filled(shape: Any, device: str, **more: Any) -> torch.Tensor:
            heard.append(f"{kind} on {device}")
            full: torch.Tensor = getattr(torch, kind)(shape, **more)
            return full

        return filled

    cuda = SimpleNamespace(
        synchronize=note("wait"),
        reset_peak_memory_stats=note("reset"),
        max_memory_allocated=note("peak", 3 << 20),
    )
    names = ("mm", "empty_like", "float32", "bfloat16")
    same = {name: getattr(torch, name) for name in names}
    made = {kind: fill(kind) for kind in ("ones", "randn")}
    return SimpleNamespace(cuda=cuda, **made, **same)


def test_a_gpu_is_waited_for_and_its_memory_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heard: list[str] = []
    monkeypatch.setitem(sys.modules, "torch", fake_torch(heard))
    gpu = Machine("cuda:1")

    gpu.reset_memory()
    gpu.wait()

    assert gpu.memory()["GPU"] == 3.0
    assert heard == ["reset cuda:1", "wait cuda:1", "peak cuda:1"]
    assert CPU.memory().keys() == {"host"}


def test_the_rates_of_a_gpu_are_measured_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[str] = []
    monkeypatch.setitem(sys.modules, "torch", fake_torch(heard))
    monkeypatch.setattr(machine, "ROWS_CUDA", 16)
    monkeypatch.setattr(machine, "LARGEST", 16)
    monkeypatch.setattr(machine, "COPIED", 1 << 12)
    gpu = Machine("cuda:1")

    assert min(machine.matrix_rates(gpu).values()) > 0
    assert machine.device_copy_rate(gpu) > 0
    # Products of random numbers: those of ones take less power, and less time.
    assert heard.count("randn on cuda:1") == 2
    assert heard.count("ones on cuda:1") == 1
    # Once to warm up, then each repeat.
    assert heard.count("wait cuda:1") >= 3 * 2


def test_operations_are_counted_on_one_device_and_not_compiled() -> None:
    several = Machine("cuda:0", Acceleration(4, "bf16", "graphs"))

    ctx = several.plain.context(Silent())

    assert several.context(Silent()).acceleration == several.acceleration
    assert ctx.acceleration == Acceleration(1, "auto", "no")


def test_devices_that_share_a_training_multiply_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "torch", fake_torch([]))
    four = Acceleration(devices=4)

    assert Machine("cuda:0", four).together({"fp32": 2.0}) == {"fp32": 8.0}
    # Processes on a CPU share the cores that were measured together.
    assert Machine("cpu", four).together({"fp32": 2.0}) == {"fp32": 2.0}
