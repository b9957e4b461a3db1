"""What the diffusion methods have in common: options, scale, noise and training."""

from dataclasses import dataclass as record
from functools import lru_cache
from typing import ClassVar, Literal

import numpy as np
import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from uadbench.errors import DataError, UsageError

from .denoiser_options import DenoiserOptions
from .diffusion import add_noise, cosine_alpha_bar, linear_alpha_bar
from .noise import Kind, Noise, Shared, Source
from .reconstruction import Reconstruction, Stack
from .scans import Healthy
from .steps import Step

DEMO = {
    "size": 64,
    "field": 192.0,
    "network": "plain",
    "base": 16,
    "multipliers": (1, 2, 4),
    "blocks": 1,
    "stem": 2,
    "batch": 8,
    "learning_rate": 6e-3,
    "schedule": "one-cycle",
    "steps": 1800,
    "average": 0.98,
    "clip": 1.0,
}
Betas = Literal["linear", "cosine"]
BACKGROUND = {"p90": -3.0, "median": 0.0, "none": 0.0}  # by normalisation
MOST_CLIPPED = 0.5  # part of the healthy brain
NEARLY_ALL = 0.99  # as above


@record(frozen=True, eq=False)
class Noised:
    """A batch of images on the scale of the network, with noise.

    Attributes:
        x_0: without it, float (B, 1, S, S).
        t: noise steps of each, int64 (B,).
        eps: the noise, as x_0.
        x_t: with it, as x_0.
    """

    x_0: Tensor
    t: Tensor
    eps: Tensor
    x_t: Tensor


