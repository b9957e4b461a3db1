"""Every slice has random numbers of its own, whatever it travels with."""

import math

import pytest
import torch
from scipy.stats import kstest

from uadbench.methods._nn.streams import Streams

MASK = 2**64 - 1


def streams(seed: int = 7, count: int = 6) -> Streams:
    return Streams.of_slices(seed, range(count), "cpu")


def mixed(word: int) -> int:
    """SplitMix64's output function in whole numbers of Python."""
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & MASK
    return word ^ (word >> 31)


def test_bits_are_those_of_splitmix64() -> None:
    # Seed 1234567 gives these in the public-domain code that accompanies the paper.
    golden = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    step = 0x9E3779B97F4A7C15

    words = [mixed((1234567 + (i + 1) * step) & MASK) for i in range(3)]
    key = torch.tensor([41])
    found = Streams(key)._bits(5, 3)[0].tolist()

    assert words == golden
    start = mixed((mixed(41) + 6 * step) & MASK)
    expected = [mixed((start + (i + 1) * step) & MASK) for i in range(3)]
    assert [word & MASK for word in found] == expected


def test_a_slice_has_the_same_numbers_alone_and_among_others() -> None:
    together = streams()

    alone = together[4:5]

    assert torch.equal(alone.normal(3, (5, 7)), together.normal(3, (5, 7))[4:5])


def test_slices_may_be_at_different_draws() -> None:
    both = streams(count=2)

    mixed_draws = both.uniform(torch.tensor([4, 9]), (11,))

    assert torch.equal(mixed_draws[0], both.uniform(4, (11,))[0])
    assert torch.equal(mixed_draws[1], both.uniform(9, (11,))[1])


def test_slice_draw_and_seed_give_other_numbers_each() -> None:
    found = [
        streams(seed).normal(draw, (50,))[row]
        for seed in (0, 1)
        for draw in (0, 1)
        for row in (0, 1)
    ]

    for i, one in enumerate(found):
        for other in found[:i]:
            assert not torch.equal(one, other)


def test_joined_streams_keep_their_numbers() -> None:
    one, other = streams(1), streams(2)

    both = Streams(torch.cat([one.keys, other.keys]))

    expected = torch.cat([one.uniform(0, (3,)), other.uniform(0, (3,))])
    assert torch.equal(both.uniform(0, (3,)), expected)


def test_uniform_numbers_are_uniform() -> None:
    found = streams(count=50).uniform(0, (2000,))

    assert found.min() >= 0
    assert found.max() < 1
    assert kstest(found.flatten().numpy(), "uniform").pvalue > 1e-3


@pytest.mark.parametrize("count", [2000, 2001])
def test_normal_numbers_are_standard_normal(count: int) -> None:
    found = streams(count=50).normal(0, (count,))

    assert found.shape == (50, count)
    assert kstest(found.flatten().numpy(), "norm").pvalue > 1e-3


def test_numbers_of_neighbours_are_uncorrelated() -> None:
    draws = torch.stack([streams().normal(draw, (4000,)) for draw in range(4)])
    series = draws.flatten(0, 1)

    correlation = torch.corrcoef(series)
    lagged = torch.corrcoef(torch.stack([series[0, :-1], series[0, 1:]]))

    bound = 5 / math.sqrt(4000)
    assert (correlation - torch.eye(len(series))).abs().max() < bound
    assert lagged[0, 1].abs() < bound
