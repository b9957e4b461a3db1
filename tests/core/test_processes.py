"""What happens to a run that is killed, doubled or out of room: real processes."""

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

TOY = Path(__file__).parents[1] / "assets" / "toy"
RUN = ("-m", "uadbench", "run", "-m", "toy", "-d", "toy", "-q")


def start(*words: str, cwd: Path, **more: object) -> "subprocess.Popen[str]":
    """Start Python with some words as a process of its own."""
    process: subprocess.Popen[str] = subprocess.Popen(
        [sys.executable, *words],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(TOY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **{"preexec_fn": _hear_interrupts, **more},  # type: ignore[call-overload]
    )
    return process


def _hear_interrupts() -> None:
    """Hear Ctrl-C, which what a shell starts in the background does not."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def wait_for(path: Path, process: "subprocess.Popen[str]") -> None:
    """Wait until a process has made a file; fail if it ended before."""
    while not path.exists():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.01)


@pytest.fixture
def two_folders(tmp_path: Path) -> Path:
    """Score maps and references that take two processes some seconds."""
    for case in range(40):
        scores = np.random.default_rng(case).random((96, 96, 32), np.float32)
        for folder, voxels in (("pred", scores), ("ref", (scores > 0.99) * 1.0)):
            path = tmp_path / folder / f"{case}.nii"
            path.parent.mkdir(exist_ok=True)
            nib.nifti1.Nifti1Image(voxels.astype(np.float32), np.eye(4)).to_filename(
                path
            )
    return tmp_path


EVALUATE = ("-m", "uadbench", "evaluate", "pred", "ref", "-j", "2")


def children(process: "subprocess.Popen[str]") -> list[int]:
    """Return the processes that a process has started: its workers, and one more."""
    path = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [int(word) for word in path.read_text().split()]


def wait_until(true: Callable[[], bool]) -> None:
    """Wait at most a minute."""
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_interrupted_evaluation_gives_one_line_however_many_processes_there_are(
    two_folders: Path, count: int
) -> None:
    process = start(*EVALUATE, cwd=two_folders, start_new_session=True)
    wait_until(lambda: len(children(process)) >= count)

    os.killpg(process.pid, signal.SIGINT)
    out, message = process.communicate()

    assert process.returncode == 130
    assert (out, message) == (
        "",
        "interrupted: nothing is written; repeat the command.\n",
    )
    assert not (two_folders / "evaluation").exists()


def test_killed_evaluation_leaves_no_process(two_folders: Path) -> None:
    process = start(*EVALUATE, cwd=two_folders)
    wait_until(lambda: len(children(process)) == 3)
    places = [Path(f"/proc/{child}/cwd") for child in children(process)]

    process.kill()
    process.communicate()

    # An ended process that nobody asked for its status has no folder any more.
    wait_until(lambda: not any(place.exists() for place in places))


def test_pager_that_is_left_early_is_no_failure(two_folders: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    words = (*EVALUATE[:-2], "--pattern", "[0-2].nii", "--reference-pattern", "[0-2].*")

    done = subprocess.run(
        [sys.executable, *words],
        cwd=two_folders,
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(write)

    assert done.returncode == 0
    assert "Error" not in done.stderr


def test_killed_run_goes_on_to_the_same_cases(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from uadbench import engine\n"
        "from uadbench.plans import Plan; from uadbench.protocols import Silent\n"
        "plan = Plan('toy', 'toy', options={'seconds': 0.1})\n"
        "engine.run(plan, Path(sys.argv[1]), Silent())"
    )
    start("-c", script, "whole", cwd=tmp_path).communicate()
    signs = ("training.csv", "cases.csv")

    for sign in signs:
        process = start("-c", script, "killed", cwd=tmp_path)
        wait_for(tmp_path / "killed" / sign, process)
        time.sleep(0.15)
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    start("-c", script, "killed", cwd=tmp_path).communicate()

    for name in ("cases.csv", "summary.json"):
        whole = (tmp_path / "whole" / name).read_text()
        assert (tmp_path / "killed" / name).read_text() == whole


def test_second_process_on_a_run_folder_is_told(tmp_path: Path) -> None:
    words = (*RUN, "--set", "seconds=0.5")
    first = start(*words, cwd=tmp_path)
    wait_for(tmp_path / "runs" / "toy-toy-seed0" / "run.json", first)

    second = start(*words, cwd=tmp_path)
    _, message = second.communicate()
    first.terminate()
    first.communicate()

    assert second.returncode == 2
    assert "another uadbench is working in it" in message
    # SLURM's way to stop a job is an interruption, not a crash.
    assert first.returncode == 130


def test_disk_that_takes_no_more_gives_one_line_and_keeps_what_is_there(
    tmp_path: Path,
) -> None:
    def small_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))

    process = start(*RUN, cwd=tmp_path, preexec_fn=small_disk)
    _, message = process.communicate()

    assert process.returncode == 1
    assert "cannot be written" in message
    assert "Traceback" not in message
    assert (tmp_path / "runs" / "toy-toy-seed0" / "run.json").is_file()


def test_second_compare_in_a_folder_is_told(tmp_path: Path) -> None:
    slow = ("--set", "toy.seconds=0.5")
    words = ("-m", "uadbench", "compare", "-m", "toy", "-d", "toy", "-q", *slow)
    first = start(*words, cwd=tmp_path)
    folder = tmp_path / "runs" / "compare-toy"
    wait_for(folder / "toy-toy-seed0" / "run.json", first)

    second = start(*words, cwd=tmp_path)
    _, message = second.communicate()
    first.terminate()
    first.communicate()

    assert second.returncode == 2
    assert f"{folder.relative_to(tmp_path)}: another uadbench is working" in message


def test_letters_that_the_terminal_lacks_do_not_end_a_report(tmp_path: Path) -> None:
    ascii_only = {"LC_ALL": "C", "PYTHONIOENCODING": "ascii"}

    done = subprocess.run(
        [sys.executable, *RUN[:-1]],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(TOY), **ascii_only},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0
    assert "?Dice? oracle" in done.stdout


def test_full_device_for_the_output_gives_one_line(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "uadbench", "list"],
            cwd=tmp_path,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert done.returncode == 1
    assert done.stderr.startswith("error: the output cannot be written")
    assert "Traceback" not in done.stderr
