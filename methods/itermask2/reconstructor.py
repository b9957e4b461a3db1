"""What the two networks are taught."""

from collections.abc import Iterable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from .._nn.steps import Step
from .._nn.tensors import in_batches
from .inputs import Condition, first_input, masked_input, noise_like
from .masks import random_masks


def first_step_loss(network: nn.Module, step: Step, condition: Condition) -> Tensor:
    """Return the loss of the first step: what is known before any mask -> image.

    Args:
        network: maps what `first_input` gives to images.
        step: healthy slices.
        condition: what else is known of an image.
    """
    known = condition(step.images)
    noise_of = partial(noise_like, generator=step.generator)
    inputs = first_input(step.images, step.brain, known, noise_of)
    return mse_loss(network(inputs), step.images)


def reconstructor_loss(
    network: nn.Module, step: Step, pixel: float, condition: Condition
) -> Tensor:
    """Return the loss of the reconstructor: masked image and condition -> image.

    All pixels count, those of the background and those that were never masked too.

    Args:
        network: maps what `masked_input` gives to images.
        step: healthy slices.
        pixel: side in mm.
        condition: what else is known of an image.
    """
    inputs, _ = _masked(step, pixel, condition)
    return mse_loss(network(inputs), step.images)


def healthy_errors(
    network: nn.Module, steps: Iterable[Step], pixel: float, condition: Condition
) -> tuple[Tensor, Tensor]:
    """Return squared errors and random masks of healthy images: (N, 1, S, S) each."""
    errors, masks = [], []
    for step in steps:
        inputs, mask = _masked(step, pixel, condition)
        restored = in_batches(network, inputs, len(inputs))
        errors.append((step.images - restored) ** 2)
        masks.append(mask)
    return torch.cat(errors), torch.cat(masks)


def _masked(step: Step, pixel: float, condition: Condition) -> tuple[Tensor, Tensor]:
    """Return what the reconstructor sees of slices with random masks, and the masks."""
    masks = random_masks(step.brain, pixel, step.generator)
    noise = noise_like(step.images, step.generator)
    return masked_input(step.images, masks, condition(step.images), noise), masks
