import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from pydantic.dataclasses import dataclass

from uadbench.acceleration import Acceleration
from uadbench.bench import host, learning, machine, predicting
from uadbench.bench.figures import Figure, limits
from uadbench.bench.learning import WARM_UP, Timed
from uadbench.bench.machine import Machine, per_second
from uadbench.bench.measure import measure
from uadbench.bench.predicting import iterations
from uadbench.bench.table import number, show
from uadbench.errors import UsageError
from uadbench.protocols import Arrays, Card, Context, Lazy, Prediction, Scan, Silent

CPU, ONE = Machine("cpu"), Acceleration()
RATES = {"fp32": 1e9}
SMALL = (24, 20, 12)
BATCH, LEARNED = 3, 2 * 2 * 3 * 3 * 128 * 128


class Clock:
    """Seconds that pass only when it is told so, or at every look at it."""

    def __init__(self, step: float = 0.0) -> None:
        self.now = 0.0
        self._step = step

    def __call__(self) -> float:
        self.now += self._step
        return self.now

    def work(self, seconds: float) -> Callable[[], None]:
        """Return work that takes so long."""

        def work() -> None:
            self.now += seconds

        return work


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "perf_counter", clock)
    return clock


@dataclass
class Unbatched:
    """Learns a convolution for a step after each other; its mask shrinks once."""

    card: ClassVar[Card] = Card("Shrinking", presets={"paper": {}, "demo": {}})

    steps: int = 1000
    traced: bool = True

    def fit(self, train: Lazy[Scan], val: Lazy[Scan], ctx: Context) -> None:
        images = [scan.image[0] for scan in ctx.monitor.track(train, "reading", 9)]
        layer = torch.nn.Conv2d(1, 1, 3, padding=1)
        image = torch.from_numpy(images[0][None, None, ..., 0])
        for _ in ctx.monitor.track(range(self.steps), "teaching", self.steps):
            layer(image).sum().backward()
        self.layer, self.read = layer, len(images)

    def predict(self, scans: Iterable[Scan], ctx: Context) -> Iterator[Prediction]:
        for scan in scans:
            self.layer(torch.from_numpy(scan.image[:1, ..., 0])[None])
            trace = np.stack([scan.brain, scan.brain])
            trace[1, 60:] = False
            extras = {"trace": trace} if self.traced else {}
            yield Prediction(scan.image[0], extras=extras)

    def state(self) -> Arrays:
        return {"weight": self.layer.weight.detach().numpy()}

    def restore(self, state: Arrays) -> None:
        self.layer = torch.nn.Conv2d(1, 1, 3, padding=1)
        self.layer.weight.data = torch.from_numpy(state["weight"])


@dataclass
class Shrinking(Unbatched):
    """Says how many slices a step takes."""

    batch: int = BATCH


def tracked(monitor: Timed, label: str, seconds: Iterable[float], clock: Clock) -> int:
    """Return how many steps a loop got that take so many seconds each."""
    steps = list(seconds)
    got = 0
    for step in monitor.track(steps, label, len(steps)):
        clock.now += step
        got += 1
    return got


def test_a_timed_loop_is_ended_after_its_warm_up_and_its_seconds(clock: Clock) -> None:
    monitor = Timed(["loop"], 5.0, lambda: None)
    slow, fast = [100.0] * WARM_UP, [2.0] * 50

    got = tracked(monitor, "loop", slow + fast, clock)

    assert got == WARM_UP + 3
    assert monitor.timings["loop"] == learning.Timing(3, 6.0)


def test_the_device_is_waited_for_before_and_after(clock: Clock) -> None:
    monitor = Timed(["loop"], 5.0, clock.work(0.5))

    tracked(monitor, "loop", [2.0] * 50, clock)

    assert monitor.timings["loop"] == learning.Timing(3, 6.5)


def test_a_loop_with_few_steps_is_timed_to_its_end(clock: Clock) -> None:
    monitor = Timed(["loop"], 50.0, lambda: None)

    tracked(monitor, "loop", [2.0] * (WARM_UP + 4), clock)

    assert monitor.timings["loop"] == learning.Timing(4, 8.0)


def test_a_loop_that_ends_in_its_warm_up_has_no_time(clock: Clock) -> None:
    monitor = Timed(["loop"], 5.0, lambda: None)

    assert tracked(monitor, "loop", [2.0] * WARM_UP, clock) == WARM_UP
    assert monitor.timings == {}


