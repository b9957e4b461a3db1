import os
import platform
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from uadbench import environment
from uadbench.environment import (
    check_devices,
    git_commit,
    hardware,
    processor,
    resolve_device,
    versions,
)
from uadbench.errors import UsageError


def fake_torch(gpus: int) -> SimpleNamespace:
    """Return what the core asks of torch, on a machine with so many GPUs."""
    cuda = SimpleNamespace(
        is_available=lambda: gpus > 0,
        device_count=lambda: gpus,
        get_device_name=lambda device: f"GPU of {device}",
    )
    return SimpleNamespace(cuda=cuda)


def commit(root: Path) -> Path:
    """Make a repository with one commit, as a developer's checkout; return a file."""
    (root / "uadbench").mkdir()
    file = root / "uadbench" / "environment.py"
    file.write_text("old")
    settings = ("-c", "user.name=A", "-c", "user.email=a@b.c")
    for words in (("init", "-q"), ("add", "."), (*settings, "commit", "-qm", "first")):
        subprocess.run(["git", "-C", str(root), *words], check=True)
    return file


def test_versions_name_python_and_what_is_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(environment, "PACKAGES", ("numpy", "uadbench-absent"))

    found = versions()

    assert list(found) == ["python", "numpy"]
    assert found["python"] == platform.python_version()


def test_commit_of_a_checkout_says_if_it_was_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = commit(tmp_path)
    monkeypatch.setattr(environment, "__file__", str(file))
    clean = git_commit()

    file.write_text("new")

    assert clean is not None
    assert git_commit() == f"{clean}-dirty"


def test_installed_package_has_no_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "__file__", str(tmp_path / "lib" / "a.py"))

    assert git_commit() is None


def test_without_git_there_is_no_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "__file__", str(commit(tmp_path)))
    monkeypatch.setenv("PATH", str(tmp_path))

    assert git_commit() is None


def test_damaged_checkout_has_no_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".git").write_text("not a repository")
    monkeypatch.setattr(environment, "__file__", str(tmp_path / "lib" / "a.py"))

    assert git_commit() is None


def test_hardware_of_this_machine() -> None:
    found = hardware("cpu")

    assert found["cpu"]
    assert isinstance(found["cores"], int)
    assert found["cores"] >= 1
    assert isinstance(found["memory_gib"], float)
    assert 0.1 < found["memory_gib"] < 100_000
    assert found["gpu"] is None


def test_hardware_names_the_gpu_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", fake_torch(2))

    assert hardware("cuda:1")["gpu"] == "GPU of cuda:1"
    assert hardware("cpu")["gpu"] is None


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("processor\t: 0\nmodel name\t: Xeon 8375C\n", "Xeon 8375C"),
        ("processor\t: 0\nBogoMIPS\t: 50\n", platform.machine()),
    ],
)
def test_processor_by_name_or_else_by_architecture(
    tmp_path: Path, text: str, name: str
) -> None:
    (tmp_path / "cpuinfo").write_text(text)

    assert processor(tmp_path / "cpuinfo") == name


def test_peak_memory_sees_what_was_used_and_given_back() -> None:
    code = (
        "from uadbench.environment import peak_memory_mib as peak;"
        "before = peak(); block = b'x' * 2**26; del block; print(peak() - before)"
    )

    # Linux counts the memory of the process that starts another as the other's: the
    # shell between them is small.
    command = ["sh", "-c", '"$0" -c "$1"; true', sys.executable, code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    # 2**26 bytes are 64 MiB, of which some may lie in memory that was there before.
    assert 32 < float(done.stdout) < 70


@pytest.mark.parametrize(
    ("asked", "gpus", "device"),
    [
        ("auto", 0, "cpu"),
        ("auto", 2, "cuda:0"),
        ("cpu", 2, "cpu"),
        ("cuda", 2, "cuda:0"),
        ("cuda:1", 2, "cuda:1"),
    ],
)
def test_device_is_resolved(
    monkeypatch: pytest.MonkeyPatch, asked: str, gpus: int, device: str
) -> None:
    monkeypatch.setitem(sys.modules, "torch", fake_torch(gpus))

    assert resolve_device(asked) == device


@pytest.mark.parametrize("asked", ["auto", "cpu", "cuda", "cuda:1"])
def test_without_torch_everything_runs_on_the_cpu(
    monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)

    assert resolve_device(asked) == "cpu"


@pytest.mark.parametrize(
    ("asked", "gpus", "words"),
    [
        ("cuda", 0, "no CUDA device is available, got 'cuda'"),
        ("cuda:2", 2, "2 CUDA devices are available, got 'cuda:2'"),
    ],
)
def test_gpu_that_is_not_there_is_refused(
    monkeypatch: pytest.MonkeyPatch, asked: str, gpus: int, words: str
) -> None:
    monkeypatch.setitem(sys.modules, "torch", fake_torch(gpus))

    with pytest.raises(UsageError, match=words):
        resolve_device(asked)


@pytest.mark.parametrize(("device", "count"), [("cuda:0", 2), ("cuda:1", 1)])
def test_as_many_devices_as_there_are_may_be_asked_for(
    monkeypatch: pytest.MonkeyPatch, device: str, count: int
) -> None:
    monkeypatch.setitem(sys.modules, "torch", fake_torch(2))

    check_devices(device, count)
    check_devices("cpu", 1)


@pytest.mark.parametrize(
    ("device", "count", "words"),
    [
        ("cuda:0", 3, "expected 1 to 2 from cuda:0 on, of 2 CUDA devices here, got 3"),
        ("cuda:1", 2, "expected 1 to 1 from cuda:1 on, of 2 CUDA devices here, got 2"),
        ("cpu", 2, "expected 1 to 1 from cpu on, of 1 processor core here, got 2"),
        ("cpu", 0, "expected 1 to 1 from cpu on, of 1 processor core here, got 0"),
    ],
)
def test_more_devices_than_there_are_are_refused(
    monkeypatch: pytest.MonkeyPatch, device: str, count: int, words: str
) -> None:
    monkeypatch.setitem(sys.modules, "torch", fake_torch(2))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})

    with pytest.raises(UsageError, match=f"--devices: {words}"):
        check_devices(device, count)


@pytest.mark.parametrize("asked", ["gpu", "", "cuda:", "cuda:x", "cuda:-1", "cpu:0"])
def test_unknown_device_is_refused(asked: str) -> None:
    with pytest.raises(UsageError, match="expected auto, cpu, cuda or cuda:N"):
        resolve_device(asked)
