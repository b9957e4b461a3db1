"""Random numbers with an address: a stream for each slice, whatever it travels with.

A number depends on the key of its slice, the number of the draw and its place in the
draw alone. So slices of several scans share a batch, come and go, and each has the
noise that it would have had alone, on every device, without waiting for the host.

Reference: Steele et al., "Fast splittable pseudorandom number generators", OOPSLA 2014
(SplitMix64), used as a function of a counter as in Salmon et al., "Parallel random
numbers: as easy as 1, 2, 3", SC 2011.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

GOLDEN = 0x9E3779B97F4A7C15  # step of the counter
MIX = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))
WORD = 2**64


@dataclass(frozen=True, eq=False)
class Streams:
    """One stream of random numbers for each of B slices.

    Attributes:
        keys: int64 (B,), see `of_slices`.
    """

    keys: Tensor

    @classmethod
    def of_slices(
        cls, seed: int, index: Sequence[int], device: torch.device | str
    ) -> "Streams":
        """Return the streams of a scan's slices.

        Args:
            seed: of the scan.
            index: the axial slice behind each.
            device: where the numbers are made.
        """
        places = torch.tensor(index, dtype=torch.int64, device=device)
        return cls(_addressed(torch.full_like(places, seed), places))

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, at: Tensor | slice) -> "Streams":
        return Streams(self.keys[at])

    def uniform(self, draw: Tensor | int, shape: tuple[int, ...]) -> Tensor:
        """Return numbers in [0, 1), float32 (B, *shape).

        Args:
            draw: its number, one for all or int64 (B,); each is drawn once.
            shape: of the numbers of one slice.
        """
        bits = self._bits(draw, math.prod(shape))
        # A float32 holds 24 bits.
        return (_shifted(bits, 40).float() * 2.0**-24).view(-1, *shape)

    def normal(self, draw: Tensor | int, shape: tuple[int, ...]) -> Tensor:
        """Return standard normal numbers, float32 (B, *shape); see `uniform`.

        Box and Muller, two numbers from 64 bits; none is beyond 6.8.
        """
        count = math.prod(shape)
        bits = self._bits(draw, (count + 1) // 2)
        high, low = _shifted(bits, 32), bits & 0xFFFFFFFF
        radius = ((high.float() + 0.5) * 2.0**-32).log().mul(-2).sqrt()
        angle = low.float() * (2 * math.pi * 2.0**-32)
        pairs = torch.cat([radius * angle.cos(), radius * angle.sin()], dim=1)
        return pairs[:, :count].reshape(-1, *shape)

    def _bits(self, draw: Tensor | int, count: int) -> Tensor:
        """Return random words, int64 (B, count)."""
        # Filled on the device: to copy a number there would wait for it.
        draws = draw if isinstance(draw, Tensor) else torch.full_like(self.keys, draw)
        starts = _addressed(self.keys, draws)
        place = torch.arange(1, count + 1, device=self.keys.device)
        return _mixed(starts[:, None] + place * _signed(GOLDEN))


def _addressed(keys: Tensor, numbers: Tensor) -> Tensor:
    """Return a key for each key and number: int64, the same shape."""
    return _mixed(_mixed(keys) + (numbers + 1) * _signed(GOLDEN))


def _mixed(words: Tensor) -> Tensor:
    """Return words whose every bit depends on every bit of the old ones."""
    for bits, factor in MIX:
        # Products keep their last 64 bits.
        words = (words ^ _shifted(words, bits)) * _signed(factor)
    return words ^ _shifted(words, 31)


def _shifted(words: Tensor, bits: int) -> Tensor:
    """Return words shifted to the right, zeros coming in."""
    return torch.bitwise_and(words >> bits, 2 ** (64 - bits) - 1)


def _signed(word: int) -> int:
    return word - WORD if word >= WORD // 2 else word
