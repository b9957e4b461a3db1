"""The real command line, once per command and per promise."""

import errno
import io
import json
import os
import re
import runpy
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from uadbench import __main__, cli, engine
from uadbench.files import read_rows
from uadbench.plans import Plan
from uadbench.protocols import Silent

pytestmark = pytest.mark.usefixtures("toy")
# Of words; it returns their status, out and err.
Call = Callable[..., Any]

RUN = ("run", "-m", "toy", "-d", "toy")
COMPARE = ("compare", "-m", "toy")
# torch's, of arrays that share memory: a mistake in a method, not too little memory.
ALIAS = "elements of the input tensors refer to a single memory location"


def test_run_prints_the_result_and_where_the_report_is(call: Call) -> None:
    done = call(*RUN)

    assert done.status == 0
    assert "Toy (seed 0)" in done.out
    assert "runs/toy-toy-seed0/report/index.html" in done.out
    assert Path("runs/toy-toy-seed0/report/toy.txt").read_text() == "toy\nintensity\n"
    assert "fit 4/4" in done.err


def test_quiet_run_prints_nothing(call: Call) -> None:
    done = call(*RUN, "--quiet")

    assert (done.status, done.out, done.err) == (0, "", "")


def test_quiet_run_still_says_what_failed(call: Call) -> None:
    done = call(*RUN, "--seed", "13", "--set", "fault=raise", "--quiet")

    assert (done.status, done.out) == (1, "")
    assert done.err == (
        "sub-test1 failed: cannot stand sub-test1\n"
        "report 'toy' failed: ValueError: thirteen is too much\n"
    )


def test_module_is_the_command_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["uadbench", "list"])
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    # Another test has imported it, which runpy warns of.
    monkeypatch.delitem(sys.modules, "uadbench.__main__")

    with pytest.raises(SystemExit) as stop:
        runpy.run_module("uadbench", run_name="__main__")

    assert stop.value.code == 0
    assert "methods:" in capsys.readouterr().out


def test_json_run_prints_json_alone(call: Call) -> None:
    done = call(*RUN, "--json")

    folder = "runs/toy-toy-seed0"
    assert set(json.loads(done.out)) == {folder, f"{folder}/baseline"}


def test_baseline_itself_needs_no_baseline(call: Call) -> None:
    done = call("run", "-m", "intensity", "-d", "toy", "--json", "-q")

    assert set(json.loads(done.out)) == {"runs/intensity-toy-seed0"}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), Path("runs/.cache")),
        (("--output", "elsewhere"), Path("elsewhere/.cache")),
        (("--cache", "kept"), Path("kept")),
        (("--no-cache",), None),
    ],
    ids=["default", "output", "given", "none"],
)
@pytest.mark.parametrize("command", [RUN, COMPARE])
def test_cache_lies_in_the_output_folder_unless_told_otherwise(
    call: Call,
    monkeypatch: pytest.MonkeyPatch,
    command: tuple[str, ...],
    words: tuple[str, ...],
    expected: Path | None,
) -> None:
    found = []

    def spy(plan: Plan, *args: Any, **options: Any) -> Any:
        found.append(plan.cache)
        return engine_run(plan, *args, **options)

    engine_run = engine.run
    monkeypatch.setattr(engine, "run", spy)
    done = call(*command, *words, *(("-d", "toy") if command is COMPARE else ()))

    assert done.status == 0
    assert set(found) == {expected}


