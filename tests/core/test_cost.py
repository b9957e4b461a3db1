import sys
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from pydantic.dataclasses import dataclass

from uadbench import probes
from uadbench.checks import check_scan
from uadbench.cost import describe, measure, show
from uadbench.errors import DataError, UsageError
from uadbench.probes import SLICE, OneStep, make_scan
from uadbench.protocols import Arrays, Card, Context, Lazy, Prediction, Scan

CHANNELS, PASSES = 4, 3
# A product and a sum for each of 3 x 3 weights, each channel and each pixel.
ONE_PASS = 2 * 3 * 3 * CHANNELS * 128 * 128


@dataclass
class Convolution:
    """Passes an image through one convolution, several times."""

    card: ClassVar[Card] = Card("Convolution", presets={"twice": {"passes": 2}})
    takes: ClassVar[int] = 1
    fitted: ClassVar[list["Convolution"]] = []

    passes: int = PASSES

    def fit(self, train: Lazy[Scan], val: Lazy[Scan], ctx: Context) -> None:
        if len(train[0].image) != self.takes:
            msg = f"convolution takes {self.takes} modalities."
            raise DataError(msg)
        self.layer = torch.nn.Conv2d(1, CHANNELS, 3, padding=1)
        self.steps = 0
        images = [scan.image for scan in ctx.monitor.track(train, "reading", 1)]
        for _ in ctx.monitor.track(range(1000), "teaching", 1000):
            self._through(images[0]).sum().backward()  # type: ignore[no-untyped-call]  # torch has no annotation
            self._taught(val)
            self.steps += 1
        self.fitted.append(self)

    def predict(self, scans: Iterable[Scan], ctx: Context) -> Iterator[Prediction]:
        for scan in scans:
            for _ in range(self.passes):
                self._through(scan.image)
            yield Prediction(scan.image[0])

    def state(self) -> Arrays:
        return {"weight": np.zeros((CHANNELS, 9)), "_mean": np.zeros(7)}

    def restore(self, state: Arrays) -> None:
        raise AssertionError

    def _taught(self, val: Lazy[Scan]) -> None:
        """Do what follows a step."""

    def _through(self, image: Any) -> torch.Tensor:
        out: torch.Tensor = self.layer(torch.from_numpy(image[:1, ..., 0])[None])
        return out


@dataclass
class Patient(Convolution):
    """Looks at its validation scan after each step, unless it is told not to."""

    card: ClassVar[Card] = Card("Patient", presets={"paper": {"patience": 5}})

    patience: int = 3

    def _taught(self, val: Lazy[Scan]) -> None:
        if self.patience:
            self._through(val[0].image)


@dataclass
class TwoModalities(Convolution):
    card: ClassVar[Card] = Card("Two", modalities=2)
    takes: ClassVar[int] = 2


@dataclass
class ThreeUnannounced(Convolution):
    takes: ClassVar[int] = 3


def test_operations_of_all_passes_are_counted() -> None:
    found = measure(Convolution, "convolution", "", "cpu")

    assert found.flop == PASSES * ONE_PASS


def test_preset_has_its_own_cost() -> None:
    found = measure(Convolution, "convolution", "twice", "cpu")

    assert (found.preset, found.flop) == ("twice", 2 * ONE_PASS)


def test_a_training_step_is_forward_and_backward_and_ends_its_loop() -> None:
    found = measure(Convolution, "convolution", "", "cpu")

    # Backward costs as much again for the weights, and nothing for the image.
    assert found.step_flop == {"teaching": 2 * ONE_PASS}
    assert Convolution.fitted[-1].steps == 1


@pytest.mark.parametrize("preset", ["", "paper"])
def test_a_training_step_is_without_the_validation_after_it(preset: str) -> None:
    found = measure(Patient, "patient", preset, "cpu")

    assert found.step_flop == {"teaching": 2 * ONE_PASS}


def test_parameters_are_those_of_the_state_that_are_learned() -> None:
    assert measure(Convolution, "convolution", "", "cpu").parameters == 9 * CHANNELS


