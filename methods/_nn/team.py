"""Processes that share a training: ours, which is the first, and others that follow."""

import mmap
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import distributed
from torch.multiprocessing.spawn import (
    ProcessContext,
    ProcessException,
    start_processes,
)

from uadbench.errors import UadbenchError

from .learner import Task, learning
from .steps import ends_epoch

PATIENCE = timedelta(minutes=10)  # with a process that says nothing
MOMENT = 0.1  # seconds between looks at the others
GRACE = 5.0  # seconds in which a process that has failed comes to its end


@contextmanager
def team(task: Task) -> Iterator[None]:
    """Start the other processes of a task, if it has any, and join them.

    They follow until the training ends, and end with it whatever happens.

    Raises:
        UadbenchError: one of them has ended before.
    """
    if len(task.devices) == 1:
        yield
        return
    with TemporaryDirectory() as name:
        folder = Path(name)
        with (folder / "task").open("wb") as file:
            # The memory of a CUDA device is its own process's.
            network = deepcopy(task.network).cpu()
            Pickler(file).dump(replace(task, network=network))
        others = start_processes(  # type: ignore[no-untyped-call]  # torch
            _follow, (folder,), len(task.devices) - 1, join=False, daemon=True
        )
        try:
            _await_start(others, folder)
            with _joined(task, 0, folder):
                yield
            _look_at(others, GRACE)
        except UadbenchError:
            raise
        except Exception:
            # What we notice of the end of another process is a broken connection.
            _look_at(others, GRACE)
            raise
        finally:
            for process in others.processes:
                process.kill()
                process.join()


def _follow(index: int, folder: Path) -> None:
    """Take our share of each step; `index` counts from the second process."""
    rank = index + 1
    with (folder / "task").open("rb") as file:
        task: Task = pickle.load(file)
    recipe, count = task.recipe, len(task.healthy)
    (folder / f"started-{rank}").touch()
    with _joined(task, rank, folder), learning(task, rank, lambda _: None) as learner:
        for number in learner.left:
            learner.step(number)
            last = number == recipe.steps - 1
            checked = last or ends_epoch(number, recipe.batch, count)
            if task.patience and checked and learner.agreed(False):
                break


@contextmanager
def _joined(task: Task, rank: int, folder: Path) -> Iterator[None]:
    """Be one of the processes, which meet in a folder."""
    device = torch.device(task.devices[rank])
    if device.type == "cuda":
        torch.cuda.set_device(device)
    distributed.init_process_group(
        "nccl" if device.type == "cuda" else "gloo",
        init_method=(folder / "meeting").as_uri(),
        rank=rank,
        world_size=len(task.devices),
        timeout=PATIENCE,
    )
    try:
        yield
    finally:
        distributed.destroy_process_group()


def _await_start(others: ProcessContext, folder: Path) -> None:
    """Wait until all others have their task: who joins a dead process waits long."""
    names = [f"started-{rank + 1}" for rank in range(len(others.processes))]
    while not all((folder / name).exists() for name in names):
        _look_at(others, MOMENT)


def _look_at(others: ProcessContext, seconds: float) -> None:
    """Wait for the others' end; raise a UadbenchError if one has failed."""
    try:
        others.join(seconds)
    except ProcessException as error:
        number, total = error.error_index + 2, len(others.processes) + 1
        words = str(error).strip().splitlines()[-1]
        msg = (
            f"process {number} of the {total} that share the training ended early: "
            f"{words}. Repeat the command to go on, with fewer --devices if it ends "
            "again."
        )
        raise UadbenchError(msg) from error


class Pickler(pickle.Pickler):
    """Writes where the numbers of a mapped file are, in place of the numbers."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)

    def reducer_override(self, obj: Any) -> Any:
        """Return how a mapped file is opened again."""
        if isinstance(obj, np.memmap) and isinstance(obj.base, mmap.mmap):
            order = "C" if obj.flags.c_contiguous else "F"
            place = (obj.filename, obj.dtype, "r", obj.offset, obj.shape, order)
            return np.memmap, place
        return NotImplemented
