"""What the two networks see: a masked image, and a condition if there is one."""

from collections.abc import Callable

import torch
from torch import Tensor

# Maps images (B, 1, H, W) to what is known of all of the image: (B, K, H, W).
Condition = Callable[[Tensor], Tensor]


def no_condition(images: Tensor) -> Tensor:
    """Return no channel: (B, 0, H, W)."""
    return images[:, :0]


def first_input(
    images: Tensor,
    brain: Tensor,
    condition: Tensor,
    noise_of: Callable[[Tensor], Tensor],
) -> Tensor:
    """Return what the first step sees, before any part of the brain is known.

    It is the condition; without one, the image with noise in the whole brain.

    Args:
        images: float (B, 1, H, W).
        brain: bool, the same shape.
        condition: of the images, (B, K, H, W).
        noise_of: returns noise in the shape of the images; not called if none is seen.
    """
    if condition.shape[1]:
        return condition
    return torch.where(brain, noise_of(images), images)


def masked_input(
    images: Tensor, masks: Tensor, condition: Tensor, noise: Tensor
) -> Tensor:
    """Return images with noise in the masks, and the condition: (B, 1 + K, H, W)."""
    return torch.cat([torch.where(masks, noise, images), condition], dim=1)


def noise_like(images: Tensor, generator: torch.Generator) -> Tensor:
    """Return standard normal noise in the shape of the images, on their device.

    Args:
        images: only their shape, type and device matter.
        generator: on the same device.
    """
    return torch.randn(
        images.shape, generator=generator, device=images.device, dtype=images.dtype
    )