def test_other_loops_go_through(clock: Clock) -> None:
    monitor = Timed(["loop"], 5.0, lambda: None)

    assert tracked(monitor, "reading", [20.0] * 10, clock) == 10
    assert monitor.timings == {}


@pytest.mark.parametrize(
    ("takes", "rate"),
    [(0.4, 1 / 0.4), (1.0, 1.0), (7.0, 1 / 7)],
)
def test_work_is_repeated_for_some_seconds_after_a_warm_up(
    clock: Clock, takes: float, rate: float
) -> None:
    done = per_second(clock.work(takes), 1.0, lambda: None)

    assert done == pytest.approx(rate)
    assert clock.now == pytest.approx({0.4: 4 * 0.4, 1.0: 1.0, 7.0: 7.0}[takes])


def test_training_is_counted_in_slices_beside_the_floor_of_its_products() -> None:
    method = Shrinking()

    step, *used = learning.learning(method, {"teaching": LEARNED}, RATES, CPU, 0.01)

    assert (step.name, step.unit) == ("training, teaching", "slices/s")
    assert step.measured is not None
    assert step.measured > 0
    assert step.limits == {"fp32": 1e9 * BATCH / LEARNED}
    assert step.reached == {"fp32": step.measured / step.limits["fp32"]}
    assert method.read == learning.SCANS
    assert [figure.name for figure in used] == ["peak memory, training, host"]


@pytest.mark.parametrize(
    ("method", "flop", "reason"),
    [
        (Shrinking(), {}, "no step of it has a matrix product"),
        (Shrinking(steps=WARM_UP), {"teaching": 1}, "it ended within 3 steps"),
        (Unbatched(), {"teaching": 1}, "no option 'batch'"),
    ],
)
def test_training_that_cannot_be_measured_has_a_reason_and_no_number(
    method: Unbatched, flop: Mapping[str, int], reason: str
) -> None:
    found = learning.learning(method, flop, RATES, CPU, 0.01)[0]

    assert found.measured is None
    assert reason in found.reason
    assert found.reached == {}


@pytest.mark.usefixtures("quick")
def test_prediction_is_counted_in_slices_and_in_iterations_of_slices() -> None:
    method = learnt(Shrinking())

    found = predicting.predicting(method, method, RATES, CPU, 0.02)

    slices, passes, used = found
    assert slices.name == "prediction of scans of 20"
    assert passes.name == "refinement, 2.0 iterations a slice"
    assert slices.measured is not None
    assert passes.measured == pytest.approx(2 * slices.measured)
    # Of each scan it looks at one slice.
    assert slices.limits == {"fp32": pytest.approx(1e9 * 20 / (2 * 9 * 128 * 128))}
    assert passes.limits["fp32"] == pytest.approx(2 * slices.limits["fp32"])
    assert used.name == "peak memory, prediction, host"


@pytest.mark.usefixtures("quick")
def test_prediction_without_a_trace_has_no_iterations() -> None:
    method = learnt(Shrinking(traced=False))

    passes = predicting.predicting(method, method, RATES, CPU, 0.02)[1]

    assert passes.measured is None
    assert passes.reason == "its predictions carry no trace of masks"


