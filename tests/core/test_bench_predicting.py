from collections.abc import Callable, Iterable, Iterator
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from uadbench.bench import predicting
from uadbench.bench.machine import Machine
from uadbench.bench.predicting import iterations
from uadbench.probes import fit
from uadbench.protocols import Context, Prediction, Scan

CPU, RATES = Machine("cpu"), {"fp32": 1e9}


@pytest.fixture
def method(shrinking: Callable[..., Any]) -> Any:
    """One that has learned."""
    learnt = shrinking(steps=1)
    fit(learnt, Context())
    return learnt


@pytest.mark.usefixtures("quick")
def test_prediction_is_counted_in_slices_and_in_iterations_of_slices(
    method: Any,
) -> None:
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
def test_prediction_without_a_trace_has_no_iterations(method: Any) -> None:
    method.traced = False

    passes = predicting.predicting(method, method, RATES, CPU, 0.02)[1]

    assert passes.measured is None
    assert passes.reason == "its predictions carry no trace of masks"


@pytest.mark.usefixtures("quick")
def test_operations_are_those_of_slices_that_are_predicted_one_by_one(
    method: Any,
) -> None:
    single: Any = SimpleNamespace(card=method.card, predict=lambda scans, ctx: iter(()))

    slices = predicting.predicting(method, single, RATES, CPU, 0.02)[0]

    assert slices.limits == {}


@pytest.mark.usefixtures("quick")
def test_where_no_mask_has_a_voxel_there_are_no_iterations(method: Any) -> None:
    def predict(scans: Iterable[Scan], ctx: Context) -> Iterator[Prediction]:
        for scan in scans:
            yield Prediction(scan.image[0], extras={"trace": scan.brain[None] & False})

    empty: Any = SimpleNamespace(card=method.card, predict=predict)

    passes = predicting.predicting(empty, method, RATES, CPU, 0.02)[1]

    assert passes.measured is None
    assert passes.reason == "its first masks are empty"


class Late(Machine):
    """A device that works for half a second more on each scan."""

    clock: ClassVar[Any]
    left: ClassVar[float] = 0.0

    def wait(self) -> None:
        self.clock.now += Late.left
        Late.left = 0.0


@pytest.mark.usefixtures("quick")
def test_the_clock_runs_while_the_device_works_and_counts_no_passes(
    method: Any, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def predict(scans: Iterable[Scan], ctx: Context) -> Iterator[Prediction]:
        for scan in scans:
            clock.now += 0.125
            Late.left += 0.5
            yield Prediction(scan.image[0], extras={"trace": scan.brain[None]})

    def count(trace: NDArray[np.bool_]) -> int:
        clock.now += 100
        counted.append(trace)
        return iterations(trace)

    counted: list[NDArray[np.bool_]] = []
    monkeypatch.setattr(Late, "clock", clock, raising=False)
    monkeypatch.setattr(predicting, "iterations", count)
    slow: Any = SimpleNamespace(card=method.card, predict=predict)

    slices = predicting.predicting(slow, slow, RATES, Late("cpu"), 1.0)[0]

    assert slices.measured == 8 * 32 / (8 * 0.125 + 8 * 0.5)
    # Of equal scans, two say how many passes a slice takes.
    assert len(counted) == 2


@pytest.mark.parametrize(
    ("alone", "slices"), [(1e-9, predicting.SLICES), (0.005, 4), (9.0, 1)]
)
def test_scans_have_as_many_slices_as_there_is_time_for(
    method: Any, alone: float, slices: int, monkeypatch: pytest.MonkeyPatch
) -> None:
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
