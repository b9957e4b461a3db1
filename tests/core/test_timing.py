import time

import pytest

from uadbench.timing import Stopwatch


def test_laps_add_up_by_stage_and_to_earlier_attempts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    moments = iter([10.0, 13.0, 14.0, 16.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(moments))
    seconds, saved = {"fit": 100.0}, []

    watch = Stopwatch(seconds, lambda: saved.append(dict(seconds)))
    for stage in ("fit", "predict", "fit"):
        watch.lap(stage)

    assert seconds == {"fit": 105.0, "predict": 1.0}
    assert saved[0] == {"fit": 103.0}
    assert len(saved) == 3


def test_quick_laps_are_saved_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter([0.0, 0.4, 0.8, 1.2, 1.6, 2.0, 2.4])
    monkeypatch.setattr(time, "perf_counter", lambda: next(moments))
    seconds: dict[str, float] = {}
    saved: list[float] = []

    watch = Stopwatch(seconds, lambda: saved.append(seconds["score"]))
    for _ in range(6):
        watch.lap("score")

    assert saved == [1.2, 2.4]
    assert seconds == {"score": 2.4}


def test_sums_that_were_not_kept_are_not_in_the_record(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    moments = iter([0.0, 2.0, 5.0, 9.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(moments))
    seconds = {"fit": 1.0}
    watch = Stopwatch(seconds, lambda: None)

    first = watch.add("predict")
    watch.add("predict")
    watch.add("score")

    assert seconds == {"fit": 1.0}
    watch.keep(first)
    assert seconds == {"fit": 1.0, "predict": 2.0}
