"""From typing to the answer, beside a Python that does nothing: read the ratios."""

import subprocess
import sys
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

PROGRAM = ("-m", "uadbench")
FEW = ["n_train=1", "n_val=1", "n_test=1", "n_labelled=0", "size=32", "slices=1"]


@pytest.mark.benchmark(group="start-up", min_rounds=10)
@pytest.mark.parametrize(
    "words",
    [("-c", "pass"), (*PROGRAM, "--help"), (*PROGRAM, "list")],
    ids=["python", "help", "list"],
)
def test_answer_that_needs_no_method(
    benchmark: BenchmarkFixture, tmp_path: Path, words: tuple[str, ...]
) -> None:
    command = [sys.executable, *words]

    # Elsewhere: the checkout has a uadbench/ without plugins.
    done = benchmark(subprocess.run, command, capture_output=True, cwd=tmp_path)

    assert done.returncode == 0


@pytest.mark.benchmark(group="start-up, to the first line of progress")
@pytest.mark.parametrize("method", ["intensity", "ae"])
def test_first_line_of_progress(
    benchmark: BenchmarkFixture, tmp_path: Path, method: str
) -> None:
    data = [word for pair in FEW for word in ("--set-data", pair)]
    command = [sys.executable, *PROGRAM, "run", "-m", method, "--overwrite", *data]

    def first_line() -> str:
        with subprocess.Popen(
            command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        ) as process:
            assert process.stderr is not None
            line = process.stderr.readline().decode()
            process.kill()
        return line

    line = benchmark.pedantic(first_line, rounds=3)  # type: ignore[no-untyped-call]  # not annotated

    assert "1/1" in line