def test_method_of_two_modalities_gets_two() -> None:
    assert measure(TwoModalities, "two", "", "cpu").flop == PASSES * ONE_PASS


def test_method_that_takes_more_modalities_than_its_card_says_so() -> None:
    with pytest.raises(DataError, match="convolution takes 3 modalities"):
        measure(ThreeUnannounced, "three", "", "cpu")


def test_method_without_torch_has_no_operations(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "torch")

    found = describe("intensity", None, "cpu", lambda _: None)

    assert found["threads"] == 1
    assert [(c["parameters"], c["flop"], c["step_flop"]) for c in found["presets"]] == [
        (0, None, {}),
        (0, None, {}),
    ]
    assert all(c["seconds"] > 0 for c in found["presets"])


def test_method_that_imports_torch_as_it_fits_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    late = monkeypatch.setitem
    monkeypatch.delitem(sys.modules, "torch")
    monkeypatch.setattr(
        Convolution, "_taught", lambda *_: late(sys.modules, "torch", torch)
    )

    assert measure(Convolution, "convolution", "", "cpu").flop == PASSES * ONE_PASS


def test_method_without_presets_is_measured_at_its_defaults(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Convolution, "card", Card("Bare"))
    monkeypatch.setattr("uadbench.registry.load", lambda *_: Convolution)
    heard: list[str] = []

    found = describe("bare", None, "cpu", heard.append)

    assert [c["preset"] for c in found["presets"]] == [""]
    assert found["threads"] == torch.get_num_threads()
    assert heard == ["measuring bare"]


@pytest.mark.parametrize(
    ("name", "preset", "message"),
    [
        ("ensemble", None, "ensemble: costs what its members cost together"),
        ("intensity", "papr", "intensity: presets: no 'papr'. Did you mean 'paper'"),
        ("phantom", None, "methods: no 'phantom'"),
    ],
)
def test_what_has_no_cost_is_refused(
    name: str, preset: str | None, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        describe(name, preset, "cpu", lambda _: None)


@pytest.mark.parametrize(("seconds", "times"), [(0.5, probes.REPEATS), (2.0, 1)])
def test_what_takes_long_is_timed_once(
    monkeypatch: pytest.MonkeyPatch, seconds: float, times: int
) -> None:
    clock = iter(np.arange(100) * seconds)
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    done: list[int] = []

    fastest = probes.fastest(lambda: done.append(1))

    assert (fastest, len(done)) == (seconds, times)


def test_loops_without_operations_are_not_told_of() -> None:
    monitor = OneStep(lambda: 5)

    assert list(monitor.track(iter("abc"), "reading", 3)) == ["a"]
    assert monitor.flop == {}


@pytest.mark.parametrize("modalities", [probes.MODALITIES[-1:], probes.MODALITIES])
def test_the_made_up_scan_is_one_that_a_dataset_might_give(
    modalities: tuple[str, ...],
) -> None:
    scan = make_scan("a", modalities)

    check_scan(scan)
    assert scan.modalities == modalities
    assert scan.scored.sum() * scan.spacing[0] ** 2 == pytest.approx(
        np.pi * 67.5 * 90, rel=0.02
    )


@pytest.mark.parametrize(
    ("gpu", "words"), [("H100", "on H100:"), (None, "on 2 threads of Xeon:")]
)
def test_shown_cost_names_slice_device_and_loops(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    gpu: str | None,
    words: str,
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    preset = {
        "preset": "",
        "parameters": 1_234_567,
        "flop": 2_500_000_000,
        "seconds": 0.0123,
        "step_flop": {"first": 7_000_000_000, "then": 8_000_000_000},
    }
    hardware = {"cpu": "Xeon", "gpu": gpu}

    costs = {"hardware": hardware, "threads": 2, "slice": SLICE, "presets": [preset]}
    show(costs)

    shown = " ".join(capsys.readouterr().out.split())
    assert f"cost of a slice, {SLICE}, {words}" in shown
    assert "defaults 1,234,567 2.5 0.0123 first 7, then 8" in shown
    assert "may need another number of passes" in shown
