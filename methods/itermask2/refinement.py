"""Iterative refinement: a mask of most of the brain shrinks onto lesions."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from uadbench.errors import UsageError

from .inputs import masked_input

Network = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Refiner:
    """What shrinks a mask onto what cannot be reconstructed from its surroundings.

    The first mask is the `keep` part of the brain where the first step errs most. Then,
    each pass: noise fills the mask, the reconstructor puts there what is healthy, and
    only pixels whose squared error exceeds the threshold stay masked.

    Attributes:
        first_step: maps what `first_input` gives to images.
        reconstructor: maps masked images and condition (B, 1 + K, H, W) to images.
        threshold: squared error.
        keep: part of the brain in the first mask, in [0, 1].
        stop_ratio: an image stops when its mask would shrink by a smaller part than
            this, and keeps the mask from before that; above 0.

    Raises:
        UsageError: the stop ratio is not positive: the refinement might never end.
    """

    first_step: Network
    reconstructor: Network
    threshold: float
    keep: float = 0.6
    stop_ratio: float = 0.01

    def __post_init__(self) -> None:
        """Check the stop ratio."""
        if not self.stop_ratio > 0:
            msg = f"refine: stop_ratio must be above 0, got {self.stop_ratio}."
            raise UsageError(msg)


@dataclass(frozen=True, eq=False)
class Refinement:
    """How the refinement of the slices of a scan ended.

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


def one_pass(
    images: Tensor,
    mask: Tensor,
    condition: Tensor,
    noise: Tensor,
    refiner: Refiner,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return what is restored, what stays masked, and for which images it goes on.

    The last is bool (B,), false where the mask shrinks by less than the stop ratio. No
    value decides which operations run, so that the host need not wait for the device.

    Args:
        images: float (B, 1, H, W).
        mask: bool, the same shape.
        condition: what else is known of the images, (B, K, H, W), K = 0 for nothing.
        noise: in the shape of the images.
        refiner: its reconstructor, threshold and stop ratio count.
    """
    restored = refiner.reconstructor(masked_input(images, mask, condition, noise))
    restored = restored.to(images.dtype)
    shrunk = mask & ((images - restored) ** 2 > refiner.threshold)
    before, after = (m.flatten(1).sum(1).double() for m in (mask, shrunk))
    # An empty mask gives nan, which stops.
    return restored, shrunk, (before - after) / before >= refiner.stop_ratio


def first_mask(errors: Tensor, brain: Tensor, keep: float) -> Tensor:
    """Return the brain pixels with the largest errors, a `keep` part of each brain."""
    inside = (errors * brain).flatten(1)
    k = (inside.shape[1] - keep * brain.flatten(1).sum(1).double()).long()
    # k is 0 where all of an image that is all brain is kept.
    ranked = inside.sort(dim=1).values.gather(1, (k - 1).clamp(min=0)[:, None])
    cut = torch.where(k[:, None] > 0, ranked, -torch.inf)
    return (inside > cut).view_as(brain) & brain
