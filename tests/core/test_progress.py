import io
from pathlib import Path

import pytest
from rich.console import Console

from uadbench import progress
from uadbench.errors import OutputError
from uadbench.progress import Bars, Lines, Quiet, Recorder, monitor
from uadbench.protocols import Silent


class Clock:
    """A clock that moves only when told."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


class Ear(Silent):
    """A monitor that remembers."""

    def __init__(self) -> None:
        self.heard: list[object] = []

    def log(self, name: str, value: float, step: int) -> None:
        self.heard.append((name, value, step))

    def say(self, message: str) -> None:
        self.heard.append(message)

    warn = say


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    fake = Clock()
    monkeypatch.setattr(progress, "time", fake)
    return fake


def test_lines_come_every_ten_seconds_and_at_the_end(clock: Clock) -> None:
    out = io.StringIO()
    with Lines(Console(file=out)) as lines:
        for step in lines.track(range(6), "fit", 6):
            clock.now += 4
            lines.log("fit/loss", 1 / (step + 1), step)

    # More than 10 s have passed after the third step (12 s) and after the sixth.
    assert out.getvalue() == "fit 3/6 12 s loss 0.3333\nfit 6/6 24 s loss 0.1667\n"


def test_line_without_number_has_no_empty_end(clock: Clock) -> None:
    out = io.StringIO()
    with Lines(Console(file=out)) as lines:
        assert list(lines.track("ab", "predict", 2)) == ["a", "b"]

    assert out.getvalue() == "predict 2/2 0 s\n"


def test_long_lines_and_brackets_stay_as_they_are() -> None:
    out = io.StringIO()
    Lines(Console(file=out, width=20)).say("[red] " + "word " * 10)

    assert out.getvalue() == "[red] " + "word " * 10 + "\n"


def test_bars_yield_the_steps_and_show_label_and_number() -> None:
    out = io.StringIO()
    with Bars(Console(file=out, force_terminal=True, width=120)) as bars:
        steps: list[str] = []
        for step in bars.track("abc", "fit", 3):
            bars.log("fit/loss", 0.25, len(steps))
            steps.append(step)
        bars.say("[red] half way")

    assert steps == ["a", "b", "c"]
    shown = out.getvalue()
    assert "[red] half way" in shown
    assert "fit" in shown
    assert "3/3" in shown
    assert "loss 0.25" in shown


def test_quiet_says_nothing_but_warnings() -> None:
    out = io.StringIO()
    with Quiet(Console(file=out)) as quiet:
        assert list(quiet.track("ab", "fit", 2)) == ["a", "b"]
        quiet.log("fit/loss", 1.0, 0)
        quiet.say("hello")
        quiet.warn("look out")

    assert out.getvalue() == "look out\n"


def test_lines_of_resumed_work_count_what_was_done_before(clock: Clock) -> None:
    out = io.StringIO()
    with Lines(Console(file=out)) as lines:
        list(lines.track(range(4, 6), "fit", 6, 4))

    assert out.getvalue() == "fit 6/6 0 s\n"


def test_bar_of_resumed_work_starts_where_it_was() -> None:
    out = io.StringIO()
    with Bars(Console(file=out, force_terminal=True, width=120)) as bars:
        list(bars.track("ef", "fit", 6, 4))

    assert "6/6" in out.getvalue()


def test_monitor_fits_where_stderr_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    assert isinstance(monitor(quiet=True), Quiet)
    assert isinstance(monitor(quiet=False), Lines)

    monkeypatch.setenv("FORCE_COLOR", "1")
    assert isinstance(monitor(quiet=False), Bars)


def test_progress_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    monitor(quiet=False).say("hello")

    assert capsys.readouterr() == ("", "hello\n")


def test_recorder_passes_on_and_writes_numbers(tmp_path: Path) -> None:
    ear = Ear()
    recorder = Recorder(ear, tmp_path / "training.csv")

    assert list(recorder.track("ab", "fit", 2)) == ["a", "b"]
    recorder.log("fit/loss", 1 / 3, 7)
    recorder.say("done")

    assert ear.heard == [("fit/loss", 1 / 3, 7), "done"]
    assert (tmp_path / "training.csv").read_text() == (
        "name,step,value\nfit/loss,7,0.3333333333333333\n"
    )


@pytest.mark.parametrize(
    ("left", "kept"),
    [
        ("name,step,value\na,1,0.5\n", "name,step,value\na,1,0.5\n"),
        ("name,step,value\na,1,0.5\na,2,0.", "name,step,value\na,1,0.5\n"),
    ],
)
def test_recorder_goes_on_after_the_last_whole_line(
    tmp_path: Path, left: str, kept: str
) -> None:
    path = tmp_path / "training.csv"
    path.write_text(left)

    Recorder(Silent(), path).log("a", 0.25, 2)

    assert path.read_text() == kept + "a,2,0.25\n"


def test_recorder_that_cannot_write_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(OutputError, match="cannot be written"):
        Recorder(Silent(), tmp_path / "file" / "training.csv")
