import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates

from uadbench.methods._nn.coarse_noise import coarse_noise


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_noise_is_a_coarse_grid_interpolated_from_corner_to_corner_and_rolled() -> None:
    shape, generator = torch.Size((3, 1, 64, 64)), seeded(5)

    noise = coarse_noise(shape, 16, 0.2, seeded(5))

    # The same numbers in the same order: grid, then shift along each axis.
    grid = 0.2 * torch.randn((3, 1, 16, 16), generator=generator)
    rows, columns = (int(torch.randint(64, (), generator=generator)) for _ in "ab")
    places = np.stack(np.meshgrid(*[np.linspace(0, 15, 64)] * 2, indexing="ij"))
    for image, points in zip(noise[:, 0], grid[:, 0], strict=True):
        fine = map_coordinates(points.numpy(), places, order=1)
        expected = np.roll(fine, (rows, columns), axis=(0, 1))
        np.testing.assert_allclose(image, expected, atol=1e-6)


def test_a_grid_as_fine_as_the_image_leaves_its_numbers_alone() -> None:
    noise = coarse_noise(torch.Size((2, 1, 32, 32)), 32, 1.0, seeded())

    drawn = torch.randn((2, 1, 32, 32), generator=seeded())
    torch.testing.assert_close(noise.flatten().sort()[0], drawn.flatten().sort()[0])


@pytest.mark.parametrize("deviation", [0.2, 0.4])
def test_deviation_is_that_of_the_grid_and_smaller_between_its_points(
    deviation: float,
) -> None:
    # 7 px a cell: every seventh pixel is a point of the grid.
    shape = torch.Size((4000, 1, 8, 8))

    spread = coarse_noise(shape, 2, deviation, seeded()).std(dim=0)[0]

    # A point of the grid has the weight 1; farthest from the four points, at 3 / 7 of a
    # cell along each axis, the weights are 4 / 7 and 3 / 7 each way.
    between = deviation * ((4 / 7) ** 2 + (3 / 7) ** 2)
    assert float(spread.max()) == pytest.approx(deviation, rel=0.05)
    assert float(spread.min()) == pytest.approx(between, rel=0.05)


def test_every_image_has_its_own_noise_and_all_are_rolled_alike() -> None:
    noise = coarse_noise(torch.Size((3, 1, 8, 8)), 2, 1.0, seeded(2))

    assert not torch.equal(noise[0], noise[1])
    # The seam of the roll is the largest step, at the same place in every image.
    seams = (noise - noise.roll(1, dims=3)).abs().mean(dim=(1, 2)).argmax(dim=1)
    assert len(set(seams.flatten().tolist())) == 1


def test_noise_has_mean_zero() -> None:
    noise = coarse_noise(torch.Size((2000, 1, 32, 32)), 8, 0.2, seeded())

    # 128 000 points of the grid: four standard errors.
    assert abs(float(noise.mean())) < 4 * 0.2 / 128_000**0.5
