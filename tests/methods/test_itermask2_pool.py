"""What continuous batching gives is what each scan would have had alone."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import count, islice
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from uadbench.methods._nn.streams import Streams
from uadbench.methods._nn.tensors import in_groups
from uadbench.methods._nn.unet import Shape, UNet
from uadbench.methods.itermask2 import Refinement, Refiner, Stack, refine
from uadbench.methods.itermask2.inputs import masked_input
from uadbench.methods.itermask2.pool import AHEAD

Network = Callable[[Tensor], Tensor]
SIDE = 8


def stack_of(passes: Sequence[int], seed: int = 0) -> Stack:
    """Return slices that `peel` needs so many passes for; 0 for one without brain.

    The condition tells the networks the image and a level of each pixel.
    """
    draw = torch.Generator().manual_seed(seed)
    shape = (len(passes), 1, SIDE, SIDE)
    images = torch.rand(shape, generator=draw)
    brain = torch.rand(shape, generator=draw) > 0.2
    level = torch.arange(SIDE**2).remainder(31).view(SIDE, SIDE).expand(shape)
    most = torch.tensor(passes, dtype=torch.long)[:, None, None, None]
    level = torch.where(level < most, level, 0) + 30 - most
    condition = torch.cat([images, level], dim=1)
    streams = Streams.of_slices(seed, range(len(passes)), "cpu")
    return Stack(images, brain & (most > 0), condition, streams)


def ranks(condition: Tensor) -> Tensor:
    """A first step that errs by the level."""
    return condition[:, :1] - condition[:, 1:]


def peel(inputs: Tensor) -> Tensor:
    """A reconstructor that fails in all but the lowest level, and always in the last.

    What it makes depends on the noise, a little.
    """
    masked, images, level = (inputs[:, [channel]] for channel in range(3))
    inside = masked != images
    lowest = torch.where(inside, level, torch.inf).amin((1, 2, 3), keepdim=True)
    fails = inside & ((level > lowest) | (level == 29))
    return images + 2.0 * fails + 0.001 * masked


PEEL = Refiner(ranks, peel, threshold=0.5, keep=1.0)


def whole_batch(stack: Stack, refiner: Refiner) -> Refinement:
    """Refine a batch as published, until its slowest slice has converged."""
    images, brain, condition = stack.images, stack.brain, stack.condition
    shape = tuple(images.shape[1:])
    noise = stack.streams.normal(0, shape)
    seen = condition if condition.shape[1] else torch.where(brain, noise, images)
    errors = (images - refiner.first_step(seen)) ** 2
    mask = torch.zeros_like(brain)
    for row in range(len(images)):
        mask[row] = largest(errors[row], brain[row], refiner.keep)
    active = [bool(inside.any()) for inside in brain]
    reconstruction, iterations, trace = torch.zeros_like(images), [0] * len(images), []
    while any(active):
        trace.append(mask.clone())
        noise = stack.streams.normal(len(trace), shape)
        restored = refiner.reconstructor(masked_input(images, mask, condition, noise))
        for row, image in enumerate(images):
            if not active[row]:
                continue
            iterations[row] += 1
            reconstruction[row] = restored[row]
            shrunk = mask[row] & ((image - restored[row]) ** 2 > refiner.threshold)
            before, after = int(mask[row].sum()), int(shrunk.sum())
            active[row] = before > 0 and (before - after) / before >= refiner.stop_ratio
            if active[row]:
                mask[row] = shrunk
    whole = torch.stack(trace or [mask])
    return Refinement(mask, reconstruction, torch.tensor(iterations), whole)


def largest(errors: Tensor, brain: Tensor, keep: float) -> Tensor:
    """Return the brain pixels of one image with the largest errors."""
    inside = (errors * brain).flatten()
    k = int(inside.numel() - keep * float(brain.sum()))
    cut = float(inside.kthvalue(k).values) if k else -torch.inf
    return (errors > cut) & brain


def assert_same(got: Refinement, expected: Refinement) -> None:
    assert got.iterations.tolist() == expected.iterations.tolist()
    assert torch.equal(got.mask, expected.mask)
    assert torch.equal(got.trace, expected.trace)
    assert torch.equal(got.reconstruction, expected.reconstruction)


@pytest.mark.parametrize("passes", [0, 1, 2, 17])
def test_the_fake_network_needs_as_many_passes_as_it_is_told(passes: int) -> None:
    (refinement,) = refine([stack_of([passes])], PEEL, 1, 1)

    assert refinement.iterations.tolist() == [passes]


@given(
    st.lists(st.lists(st.integers(0, 9), max_size=5), max_size=6),
    st.integers(1, 12),
    st.integers(1, 5),
    st.sampled_from([0.0, 0.3, 0.6, 1.0]),
    st.sampled_from([0.01, 0.2]),
)
def test_each_scan_ends_as_in_a_whole_batch(
    passes: list[list[int]], slots: int, group: int, keep: float, stop_ratio: float
) -> None:
    stacks = [stack_of(scan, seed) for seed, scan in enumerate(passes)]
    refiner = Refiner(ranks, peel, 0.5, keep, stop_ratio)

    refinements = list(refine(stacks, refiner, slots, group))

    assert len(refinements) == len(stacks)
    for got, stack in zip(refinements, stacks, strict=True):
        assert_same(got, whole_batch(stack, refiner))


@given(
    st.lists(st.integers(0, 4), max_size=4),
    st.integers(1, 6),
    st.integers(1, 4),
    st.floats(0.0, 1.0),
)
def test_without_a_condition_the_first_step_has_a_noise_of_its_own(
    sizes: list[int], slots: int, group: int, keep: float
) -> None:
    stacks = []
    for seed, size in enumerate(sizes):
        stack = stack_of([1] * size, seed)
        nothing = stack.images[:, :0]
        stacks.append(Stack(stack.images, stack.brain, nothing, stack.streams))
    refiner = Refiner(lambda seen: seen / 2, lambda seen: seen * 0.6, 0.05, keep)

    refinements = list(refine(stacks, refiner, slots, group))

    for got, stack in zip(refinements, stacks, strict=True):
        assert_same(got, whole_batch(stack, refiner))


def test_networks_always_see_groups_of_one_shape() -> None:
    seen: list[int] = []

    def noted(network: Network) -> Network:
        def noting(inputs: Tensor) -> Tensor:
            seen.append(len(inputs))
            return network(inputs)

        return noting

    refiner = Refiner(noted(ranks), noted(peel), 0.5)
    list(refine([stack_of([3, 1, 7]), stack_of([2])], refiner, 5, 3))

    assert set(seen) == {3}


@pytest.fixture(scope="module")
def networks() -> tuple[Network, Network]:
    """Residual U-Nets with attention, whose weights are random and none of them 0."""
    shape = Shape(0, 32, 16, (1, 2), 2, (16,), "batch", 0.0, 1)
    made = []
    for inputs in (2, 3):
        network = UNet(replace(shape, inputs=inputs))
        draw = torch.Generator().manual_seed(inputs)
        for weights in network.parameters():
            weights.data.copy_(0.1 * torch.randn(weights.shape, generator=draw))
        made.append(network.eval())
    first_step, reconstructor = made
    return first_step, reconstructor


def random_stack(size: int, seed: int) -> Stack:
    draw = torch.Generator().manual_seed(seed)
    images = torch.rand((size, 1, 32, 32), generator=draw)
    brain = torch.rand((size, 1, 32, 32), generator=draw) > 0.3
    condition = torch.rand((size, 2, 32, 32), generator=draw)
    return Stack(images, brain, condition, Streams.of_slices(seed, range(size), "cpu"))


@pytest.mark.parametrize("slots", [1, 3, 20])
def test_company_and_order_change_no_bit_of_a_real_networks_result(
    networks: tuple[Network, Network], slots: int
) -> None:
    refiner = Refiner(*networks, threshold=0.5)
    stacks = [random_stack(size, size) for size in (1, 4, 7)]
    alone = [next(refine([stack], refiner, 8, 8)) for stack in stacks]

    together = list(refine(stacks, refiner, slots, 8))
    turned = list(refine(stacks[::-1], refiner, slots, 8))[::-1]

    assert {len(set(one.iterations.tolist())) > 1 for one in alone[1:]} == {True}
    for expected, one, other in zip(alone, together, turned, strict=True):
        assert_same(one, expected)
        assert_same(other, expected)


def test_a_real_network_ends_as_in_a_whole_batch(
    networks: tuple[Network, Network],
) -> None:
    first_step, reconstructor = networks
    stack = random_stack(7, 0)
    refiner = Refiner(first_step, reconstructor, 0.5)
    grouped = Refiner(
        lambda inputs: in_groups(first_step, inputs, 4),
        lambda inputs: in_groups(reconstructor, inputs, 4),
        0.5,
    )

    (refinement,) = refine([stack], refiner, 5, 4)

    assert_same(refinement, whole_batch(stack, grouped))


def test_a_scan_is_given_away_before_later_ones_are_refined() -> None:
    read: list[int] = []

    def stacks() -> Iterator[Stack]:
        for seed in count():
            read.append(seed)
            yield stack_of([2], seed)

    first = list(islice(refine(stacks(), PEEL, 2, 1), 3))

    assert len(first) == 3
    # Two slots, of which the next scans take those that got free.
    assert len(read) <= 5


def test_scans_behind_a_slow_one_do_not_pile_up() -> None:
    read: list[int] = []

    def stacks() -> Iterator[Stack]:
        yield stack_of([29])
        for seed in count():
            read.append(seed)
            yield stack_of([1], seed)

    next(refine(stacks(), PEEL, 2, 1))

    assert len(read) == 2 * AHEAD - 1


def test_scans_without_slices_do_not_pile_up() -> None:
    found = list(islice(refine((stack_of([]) for _ in count()), PEEL, 2, 2), 50))

    assert [len(refinement.mask) for refinement in found] == [0] * 50


def test_what_was_read_before_an_error_is_given_away_first() -> None:
    def stacks() -> Iterator[Stack]:
        yield stack_of([5, 2])
        yield stack_of([1])
        msg = "no such file"
        raise OSError(msg)

    found: list[list[int]] = []
    with pytest.raises(OSError, match="no such file"):
        found.extend(r.iterations.tolist() for r in refine(stacks(), PEEL, 8, 2))

    assert found == [[5, 2], [1]]


def test_an_error_of_a_network_comes_after_the_scans_that_were_whole() -> None:
    def broken(inputs: Tensor) -> Tensor:
        if (inputs[:, 2] == 22).any():
            msg = "out of memory"
            raise RuntimeError(msg)
        return peel(inputs)

    stacks = [stack_of([1], 1), stack_of([8], 2)]
    found: list[list[int]] = []
    with pytest.raises(RuntimeError, match="out of memory"):
        found.extend(
            r.iterations.tolist()
            for r in refine(stacks, Refiner(ranks, broken, 0.5, 1.0), 1, 1)
        )

    assert found == [[1]]


def test_the_host_asks_once_in_a_pass_and_twice_in_a_scan(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    passes: list[int] = []

    def noted(name: str) -> Callable[..., Any]:
        original = getattr(Tensor, name)

        def noting(self: Tensor, *given: Any, **named: Any) -> Any:
            asked.append(name)
            return original(self, *given, **named)

        return noting

    def reconstructor(inputs: Tensor) -> Tensor:
        passes.append(len(inputs))
        return peel(inputs)

    stacks = [stack_of([3, 1, 4]), stack_of([1, 5]), stack_of([9, 2, 6])]
    names = ("tolist", "item", "cpu", "numpy", "nonzero", "__bool__", "__int__")
    for name in (*names, "__float__", "__index__"):
        monkeypatch.setattr(Tensor, name, noted(name))

    list(refine(stacks, Refiner(ranks, reconstructor, 0.5), 4, 4))

    assert asked == ["tolist"] * len(asked)
    assert len(asked) == len(passes) + 2 * len(stacks)
