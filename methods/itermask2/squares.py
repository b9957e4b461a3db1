"""Squares at random places, those of a whole batch in one flat list.

Nothing waits for the host, and all shapes are known beforehand. On a GPU sums of
fractions can differ from run to run, so that what is drawn from is whole numbers.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn.functional import pad

BITS = 30  # of a probability
PARTS = 1 << BITS


def random_squares(
    rows: Tensor,
    columns: Tensor,
    numbers: Tensor,
    sides: Sequence[int],
    draws: int,
    generator: torch.Generator,
) -> Tensor:
    """Return squares at random places: bool (B, H, W).

    As published, a square starts in the row of one pixel and the column of another,
    both drawn from a density, and extends down and right: only the marginals count.

    Args:
        rows: weight of each, not negative, in any unit, float (B, H).
        columns: the same, (B, W).
        numbers: of squares of each side, int32 (K, B).
        sides: of the K kinds of squares, falling, px.
        draws: at least the sum of the numbers; more change nothing.
        generator: on the device of the weights.
    """
    (kinds, batch), device = numbers.shape, numbers.device
    # What is drawn in vain lands on one more image.
    spare = draws - numbers.sum(dtype=torch.int32)
    image = torch.repeat_interleave(
        torch.cat([numbers.flatten(), spare[None]]), output_size=draws
    )
    brain = torch.arange(batch, dtype=torch.int32, device=device)
    brain = brain.repeat(kinds + 1).index_select(0, image)
    drawn = torch.randint(PARTS**2, (draws,), generator=generator, device=device)
    row, column = searched(
        cumulative(_lines(rows, columns)),
        torch.cat([brain, brain + batch]),
        torch.cat([drawn >> BITS, drawn & PARTS - 1]).int(),
    ).chunk(2)

    # What a square has beyond an edge falls into the margin of the next row or image.
    margin = sides[0] - 1
    height, width = (margin + weights.shape[1] for weights in (rows, columns))
    anchors = torch.zeros(
        (kinds * batch + 1) * height * width, dtype=torch.bool, device=device
    )
    at = (image * height + row + margin) * width + column + margin
    anchors.index_fill_(0, at.long(), True)
    squares = grown_together(anchors[: -height * width].view(kinds, -1), sides, width)
    return squares.as_strided(
        (batch, rows.shape[1], columns.shape[1]), (height * width, width, 1)
    )


def _lines(rows: Tensor, columns: Tensor) -> Tensor:
    """Return one after the other, filled up with zeros: (2 B, a power of 2)."""
    length = 1 << (max(rows.shape[1], columns.shape[1]) - 1).bit_length()
    return torch.cat(
        [pad(weights, (0, length - weights.shape[1])) for weights in (rows, columns)]
    )


def cumulative(weights: Tensor) -> Tensor:
    """Return cumulative probabilities, the last one PARTS: int32, same shape."""
    weights = weights.double()
    parts = (weights * (PARTS / weights.sum(-1, keepdim=True))).long()
    levels = parts.cumsum(-1).double()
    return (levels / levels[..., -1:] * PARTS).int()


def searched(levels: Tensor, lines: Tensor, drawn: Tensor) -> Tensor:
    """Return how many levels of a line each number has reached: int32 (N,).

    As torch.searchsorted, but without branches, which no processor foresees.

    Args:
        levels: rising to PARTS, int32 (L, a power of 2).
        lines: int32 (N,).
        drawn: below PARTS, int32 (N,).
    """
    step = levels.shape[1]
    start, levels = lines * step, levels.flatten()
    found = start.clone()
    while step := step // 2:
        reached = levels[step - 1 :].index_select(0, found).le_(drawn)
        found.add_(reached, alpha=step)
    return found.sub_(start)


def grown_together(anchors: Tensor, sides: Sequence[int], width: int) -> Tensor:
    """Return true where a square from an anchor before is, without the first rows.

    Args:
        anchors: of the K kinds of squares, bool (K, N), images row by row.
        sides: of the squares, falling, px.
        width: of a row.

    Returns:
        Bool (M,): the last of the N pixels that squares at the first do not reach past.
    """
    mask = torch.zeros_like(anchors[0])
    # The larger squares go on growing with the smaller ones.
    for more, (side, smaller) in zip(anchors, pairwise([*sides, 1]), strict=True):
        mask = mask | more[len(more) - len(mask) :]
        for stride in (width, 1):
            mask = grown(mask, side - smaller, stride)
    return mask


def grown(mask: Tensor, by: int, stride: int) -> Tensor:
    """Return true where a pixel is or one of `by` before, one every `stride`.

    The first `by * stride` are left out.
    """
    reach = 1
    for _ in range(by.bit_length()):
        step = min(reach, by + 1 - reach)
        mask = mask[step * stride :] | mask[: -step * stride]
        reach += step
    return mask
