"""Random training masks: clusters of squares in the brain, in three regimes.

The published law is written for slices of 240 px of 1 mm. Here every length is in mm,
and the number of squares makes up for the rounding of their sides, so that the masked
part of the brain follows one law on every grid: on an elliptic brain 0.22 on average in
the two large regimes (5 to 95 %: 0.08 to 0.41), 0.04 in the small one (0.02 to 0.06).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .squares import random_squares

VARIANCE = (0.3, 10.0)
CACHED = 2**19  # px at a time on the CPU, whose numbers stay near the processor


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
    if not brain.is_cpu:
        return _masks(brain, pixel, generator, regimes)
    # What is outside the box of the brains is never masked.
    box = (..., *_box(brain))
    masks = torch.zeros_like(brain)
    parts = math.ceil(brain[box].numel() / CACHED)
    for inside, mask in zip(
        brain[box].chunk(parts), masks[box].chunk(parts), strict=True
    ):
        mask.copy_(_masks(inside, pixel, generator, regimes))
    return masks


def _box(brain: Tensor) -> tuple[slice, slice]:
    """Return the rows and the columns of the smallest box that holds all brains."""
    anywhere = brain[:, 0].view(torch.uint8).amax(0)
    rows, columns = (anywhere.amax(axis).nonzero().flatten() for axis in (1, 0))
    return (
        slice(int(rows[0]), int(rows[-1]) + 1),
        slice(int(columns[0]), int(columns[-1]) + 1),
    )


def _masks(
    brain: Tensor, pixel: float, generator: torch.Generator, regimes: tuple[Regime, ...]
) -> Tensor:
    """Return random masks inside brains: bool (B, 1, H, W), see `random_masks`.

    Away from the CPU nothing waits for the host, and the shape of the brains decides
    all others.
    """
    unit = torch.rand((8, len(brain)), generator=generator, device=brain.device)
    spread, fewest, most = _chosen(regimes, unit[0])
    variances = _between(VARIANCE, unit[1:3])
    scale = variances.prod(0).sqrt()
    deviations = spread / pixel * variances.sqrt()
    correlation = _between((-1.0, 1.0), unit[3])

    sides, factors = _rounded(pixel)
    numbers = torch.stack(
        [
            (_between(bounds, part).floor() * factor).round().int()
            for bounds, part, factor in zip(
                (*EXTRA_SQUARES, (fewest * scale, most * scale)),
                unit[4:7],
                factors,
                strict=True,
            )
        ]
    )
    draws = int(numbers.sum()) if brain.is_cpu else _most(len(brain), regimes, factors)

    # On the CPU, bytes become fractions several times as fast as truth values.
    inside = brain[:, 0].view(torch.uint8).float()
    centre = _random_pixel(inside, unit[7])
    density = _density(inside, centre, deviations, correlation)
    return random_squares(density, numbers, sides, draws, generator)[:, None] & brain


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


def _rounded(pixel: float) -> tuple[list[int], list[float]]:
    """Return sides in px, and how many squares of them make up for one of SIDES."""
    sides = [max(1, round(side / pixel)) for side in SIDES]
    exact = [side / pixel for side in SIDES]
    return sides, [(e / ours) ** 2 for e, ours in zip(exact, sides, strict=True)]


def _most(count: int, regimes: tuple[Regime, ...], factors: list[float]) -> int:
    """Return a number of squares that masks for so many brains never exceed."""
    largest = max(regime.squares[1] for regime in regimes) * VARIANCE[1]
    published = (*(many for _, many in EXTRA_SQUARES), largest)
    return count * sum(
        int(many * factor) + 1 for many, factor in zip(published, factors, strict=True)
    )


def _random_pixel(inside: Tensor, unit: Tensor) -> Tensor:
    """Return row and column of one of the ones in each image (B, S, S): (2, B)."""
    in_rows = inside.sum(2)
    row, rest = _place(in_rows, (unit * in_rows.sum(1)).floor())
    image = torch.arange(len(row), device=row.device)
    column, _ = _place(inside[image, row], rest)
    return torch.stack([row, column])


def _place(counts: Tensor, number: Tensor) -> tuple[Tensor, Tensor]:
    """Return where the thing of a number is counted, and its number there: (B,) each.

    Args:
        counts: of things, whole numbers (B, K).
        number: whole, from 0 (B,).
    """
    before = counts.cumsum(1) - counts
    place = (before <= number[:, None]).sum(1) - 1
    return place, number - before.gather(1, place[:, None])[:, 0]


def _density(
    inside: Tensor, centre: Tensor, deviations: Tensor, correlation: Tensor
) -> Tensor:
    """Return a Gaussian inside the brain, 1 at its centre: (B, S, S).

    Args:
        inside: 1 in the brain, 0 elsewhere (B, S, S).
        centre: row and column, px (2, B).
        deviations: of row and column, px (2, B).
        correlation: of row and column (B,).
    """
    # Near a correlation of 1 this cancels to 0 in single precision.
    rest = (1 - correlation.square()).clamp(min=1e-3).sqrt()
    rows, columns = (
        (torch.arange(length, device=inside.device) - middle[:, None])
        / (deviation * rest)[:, None]
        for length, middle, deviation in zip(
            inside.shape[1:], centre, deviations, strict=True
        )
    )
    logits = (correlation[:, None] * rows)[:, :, None] * columns[:, None]
    logits -= rows.square()[:, :, None] / 2
    logits -= columns.square()[:, None] / 2
    # Processors take ten times as long for results that are next to 0.
    density: Tensor = logits.clamp_(min=-80).exp_().mul_(inside)
    return density
