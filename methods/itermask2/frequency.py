"""The frequency condition: a slice without the contrast of its low frequencies."""

import torch
from torch import Tensor


def high_frequency(images: Tensor, radius: float = 15.0) -> Tensor:
    """Return the images with the amplitude of their low frequencies set to 1.

    The phase stays everywhere and high frequencies stay as they are: the outlines of
    the anatomy remain, the brightness of a lesion does not.

    Args:
        images: float (B, 1, H, W).
        radius: frequencies nearer than this to the centre (H // 2, W // 2) of the
            shifted spectrum are low, in cycles per image.
    """
    if not len(images):
        # Some libraries refuse to transform nothing.
        return images
    height, width = images.shape[-2:]
    rows = torch.arange(height, device=images.device) - height // 2
    columns = torch.arange(width, device=images.device) - width // 2
    low = rows[:, None] ** 2 + columns[None, :] ** 2 < radius**2
    spectrum = torch.fft.fftshift(torch.fft.fft2(images), dim=(-2, -1))
    angle = spectrum.angle()
    phase = torch.polar(torch.ones_like(angle), angle)
    flattened = torch.fft.ifftshift(torch.where(low, phase, spectrum), dim=(-2, -1))
    condition: Tensor = torch.fft.ifft2(flattened).real
    return condition
