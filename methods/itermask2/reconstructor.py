"""What the two networks are taught."""

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from .._nn.tensors import in_batches
from .._nn.training import Loss, Step
from .inputs import Condition, first_input, masked_input, noise_like
from .masks import random_masks


def first_step_loss(images: Tensor, brain: Tensor, condition: Condition) -> Loss:
    """Return the loss of the first step: what is known before any mask -> image.

    Args:
        images: healthy, float (N, 1, S, S).
        brain: bool, the same shape.
        condition: what else is known of an image.
    """

    def loss(network: nn.Module, step: Step) -> Tensor:
        batch, inside = images[step.indices], brain[step.indices]
        noise_of = partial(noise_like, generator=step.generator)
        inputs = first_input(batch, inside, condition(batch), noise_of)
        return mse_loss(network(inputs), batch)

    return loss


def reconstructor_loss(
    images: Tensor, brain: Tensor, pixel: float, condition: Condition
) -> Loss:
    """Return the loss of the reconstructor: masked image and condition -> image.

    All pixels count, those of the background and those that were never masked too.

    Args:
        images: healthy, float (N, 1, S, S).
        brain: bool, the same shape.
        pixel: side in mm.
        condition: what else is known of an image.
    """

    def loss(network: nn.Module, step: Step) -> Tensor:
        batch = images[step.indices]
        masks = random_masks(brain[step.indices], pixel, step.generator)
        noise = noise_like(batch, step.generator)
        inputs = masked_input(batch, masks, condition(batch), noise)
        return mse_loss(network(inputs), batch)

    return loss


def healthy_errors(
    network: nn.Module,
    images: Tensor,
    brain: Tensor,
    pixel: float,
    condition: Condition,
    generator: torch.Generator,
    batch: int,
) -> tuple[Tensor, Tensor]:
    """Return squared errors and random masks of healthy images: (N, 1, S, S) each."""
    errors, masks = [], []
    for part, inside in zip(
        torch.split(images, batch), torch.split(brain, batch), strict=True
    ):
        masks.append(random_masks(inside, pixel, generator))
        noise = noise_like(part, generator)
        inputs = masked_input(part, masks[-1], condition(part), noise)
        errors.append((part - in_batches(network, inputs, batch)) ** 2)
    return torch.cat(errors), torch.cat(masks)
