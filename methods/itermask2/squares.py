"""Squares at random places, those of a whole batch in one flat list.

Nothing waits for the host, and all shapes are known beforehand. On a GPU sums of
fractions can differ from run to run, so that what is drawn from is whole numbers.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn.functional import pad

PARTS = 2**30  # of a probability of 1


def random_anchors(
    density: Tensor,
    numbers: Tensor,
    draws: int,
    margin: int,
    generator: torch.Generator,
) -> Tensor:
    """Return true at random pixels: bool (K, B, margin + S, margin + S).

    As published, an anchor takes its row from one pixel and its column from another,
    both drawn from the density: only the marginals count.

    Args:
        density: not negative, in any unit, float (B, S, S).
        numbers: of anchors, int64 (K, B).
        draws: at least the sum of the numbers; more change nothing.
        margin: rows and columns before those of the density, without anchors.
        generator: on the device of the density.
    """
    (kinds, batch), device = numbers.shape, density.device
    side = margin + density.shape[-1]
    # What is drawn in vain lands on one more image.
    spare = draws - numbers.sum()
    image = torch.repeat_interleave(
        torch.cat([numbers.flatten(), spare[None]]), output_size=draws
    )
    lines = torch.arange(2 * batch, dtype=torch.int32, device=device).view(batch, 2)
    lines = lines.repeat(kinds + 1, 1).index_select(0, image)
    drawn = torch.randint(
        PARTS, (draws, 2), generator=generator, device=device, dtype=torch.int32
    )
    marginals = torch.stack([density.sum(2), density.sum(1)], dim=1)
    levels = cumulative(marginals).flatten(0, 1)
    rows, columns = (margin + searched(levels, lines, drawn)).unbind(1)
    anchors = torch.zeros(
        (kinds * batch + 1, side, side), dtype=torch.bool, device=device
    )
    anchors.view(-1).index_fill_(0, (image * side + rows) * side + columns, True)
    return anchors[:-1].view(kinds, batch, side, side)


def cumulative(weights: Tensor) -> Tensor:
    """Return cumulative probabilities, the last one PARTS: int32, same shape."""
    weights = weights.double()
    parts = (weights * (PARTS / weights.sum(-1, keepdim=True))).long()
    levels = parts.cumsum(-1).double()
    return (levels / levels[..., -1:] * PARTS).int()


def searched(levels: Tensor, lines: Tensor, drawn: Tensor) -> Tensor:
    """Return how many levels of a line each number has reached: int32, same shape.

    As torch.searchsorted, but without branches, of which a processor foresees none.

    Args:
        levels: rising to PARTS, int32 (L, S).
        lines: int32.
        drawn: below PARTS, int32, the same shape.
    """
    step = 1 << (levels.shape[-1] - 1).bit_length()
    flat = pad(levels, (0, step - levels.shape[-1]), value=PARTS).flatten()
    start = (lines * step).flatten()
    found, drawn = start.clone(), drawn.flatten()
    while step := step // 2:
        reached = flat[step - 1 :].index_select(0, found) <= drawn
        found.add_(reached, alpha=step)
    return (found - start).view_as(lines)


def squares(anchors: Tensor, sides: Sequence[int]) -> Tensor:
    """Return squares that grow down and right from their anchors: bool (B, S, S).

    Args:
        anchors: bool (K, B, sides[0] - 1 + S, sides[0] - 1 + S), see `random_anchors`.
        sides: of the K squares, falling, px.
    """
    mask = torch.zeros_like(anchors[0])
    # The larger squares go on growing together with the smaller ones.
    for more, (side, smaller) in zip(anchors, pairwise([*sides, 1]), strict=True):
        done = sides[0] - side
        mask = mask | more[:, done:, done:]
        mask = grown(grown(mask, side - smaller, 1), side - smaller, 2)
    return mask


def grown(mask: Tensor, by: int, axis: int) -> Tensor:
    """Return true where a pixel is or one of `by` before, without the first `by`."""
    reach = 1
    for _ in range(by.bit_length()):
        step = min(reach, by + 1 - reach)
        kept = mask.shape[axis] - step
        mask = mask.narrow(axis, step, kept) | mask.narrow(axis, 0, kept)
        reach += step
    return mask