def test_failed_baseline_costs_neither_run_nor_report(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("uadbench.campaign.BASELINE", "broken")

    done = call(*RUN)

    assert done.status == 1
    assert "baseline failed: methods: 'broken' of package" in done.err
    assert Path("runs/toy-toy-seed0/report/toy.txt").read_text() == "toy\n"


def test_dry_run_shows_the_plan_and_writes_nothing(call: Call, tmp_path: Path) -> None:
    done = call(*RUN, "--set", "steps=7", "--dry-run")

    plan = json.loads(done.out)
    assert plan["method"]["options"]["steps"] == 7
    assert plan["subjects"] == {"train": 6, "val": 3, "test": 4}
    assert plan["acceleration"]["precision"] == "auto"
    assert list(tmp_path.iterdir()) == []


def test_failed_case_gives_status_1(call: Call) -> None:
    done = call(*RUN, "--set", "fault=raise")

    assert done.status == 1
    assert "sub-test1 failed: cannot stand sub-test1" in done.err


def test_failed_report_gives_status_1_and_the_other_reports(call: Call) -> None:
    done = call(*RUN, "--seed", "13")

    assert done.status == 1
    assert "report 'toy' failed: ValueError: thirteen is too much" in done.err
    assert Path("runs/toy-toy-seed13/report/index.html").is_file()


def test_compare_makes_one_report_and_adds_the_intensity(call: Call) -> None:
    done = call(
        *("compare", "-m", "toy", "-d", "toy", "--seeds", "0,1"),
        *("--set", "toy.steps=3", "--name", "mine"),
    )

    assert done.status == 0
    folder = Path("runs/mine")
    rows = read_rows(folder / "cells.csv")
    assert [(row["cell"], row["status"]) for row in rows] == [
        ("toy-toy-seed0", "done"),
        ("toy-toy-seed1", "done"),
        ("intensity-toy-seed0", "done"),
        ("intensity-toy-seed1", "done"),
    ]
    assert (folder / "report" / "index.html").is_file()


def test_compare_goes_over_several_datasets_into_one_report(call: Call) -> None:
    words = ("compare", "-m", "toy", "--datasets", "few=toy,many=toy")
    options = ("--set-data", "few.cases=2", "--set-data", "many.unreadable=sub-test0")

    first = call(*words, *options)
    again = call(*words, *options)

    folder = Path("runs/compare-few-many")
    assert first.status == again.status == 1
    assert "intensity-many-seed0" in first.out
    assert [row["cell"] for row in read_rows(folder / "cells.csv")] == [
        "toy-few-seed0",
        "intensity-few-seed0",
        "toy-many-seed0",
        "intensity-many-seed0",
    ]
    table = (folder / "report" / "table.md").read_text().replace("\\", "")
    assert "## Toy data, protocol volume (cases=2)" in table
    assert "## Toy data, protocol volume (cases=4)" in table
    # What is done is not done again; the case that failed is tried again.
    assert "fit 4/4" in first.err
    assert "fit" not in again.err
    assert "predict 4/4" in again.err


def test_failed_cell_stands_in_the_report_with_its_reason(call: Call) -> None:
    words = ("compare", "-m", "toy,intensity", "-d", "toy")

    call(*words, "--set", "toy.fault=fit", "-q")
    table, page = Path("table.md"), Path("index.html")
    out = Path("runs/compare-toy/report")
    shown = [(out / name).read_text() for name in (table, page)]
    again = call("report", "runs/compare-toy", "-q")

    assert again.status == 1
    for text in (*shown, (out / page).read_text()):
        plain = text.replace("\\", "")
        assert "toy-toy-seed0 failed: RuntimeError: out of memory" in plain


def test_compare_goes_on_after_a_failed_cell(call: Call) -> None:
    done = call(
        *("compare", "-m", "toy,intensity", "-d", "toy"),
        *("--set", "toy.fault=shape", "--name", "c"),
    )

    assert done.status == 1
    cells = Path("runs/c/cells.csv").read_text()
    assert 'toy-toy-seed0,failed,,"toy: score must be float32' in cells
    assert "intensity-toy-seed0,done" in cells


def test_compare_goes_on_after_a_method_that_crashes(call: Call) -> None:
    done = call("compare", "-m", "toy", "-d", "toy", "--set", "toy.fault=fit")

    folder = Path("runs/compare-toy")
    assert done.status == 1
    (failed, _) = read_rows(folder / "cells.csv")
    assert (failed["cell"], failed["error"]) == (
        "toy-toy-seed0",
        "RuntimeError: out of memory",
    )
    assert "Traceback" in (folder / "toy-toy-seed0" / "failures.log").read_text()


def test_compare_in_which_every_cell_fails_shows_nothing_but_why(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("uadbench.grid.BASELINE", "toy")

    done = call("compare", "-m", "toy", "-d", "toy", "--set", "toy.fault=fit")
    again = call("report", "runs/compare-toy")

    assert done.status == again.status == 1
    assert done.out == again.out == ""
    for err in (done.err, again.err):
        assert "toy-toy-seed0 failed: RuntimeError: out of memory" in err
        assert "no report: no run is finished." in err
    assert not Path("runs/compare-toy/report").exists()


def test_compare_with_other_settings_is_refused_and_changes_nothing(call: Call) -> None:
    words = ("compare", "-m", "toy", "--name", "c", "-q")
    call(*words, "-d", "b=toy")
    before = {path: path.stat().st_mtime_ns for path in Path().rglob("*")}

    more = ("-d", "a=toy,b=toy", "--set-data", "a.cases=2")
    done = call(*words, *more, "--set", "toy.steps=3")

    assert done.status == 2
    assert "method.options.steps (4, now 3)" in done.err
    assert {path: path.stat().st_mtime_ns for path in Path().rglob("*")} == before


def test_compare_dry_run_is_one_list_of_all_cells(call: Call, tmp_path: Path) -> None:
    done = call("compare", "-m", "toy,intensity,ensemble", "-d", "toy", "--dry-run")

    jobs = json.loads(done.out)
    assert [Path(job["folder"]).name for job in jobs] == [
        "toy-toy-seed0",
        "intensity-toy-seed0",
        "ensemble-toy-seed0",
    ]
    assert list(tmp_path.iterdir()) == []


def test_report_of_an_interrupted_comparison_names_the_cells_that_wait(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = engine.run

    def interrupt(plan: Plan, *args: Any, **more: Any) -> object:
        if plan.method == "intensity":
            raise KeyboardInterrupt
        return run(plan, *args, **more)

    monkeypatch.setattr(engine, "run", interrupt)
    interrupted = call("compare", "-m", "toy", "-d", "toy", "-q")

    done = call("report", "runs/compare-toy", "-q")

    words = "intensity-toy-seed0 is not finished. Repeat the comparison"
    assert (interrupted.status, done.status) == (130, 1)
    assert words in done.err
    assert words in Path("runs/compare-toy/report/index.html").read_text()


def test_report_says_why_a_cell_failed(call: Call) -> None:
    call("compare", "-m", "toy", "-d", "toy", "--set", "toy.fault=fit", "-q")

    done = call("report", "runs/compare-toy", "-q")

    assert done.status == 1
    assert "toy-toy-seed0 failed: RuntimeError: out of memory" in done.err


def test_compare_leaves_the_folder_of_a_run_alone(call: Call) -> None:
    call(*RUN, "--name", "r", "-q")
    table = Path("runs/r/report/table.md")
    before = table.read_text()

    done = call("compare", "-m", "toy", "-d", "toy", "--name", "r")

    assert done.status == 2
    assert "runs/r: is a run's own folder" in done.err
    assert table.read_text() == before


def test_report_renders_again_from_run_folders(call: Call) -> None:
    call("compare", "-m", "toy", "-d", "toy", "--name", "c", "-q")

    done = call("report", "runs/c", "-o", "again")

    assert done.status == 0
    assert Path("again/toy.txt").read_text() == "intensity\ntoy\n"


def test_list_names_plugins_and_whose_they_are(call: Call) -> None:
    done = call("list")

    assert "  itermask2\n" in done.out
    assert re.search(r"^  toy +\(from uadbench-toy\)$", done.out, re.MULTILINE)


def test_list_tells_how_thresholds_and_steps_are_written(call: Call) -> None:
    done = call("list", "thresholds", "postprocess")

    assert "  fpr@healthy:RATE       At most this fraction of" in done.out
    assert "  min-volume:MM3         Components of a mask smaller" in done.out
    assert "methods:" not in done.out


def test_list_as_json(call: Call) -> None:
    done = call("list", "datasets", "--json")

    assert {"name": "phantom", "package": "uadbench"} in json.loads(done.out)[
        "datasets"
    ]


def test_info_tells_options_and_presets(call: Call) -> None:
    done = call("info", "toy")

    assert "--preset demo: steps=4" in done.out
    assert "steps" in done.out


def test_info_as_json(call: Call) -> None:
    described = json.loads(call("info", "toy", "--json").out)

    assert [plugin["kind"] for plugin in described] == [
        "methods",
        "datasets",
        "reports",
    ]


def test_info_measures_the_cost_of_one_preset(call: Call) -> None:
    done = call("info", "intensity", "--cost", "--preset", "paper", "--device", "cpu")

    assert done.status == 0
    assert done.err == "measuring intensity paper\n"
    assert re.search(r"128 x 128 px of 1\.875 mm, on \d+ threads? of ", done.out)
    assert re.search(r"^ paper +0 +- +[\d.e-]+ +- *$", done.out, re.MULTILINE)
    assert " demo " not in done.out.partition("cost of a slice")[2]


def test_info_gives_the_cost_as_json(call: Call) -> None:
    (method,) = json.loads(call("info", "intensity", "--cost", "--json").out)

    assert [cost["preset"] for cost in method["cost"]["presets"]] == ["paper", "demo"]
    assert method["cost"]["hardware"]["cpu"]


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("run", "-m", "itermsk2"), 2, "no 'itermsk2'. Did you mean 'itermask2'?"),
        (("info", "phantom", "--cost"), 2, "methods: no 'phantom'"),
        (("info", "toy", "--preset", "demo"), 2, "--preset chooses what --cost"),
        (("run", "-m", "broken", "-d", "toy"), 4, "'broken' of package 'uadbench-toy'"),
        (("run", "-m", "toy", "-d", "tyo"), 2, "no 'tyo'. Did you mean 'toy'?"),
        ((*RUN, "--set", "step=3"), 2, "no 'step'. Did you mean 'steps'?"),
        ((*RUN, "--set", "steps"), 2, "option 'steps': expected NAME=VALUE"),
        ((*RUN, "--set", "steps=0"), 2, "option 'steps'"),
        ((*RUN, "--set", "steps=many"), 2, "got 'many'"),
        ((*RUN, "--set-data", "case=3"), 2, "Did you mean 'cases'?"),
        ((*RUN, "--set-data", "cases=0"), 3, "no subject in 'test'"),
        ((*RUN, "--preset", "papper"), 2, "Did you mean 'paper'?"),
        ((*RUN, "--protocol", "volumes"), 2, "Did you mean 'volume'?"),
        ((*RUN, "--limit", "0"), 2, "at least 1 case"),
        ((*RUN, "--name", "../x"), 2, "name of one folder, got '../x'"),
        ((*RUN, "--name", ""), 2, "name of one folder, got ''"),
        (("compare", "-m", "toy", "--name", "a/b"), 2, "name of one folder"),
        (("run", "-m", "itermask2", "--set", "multipliers=1,0"), 2, "multipliers.1"),
        (("run", "-m", "itermask2", "--set", "size=100000"), 2, "equal to 1024"),
        ((*RUN, "--threshold", "fpr@health:1"), 2, "Did you mean 'fpr@healthy'?"),
        ((*RUN, "--postprocess", "median:2"), 2, "takes an odd whole number"),
        ((*RUN, "--device", "tpu"), 2, "expected auto, cpu, cuda or cuda:N"),
        ((*RUN, "--seed", "x"), 2, "'x' is not a valid integer"),
        (("compare", "-m", ",", "-d", "toy"), 2, "--methods: expected names"),
        (("compare", "-m", "toy", "--seeds", "a"), 2, "--seeds: expected numbers"),
        (("compare", "-m", "toy", "--set", "a=1"), 2, "name the method"),
        (("compare", "-m", "toy", "--set", "tyo.size=1"), 2, "Did you mean 'toy'?"),
        ((*COMPARE, "-d", "toy,b=bids"), 2, "Give --set-data b.root=DIR."),
        ((*COMPARE, "-d", "toy,b=bids", "--set-data", "b.root=away"), 3, "'away' is"),
        ((*COMPARE, "-d", "a=toy", "--set-data", "leak=yes"), 3, "in train and test"),
        ((*COMPARE, "-d", "toy", "--device", "tpu"), 2, "expected auto, cpu, cuda"),
        (("compare", "-m", "toy,ensemble", "-d", "toy"), 2, "--set ensemble.runs="),
        (("run", "-m", "ensemble", "-d", "toy"), 2, "at least 2 finished runs, got 0"),
        (("compare", "-m", "toy", "-d", "toy,toy"), 2, "'toy' comes twice"),
        (("compare", "-m", "toy", "-d", "a=toy,b=toy"), 2, "'a' and 'b' are toy with"),
        (("report", "absent"), 2, "absent: holds no run folder"),
        (("list", "method"), 2, "Did you mean 'methods'?"),
        (("info", "fantom"), 2, "Did you mean 'phantom'?"),
        (("check", "fantom"), 2, "Did you mean 'phantom'?"),
        (("check", "toy", "--kind", "reports", "--set", "a=1"), 2, "without options"),
        (("check", "toy", "--set", "steps=1"), 2, "'toy' is in methods, datasets, rep"),
        (("check", "ae", "--set", "step=1"), 2, "Did you mean 'steps'?"),
        (("check", "ae", "--kind", "datasets"), 2, "datasets: no 'ae'."),
        (("check", "bids", "--set", "root=away"), 3, "away"),
        (("check", "bids"), 2, "Give --set root=DIR"),
        (("check", "ensemble"), 2, "at least 2 finished runs, got 0"),
        (("new", "method", "ae"), 2, "package 'uadbench' has a method 'ae'"),
    ],
)
def test_mistake_gives_one_line_and_its_status(
    call: Call, tmp_path: Path, words: tuple[str, ...], status: int, message: str
) -> None:
    done = call(*words)

    assert done.status == status
    assert message in " ".join(done.err.replace("│", "").split())
    assert "Traceback" not in done.err
    assert list(tmp_path.iterdir()) == []


