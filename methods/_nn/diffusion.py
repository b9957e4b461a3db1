"""The arithmetic of diffusion models: noise comes step by step and goes again.

t counts noise steps, 0 ... T: x_0 is the image, x_T is noise. Of the schedule only
alpha_bar_t matters, the part of x_t's variance that is the image's:

    x_t = sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) eps,    alpha_bar_0 = 1.

References: Ho et al., "Denoising diffusion probabilistic models", NeurIPS 2020 (DDPM);
Song et al., "Denoising diffusion implicit models", ICLR 2021 (DDIM); Nichol and
Dhariwal, "Improved denoising diffusion probabilistic models", ICML 2021 (cosine).
"""

import math

import torch
from torch import Tensor

OFFSET = 0.008  # so that the first betas aren't too small
LARGEST = 0.999  # beta


def linear_alpha_bar(steps: int, first: float, last: float) -> Tensor:
    """Return alpha_bar of 0 ... `steps` for betas that rise linearly: float64.

    Args:
        steps: T.
        first: beta of the first step, the variance of the noise that it adds.
        last: beta of the last step.
    """
    return _products(1 - torch.linspace(first, last, steps, dtype=torch.float64))


def cosine_alpha_bar(steps: int) -> Tensor:
    """Return alpha_bar of 0 ... `steps`, half a wave of a squared cosine: float64.

    Nichol and Dhariwal, equation 17; no beta is above 0.999.
    """
    t = torch.arange(steps + 1, dtype=torch.float64) / steps
    wave = ((t + OFFSET) / (1 + OFFSET) * math.pi / 2).cos().square()
    return _products((wave[1:] / wave[:-1]).clamp(min=1 - LARGEST))


def _products(alphas: Tensor) -> Tensor:
    """Return alpha_bar of 0 ... T from the alphas of 1 ... T."""
    return torch.cat([alphas.new_ones(1), alphas]).cumprod(0)


def add_noise(image: Tensor, noise: Tensor, alpha_bar: Tensor) -> Tensor:
    """Return x_t of an image x_0.

    It also goes on from x_s to x_t, with alpha_bar_t / alpha_bar_s.

    Args:
        image: float (B, 1, S, S).
        noise: eps, the same shape, variance 1.
        alpha_bar: of t, float, of any shape that fits the image's.
    """
    return alpha_bar.sqrt() * image + (1 - alpha_bar).sqrt() * noise


def image_of(x_t: Tensor, noise: Tensor, alpha_bar: Tensor) -> Tensor:
    """Return the image x_0 that gave x_t with this noise."""
    return (x_t - (1 - alpha_bar).sqrt() * noise) / alpha_bar.sqrt()


def noise_of(x_t: Tensor, image: Tensor, alpha_bar: Tensor) -> Tensor:
    """Return the noise that gave x_t from this image."""
    return (x_t - alpha_bar.sqrt() * image) / (1 - alpha_bar).sqrt()


def deviation_back(here: Tensor, there: Tensor) -> Tensor:
    """Return the standard deviation of x_s if x_t and x_0 are known (DDPM, equation 7).

    Args:
        here: alpha_bar_t.
        there: alpha_bar_s, s < t, so that it is larger.
    """
    return ((1 - there) / (1 - here) * (1 - here / there)).sqrt()


def step_back(
    x_t: Tensor,
    image: Tensor,
    here: Tensor,
    there: Tensor,
    fresh: Tensor | None = None,
    eta: float = 1.0,
) -> Tensor:
    """Return x_s for s < t, given x_t and an estimate of the image (DDIM, equation 12).

    Args:
        x_t: float (B, 1, S, S).
        image: the estimate of x_0, the same shape.
        here: alpha_bar_t.
        there: alpha_bar_s.
        fresh: noise of variance 1; without it the step is deterministic, as with eta 0.
        eta: 1 draws x_s from its distribution if x_t and x_0 are known, the ancestral
            step of the DDPM; less adds less of the fresh noise.
    """
    noise = noise_of(x_t, image, here)
    if fresh is None:
        return add_noise(image, noise, there)
    deviation = eta * deviation_back(here, there)
    kept = (1 - there - deviation.square()).clamp(min=0).sqrt()
    return there.sqrt() * image + kept * noise + deviation * fresh


def spaced(t: int, steps: int) -> list[int]:
    """Return t ... 0 in `steps` steps as equal as whole numbers allow.

    Args:
        t: where to start, at least `steps`.
        steps: at least 1.
    """
    return [round(t * left / steps) for left in range(steps, -1, -1)]
