"""The way back from noise, beside plain loops over slices in double precision."""

from collections.abc import Callable
from itertools import count, pairwise
from typing import Any, TypeVar

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from uadbench import options
from uadbench.methods._nn.reconstruction import Stack
from uadbench.methods._nn.stepwise import StepwiseDenoising
from uadbench.methods._nn.streams import Streams
from uadbench.methods.autoddpm import AutoDDPM
from uadbench.methods.ddpm import AnoDDPM

Doubles = NDArray[np.float64]
Method = TypeVar("Method", bound=StepwiseDenoising)
SMALL = {"size": 32, "base": 8, "noise": "gaussian"}
samplers = pytest.mark.parametrize("sampler", ["ancestral", "ddim"])
step_counts = pytest.mark.parametrize("steps", [0, 3, 7])


def build(plugin: type[Method], name: str, **given: object) -> Method:
    return options.build(plugin, name, {**SMALL, **given}, "demo")


def random_network(method: StepwiseDenoising) -> nn.Module:
    generator = torch.Generator().manual_seed(3)
    network = method.make().eval()
    for weights in network.parameters():
        drawn = torch.randn(weights.shape, generator=generator)
        weights.data = drawn / max(1, weights[0].numel()) ** 0.5
    return network


def random_images(method: StepwiseDenoising) -> Tensor:
    generator = torch.Generator().manual_seed(7)
    return method.peak * torch.rand((3, 1, 32, 32), generator=generator)


class OneSlice:
    """One slice on its way back, as the papers' algorithms have it.

    Attributes:
        network: predicts eps.
        stream: of the slice alone.
        betas: of the steps 1 ... T.
        darkest: of the range of the images, up to 1.
        sampler: "ancestral" (Ho et al. 2020, algorithm 2, with skipped steps taken as
            one) or "ddim" (Song et al. 2021, equation 12, sigma 0).
    """

    def __init__(
        self, method: StepwiseDenoising, network: nn.Module, stream: Streams
    ) -> None:
        self.network, self.stream = network, stream
        betas = np.linspace(method.first_beta, method.last_beta, method.timesteps)
        self.alpha_bar: list[float] = [1.0, *np.cumprod(1 - betas).tolist()]
        self.darkest, self.sampler = method.darkest, method.sampler
        self.draws = count()

    def noise(self) -> Doubles:
        drawn = self.stream.normal(next(self.draws), (1, 32, 32))
        return np.asarray(drawn[0, 0].numpy(), np.float64)

    def noised(self, image: Doubles, t: int) -> Doubles:
        alpha_bar = self.alpha_bar[t]
        x_t: Doubles = np.sqrt(alpha_bar) * image
        x_t += np.sqrt(1 - alpha_bar) * self.noise()
        return x_t

    def back(self, x_t: Doubles, t: int, s: int) -> Doubles:
        here, there = self.alpha_bar[t], self.alpha_bar[s]
        given = torch.from_numpy(x_t.astype(np.float32))[None, None]
        with torch.no_grad():
            found = self.network(given, torch.tensor([t]))
        eps: Doubles = np.asarray(found[0, 0].numpy(), np.float64)
        x_0: Doubles = (x_t - (1 - here) ** 0.5 * eps) / here**0.5
        x_0 = np.clip(x_0, self.darkest, 1)
        if self.sampler == "ddim":
            direction = (x_t - np.sqrt(here) * x_0) / np.sqrt(1 - here)
            x_s: Doubles = np.sqrt(there) * x_0 + np.sqrt(1 - there) * direction
            return x_s
        alpha = here / there
        # Ho et al., equation 7.
        mean: Doubles = there**0.5 * (1 - alpha) / (1 - here) * x_0
        mean += alpha**0.5 * (1 - there) / (1 - here) * x_t
        variance = (1 - there) / (1 - here) * (1 - alpha)
        return mean + variance**0.5 * self.noise() if s else mean


def each_slice(
    method: StepwiseDenoising, network: nn.Module, stack: Stack
) -> list[OneSlice]:
    streams = [stack.streams[i : i + 1] for i in range(len(stack.images))]
    return [OneSlice(method, network, stream) for stream in streams]


def levels(t: int, steps: int) -> list[int]:
    """Return t ... 0, `steps` of equal size or all of them."""
    return [int(s) for s in np.linspace(t, 0, (steps or t) + 1).round()]


@samplers
@step_counts
def test_there_and_back_is_the_papers_algorithm_for_each_slice(
    sampler: str, steps: int, stack_of: Callable[..., Stack]
) -> None:
    method = build(AnoDDPM, "ddpm", sampler=sampler, t=21, sampling_steps=steps)
    network, images = random_network(method), random_images(method)
    x_0 = method.scaled(images)

    found = method.there_and_back(network, x_0, stack_of(images))

    twins = each_slice(method, network, stack_of(images))
    for image, twin, got in zip(x_0[:, 0].double().numpy(), twins, found, strict=True):
        x_t = twin.noised(image, 21)
        for t, s in pairwise(levels(21, steps)):
            x_t = twin.back(x_t, t, s)
        np.testing.assert_allclose(got[0].detach().numpy(), x_t, rtol=0, atol=1e-4)


@samplers
@step_counts
def test_inpainting_is_the_papers_algorithm_for_each_slice(
    sampler: str, steps: int, stack_of: Callable[..., Stack]
) -> None:
    given: dict[str, Any] = {"sampler": sampler, "inpainting_steps": steps}
    method = build(AutoDDPM, "autoddpm", inpainting_t=14, resamples=2, **given)
    network, images = random_network(method), random_images(method)
    first, x_0 = 1 - method.scaled(images), method.scaled(images)
    masks = torch.rand(images.shape, generator=torch.Generator().manual_seed(1)) < 0.5

    found = method.inpainted(network, first, masks, stack_of(images))

    twins = each_slice(method, network, stack_of(images))
    for number, twin in enumerate(twins):
        image, start = (one[number, 0].double().numpy() for one in (x_0, first))
        mask = masks[number, 0].numpy()
        x_t = twin.noised(start, 14)
        for t, s in pairwise(levels(14, steps)):
            for again in (True, False):
                inside = twin.back(x_t, t, s)
                x_s = np.where(mask, inside, twin.noised(image, s))
                if again:
                    alpha = twin.alpha_bar[t] / twin.alpha_bar[s]
                    x_t = alpha**0.5 * x_s + (1 - alpha) ** 0.5 * twin.noise()
            x_t = x_s
        got = found[number, 0].detach().numpy()
        np.testing.assert_allclose(got, x_t, rtol=0, atol=1e-4)