def test_interrupt_gives_status_130_and_says_how_to_go_on(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_args: object, **_options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("uadbench.campaign.with_baseline", interrupt)

    done = call(*RUN)

    assert done.status == 130
    assert "repeat the command (run and compare go on)" in done.err


def test_warning_is_one_line(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def warn(**_options: object) -> int:
        import warnings

        warnings.warn("look out", stacklevel=1)
        return 0

    monkeypatch.setattr(cli, "app", warn)

    with pytest.warns(UserWarning, match="look out"):
        done = call("list")

    assert done.status == 0


def test_report_names_an_unfinished_run_and_shows_the_others(call: Call) -> None:
    call(*RUN, "-q")
    path = Path("runs/toy-toy-seed0/run.json")
    path.write_text(path.read_text().replace('"done"', '"running"'))

    done = call("report", "runs/toy-toy-seed0", "--json")

    assert done.status == 1
    assert "runs/toy-toy-seed0: left out, it is not finished" in done.err
    assert set(json.loads(done.out)) == {"runs/toy-toy-seed0/baseline"}
    table = Path("runs/toy-toy-seed0/report/table.md").read_text()
    assert "toy-toy-seed0 is left out: its status is 'running'" in table.replace(
        "\\", ""
    )


def test_help_and_list_need_neither_torch_nor_a_plugin(tmp_path: Path) -> None:
    script = (
        "import sys; from uadbench.cli import app\n"
        "for words in (['--help'], ['list']):\n"
        "    try: app(words, standalone_mode=False)\n"
        "    except SystemExit: pass\n"
        "heavy = ('torch', 'matplotlib', 'pandas', 'scipy', 'uadbench.methods')\n"
        "found = [name for name in heavy if name in sys.modules]\n"
        "print(found, file=sys.stderr)"
    )

    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stderr.strip() == "[]"


def test_output_that_cannot_be_made_gives_one_line(call: Call, tmp_path: Path) -> None:
    Path("taken").write_text("a file")

    done = call(*RUN, "-o", "taken")

    assert done.status == 1
    assert "taken/toy-toy-seed0: cannot be written (Not a directory)" in done.err
    assert Path("taken").read_text() == "a file"


def test_finished_run_answers_at_once(call: Call) -> None:
    call(*RUN, "-q")
    engine.run(Plan("toy", "toy"), Path("runs/toy-toy-seed0"), Silent())

    done = call(*RUN)

    assert done.status == 0
    assert "fit" not in done.err


def test_home_is_found_in_an_output_that_the_shell_left_as_it_was(
    call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))

    done = call(*RUN, "-q", "--output=~/mine")

    assert done.status == 0
    assert (tmp_path / "mine" / "toy-toy-seed0" / "run.json").is_file()


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("298 GiB"),
        RuntimeError("can't allocate memory: 298 GiB"),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    ],
)
def test_too_little_memory_gives_one_line(
    call: Call, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_args: object, **_options: object) -> None:
        raise error

    monkeypatch.setattr("uadbench.campaign.with_baseline", fail)

    done = call(*RUN)

    assert done.status == 1
    assert "error: out of memory" in done.err
    assert "Lower the method's size or batch" in done.err


