"""Smooth noise: Gaussian on a coarse grid, interpolated to the size of the image."""

import torch
from torch import Tensor
from torch.nn.functional import interpolate


def coarse_noise(
    shape: torch.Size, cells: int, deviation: float, generator: torch.Generator
) -> Tensor:
    """Return noise of a shape (B, C, S, S), as Kascenas et al. 2022 make it.

    N(0, deviation) on a grid of cells x cells points that reach from corner to corner
    of the image, bilinear in between; then all images are rolled by the same random
    number of pixels along each axis, so that the points lie anywhere.

    Args:
        shape: of the noise.
        cells: points along an axis of the grid.
        deviation: standard deviation at the points of the grid.
        generator: where the numbers come from; its device is that of the noise.
    """
    device = generator.device
    grid = (*shape[:2], cells, cells)
    coarse = deviation * torch.randn(grid, generator=generator, device=device)
    fine = interpolate(coarse, shape[2:], mode="bilinear", align_corners=True)
    # By indices, since a roll would wait for the numbers to come from the device.
    rows, columns = (
        (torch.arange(side, device=device) - _below(side, generator)) % side
        for side in shape[2:]
    )
    return fine[:, :, rows][..., columns]


def _below(side: int, generator: torch.Generator) -> Tensor:
    """Return one of 0 ... side - 1, int64 ()."""
    return torch.randint(side, (), generator=generator, device=generator.device)