@pytest.mark.usefixtures("quick")
def test_operations_are_those_of_slices_that_are_predicted_one_by_one() -> None:
    method, single = learnt(Shrinking()), learnt(Shrinking())
    single.predict = lambda scans, ctx: iter(())  # type: ignore[method-assign]

    slices = predicting.predicting(method, single, RATES, CPU, 0.02)[0]

    assert slices.limits == {}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a slice take a millisecond."""
    monkeypatch.setattr(predicting, "fastest", lambda _: 1e-3)


def learnt(method: Shrinking) -> Shrinking:
    """Return a method that has learned from one step."""
    learning.learning(method, {"teaching": 1}, RATES, CPU, 1e-9)
    return method


@pytest.mark.parametrize(
    ("alone", "slices"), [(1e-9, predicting.SLICES), (0.005, 4), (9.0, 1)]
)
def test_scans_have_as_many_slices_as_there_is_time_for(
    alone: float, slices: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = learnt(Shrinking())
    monkeypatch.setattr(predicting, "fastest", lambda _: alone)

    found = predicting.predicting(method, method, RATES, CPU, 0.02)

    assert found[0].name == f"prediction of scans of {slices}"


def test_iterations_are_counted_until_the_last_new_mask() -> None:
    trace = np.zeros((4, 3, 3, 4), bool)
    trace[:, 1, :, 0] = True  # stops in the first pass
    trace[:2, :, :, 1], trace[2:, 0, :, 1] = True, True  # a new mask in the third
    trace[:1, :, :, 2] = True  # empty from the second on
    # The fourth has no brain.

    assert iterations(trace) == 1 + 3 + 2 + 0


def test_a_trace_of_one_mask_is_one_iteration() -> None:
    assert iterations(np.ones((1, 2, 2, 5), bool)) == 5


def test_metrics_and_reading_stand_beside_the_bandwidth_of_memory() -> None:
    voxels = host.metrics(SMALL, 1e9, 0.01)
    volumes = host.reading(SMALL, 1e9, 0.01)

    assert (voxels.unit, volumes.unit) == ("voxels/s", "volumes/s")
    assert voxels.limits == {"memory": 1e9 / 7}
    assert volumes.limits == {"memory": 1e9 / (6 * 24 * 20 * 12)}
    assert volumes.name == "reading 24 x 20 x 12 .nii.gz"
    assert voxels.measured is not None
    assert volumes.measured is not None
    assert min(voxels.measured, volumes.measured) > 0


def test_a_precision_that_is_slower_than_single_is_no_limit() -> None:
    assert limits({"fp32": 10.0, "bf16": 9.0}, 2.0) == {"fp32": 5.0}
    assert limits({"fp32": 10.0, "bf16": 80.0}, 2.0) == {"fp32": 5.0, "bf16": 40.0}
    assert limits({"fp32": 10.0}, 0.0) == {}
    assert limits({}, 2.0) == {}


def test_matrix_products_and_copies_are_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "ROWS_CPU", 16)
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

    assert machine.matrix_rates(CPU) == dict.fromkeys(["fp32", "bf16"], 4 * 16**3)
    assert machine.copy_rate() == 1 << 12


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

    def ones(shape: Any, device: str, **more: Any) -> torch.Tensor:
        heard.append(f"memory on {device}")
        return torch.ones(shape, **more)

    cuda = SimpleNamespace(
        synchronize=note("wait"),
        reset_peak_memory_stats=note("reset"),
        max_memory_allocated=note("peak", 3 << 20),
    )
    names = ("mm", "empty_like", "float32", "bfloat16")
    same = {name: getattr(torch, name) for name in names}
    return SimpleNamespace(cuda=cuda, ones=ones, **same)


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
    monkeypatch.setattr(machine, "COPIED", 1 << 12)
    gpu = Machine("cuda:1")

    assert min(machine.matrix_rates(gpu).values()) > 0
    assert machine.device_copy_rate(gpu) > 0
    assert heard.count("memory on cuda:1") == 3
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


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make all that is measured tiny."""
    monkeypatch.setattr("uadbench.bench.measure.SHAPE", SMALL)
    monkeypatch.setattr(machine, "ROWS_CPU", 16)
    monkeypatch.setattr(machine, "COPIED", 1 << 12)


