from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from uadbench.methods._nn import stores
from uadbench.methods._nn.scans import Healthy
from uadbench.methods._nn.stores import OnDevice, Streamed, every_slice, open_store

CPU = torch.device("cpu")
RNG = np.random.default_rng(0)
IMAGES = RNG.standard_normal((9, 2, 6, 5)).astype(np.float32)
BRAIN = RNG.random((9, 1, 6, 5)) > 0.5
# Three scans, of 4, 1 and 4 slices.
PARTS = [slice(0, 4), slice(4, 5), slice(5, 9)]
DRAWS = [[8, 0, 4], [3, 3], [5], [7, 6, 1, 2]]


@pytest.fixture
def in_memory() -> Healthy:
    return Healthy([IMAGES[part] for part in PARTS], [BRAIN[part] for part in PARTS])


@pytest.fixture
def mapped(tmp_path: Path) -> Healthy:
    """The same slices in files."""

    def parts(name: str, array: NDArray[Any]) -> list[NDArray[Any]]:
        paths = [tmp_path / f"{name}{number}.npy" for number in range(len(PARTS))]
        for path, part in zip(paths, PARTS, strict=True):
            np.save(path, array[part])
        return [np.load(path, mmap_mode="r") for path in paths]

    return Healthy(parts("images", IMAGES), parts("brain", BRAIN))


@pytest.mark.parametrize("kind", [OnDevice, Streamed])
@pytest.mark.parametrize("source", ["in_memory", "mapped"])
def test_batches_are_the_slices_that_are_asked_for(
    kind: type[OnDevice] | type[Streamed], source: str, request: pytest.FixtureRequest
) -> None:
    store = kind(request.getfixturevalue(source), CPU, torch.float32)

    batches = list(store.batches(DRAWS))

    assert len(store) == 9
    assert len(batches) == len(DRAWS)
    for draw, batch in zip(DRAWS, batches, strict=True):
        np.testing.assert_array_equal(batch.images.numpy(), IMAGES[draw])
        np.testing.assert_array_equal(batch.brain.numpy(), BRAIN[draw])


def test_streamed_slices_lie_in_memory_as_those_on_the_device_do(
    in_memory: Healthy, mapped: Healthy
) -> None:
    def layout(tensor: Tensor) -> tuple[int, ...]:
        return tensor.stride()[2:]

    there = next(iter(OnDevice(in_memory, CPU, torch.float32).batches([[0, 5]])))
    sent = next(iter(Streamed(mapped, CPU, torch.float32).batches([[0, 5]])))

    assert layout(there.images) == layout(sent.images) == (1, 6)
    assert layout(there.brain) == layout(sent.brain) == (1, 6)


def test_float16_keeps_eleven_bits_and_no_infinity(in_memory: Healthy) -> None:
    hot = np.full((1, 2, 6, 5), 1e6, np.float32)
    healthy = Healthy([*in_memory.images, hot], [*in_memory.brain, hot[:, :1] > 0])
    draw = list(range(10))

    exact, *rounded = (
        next(iter(kind(healthy, CPU, dtype).batches([draw]))).images
        for kind, dtype in (
            (OnDevice, torch.float32),
            (OnDevice, torch.float16),
            (Streamed, torch.float16),
        )
    )

    assert torch.equal(*rounded)
    assert rounded[0].dtype == torch.float32
    torch.testing.assert_close(rounded[0][:9], exact[:9], rtol=2**-11, atol=1e-7)
    assert float(rounded[0][9].min()) == 65504.0


@pytest.mark.parametrize(("share", "kind"), [(0.5, OnDevice), (0.0, Streamed)])
def test_the_cpu_holds_what_fits_streams_the_rest_and_rounds_neither(
    share: float,
    kind: type[OnDevice] | type[Streamed],
    mapped: Healthy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stores, "SHARE", share)
    relative = Healthy(mapped.images, mapped.brain, relative=True)

    store = open_store(relative, CPU, half=True)

    assert type(store) is kind
    (batch,) = store.batches([[4]])
    np.testing.assert_array_equal(batch.images.numpy(), IMAGES[[4]])


def test_a_reader_is_a_few_batches_ahead_and_no_more(
    mapped: Healthy, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def draws() -> Iterator[list[int]]:
        for number in range(9):
            asked.append(number)
            yield [number]

    batches = Streamed(mapped, CPU, torch.float32).batches(draws())
    next(batches)

    assert asked == list(range(1 + stores.AHEAD))
    batches.close()  # type: ignore[attr-defined]  # a generator


def test_what_a_reader_fails_at_is_raised_where_it_is_needed(mapped: Healthy) -> None:
    batches = Streamed(mapped, CPU, torch.float32).batches([[0], [99]])

    next(batches)
    with pytest.raises(IndexError):
        next(batches)


def test_every_slice_comes_once_in_order(in_memory: Healthy) -> None:
    generator = torch.Generator()

    steps = list(every_slice(OnDevice(in_memory, CPU, torch.float32), 4, generator))

    assert [len(step.images) for step in steps] == [4, 4, 1]
    assert all(step.generator is generator for step in steps)
    joined = torch.cat([step.images for step in steps])
    np.testing.assert_array_equal(joined.numpy(), IMAGES)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("share", [0.5, 0.0])
def test_cuda_holds_what_fits_and_streams_the_rest_with_the_same_numbers(
    share: float, in_memory: Healthy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "SHARE", share)
    relative = Healthy(in_memory.images, in_memory.brain, relative=True)

    store = open_store(relative, torch.device("cuda:0"), half=True)
    batches = list(store.batches(DRAWS * 5))

    assert type(store) is (OnDevice if share else Streamed)
    for draw, batch in zip(DRAWS * 5, batches, strict=True):
        expected = torch.from_numpy(IMAGES[draw]).half().float()
        assert torch.equal(batch.images.cpu(), expected)
        np.testing.assert_array_equal(batch.brain.cpu().numpy(), BRAIN[draw])