@dataclass
class Denoising(DenoiserOptions, Reconstruction):
    """A method whose network tells the noise of an image from the image.

    The network predicts eps and is taught with its squared error, unless a subclass
    says otherwise. It sees, and the score compares, images that are clipped to the
    range from the background to `peak` above it.
    """

    darkest: ClassVar[float] = -1.0  # what the background becomes

    peak: float = Field(
        2.5,
        gt=0,
        description="intensity above background that becomes 1, as normalised",
    )

    timesteps: int = Field(1000, ge=1, le=100_000, description="noise steps, T")
    betas: Betas = Field("linear", description="how the noise grows with the steps")
    first_beta: float = Field(
        1e-4, gt=0, lt=1, description="linear: variance of the first step's noise"
    )
    last_beta: float = Field(
        0.02, gt=0, lt=1, description="linear: variance of the last step's noise"
    )
    train_t: int = Field(1000, ge=1, description="most noise steps in training")
    t: int = Field(250, ge=1, description="noise steps at prediction")

    noise: Kind = Field("gaussian", description="kind of noise")
    cell: float = Field(
        0.25,
        gt=0,
        le=1,
        description="simplex noise: cells of octave 1, OpenSimplex's, slices",
    )
    octaves: int = Field(6, ge=1, le=16, description="simplex noise: at most so many")
    persistence: float = Field(
        0.8, gt=0, le=1, description="simplex noise: amplitude over the octave before"
    )
    deviation: float = Field(
        0.49, gt=0, description="simplex noise: standard deviation; 0.49: as published"
    )

    def __post_init__(self) -> None:
        """Check the options against each other."""
        super().__post_init__()
        self.design.check(self.name)
        if self.first_beta > self.last_beta:
            msg = (
                f"{self.name}: first_beta {self.first_beta} is above last_beta "
                f"{self.last_beta}: the noise grows from step to step. Swap them."
            )
            raise UsageError(msg)
        self.require_at_most("train_t", self.train_t, "timesteps", self.timesteps)
        self.require_at_most("t", self.t, "train_t", self.train_t)

    def require_at_most(self, name: str, value: int, bound: str, most: int) -> None:
        """Raise a UsageError if an option exceeds another one."""
        if value > most:
            msg = (
                f"{self.name}: {name} {value} is above {bound} {most}. Set "
                f"{name}={most} or less."
            )
            raise UsageError(msg)

    def make(self) -> nn.Module:
        """Return the network."""
        return self.design.make(self.timesteps)

    def inspect(self, healthy: Healthy) -> None:
        """Raise a DataError if most of the healthy intensities are clipped."""
        inside = [
            torch.from_numpy(images[brain])
            for images, brain in zip(healthy.images, healthy.brain, strict=True)
        ]
        clipped = sum(int((self.clipped(part) != part).sum()) for part in inside)
        share = clipped / sum(map(len, inside))
        if share > MOST_CLIPPED:
            low = self._background
            most = float(np.quantile(torch.cat(inside).numpy(), NEARLY_ALL)) - low
            msg = (
                f"{self.name}: {share:.0%} of the healthy brain lies outside {low:g} "
                f"... {low + self.peak:g}, the range that the network sees. Set "
                f"peak={most:.3g}, so that {NEARLY_ALL:.0%} of it lies below, or "
                f"another normalisation than {self.normalisation}."
            )
            raise DataError(msg)

    def loss(self, network: nn.Module, step: Step) -> Tensor:
        """Return the error of a batch after random numbers of noise steps."""
        return self.error(network, self.noised_batch(step), step.generator)

    def error(
        self, network: nn.Module, batch: Noised, generator: torch.Generator
    ) -> Tensor:
        """Return what the network is taught to make small.

        Args:
            network: maps images (B, 1, S, S) and noise steps (B,) to images.
            batch: of healthy slices.
            generator: on the device, for whatever else is random.
        """
        return mse_loss(network(batch.x_t, batch.t), batch.eps)

    def noised_batch(self, step: Step) -> Noised:
        """Return a step's images, each after a random number of noise steps."""
        x_0 = self.scaled(step.images)
        t = self.random_steps(step)
        eps = self.drawn(Shared(step.generator, len(x_0)))
        alpha_bar = self.alpha_bar(x_0.device)[t][:, None, None, None]
        return Noised(x_0, t, eps, add_noise(x_0, eps, alpha_bar))

    def scaled(self, images: Tensor) -> Tensor:
        """Return images, clipped, on the network's scale: `darkest` ... 1."""
        unit = (self.clipped(images) - self._background) / self.peak
        return self.darkest + (1 - self.darkest) * unit

    def unscaled(self, images: Tensor) -> Tensor:
        """Return images on the scale of the slices again."""
        unit = (images - self.darkest) / (1 - self.darkest)
        return self._background + self.peak * unit

    def clipped(self, images: Tensor) -> Tensor:
        """Return images on the scale of the slices, clipped to what `scaled` shows."""
        return images.clamp(self._background, self._background + self.peak)

    def alpha_bar(self, device: torch.device) -> Tensor:
        """Return the schedule, float (T + 1,)."""
        return _alpha_bar(
            self.betas, self.timesteps, self.first_beta, self.last_beta, device
        )

    def random_steps(self, step: Step) -> Tensor:
        """Return one of 1 ... `train_t` for each image of a batch: int64 (B,)."""
        return torch.randint(
            1,
            self.train_t + 1,
            (len(step.images),),
            generator=step.generator,
            device=step.images.device,
        )

    def drawn(self, source: Source) -> Tensor:
        """Return noise for each image that the source has numbers for."""
        law = Noise(
            self.noise, self.cell, self.octaves, self.persistence, self.deviation
        )
        return law.drawn(self.size, source)

    def noised(self, x_0: Tensor, t: int, stack: Stack) -> Tensor:
        """Return the images of a stack after t noise steps."""
        return add_noise(x_0, self.drawn(stack), self.alpha_bar(x_0.device)[t])

    @property
    def _background(self) -> float:
        return BACKGROUND[self.normalisation]


# Every step of every batch asks for it.
@lru_cache(maxsize=4)
def _alpha_bar(
    betas: Betas, timesteps: int, first: float, last: float, device: torch.device
) -> Tensor:
    alpha_bar = {
        "linear": lambda: linear_alpha_bar(timesteps, first, last),
        "cosine": lambda: cosine_alpha_bar(timesteps),
    }[betas]()
    return alpha_bar.float().to(device)
