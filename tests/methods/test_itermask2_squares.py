import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from uadbench.methods.itermask2.squares import (
    PARTS,
    cumulative,
    grown_together,
    random_squares,
    searched,
)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def weights(batch: int, height: int, width: int) -> tuple[Tensor, Tensor]:
    generator = seeded(9)
    rows, columns = (
        torch.rand(1, n, generator=generator) ** 8 for n in (height, width)
    )
    return rows.expand(batch, -1), columns.expand(batch, -1)


def drawn_slowly(anchors: NDArray[np.bool_], sides: list[int]) -> NDArray[np.bool_]:
    """Return squares that extend down and right from (K, B, H, W) anchors."""
    mask = np.zeros(anchors.shape[1:], bool)
    for kind, image, row, column in np.argwhere(anchors):
        side = sides[kind]
        mask[image, row : row + side, column : column + side] = True
    return mask


@pytest.mark.parametrize("sides", [[9, 4, 2], [16, 8, 4], [5, 3, 3], [4, 1], [1, 1, 1]])
def test_squares_grow_as_when_drawn_one_by_one(sides: list[int]) -> None:
    margin, height, width = sides[0] - 1, 30, 23
    drawn = torch.rand(len(sides), 5, height, width, generator=seeded()) > 0.99
    anchors = torch.nn.functional.pad(drawn, (margin, 0, margin, 0))

    grown = grown_together(anchors.flatten(1), sides, margin + width)

    pixels = grown.as_strided(
        (5, height, width), (anchors[0, 0].numel(), margin + width, 1)
    )
    assert np.array_equal(pixels.numpy(), drawn_slowly(drawn.numpy(), sides))


@pytest.mark.parametrize("length", [1, 2, 64])
def test_a_search_finds_what_numpy_finds(length: int) -> None:
    levels = cumulative(torch.rand(7, length, generator=seeded()) ** 8)
    lines = torch.arange(7, dtype=torch.int32).repeat(100)
    drawn = torch.randint(PARTS, (700,), dtype=torch.int32, generator=seeded())

    found = searched(levels, lines, drawn)

    expected = [
        np.searchsorted(levels.numpy()[line], number, side="right")
        for line, number in zip(lines.numpy(), drawn.numpy(), strict=True)
    ]
    assert found.tolist() == expected


def test_cumulative_probabilities_end_at_one_whatever_the_unit() -> None:
    weights = torch.rand(3, 64, generator=seeded()) * torch.tensor([[1e-3], [1], [1e3]])

    levels = cumulative(weights)

    expected = np.cumsum(weights.double().numpy(), axis=1)
    expected /= expected[:, -1:]
    assert levels[:, -1].tolist() == [PARTS] * 3
    assert np.abs(levels.numpy() / PARTS - expected).max() < 1e-7


def test_rows_and_columns_follow_the_marginals_independently() -> None:
    rows, columns = weights(4000, 12, 9)
    numbers = torch.ones(1, 4000, dtype=torch.int32)

    drawn = random_squares(rows, columns, numbers, [1], 4000, seeded())

    product = rows[0][:, None] * columns[0]
    expected = 4000 * product / product.sum()
    squared = (drawn.sum(0) - expected).square() / expected
    # 0.999 quantile of chi squared with 12 x 9 - 1 degrees of freedom.
    assert drawn.sum((1, 2)).eq(1).all()
    assert float(squared.sum()) < 157


def test_draws_in_vain_change_nothing() -> None:
    numbers = torch.tensor([[1, 0, 2], [3, 5, 0]], dtype=torch.int32)

    exact = random_squares(*weights(3, 20, 17), numbers, [4, 2], 11, seeded())
    more = random_squares(*weights(3, 20, 17), numbers, [4, 2], 500, seeded())

    assert torch.equal(exact, more)


def test_no_squares_are_drawn_where_none_are_wanted() -> None:
    numbers = torch.tensor([[0, 1]], dtype=torch.int32)

    drawn = random_squares(*weights(2, 8, 8), numbers, [2], 1, seeded())

    assert drawn.flatten(1).any(1).tolist() == [False, True]
