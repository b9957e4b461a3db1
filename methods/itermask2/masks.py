"""Random training masks: clusters of squares in the brain, in three regimes.

The published law is written for slices of 240 px of 1 mm. Here every length is in mm,
and the number of squares makes up for the rounding of their sides, so that the masked
part of the brain follows one law on every grid: on an elliptic brain 0.22 on average in
the two large regimes (5 to 95 %: 0.08 to 0.41), 0.04 in the small one (0.02 to 0.06).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

VARIANCE = (0.3, 10.0)
PARTS = 2**40  # of a weight of 1


@dataclass(frozen=True)
class Regime:
    """How far the squares of one mask spread, and how many there are.

    Attributes:
        spread: standard deviation in mm where the variance is 1.
        squares: bounds of the number of 4 mm squares, for each unit of sqrt(c11 c22).
    """

    spread: float
    squares: tuple[float, float]


LARGE = Regime(10.0, (100.0, 200.0))
SMALL = Regime(2.5, (5.0, 20.0))
REGIMES = (LARGE, LARGE, SMALL)
# Side in mm: bounds of the number, whatever the regime.
EXTRA_SQUARES = {8: (5.0, 10.0), 16: (3.0, 10.0)}
MOST = int(REGIMES[0].squares[1] * VARIANCE[1])


def random_masks(
    brain: Tensor,
    pixel: float,
    generator: torch.Generator,
    regimes: tuple[Regime, ...] = REGIMES,
) -> Tensor:
    """Return one random mask for each brain: bool (B, 1, S, S), inside the brain.

    Args:
        brain: bool (B, 1, S, S), none of them empty.
        pixel: side in mm.
        generator: on the device of `brain`.
        regimes: each mask draws one of these, all equally likely.
    """
    draws = _Draws(generator, len(brain), brain.device)
    spread, fewest, most = draws.choose(regimes)
    row_variance, column_variance = draws.uniform(*VARIANCE), draws.uniform(*VARIANCE)
    scale = (row_variance * column_variance).sqrt()
    covariance = scale * draws.uniform(-1.0, 1.0)
    numbers = {4: draws.uniform(fewest * scale, most * scale)} | {
        side: draws.uniform(*bounds) for side, bounds in EXTRA_SQUARES.items()
    }

    offsets = _offsets(brain, draws) * pixel / spread[:, None, None, None]
    density = _density(offsets, row_variance, column_variance, covariance, brain)
    mask = torch.zeros_like(brain)
    for side, number in numbers.items():
        ours = max(1, round(side / pixel))
        number = (number.floor() * (side / pixel / ours) ** 2).round()
        limit = MOST if side == 4 else int(EXTRA_SQUARES[side][1])
        limit = int(limit * (side / pixel / ours) ** 2) + 1
        mask |= _squares(density, number, limit, ours, draws)
    return mask & brain


class _Draws:
    """Random numbers for a batch, from one generator."""

    def __init__(
        self, generator: torch.Generator, batch: int, device: torch.device
    ) -> None:
        self.generator, self.batch, self.device = generator, batch, device

    def uniform(self, low: float | Tensor, high: float | Tensor) -> Tensor:
        """Return one number for each image: (B,)."""
        unit = torch.rand(self.batch, generator=self.generator, device=self.device)
        return low + (high - low) * unit

    def choose(self, regimes: tuple[Regime, ...]) -> Tensor:
        """Return spread and bounds of the squares of one regime for each: (3, B)."""
        table = torch.tensor(
            [(r.spread, *r.squares) for r in regimes], device=self.device
        )
        picked = torch.randint(
            len(regimes), (self.batch,), generator=self.generator, device=self.device
        )
        return table[picked].T

    def index(self, weights: Tensor, number: int) -> Tensor:
        """Return indices drawn with probability proportional to (B, K): (B, number)."""
        # In whole numbers, since on CUDA sums of fractions differ from run to run.
        levels = (weights * PARTS).long().cumsum(1)
        unit = torch.rand(
            (self.batch, number),
            generator=self.generator,
            device=self.device,
            dtype=torch.float64,
        )
        drawn = (unit * levels[:, -1:]).long()
        # Rounding can carry a draw past the last level.
        found = torch.searchsorted(levels, drawn, right=True)
        return found.clamp(max=weights.shape[1] - 1)


def _offsets(brain: Tensor, draws: _Draws) -> Tensor:
    """Return row and column distance in px to a random brain pixel: (B, 2, S, S)."""
    size = brain.shape[-1]
    centre = draws.index(brain.flatten(1).float(), 1)[:, :, None]
    line = torch.arange(size, device=brain.device)
    rows = (line[None, :, None] - centre // size).expand(-1, size, size)
    columns = (line[None, None, :] - centre % size).expand(-1, size, size)
    return torch.stack([rows, columns], dim=1)


def _density(
    offsets: Tensor,
    row_variance: Tensor,
    column_variance: Tensor,
    covariance: Tensor,
    brain: Tensor,
) -> Tensor:
    """Return a Gaussian inside the brain, summing to 1: (B, S, S)."""
    rows, columns = offsets.unbind(1)
    c11, c22, c12 = (
        v[:, None, None] for v in (row_variance, column_variance, covariance)
    )
    # Near a correlation of 1 the determinant cancels to 0 in single precision.
    determinant = torch.maximum(c11 * c22 - c12**2, 1e-3 * c11 * c22)
    distance = (c22 * rows**2 - 2 * c12 * rows * columns + c11 * columns**2) / (
        determinant
    )
    logits = torch.where(brain[:, 0], -distance / 2, -torch.inf)
    return logits.flatten(1).softmax(1).view_as(logits)


def _squares(
    density: Tensor, number: Tensor, limit: int, side: int, draws: _Draws
) -> Tensor:
    """Return squares that grow down and right from random anchors: bool (B, 1, S, S).

    As published, an anchor takes its row from one brain pixel and its column from
    another, both drawn from the density: only the marginals count.
    """
    size = density.shape[-1]
    rows = draws.index(density.sum(2), limit)
    columns = draws.index(density.sum(1), limit)
    wanted = torch.arange(limit, device=density.device) < number[:, None]
    anchors = torch.zeros_like(density, dtype=torch.int).flatten(1)
    anchors.scatter_add_(1, rows * size + columns, wanted.int())
    anchors = anchors.view_as(density)[:, None]
    return _grow(_grow(anchors, side, -1), side, -2)


def _grow(anchors: Tensor, side: int, axis: int) -> Tensor:
    """Return true where one of the `side` pixels up to here is: bool, same shape."""
    before = anchors.cumsum(axis)
    until = before.roll(side, axis)
    until.narrow(axis % before.ndim, 0, side).zero_()
    return before > until
