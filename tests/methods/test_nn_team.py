"""Processes that share a training; each that is started takes seconds."""

import os
import pickle
import signal
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from multiprocessing import active_children
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
import torch
from torch import nn

from uadbench import options
from uadbench.acceleration import Acceleration
from uadbench.errors import UadbenchError, UsageError
from uadbench.methods._nn.recipes import Recipe
from uadbench.methods._nn.scans import Healthy
from uadbench.methods._nn.steps import seed_step
from uadbench.methods._nn.team import Pickler
from uadbench.methods._nn.tensors import arrays_of
from uadbench.methods._nn.training import Validation, new_network, train
from uadbench.methods.ae import Autoencoder
from uadbench.protocols import Context, Silent

# Classes of conftest.py, from which tests cannot import.
Kept: TypeAlias = Any
States: TypeAlias = dict[str, Any]

TWO = Acceleration(devices=2)
# Twelve images are an epoch of three steps.
RECIPE = Recipe(60, 4, 3e-3, average=0.9, clip=1.0)
IMAGES = np.random.default_rng(0).random((16, 1, 8, 8), np.float32)
HEALTHY = Healthy([IMAGES[:5], IMAGES[5:12]], [IMAGES[:5] > 0, IMAGES[5:12] > 0])
# Inverted images: for a while they are reconstructed worse, for two epochs in a row.
HELD_OUT = Healthy([1 - IMAGES[12:]], [IMAGES[12:] > 0])
# A loss without noise, which another process finds where it is defined.
LOSS = options.build(Autoencoder, "ae", {"size": 32}, "demo").loss


def make_network() -> nn.Module:
    """Return a network without batch statistics and dropout."""
    return new_network(
        lambda: nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1), nn.Tanh(), nn.Conv2d(4, 1, 3, padding=1)
        ),
        seed=0,
        device="cpu",
    )


def fit(ctx: Context, healthy: Healthy = HEALTHY) -> States:
    validation = Validation(HELD_OUT, 2)
    network = make_network()
    trained = train(network, LOSS, RECIPE, healthy, ctx, "net", validation)
    return dict(arrays_of(trained, "net"))


@dataclass
class Watcher(Silent):
    """A monitor that remembers, and acts before one of the steps."""

    at: int = -1
    act: Callable[[], object] = print
    steps: list[Any] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def track(
        self, steps: Iterable[Any], label: str, total: int, done: int = 0
    ) -> Iterator[Any]:
        for step in steps:
            if step == self.at:
                self.act()
            self.steps.append(step)
            yield step

    def say(self, message: str) -> None:
        self.said.append(message)


@pytest.fixture(scope="module")
def undisturbed() -> tuple[States, Watcher]:
    """Weights of two processes, and what their training showed."""
    watcher = Watcher()
    return fit(Context(0, monitor=watcher, acceleration=TWO)), watcher


def assert_equal(one: States, other: States, tolerance: float = 0.0) -> None:
    for name, value in one.items():
        np.testing.assert_allclose(
            value, other[name], rtol=0, atol=tolerance, err_msg=name
        )


def test_two_processes_learn_what_one_does_and_stop_where_it_stops(
    undisturbed: tuple[States, Watcher],
) -> None:
    shared, theirs = undisturbed
    watcher = Watcher()

    alone = fit(Context(0, monitor=watcher))

    assert theirs.steps == watcher.steps == list(range(21))
    assert theirs.said == watcher.said
    assert_equal(shared, alone, 1e-5)


@pytest.mark.usefixtures("saved_after_every_step")
def test_two_processes_end_with_ctrl_c_and_resume_exactly(
    undisturbed: tuple[States, Watcher], kept: Kept
) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(Context(0, "cpu", kept, Watcher(7, interrupt), TWO))
    left = active_children()
    watcher = Watcher()
    resumed = fit(Context(0, "cpu", kept, watcher, TWO))

    assert left == []
    assert watcher.steps == list(range(7, 21))
    assert_equal(resumed, undisturbed[0])


def test_a_process_that_dies_ends_the_training_with_an_error_that_says_so() -> None:
    def kill() -> None:
        (other,) = active_children()
        os.kill(other.pid or 0, signal.SIGKILL)

    message = (
        "process 2 of the 2 that share the training ended early: .*SIGKILL. Repeat"
    )
    with pytest.raises(UadbenchError, match=message):
        fit(Context(0, monitor=Watcher(7, kill), acceleration=TWO))

    assert active_children() == []
    assert not torch.distributed.is_initialized()


def test_a_process_that_cannot_start_ends_the_training_with_its_own_words(
    tmp_path: Path,
) -> None:
    path = tmp_path / "slices.npy"
    np.save(path, IMAGES)
    mapped = Healthy([np.load(path, mmap_mode="r")], [IMAGES > 0])
    path.unlink()

    with pytest.raises(UadbenchError, match=r"process 2 of the 2 .*No such file"):
        fit(Context(acceleration=TWO), mapped)

    assert active_children() == []


def test_a_batch_that_the_devices_cannot_share_is_refused() -> None:
    message = r"--devices 3 cannot share a batch of 4\. Give .* --set batch=3 or"

    with pytest.raises(UsageError, match=message):
        fit(Context(acceleration=Acceleration(devices=3)))


def test_every_process_has_random_numbers_of_its_own_in_every_step() -> None:
    device = torch.device("cpu")

    drawn = [
        torch.rand(4, generator=seed_step(0, step, rank, device)).tolist()
        for step in (0, 1)
        for rank in (0, 1, 2)
    ]

    assert len({tuple(numbers) for numbers in drawn}) == 6


def test_a_mapped_file_goes_to_another_process_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "slices.npy"
    for array in (IMAGES, np.asfortranarray(IMAGES)):
        np.save(path, array)
        mapped = np.load(path, mmap_mode="r")
        file = BytesIO()

        Pickler(file).dump([mapped, mapped[3:], IMAGES])

        whole, part, plain = pickle.loads(file.getvalue())
        assert isinstance(whole, np.memmap)
        for found, given in ((whole, IMAGES), (part, IMAGES[3:]), (plain, IMAGES)):
            np.testing.assert_array_equal(found, given)
