import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from uadbench import options
from uadbench.methods._nn.diffusion import image_of
from uadbench.methods._nn.reconstruction import Stack
from uadbench.methods._nn.steps import Step
from uadbench.methods.ddpm import AnoDDPM
from uadbench.protocols import Context, Lazy, Scan

Healthy = Callable[..., tuple[Tensor, Any]]
Stacked = Callable[..., Stack]


def build(**given: object) -> AnoDDPM:
    quick: dict[str, object] = {"size": 32, "base": 8, "batch": 4, "steps": 6}
    return options.build(AnoDDPM, "ddpm", {**quick, **given}, "demo")


class Blind(nn.Module):
    """Finds no noise anywhere."""

    def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
        return torch.zeros_like(x_t)


@pytest.fixture
def healthy(oracle: Callable[..., nn.Module]) -> Healthy:
    """Makes images within the range of a method, and the network that knows them."""

    def make(method: AnoDDPM, count: int = 2) -> tuple[Tensor, Any]:
        generator = torch.Generator().manual_seed(7)
        images = method.peak * torch.rand((count, 1, 32, 32), generator=generator)
        return images, oracle(method.scaled(images), method.alpha_bar(images.device))

    return make


@pytest.mark.parametrize("sampler", ["ancestral", "ddim"])
@pytest.mark.parametrize("noise", ["gaussian", "simplex"])
def test_a_perfect_network_gives_a_zero_map(
    sampler: str, noise: str, healthy: Healthy, stack_of: Stacked
) -> None:
    method = build(sampler=sampler, noise=noise)
    images, oracle = healthy(method)

    restored = method.reconstruct(oracle, stack_of(images))

    torch.testing.assert_close(restored.images, images, rtol=0, atol=1e-4)
    assert float(restored.score.max()) < 1e-7


def test_score_is_the_squared_difference_to_what_the_network_knows(
    healthy: Healthy, stack_of: Stacked
) -> None:
    method = build()
    images, oracle = healthy(method)
    lesion = images.clone()
    lesion[0, 0, 5, 6] += 0.5

    restored = method.reconstruct(oracle, stack_of(lesion))

    assert float(restored.score[0, 0, 5, 6]) == pytest.approx(0.25, rel=1e-2)
    restored.score[0, 0, 5, 6] = 0
    assert float(restored.score.max()) < 1e-7


def test_network_sees_every_noise_step_or_as_many_as_asked_for(
    healthy: Healthy, stack_of: Stacked
) -> None:
    whole = build(sampler="ancestral", t=12, sampling_steps=0)
    few = build(t=12, sampling_steps=3)

    seen = []
    for method in (whole, few):
        images, oracle = healthy(method)
        method.reconstruct(oracle, stack_of(images))
        seen.append(oracle.seen)

    assert seen == [list(range(12, 0, -1)), [12, 8, 4]]


@pytest.mark.parametrize(("sampler", "draws"), [("ancestral", 3), ("ddim", 1)])
def test_only_ancestral_sampling_draws_noise_on_the_way_back(
    sampler: str, draws: int, healthy: Healthy, stack_of: Stacked
) -> None:
    method = build(sampler=sampler, sampling_steps=3)
    images, oracle = healthy(method)
    stack = stack_of(images)

    method.reconstruct(oracle, stack)

    # The last of three steps ends without noise.
    assert torch.equal(stack.normal((4,)), stack.streams.normal(draws, (4,)))


def test_reconstructions_stay_in_the_healthy_range(stack_of: Stacked) -> None:
    method = build()
    images = torch.full((1, 1, 32, 32), 40.0)

    restored = method.reconstruct(Blind(), stack_of(images))

    assert float(restored.images.max()) <= method.peak * (1 + 1e-6)


def test_loss_is_0_for_the_network_that_knows_the_noise(healthy: Healthy) -> None:
    method = build()
    images, oracle = healthy(method)
    generator = torch.Generator().manual_seed(0)
    step = Step(images, torch.ones_like(images, dtype=torch.bool), generator)

    found, missed = (method.loss(network, step) for network in (oracle, Blind()))

    assert float(found) == pytest.approx(0, abs=1e-8)
    # That of a network that finds none is the variance of the noise.
    assert float(missed) == pytest.approx(method.deviation**2, rel=0.5)


def test_estimate_of_the_image_is_the_noise_taken_away(
    healthy: Healthy, stack_of: Stacked
) -> None:
    method = build()
    images, oracle = healthy(method)
    stack = stack_of(images)
    x_t = method.noised(method.scaled(images), 200, stack)

    image = method.clean(oracle, x_t, 200, stack)

    alpha_bar = method.alpha_bar(images.device)
    by_hand = image_of(x_t, oracle(x_t, torch.full((2,), 200)), alpha_bar[200])
    torch.testing.assert_close(image, by_hand.clamp(-1, 1))


def test_published_network_is_monai_s_with_attention_at_32_16_and_8_px() -> None:
    nets = pytest.importorskip("monai.networks.nets")
    small = {"size": 64, "base": 32, "multipliers": (1, 1, 2, 2)}
    network = options.build(AnoDDPM, "ddpm", small, "paper").make()

    assert isinstance(network, nets.DiffusionModelUNet)
    assert list(network.attention_levels) == [False, True, True, True]
    assert network.num_head_channels[-1] * 2 == 64
    image = torch.zeros(1, 1, 64, 64)
    assert network(image, torch.tensor([250])).shape == image.shape


def test_monai_is_imported_by_its_network_alone(tmp_path: Path) -> None:
    code = (
        "import sys; from uadbench.methods.ddpm import AnoDDPM; "
        "AnoDDPM(network='plain').make(); print('monai' in sys.modules)"
    )

    # Elsewhere than in the checkout, which would hide the plugins.
    told = subprocess.check_output([sys.executable, "-c", code], cwd=tmp_path)

    assert told == b"False\n"


def test_trained_denoiser_scores_what_no_healthy_brain_has_highest(
    scan: Callable[..., Scan], scans: Callable[..., Lazy[Scan]]
) -> None:
    method = build(base=16, steps=150, train_t=200, t=100, sampling_steps=10)
    method.fit(scans("a", "b", "c", "d"), scans("e"), Context(0))
    healthy_scan = scan("x")
    image = healthy_scan.image.copy()
    image[0, 8:13, 20:25, 1] = 3.0

    (prediction,) = method.predict([replace(healthy_scan, image=image)], Context(0))

    highest = np.unravel_index(prediction.score.argmax(), prediction.score.shape)
    assert highest[2] == 1
    assert 7 <= highest[0] <= 13
    assert 19 <= highest[1] <= 25
    assert prediction.extras.keys() == {"input", "reconstruction"}


def test_noise_on_the_way_back_is_of_the_kind_that_hides(
    healthy: Healthy, stack_of: Stacked
) -> None:
    method = build(sampler="ancestral", t=200, sampling_steps=8)
    images, oracle = healthy(method, 64)

    method.reconstruct(oracle, stack_of(images))

    for number, t in enumerate(oracle.seen):
        deviation = method.deviation * float(1 - oracle.alpha_bar[t]) ** 0.5
        # Some 4 independent cells in each of 64 images.
        assert float(oracle.noise(number).std()) == pytest.approx(deviation, rel=0.12)
