import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from uadbench.errors import OutputError, UsageError
from uadbench.files import write_json, write_rows
from uadbench.results import CONTENT, FORMAT, Run, claim, clear, find_runs, is_run

HOLD = """
import sys
from pathlib import Path
from uadbench.results import claim
with claim(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def make_run(folder: Path, *cases: str, **record: Any) -> Path:
    """Write a run whose cases have the given status."""
    written = {
        "format": FORMAT,
        "status": "done",
        "method": {"name": "ae", "title": "Autoencoder"},
        "expected": len(cases),
    }
    write_json(folder / "run.json", written | record)
    rows = [{"case": f"00{i}", "status": s, "dice": 0.5} for i, s in enumerate(cases)]
    write_rows(folder / "cases.csv", rows)
    return folder


def test_run_is_read_back(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "first", "ok", "failed")
    write_json(folder / "summary.json", {"pooled": {"auprc": 0.5}})
    write_json(folder / "thresholds.json", {"own": {"value": None}})
    write_rows(folder / "curve.csv", [{"threshold": 0.5, "recall": 1.0}])
    (folder / "shown").mkdir()
    np.savez(folder / "shown" / "000.npz", image=np.eye(2))

    run = Run.load(folder)

    assert (run.name, run.method, run.title, run.done) == (
        "first",
        "ae",
        "Autoencoder",
        True,
    )
    assert run.cases["case"].tolist() == ["000", "001"]
    assert run.summary["pooled"]["auprc"] == 0.5
    assert run.thresholds["own"]["value"] is None
    assert run.curve["recall"].tolist() == [1.0]
    np.testing.assert_array_equal(run.shown("000")["image"], np.eye(2))


@pytest.mark.parametrize(
    ("cases", "expected", "whole"),
    [
        (["ok", "ok"], 2, True),
        (["ok", "failed"], 2, False),
        (["ok"], 2, False),
        ([], 2, False),
    ],
)
def test_run_is_whole_if_every_expected_case_is_scored(
    tmp_path: Path, cases: list[str], expected: int, whole: bool
) -> None:
    run = Run.load(make_run(tmp_path, *cases, expected=expected))

    assert run.whole is whole


def test_folder_without_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no run\.json; a folder that 'uadbench run'"):
        Run.load(tmp_path)


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"format": 99, "versions": {"uadbench": "9.1"}}, r"format 99.*\(9\.1\)"),
        ({"format": None}, r"format None.*\(\?\)"),
    ],
)
def test_run_of_another_format_names_the_version_that_made_it(
    tmp_path: Path, record: dict[str, Any], words: str
) -> None:
    make_run(tmp_path, **record)

    with pytest.raises(UsageError, match=words):
        Run.load(tmp_path)


def test_find_runs_takes_the_folder_itself_and_those_in_it(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "b", tmp_path / "a", tmp_path / "a" / "deep"):
        make_run(folder)
    (tmp_path / "report").mkdir()

    assert [run.folder for run in find_runs(tmp_path)] == [
        tmp_path,
        tmp_path / "a",
        tmp_path / "b",
    ]
    assert is_run(tmp_path / "a")


@pytest.mark.parametrize("name", ["", "absent"])
def test_find_runs_refuses_a_folder_without_run(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="holds no run folder"):
        find_runs(tmp_path / name)


def test_find_runs_wants_a_finished_run(tmp_path: Path) -> None:
    make_run(tmp_path / "a", status="running")

    with pytest.raises(UsageError, match="no run in it is finished"):
        find_runs(tmp_path)


def test_find_runs_returns_an_unfinished_run_beside_a_finished_one(
    tmp_path: Path,
) -> None:
    make_run(tmp_path / "a")
    make_run(tmp_path / "b", status="running")

    assert [run.done for run in find_runs(tmp_path)] == [True, False]


def test_clear_removes_what_a_run_left_and_nothing_foreign(tmp_path: Path) -> None:
    make_run(tmp_path, "ok")
    for name in CONTENT:
        path = tmp_path / name
        if "." in name:
            path.write_text("old")
        else:
            (path / "deep").mkdir(parents=True)
            (path / "deep" / "file").write_text("old")
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "mine").mkdir()

    clear(tmp_path)

    assert names(tmp_path) == ["mine", "notes.txt"]


def test_clear_of_nothing_is_nothing(tmp_path: Path) -> None:
    clear(tmp_path / "absent")

    assert names(tmp_path) == []


def test_clear_does_not_follow_a_link_out_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    make_run(tmp_path / "run")
    (tmp_path / "run" / "maps").symlink_to(tmp_path / "precious")

    with pytest.raises(OutputError):
        clear(tmp_path / "run")

    assert (tmp_path / "precious").is_dir()


def test_half_removed_run_is_no_run_and_can_be_removed(tmp_path: Path) -> None:
    make_run(tmp_path / "run")
    (tmp_path / "run" / "maps").symlink_to(tmp_path)
    with pytest.raises(OutputError):
        clear(tmp_path / "run")

    assert not Run.load(tmp_path / "run").done
    (tmp_path / "run" / "maps").unlink()
    clear(tmp_path / "run")
    assert not (tmp_path / "run" / "run.json").exists()


def test_second_process_is_told_that_the_run_is_taken(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"

        with pytest.raises(UsageError, match="another uadbench is working"):
            claim(tmp_path).__enter__()
        other.kill()

    # The lock of a killed process is nobody's.
    with claim(tmp_path):
        assert tmp_path.is_dir()


def test_claim_makes_the_folder_and_ends_with_the_block(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "first"

    for _ in range(2):
        with claim(folder):
            assert folder.is_dir()


def test_claim_of_a_folder_that_cannot_be_made_is_an_output_error(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").write_text("in the way")

    with (
        pytest.raises(OutputError, match="cannot be written"),
        claim(tmp_path / "file"),
    ):
        pass