def test_interrupt_while_the_program_is_loaded_has_its_status(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Interrupted:
        def __getattr__(self, name: str) -> None:
            raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "uadbench.cli", Interrupted())

    with pytest.raises(SystemExit) as stop:
        __main__.main()

    assert stop.value.code == 130


@pytest.mark.parametrize(
    "error",
    [RuntimeError("a bug"), RuntimeError(f"a bug: {ALIAS}"), OSError(5, "a bug")],
)
def test_bug_keeps_its_traceback(
    call: Call, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_args: object, **_options: object) -> None:
        raise error

    monkeypatch.setattr("uadbench.campaign.with_baseline", fail)

    with pytest.raises(type(error), match="a bug"):
        call(*RUN)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EPIPE])
def test_output_that_nobody_takes_gives_one_line(
    call: Call, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def fail(**_options: object) -> None:
        raise OSError(code, os.strerror(code))

    silenced: list[int] = []
    monkeypatch.setattr(cli, "app", fail)
    monkeypatch.setattr(os, "dup2", lambda _, number: silenced.append(number))

    done = call("list")

    assert done.status == 1
    assert done.err.startswith("error: the output cannot be written")
    assert silenced == [1]


def test_output_may_be_no_terminal_at_all(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)

    assert call("list").status == 0
    assert "itermask2" in out.getvalue()


def test_reference_is_a_method_of_the_runs(call: Call) -> None:
    call(*RUN, "-q")

    mistaken = call("report", "runs/toy-toy-seed0", "--reference", "toys")
    right = call("report", "runs/toy-toy-seed0", "--reference", "toy", "-q")

    assert mistaken.status == 2
    assert "Did you mean 'toy'?" in mistaken.err
    assert right.status == 0


@pytest.mark.usefixtures("faulty")
def test_check_has_a_line_for_each_promise_and_status_4_for_a_broken_one(
    call: Call,
) -> None:
    done = call("check", "faulty", "--kind", "methods", "--set", "fault=peek")

    head, *lines = done.out.splitlines()
    assert done.status == 4
    assert head == "faulty (methods)"
    assert "  ok      fits healthy scans" in lines
    assert [line for line in lines if not line.startswith("  ok      ")] == [
        "  FAILED  asks a scan for no label: it asks a scan for lesion, which no Scan "
        "has: a method sees images and brains, never a label."
    ]


@pytest.mark.usefixtures("faulty")
def test_check_of_a_name_in_two_kinds_checks_both(call: Call) -> None:
    done = call("check", "faulty", "--json", "--limit", "2")

    findings = json.loads(done.out)
    assert done.status == 0
    assert {finding["kind"] for finding in findings} == {"methods", "datasets"}
    assert {finding["status"] for finding in findings} == {"ok"}


@pytest.mark.usefixtures("faulty")
def test_check_tells_a_dataset_that_crashes_from_one_that_is_not_there(
    call: Call,
) -> None:
    done = call("check", "faulty", "--kind", "datasets", "--set", "fault=crash")

    assert done.status == 4
    assert "gives lazy parts and caveats: RuntimeError: not today (uad" in done.out


def test_new_method_is_written_and_what_to_do_with_it_is_said(call: Call) -> None:
    done = call("new", "method", "my-method")
    again = call("new", "method", "my-method")
    elsewhere = call("new", "method", "my-method", "-o", "mine/here")

    assert done.status == 0
    assert "  pip install -e uadbench-my-method\n  uadbench check my-method" in done.out
    assert Path("uadbench-my-method/my_method.py").is_file()
    assert again.status == 2
    assert "uadbench-my-method: exists already" in again.err
    assert elsewhere.status == 0
    assert Path("mine/here/tests/test_my_method.py").is_file()
