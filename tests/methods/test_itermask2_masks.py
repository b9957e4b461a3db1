import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from uadbench.methods.itermask2.masks import LARGE, SMALL, Regime, random_masks

# Mean and 5 to 95 % of the masked part of an elliptic brain, as stated for the paper.
STATED = {LARGE: (0.22, 0.08, 0.41), SMALL: (0.04, 0.02, 0.06)}


def ellipse(size: int, field: float = 240.0) -> NDArray[np.bool_]:
    """Return a brain of 173 x 139 mm in a slice of some mm a side."""
    line = ((np.arange(size) + 0.5) / size - 0.5) * field
    return (line[:, None] / 86.4) ** 2 + (line[None] / 69.6) ** 2 < 1


def brains(count: int, size: int, field: float = 240.0) -> Tensor:
    return torch.from_numpy(ellipse(size, field)).expand(count, 1, size, size)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def masked_parts(
    size: int, field: float, regime: Regime, count: int
) -> NDArray[np.float64]:
    brain = brains(count, size, field)
    masks = random_masks(brain, field / size, seeded(), (regime,))
    return (masks.sum((1, 2, 3)) / brain.sum((1, 2, 3))).double().numpy()


def slow_twin(
    rng: np.random.Generator, brain: NDArray[np.bool_], small: bool
) -> NDArray[np.bool_]:
    """One mask, drawn on 240 px a square at a time, as the published law is written."""
    variances = rng.uniform(0.3, 10, 2)
    scale = np.sqrt(variances.prod())
    correlated = rng.choice([-1, 1]) * rng.uniform(0, scale)
    covariance = np.array([[variances[0], correlated], [correlated, variances[1]]])
    pixels = np.argwhere(brain)
    units = (pixels - pixels[rng.integers(len(pixels))]) * (0.4 if small else 0.1)
    distance = np.einsum("ni,ij,nj->n", units, np.linalg.inv(covariance), units)
    weights = np.exp(-distance / 2)
    density: NDArray[np.float64] = weights / weights.sum()
    few, many = (5, 20) if small else (100, 200)
    numbers = {
        4: int(rng.uniform(few * scale, many * scale)),
        8: int(rng.integers(5, 10)),
        16: int(rng.integers(3, 10)),
    }
    mask = np.zeros_like(brain)
    for side, number in numbers.items():
        rows = pixels[rng.choice(len(pixels), number, p=density), 0]
        columns = pixels[rng.choice(len(pixels), number, p=density), 1]
        for row, column in zip(rows, columns, strict=True):
            mask[row : row + side, column : column + side] = True
    return mask & brain


def row_widths(masks: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the standard deviation of the masked rows of each mask, px."""
    counts = masks.sum(2).astype(float)
    rows = np.arange(masks.shape[1])
    mean, square = (counts @ rows**n / counts.sum(1) for n in (1, 2))
    return np.asarray(np.sqrt(square - mean**2))


@pytest.mark.parametrize(("size", "field"), [(64, 240), (128, 240), (64, 192)])
@pytest.mark.parametrize("regime", [LARGE, SMALL])
def test_masked_part_of_the_brain_follows_the_stated_law(
    regime: Regime, size: int, field: float
) -> None:
    mean, low, high = STATED[regime]

    parts = masked_parts(size, field, regime, 300)

    assert parts.mean() == pytest.approx(mean, rel=0.2)
    assert np.quantile(parts, 0.05) == pytest.approx(low, rel=0.3, abs=0.005)
    assert np.quantile(parts, 0.95) == pytest.approx(high, rel=0.15, abs=0.005)


@pytest.mark.parametrize("regime", [LARGE, SMALL])
def test_masks_agree_with_the_slow_twin(regime: Regime) -> None:
    rng = np.random.default_rng(0)
    brain = ellipse(240)
    twins = np.stack([slow_twin(rng, brain, regime is SMALL) for _ in range(80)])

    masks = random_masks(brains(120, 240), 1.0, seeded(), (regime,))[:, 0].numpy()

    twin_parts, parts = (m.sum((1, 2)) / brain.sum() for m in (twins, masks))
    twin_widths, widths = (row_widths(m) for m in (twins, masks))
    # The standard errors of the differences are 6 % of the means.
    assert parts.mean() == pytest.approx(twin_parts.mean(), rel=0.18)
    assert parts.std() == pytest.approx(twin_parts.std(), rel=0.3)
    assert widths.mean() == pytest.approx(twin_widths.mean(), rel=0.18)


def test_two_thirds_of_the_masks_are_large() -> None:
    brain = brains(900, 64)

    masks = random_masks(brain, 3.75, seeded())

    parts = masks.sum((1, 2, 3)) / brain.sum((1, 2, 3))
    # 0.07 lies between the regimes; 5 % of the large masks lie below it.
    assert float((parts > 0.07).float().mean()) == pytest.approx(2 / 3, abs=0.06)


def test_masks_are_hard_and_inside_the_brain() -> None:
    brain = brains(16, 64)

    masks = random_masks(brain, 3.75, seeded())

    assert masks.dtype == torch.bool
    assert masks.shape == brain.shape
    assert not (masks & ~brain).any()
    assert masks.flatten(1).any(1).all()


def test_masks_differ_within_a_batch_and_repeat_with_the_seed() -> None:
    first = random_masks(brains(4, 64), 3.75, seeded())

    assert not torch.equal(first[0], first[1])
    assert torch.equal(first, random_masks(brains(4, 64), 3.75, seeded()))
    assert not torch.equal(first, random_masks(brains(4, 64), 3.75, seeded(1)))


def test_a_brain_of_one_pixel_is_masked() -> None:
    brain = torch.zeros(1, 1, 32, 32, dtype=torch.bool)
    brain[..., 10, 20] = True

    assert torch.equal(random_masks(brain, 3.75, seeded()), brain)
