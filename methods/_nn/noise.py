"""Noise for diffusion models: Gaussian, or simplex noise in octaves.

Every image has a field of its own, of mean 0. A diffusion model is as consistent with
noise of another variance than 1 as with images on another scale.

Simplex noise is Perlin's with the size of OpenSimplex noise, whose kernels
(2 - r^2)^4 reach twice as far as Perlin's (0.5 - r^2)^4: its cells are twice as large.

References: Perlin, "Noise hardware", SIGGRAPH course notes (2001), for simplex noise;
Wyatt et al., "AnoDDPM: Anomaly detection with denoising diffusion probabilistic models
using simplex noise", CVPR workshops (2022), for its use.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, Protocol

import torch
from torch import Tensor

Kind = Literal["gaussian", "simplex"]
REPEAT = 256  # cells after which a lattice repeats
REACH = 0.5  # squared reach of a lattice point; with more, the noise jumps at the cells
TWICE = 2.0  # Perlin's cells over those of OpenSimplex noise of the same size
FINEST = 1.0  # px, side of the smallest cells that pixels can show
GRADIENTS = (
    *((1, 1, 0), (-1, 1, 0), (1, -1, 0), (-1, -1, 0)),
    *((1, 0, 1), (-1, 0, 1), (1, 0, -1), (-1, 0, -1)),
    *((0, 1, 1), (0, -1, 1), (0, 1, -1), (0, -1, -1)),
)


class Source(Protocol):
    """Random numbers for N images; each call gives other ones."""

    def normal(self, shape: tuple[int, ...]) -> Tensor:
        """Return standard normal numbers, float (N, *shape)."""

    def uniform(self, shape: tuple[int, ...]) -> Tensor:
        """Return numbers in [0, 1), float (N, *shape)."""


@dataclass(frozen=True)
class Shared:
    """One generator for all of `count` images, on its device: for training."""

    generator: torch.Generator
    count: int

    def normal(self, shape: tuple[int, ...]) -> Tensor:
        """Return standard normal numbers, float (N, *shape)."""
        device, generator = self.generator.device, self.generator
        return torch.randn((self.count, *shape), generator=generator, device=device)

    def uniform(self, shape: tuple[int, ...]) -> Tensor:
        """Return numbers in [0, 1), float (N, *shape)."""
        device, generator = self.generator.device, self.generator
        return torch.rand((self.count, *shape), generator=generator, device=device)


@dataclass(frozen=True)
class Noise:
    """A law of noise images.

    Attributes:
        kind: "gaussian" ignores all that follows.
        cell: side of the cells of the first octave, in sides of the image, as
            OpenSimplex counts; AnoDDPM's "frequency" over the size of the image.
        octaves: each has cells half as large as the one before. Those with cells below
            1 px are left out: pixels cannot show them.
        persistence: amplitude of an octave over that of the one before.
        deviation: standard deviation.
    """

    kind: Kind = "simplex"
    cell: float = 0.25
    octaves: int = 6
    persistence: float = 0.8
    deviation: float = 1.0

    def drawn(self, size: int, source: Source) -> Tensor:
        """Return noise for N images of `size` px a side, float (N, 1, S, S)."""
        if self.kind == "gaussian":
            return source.normal((1, size, size))
        most = int(math.log2(max(1.0, self.cell * size / FINEST))) + 1
        lattices = draw_lattices(min(self.octaves, most), source)
        return self.deviation * octave_noise(
            lattices, size, self.cell * size, self.persistence
        )


@dataclass(frozen=True, eq=False)
class Lattices:
    """All that is random in the noise of N images with K octaves.

    Attributes:
        tables: permutations of 0 ... 255, int64 (N, K, 256).
        offsets: where the image lies in the lattice, in cells, float (N, K, 3).
    """

    tables: Tensor
    offsets: Tensor


def draw_lattices(octaves: int, source: Source) -> Lattices:
    """Return independent lattices for each image, one for each octave."""
    drawn = source.uniform((octaves, REPEAT + 3))
    # Stable: numbers that are equal have the same order on every device.
    tables = drawn[..., :REPEAT].argsort(dim=-1, stable=True)
    return Lattices(tables, offsets=REPEAT * drawn[..., REPEAT:])


def octave_noise(
    lattices: Lattices, size: int, cell: float, persistence: float
) -> Tensor:
    """Return the sum of all octaves with variance 1: float (N, 1, S, S).

    Each image is a plane through three-dimensional noise.

    Args:
        lattices: of N images.
        size: S, px.
        cell: side of the cells of the first octave, px, as OpenSimplex counts.
        persistence: amplitude of an octave over that of the one before.
    """
    count, octaves, _ = lattices.offsets.shape
    octave = torch.arange(octaves, device=lattices.offsets.device)
    pace = 2.0**octave / (TWICE * cell)
    line = torch.arange(size, device=octave.device) * pace[:, None]
    x, y, z = lattices.offsets[..., None].unbind(2)
    points = (
        (x + line).repeat_interleave(size, dim=-1),
        (y + line).repeat(1, 1, size),
        z.expand(-1, -1, size**2),
    )
    amplitudes = persistence**octave
    amplitudes = amplitudes / amplitudes.square().sum().sqrt()
    waves = simplex(points, lattices.tables) / simplex_deviation()
    summed = (amplitudes[:, None] * waves).sum(dim=1)
    return summed.view(count, 1, size, size)


def simplex(points: tuple[Tensor, Tensor, Tensor], tables: Tensor) -> Tensor:
    """Return simplex noise at points of three-dimensional space: float (N, K, P).

    Args:
        points: the three coordinates, not negative, in cells, each float (N, K, P).
        tables: permutations that choose the gradients, int64 (N, K, 256).
    """
    x, y, z = points
    skew = (x + y + z) / 3
    cell = tuple((axis + skew).floor() for axis in points)
    unskew = sum(cell) / 6
    x, y, z = (
        axis - (corner - unskew) for axis, corner in zip(points, cell, strict=True)
    )
    xy, xz, yz = x >= y, x >= z, y >= z
    # From the corner at 0 to the one at 1, one step along each axis: the largest
    # coordinate first.
    corners = (
        (torch.zeros_like(xy),) * 3,
        (xy & xz, ~xy & yz, ~(xz | yz)),
        (xy | xz, ~xy | yz, ~(xz & yz)),
        (torch.ones_like(xy),) * 3,
    )
    slopes = _gradients(x.device)[tables % len(GRADIENTS)].unbind(-1)
    base = tuple(corner.long() for corner in cell)
    total = torch.zeros_like(x)
    for number, corner in enumerate(corners):
        i, j, k = (at + step.long() for at, step in zip(base, corner, strict=True))
        hashed = _lookup(tables, _lookup(tables, i) + j) + k
        offset = [
            axis - step.to(x.dtype) + number / 6
            for axis, step in zip((x, y, z), corner, strict=True)
        ]
        near = (REACH - _dot(offset, offset)).clamp(min=0)
        slope = [_lookup(axis, hashed) for axis in slopes]
        total += near.square().square() * _dot(slope, offset)
    return total


# Kept on the device: to copy them there would wait for it at every draw.
@lru_cache(maxsize=4)
def _gradients(device: torch.device) -> Tensor:
    return torch.tensor(GRADIENTS, dtype=torch.float32, device=device)


def _dot(one: Sequence[Tensor], other: Sequence[Tensor]) -> Tensor:
    """Return the scalar product of vectors given by their coordinates."""
    return one[0] * other[0] + one[1] * other[1] + one[2] * other[2]


def _lookup(table: Tensor, index: Tensor) -> Tensor:
    """Return entries (N, K, P) of repeating tables (N, K, 256)."""
    # As `index % REPEAT`, but several times as fast.
    return table.gather(2, index & (REPEAT - 1))


def simplex_deviation() -> float:
    """Return the standard deviation of `simplex` over points and permutations.

    A lattice point at distance r adds (R - r^2)^4 g.d. Over directions its variance is
    (R - r^2)^8 2 r^2 / 3, since a gradient g has length sqrt(2). There are 2 lattice
    points in a unit of volume, so that the variance is 16 pi / 3 times the integral of
    (R - r^2)^8 r^4 over r from 0 to sqrt(R), a beta function.
    """
    beta = math.gamma(2.5) * math.gamma(9) / math.gamma(11.5)
    return math.sqrt(16 * math.pi / 3 * REACH**10.5 * beta / 2)
