from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest

from uadbench.bench.learning import SCANS, WARM_UP, Timed, Timing, learning
from uadbench.bench.machine import Machine

CPU, RATES = Machine("cpu"), {"fp32": 1e9}
BATCH, LEARNED = 3, 2 * 2 * 3 * 3 * 128 * 128


def tracked(monitor: Timed, label: str, seconds: Iterable[float], clock: Any) -> int:
    """Return how many steps a loop got that take so many seconds each."""
    steps = list(seconds)
    got = 0
    for step in monitor.track(steps, label, len(steps)):
        clock.now += step
        got += 1
    return got


def test_a_timed_loop_is_ended_after_its_warm_up_and_its_seconds(clock: Any) -> None:
    monitor = Timed(["loop"], 5.0, lambda: None)
    slow, fast = [100.0] * WARM_UP, [2.0] * 50

    got = tracked(monitor, "loop", slow + fast, clock)

    assert got == WARM_UP + 3
    assert monitor.timings["loop"] == Timing(3, 6.0)


def test_the_device_is_waited_for_before_and_after(clock: Any) -> None:
    monitor = Timed(["loop"], 5.0, clock.work(0.5))

    tracked(monitor, "loop", [2.0] * 50, clock)

    assert monitor.timings["loop"] == Timing(3, 6.5)


def test_a_loop_with_few_steps_is_timed_to_its_end(clock: Any) -> None:
    monitor = Timed(["loop"], 50.0, lambda: None)

    tracked(monitor, "loop", [2.0] * (WARM_UP + 4), clock)

    assert monitor.timings["loop"] == Timing(4, 8.0)


def test_a_loop_that_ends_in_its_warm_up_has_no_time(clock: Any) -> None:
    monitor = Timed(["loop"], 5.0, lambda: None)

    assert tracked(monitor, "loop", [2.0] * WARM_UP, clock) == WARM_UP
    assert monitor.timings == {}


def test_other_loops_go_through(clock: Any) -> None:
    monitor = Timed(["loop"], 5.0, lambda: None)

    assert tracked(monitor, "reading", [20.0] * 10, clock) == 10
    assert monitor.timings == {}


def test_training_is_counted_in_slices_beside_the_floor_of_its_products(
    shrinking: Callable[[], Any],
) -> None:
    method = shrinking()

    step, *used = learning(method, {"teaching": LEARNED}, RATES, CPU, 0.01)

    assert (step.name, step.unit) == ("training, teaching", "slices/s")
    assert step.measured is not None
    assert step.measured > 0
    assert step.limits == {"fp32": 1e9 * BATCH / LEARNED}
    assert step.reached == {"fp32": step.measured / step.limits["fp32"]}
    assert method.read == SCANS
    assert [figure.name for figure in used] == ["peak memory, training, host"]


@pytest.mark.parametrize(
    ("options", "flop", "reason"),
    [
        ({}, {}, "no step of it has a matrix product"),
        ({"steps": WARM_UP}, {"teaching": 1}, "it ended within 3 steps"),
    ],
)
def test_training_that_cannot_be_measured_has_a_reason_and_no_number(
    shrinking: Callable[..., Any],
    options: Mapping[str, int],
    flop: Mapping[str, int],
    reason: str,
) -> None:
    found = learning(shrinking(**options), flop, RATES, CPU, 0.01)[0]

    assert found.measured is None
    assert reason in found.reason
    assert found.reached == {}


def test_steps_of_unknown_size_are_not_counted(unbatched: Callable[[], Any]) -> None:
    found = learning(unbatched(), {"teaching": 1}, RATES, CPU, 0.01)[0]

    assert found.measured is None
    assert "no option 'batch'" in found.reason
