"""Iterative refinement: a mask of most of the brain shrinks onto lesions."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from uadbench.errors import UsageError

from .inputs import first_input, masked_input, noise_like

Network = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Refinement:
    """How the refinement of a batch of images ended.

    Attributes:
        mask: bool (B, 1, H, W), the final mask.
        reconstruction: float (B, 1, H, W), what the reconstructor made of the image
            with that mask.
        iterations: int (B,), passes through the reconstructor; 0 without brain.
        trace: bool (K, B, 1, H, W), the mask of every pass, K the most passes of any
            image and at least 1; an image that has stopped repeats its final mask.
    """

    mask: Tensor
    reconstruction: Tensor
    iterations: Tensor
    trace: Tensor


def masked_error_threshold(
    errors: Tensor, masks: Tensor, quantile: float = 0.8
) -> float:
    """Return the error above which 1 - `quantile` of the masked mass lies.

    It is the k-th smallest of errors * masks,
    k = N * H * W - (1 - quantile) * sum(masks).

    Args:
        errors: float (N, 1, H, W), not negative.
        masks: the same shape, 1 where the image was masked.
        quantile: in (0, 1).
    """
    mass = float(masks.sum(dtype=torch.float64))
    # kthvalue counts from 1.
    k = max(1, int(masks.numel() - (1 - quantile) * mass))
    return float((errors * masks).flatten().kthvalue(k).values)


@torch.no_grad()
def refine(
    images: Tensor,
    brain: Tensor,
    first_step: Network,
    reconstructor: Network,
    threshold: float,
    *,
    condition: Tensor,
    keep: float = 0.6,
    stop_ratio: float = 0.01,
    generator: torch.Generator | None = None,
) -> Refinement:
    """Shrink a mask onto what cannot be reconstructed from its surroundings.

    The first mask is the `keep` part of the brain where the first step errs most. Then,
    each pass: noise fills the mask, the reconstructor puts there what is healthy, and
    only pixels whose squared error exceeds the threshold stay masked.

    Args:
        images: float (B, 1, H, W).
        brain: (B, 1, H, W), true inside the brain.
        first_step: maps what `first_input` gives to images.
        reconstructor: maps masked images and condition (B, 1 + K, H, W) to images.
        threshold: squared error.
        condition: what else the networks see of the images, (B, K, H, W), K = 0 for
            nothing.
        keep: part of the brain in the first mask, in [0, 1].
        stop_ratio: an image stops when its mask would shrink by a smaller part than
            this, and keeps the mask from before that; above 0.
        generator: of the noise. It may be on the CPU while the images are not, so that
            the noise is the same on every device.

    Raises:
        UsageError: the stop ratio is not positive: the refinement might never end.
    """
    if not stop_ratio > 0:
        msg = f"refine: stop_ratio must be above 0, got {stop_ratio}."
        raise UsageError(msg)
    brain = brain.bool()
    first = first_step(first_input(images, brain, condition, generator))
    mask = _first_mask((images - first) ** 2, brain, keep)
    reconstruction = torch.zeros_like(images)
    iterations = torch.zeros(len(images), dtype=torch.long, device=images.device)
    trace: list[Tensor] = []
    active = brain.flatten(1).any(1)
    while not trace or active.any():
        trace.append(mask)
        # Drawn for all images: whether another one has stopped must not matter.
        noise = noise_like(images, generator)
        at = active.nonzero().flatten()
        if not len(at):
            break
        inputs = masked_input(images[at], mask[at], condition[at], noise[at])
        restored = reconstructor(inputs)
        reconstruction[at] = restored.to(images.dtype)
        shrunk = mask.clone()
        shrunk[at] &= ((images[at] - reconstruction[at]) ** 2 > threshold) & brain[at]
        iterations += active
        before, after = (m.flatten(1).sum(1).double() for m in (mask, shrunk))
        # An empty mask gives nan, which stops.
        active = active & ((before - after) / before >= stop_ratio)
        mask = torch.where(active[:, None, None, None], shrunk, mask)
    return Refinement(mask, reconstruction, iterations, torch.stack(trace))


def _first_mask(errors: Tensor, brain: Tensor, keep: float) -> Tensor:
    """Return the brain pixels with the largest errors, a `keep` part of each brain."""
    inside = (errors * brain).flatten(1)
    k = (inside.shape[1] - keep * brain.flatten(1).sum(1).double()).long()
    # k is 0 where all of an image that is all brain is kept.
    ranked = inside.sort(dim=1).values.gather(1, (k - 1).clamp(min=0)[:, None])
    cut = torch.where(k[:, None] > 0, ranked, -torch.inf)
    return (inside > cut).view_as(brain) & brain
