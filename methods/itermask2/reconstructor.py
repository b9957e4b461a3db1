"""The two networks of IterMask2: what they are and what they are taught."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from uadbench.errors import UsageError

from .._nn.plain_unet import PlainUNet
from .._nn.tensors import in_batches
from .._nn.training import Loss, Step
from .._nn.unet import Shape, UNet
from .frequency import high_frequency
from .masks import random_masks

Kind = Literal["residual", "plain"]
NETWORKS: dict[Kind, type[UNet] | type[PlainUNet]] = {
    "residual": UNet,
    "plain": PlainUNet,
}


def check(kind: Kind, shape: Shape) -> None:
    """Raise a UsageError if no network can have this shape."""
    if shape.size % shape.stride:
        nearest = max(1, round(shape.size / shape.stride)) * shape.stride
        msg = (
            f"itermask2: size {shape.size} is no multiple of {shape.stride}, by which "
            f"this network shrinks the image. Set size={nearest} or fewer multipliers."
        )
        raise UsageError(msg)
    sides = [
        shape.size // shape.stem // 2**level for level in range(len(shape.multipliers))
    ]
    if kind == "plain":
        sides = []
    for side in shape.attention:
        if side not in sides:
            there = ", ".join(map(str, sides)) or "none that could have attention"
            msg = (
                f"itermask2: attention at {side} px, but the feature maps of this "
                f"network are {there}. Set attention to some of these, or attention= "
                "for none."
            )
            raise UsageError(msg)


def first_step_loss(images: Tensor, radius: float) -> Loss:
    """Return the loss of the first step: condition -> image.

    Args:
        images: healthy, float (N, 1, S, S).
        radius: of the condition.
    """

    def loss(network: nn.Module, step: Step) -> Tensor:
        batch = images[step.indices]
        return mse_loss(network(high_frequency(batch, radius)), batch)

    return loss


def reconstructor_loss(images: Tensor, brain: Tensor, radius: float) -> Loss:
    """Return the loss of the reconstructor: masked image and condition -> image.

    All pixels count, those of the background and those that were never masked too.

    Args:
        images: healthy, float (N, 1, S, S).
        brain: bool, the same shape.
        radius: of the condition.
    """

    def loss(network: nn.Module, step: Step) -> Tensor:
        batch = images[step.indices]
        masks = random_masks(brain[step.indices], step.generator)
        inputs = masked_input(batch, masks, radius, step.generator)
        return mse_loss(network(inputs), batch)

    return loss


def masked_input(
    images: Tensor, masks: Tensor, radius: float, generator: torch.Generator
) -> Tensor:
    """Return the images with noise in the masks, and their condition: (B, 2, S, S)."""
    noise = torch.randn(images.shape, generator=generator, device=images.device)
    masked = torch.where(masks, noise, images)
    return torch.cat([masked, high_frequency(images, radius)], dim=1)


def healthy_errors(
    network: nn.Module,
    images: Tensor,
    brain: Tensor,
    radius: float,
    generator: torch.Generator,
    batch: int,
) -> tuple[Tensor, Tensor]:
    """Return squared errors and random masks of healthy images: (N, 1, S, S) each."""
    masks = random_masks(brain, generator)
    inputs = masked_input(images, masks, radius, generator)
    return (images - in_batches(network, inputs, batch)) ** 2, masks
