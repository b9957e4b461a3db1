"""What a number was measured on: versions, commit, hardware."""

import os
import platform
import subprocess
import sys
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from uadbench.ahead import cores
from uadbench.errors import UsageError

PACKAGES = ("uadbench", "numpy", "scipy", "nibabel", "torch")


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that shape a result."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def git_commit() -> str | None:
    """Return the commit of the checkout this code lies in, "-dirty" if it was changed.

    None for an installed package or without git.
    """
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "describe", "--always", "--dirty"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def hardware(device: str) -> dict[str, object]:
    """Return processor, cores, memory in GiB and the GPU in use, if any."""
    pages, page = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return {
        "cpu": processor(),
        "cores": cores(),
        "memory_gib": round(pages * page / 2**30, 1),
        "gpu": _gpu(device),
    }


def resolve_device(device: str) -> str:
    """Return "cpu" or "cuda:N" for "auto", "cpu", "cuda" or "cuda:N".

    Call it after the method's plugin is loaded: the core never imports torch, but finds
    it loaded by a method that needs it. Without it everything is "cpu".

    Raises:
        UsageError: an unknown device, or a CUDA device that is not there.
    """
    kind, _, index = device.partition(":")
    numbered = kind == "cuda" and index.isdecimal()
    if device not in ("auto", "cpu", "cuda") and not numbered:
        msg = f"device: expected auto, cpu, cuda or cuda:N, got '{device}'."
        raise UsageError(msg)
    torch = sys.modules.get("torch")
    if kind == "cpu" or torch is None:
        return "cpu"
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    number = int(index or 0)
    if kind == "cuda" and number >= count:
        found = f"{count} CUDA devices are" if count else "no CUDA device is"
        msg = f"device: {found} available, got '{device}'. Use --device cpu or auto."
        raise UsageError(msg)
    return f"cuda:{number}" if count else "cpu"


def check_devices(device: str, count: int) -> None:
    """Raise a UsageError unless there are so many devices, from this one on.

    Args:
        device: as `resolve_device` returns it; on "cpu", processes share it.
        count: how many.
    """
    if device == "cpu":
        found, first, kind = cores(), 0, "processor core"
    else:
        found, first = (
            sys.modules["torch"].cuda.device_count(),
            int(device.partition(":")[2]),
        )
        kind = "CUDA device"
    if not 1 <= count <= found - first:
        there = f"{found} {kind}{'' if found == 1 else 's'}"
        msg = (
            f"--devices: expected 1 to {found - first} from {device} on, of {there} "
            f"here, got {count}."
        )
        raise UsageError(msg)


def reset_peak_memory() -> None:
    """Let `peak_memory_mib` count from now on, where Linux allows it."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory_mib() -> float:
    """Return the largest resident memory since `reset_peak_memory`, in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (peak,) = (line.split()[1] for line in lines if line.startswith("VmHWM"))
    return int(peak) / 1024


def processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Return the processor's name, or its architecture where Linux gives no name."""
    lines = cpuinfo.read_text().splitlines()
    names = [line.split(":")[1].strip() for line in lines if "model name" in line]
    return names[0] if names else platform.machine()


def _gpu(device: str) -> str | None:
    torch = sys.modules.get("torch")
    if torch is None or not device.startswith("cuda"):
        return None
    return str(torch.cuda.get_device_name(device))