@pytest.fixture
def shrinking(small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `Shrinking` the method of every name."""
    monkeypatch.setattr("uadbench.registry.load", lambda *_: Shrinking)


@pytest.mark.usefixtures("shrinking")
@pytest.mark.parametrize(("preset", "taken"), [(None, "demo"), ("paper", "paper")])
def test_all_figures_are_in_one_record(preset: str | None, taken: str) -> None:
    heard: list[str] = []

    found = measure("shrinking", preset, {"batch": "2"}, "cpu", ONE, 0.01, heard.append)

    assert json.loads(json.dumps(found)) == found
    assert (found["preset"], found["options"]["batch"]) == (taken, 2)
    assert found["matrix_flop_per_second"].keys() == {"fp32", "bf16"}
    names = [figure["name"] for figure in found["figures"]]
    assert names == [
        "training, teaching",
        "peak memory, training, host",
        "prediction of scans of 32",
        "refinement, 2.0 iterations a slice",
        "peak memory, prediction, host",
        "metrics of a case",
        "reading 24 x 20 x 12 .nii.gz",
    ]
    assert heard[-1] == f"measuring shrinking {taken}"


@pytest.mark.usefixtures("small")
def test_a_method_without_torch_is_measured_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "torch")

    found = measure("intensity", None, {}, "auto", ONE, 0.01, lambda _: None)

    training, _, prediction = found["figures"][:3]
    assert training["reason"] == "no step of it has a matrix product"
    assert prediction["measured"] > 0
    assert (prediction["limits"], prediction["reached"]) == ({}, {})


@pytest.mark.usefixtures("shrinking")
def test_a_method_without_presets_is_measured_at_its_defaults(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Shrinking, "card", Card("Bare"))
    heard: list[str] = []

    found = measure("bare", None, {}, "cpu", ONE, 0.01, heard.append)

    assert found["preset"] is None
    assert heard[-1] == "measuring bare"


@pytest.mark.parametrize(
    ("name", "preset", "given", "message"),
    [
        ("ensemble", None, {}, "ensemble: costs what its members cost"),
        ("intensity", "papr", {}, "intensity: presets: no 'papr'"),
        ("intensity", None, {"size": "4"}, "intensity: options: no 'size'"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    name: str, preset: str | None, given: Mapping[str, str], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        measure(name, preset, given, "cpu", ONE, 0.01, lambda _: None)


def record(gpu: str | None) -> dict[str, Any]:
    """Return what `measure` might give."""
    fast = Figure("training, a", "slices/s", 1234.0, {"fp32": 2468.0, "bf16": 98720.0})
    absent = Figure("refinement", "slice-iterations/s", None, reason="no trace")
    return {
        "method": "m",
        "preset": "demo",
        "hardware": {"gpu": gpu, "cpu": "Xeon"},
        "threads": 1,
        "matrix_flop_per_second": {"fp32": 5.25e10, "bf16": 9e14},
        "copied_bytes_per_second": {"host": 1.2e10, "device": 3e12},
        "figures": [fast.record(), absent.record()],
    }


@pytest.mark.parametrize(
    ("gpu", "words"),
    [
        (
            "H100",
            "m demo on H100: fp32 52.5 GFLOP/s, bf16 900,000 GFLOP/s, copy on "
            "the host 12 GB/s, copy on the device 3,000 GB/s",
        ),
        (
            None,
            "m demo on 1 thread of Xeon: fp32 52.5 GFLOP/s, bf16 900,000 GFLOP/s, "
            "copy on the host 12 GB/s figure",
        ),
    ],
)
def test_the_table_has_each_figure_beside_its_limits(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    gpu: str | None,
    words: str,
) -> None:
    monkeypatch.setenv("COLUMNS", "200")

    show(record(gpu))

    shown = " ".join(capsys.readouterr().out.split())
    assert words in shown
    assert "training, a 1,230 slices/s fp32 2,470, bf16 98,700 50 %, 1.2 %" in shown
    assert "refinement - slice-iterations/s - (no trace) -" in shown


@pytest.mark.parametrize(
    ("value", "words"),
    [(1_234_567.0, "1,230,000"), (99.96, "100"), (12.34, "12.3"), (0.01234, "0.0123")],
)
def test_numbers_have_three_digits_that_count(value: float, words: str) -> None:
    assert number(value) == words


@pytest.mark.usefixtures("shrinking")
def test_a_table_is_printed_and_the_file_named(call: Callable[..., Any]) -> None:
    done = call("bench", "-m", "shrinking", "--seconds", "0.01", "--device", "cpu")

    assert done.status == 0
    assert "training, teaching" in done.out
    assert done.out.endswith("saved: bench-shrinking-demo-cpu.json\n")
    saved = json.loads(Path("bench-shrinking-demo-cpu.json").read_text())
    assert saved["seconds"] == 0.01


@pytest.mark.usefixtures("shrinking")
def test_json_is_printed_and_saved_only_if_asked(call: Callable[..., Any]) -> None:
    words = ("bench", "-m", "m", "--seconds", "0.01", "--device", "cpu", "--json")

    first = call(*words)
    second = call(*words, "-o", "there/b.json")

    assert json.loads(first.out)["method"] == "m"
    assert not Path("bench-m-demo-cpu.json").exists()
    assert second.status == 0
    assert json.loads(Path("there/b.json").read_text())["method"] == "m"


@pytest.mark.usefixtures("small")
def test_bench_runs_a_real_method(call: Callable[..., Any]) -> None:
    done = call("bench", "-m", "intensity", "--seconds", "0.001")

    assert done.status == 0
    assert "reading 24 x 20 x 12 .nii.gz" in done.out
    assert "training - slices/s - (no step of it has a matrix product)" in " ".join(
        done.out.split()
    )
