"""Random training masks: clusters of squares in the brain, in three regimes.

The published law is written for slices of 240 px of 1 mm. Here every length is in mm,
and the number of squares makes up for the rounding of their sides, so that the masked
part of the brain follows one law on every grid: on an elliptic brain 0.22 on average in
the two large regimes (5 to 95 %: 0.08 to 0.41), 0.04 in the small one (0.02 to 0.06).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from .squares import random_squares

VARIANCE = (0.3, 10.0)
CACHED = 2**20  # px at a time on the CPU: what is made of them stays near it


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
SIDES = (16, 8, 4)  # mm
# Bounds of the number of all but the smallest, whatever the regime.
EXTRA_SQUARES = ((3.0, 10.0), (5.0, 10.0))


@dataclass(frozen=True, eq=False)
class Clusters:
    """All that is random in the masks of B brains but the places of the squares.

    Attributes:
        centre: which pixel of the brain is the centre, from 0 to 1 (B,).
        deviations: of rows and columns, px (2, B).
        correlation: of rows and columns (B,).
        numbers: of squares of each side, int32 (3, B).
    """

    centre: Tensor
    deviations: Tensor
    correlation: Tensor
    numbers: Tensor

    def __getitem__(self, part: slice) -> "Clusters":
        return Clusters(
            self.centre[part],
            self.deviations[:, part],
            self.correlation[part],
            self.numbers[:, part],
        )


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
    clusters = _clusters(len(brain), pixel, generator, regimes, brain.device)
    if brain.is_cpu:
        box, draws = _box(brain), int(clusters.numbers.sum())
    else:
        # Reading a number would wait for the device.
        box, draws = (slice(None),) * 2, len(brain) * _most(pixel, regimes)
    inside = brain[:, 0, *box]
    sides = [ours for ours, _ in _rounded(pixel)]
    rows, columns = _marginals(inside, clusters)
    squares = random_squares(rows, columns, clusters.numbers, sides, draws, generator)
    masks = torch.zeros_like(brain)
    masks[:, 0, *box] = squares & inside
    return masks


def _box(brain: Tensor) -> tuple[slice, slice]:
    """Return rows and columns around all brains; nothing else is ever masked."""
    anywhere = brain[:, 0].view(torch.uint8).amax(0)
    rows, columns = (anywhere.amax(axis).nonzero().flatten() for axis in (1, 0))
    return (
        slice(int(rows[0]), int(rows[-1]) + 1),
        slice(int(columns[0]), int(columns[-1]) + 1),
    )


def _clusters(
    count: int,
    pixel: float,
    generator: torch.Generator,
    regimes: tuple[Regime, ...],
    device: torch.device,
) -> Clusters:
    """Return so many random clusters."""
    unit = torch.rand((8, count), generator=generator, device=device)
    spread, fewest, most = _chosen(regimes, unit[0])
    variances = _between(VARIANCE, unit[1:3])
    scale = variances.prod(0).sqrt()
    bounds = (*EXTRA_SQUARES, (fewest * scale, most * scale))
    numbers = [
        (_between(limits, part).floor() * factor).round().int()
        for limits, part, (_, factor) in zip(
            bounds, unit[5:], _rounded(pixel), strict=True
        )
    ]
    return Clusters(
        centre=unit[3],
        deviations=spread / pixel * variances.sqrt(),
        correlation=_between((-1.0, 1.0), unit[4]),
        numbers=torch.stack(numbers),
    )


def _between(
    bounds: tuple[float, float] | tuple[Tensor, Tensor], unit: Tensor
) -> Tensor:
    """Return numbers between two bounds from numbers between 0 and 1."""
    low, high = bounds
    return low + (high - low) * unit


def _chosen(regimes: tuple[Regime, ...], unit: Tensor) -> Tensor:
    """Return spread and bounds of the squares of one regime for each: (3, B)."""
    picked = (unit * len(regimes)).long()
    chosen = unit.new_empty((3, len(unit)))
    for number, regime in enumerate(regimes):
        ours = picked == number
        for row, value in zip(chosen, (regime.spread, *regime.squares), strict=True):
            row.masked_fill_(ours, value)
    return chosen


def _rounded(pixel: float) -> list[tuple[int, float]]:
    """Return each of SIDES in px, and how many such squares make up for one."""
    exact = [side / pixel for side in SIDES]
    ours = [max(1, round(side)) for side in exact]
    return [(side, (e / side) ** 2) for e, side in zip(exact, ours, strict=True)]


def _most(pixel: float, regimes: tuple[Regime, ...]) -> int:
    """Return a number of squares that no mask exceeds."""
    largest = max(regime.squares[1] for regime in regimes) * VARIANCE[1]
    published = (*(many for _, many in EXTRA_SQUARES), largest)
    return sum(
        int(many * factor) + 1
        for many, (_, factor) in zip(published, _rounded(pixel), strict=True)
    )


def _marginals(brain: Tensor, clusters: Clusters) -> tuple[Tensor, Tensor]:
    """Return sums over each row, and over each column, of the density of squares.

    The density is a Gaussian inside the brain, in any unit.

    Args:
        brain: bool (B, H, W).
        clusters: in each.

    Returns:
        Float (B, H) and (B, W).
    """
    step = max(1, CACHED // brain[0].numel()) if brain.is_cpu else len(brain)
    sums = []
    for start in range(0, len(brain), step):
        part = slice(start, start + step)
        # On the CPU, bytes become fractions several times as fast as truth values.
        inside = brain[part].view(torch.uint8).float()
        density = _gaussian(inside, clusters[part]).mul_(inside)
        sums.append((density.sum(2), density.sum(1)))
    rows, columns = zip(*sums, strict=True)
    return torch.cat(rows), torch.cat(columns)


def _gaussian(inside: Tensor, clusters: Clusters) -> Tensor:
    """Return Gaussians that are 1 at a random pixel of their brain: float (B, H, W).

    Args:
        inside: 1 in the brain, 0 elsewhere (B, H, W).
        clusters: in each.
    """
    # Near a correlation of 1 this cancels to 0 in single precision.
    rest = (1 - clusters.correlation.square()).clamp(min=1e-3).sqrt()
    rows, columns = (
        (torch.arange(length, device=inside.device) - middle[:, None])
        / (deviation * rest)[:, None]
        for length, middle, deviation in zip(
            inside.shape[1:],
            _pixel(inside, clusters.centre),
            clusters.deviations,
            strict=True,
        )
    )
    logits = (clusters.correlation[:, None] * rows)[:, :, None] * columns[:, None]
    logits -= rows.square()[:, :, None] / 2
    logits -= columns.square()[:, None] / 2
    # Processors take ten times as long for results that are next to 0.
    gaussian: Tensor = logits.clamp_(min=-80).exp_()
    return gaussian


def _pixel(inside: Tensor, unit: Tensor) -> tuple[Tensor, Tensor]:
    """Return row and column of one of the ones of each image: (B,) each.

    Args:
        inside: of ones and zeros (B, H, W).
        unit: which one, from 0 for the first to 1 (B,).
    """
    in_rows = inside.sum(2)
    row, rest = _place(in_rows, (unit * in_rows.sum(1)).floor())
    image = torch.arange(len(row), device=row.device)
    column, _ = _place(inside[image, row], rest)
    return row, column


def _place(counts: Tensor, number: Tensor) -> tuple[Tensor, Tensor]:
    """Return where the thing of a number is counted, and its number there: (B,) each.

    Args:
        counts: of things, whole numbers (B, K).
        number: whole, from 0 (B,).
    """
    before = counts.cumsum(1) - counts
    place = (before <= number[:, None]).sum(1) - 1
    return place, number - before.gather(1, place[:, None])[:, 0]
