"""What the three diffusion methods promise together."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from uadbench import options
from uadbench.errors import DataError, UsageError
from uadbench.methods._nn.denoising import Denoising
from uadbench.methods._nn.reconstruction import Stack
from uadbench.methods._nn.steps import Step
from uadbench.methods.autoddpm import AutoDDPM
from uadbench.methods.ddpm import AnoDDPM
from uadbench.methods.pddpm import PatchedDDPM
from uadbench.protocols import Context, Lazy, Scan

METHODS = {"ddpm": AnoDDPM, "pddpm": PatchedDDPM, "autoddpm": AutoDDPM}
SMALL = {"size": 32, "base": 8, "batch": 4, "steps": 6}
every_method = pytest.mark.parametrize("name", METHODS)


def build(name: str, preset: str = "demo", **given: object) -> Denoising:
    chosen = {**SMALL, **given} if preset == "demo" else given
    return options.build(METHODS[name], name, chosen, preset)


def bright(method: Denoising, count: int = 2) -> Tensor:
    """Return images of which half the pixels are above the peak."""
    generator = torch.Generator().manual_seed(7)
    return 2 * method.peak * torch.rand((count, 1, 32, 32), generator=generator)


class Knowing(nn.Module):
    """Answers with the healthy images."""

    def __init__(self, x_0: Tensor) -> None:
        super().__init__()
        self.x_0 = x_0

    def forward(self, given: Tensor, t: Tensor) -> Tensor:
        return self.x_0


@every_method
def test_a_perfect_network_gives_a_zero_map_of_an_image_above_the_peak(
    name: str, oracle: Callable[..., nn.Module], stack_of: Callable[..., Stack]
) -> None:
    method = build(name)
    images = bright(method)
    x_0 = method.scaled(images)
    knows = (
        Knowing(x_0) if name == "pddpm" else oracle(x_0, method.alpha_bar(x_0.device))
    )

    restored = method.reconstruct(knows, stack_of(images))

    assert float(images.max()) > 1.9 * method.peak
    assert float(restored.score.max()) < 1e-3
    torch.testing.assert_close(
        restored.images, images.clamp(max=method.peak), rtol=0, atol=1e-3
    )


@pytest.mark.parametrize(
    ("name", "normalisation", "background", "peak", "darkest"),
    [
        ("ddpm", "median", 0, 2.5, -1),
        ("ddpm", "p90", -3, -0.5, -1),
        ("pddpm", "median", 0, 2.0, -1),
        ("autoddpm", "median", 0, 2.0, 0),
    ],
)
def test_background_and_peak_become_the_ends_of_the_range_and_what_is_outside_too(
    name: str, normalisation: str, background: float, peak: float, darkest: float
) -> None:
    method = build(name, normalisation=normalisation)
    ends = torch.tensor([background, peak])
    outside = ends + torch.tensor([-1.0, 1.0])

    scaled = method.scaled(ends)

    torch.testing.assert_close(scaled, torch.tensor([darkest, 1.0]))
    torch.testing.assert_close(method.scaled(outside), scaled)
    torch.testing.assert_close(method.unscaled(scaled), ends)
    torch.testing.assert_close(method.clipped(outside), ends)


@every_method
def test_a_peak_that_most_of_the_healthy_brain_exceeds_is_refused(
    name: str, scans: Callable[..., Lazy[Scan]]
) -> None:
    method = build(name, normalisation="none", peak=0.1)
    message = (
        rf"{name}: \d+% of the healthy brain lies outside 0 \.\.\. 0\.1, the range "
        r"that the network sees\. Set peak=(0\.9\d|1)"
    )

    with pytest.raises(DataError, match=message):
        method.fit(scans("a", "b"), scans("c"), Context(0))


def test_every_image_of_a_batch_has_noise_steps_and_a_field_of_its_own() -> None:
    method = build("ddpm", train_t=1000)
    images = torch.ones(8, 1, 32, 32)

    batch = method.noised_batch(
        Step(images, images > 0, torch.Generator().manual_seed(0))
    )

    assert len(set(batch.t.tolist())) == 8
    alpha_bar = method.alpha_bar(batch.t.device)[batch.t][:, None, None, None]
    expected = alpha_bar.sqrt() * batch.x_0 + (1 - alpha_bar).sqrt() * batch.eps
    torch.testing.assert_close(batch.x_t, expected)
    assert not torch.allclose(batch.eps[0], batch.eps[1])


@every_method
def test_networks_see_the_noise_step(name: str) -> None:
    network = build(name).make()
    image = torch.zeros(1, 1, 32, 32)

    early, late = (network(image, torch.tensor([t])) for t in (10, 900))

    assert not torch.allclose(early, late, atol=1e-3)


def test_training_goes_up_to_the_sample_distance_and_no_further() -> None:
    method = build("ddpm", train_t=300)
    images = torch.zeros(20_000, 1, 1, 1)

    t = method.random_steps(Step(images, images > 0, torch.Generator().manual_seed(0)))

    assert (int(t.min()), int(t.max())) == (1, 300)
    assert float(t.float().mean()) == pytest.approx(150.5, abs=3)


# Noise over the range of the image, after `t` steps. By hand: deviation of the noise,
# times sqrt((1 - alpha_bar_t) / alpha_bar_t), over the range of the network.
@pytest.mark.parametrize(
    ("name", "alpha_bar", "noise"),
    [
        ("ddpm", 0.5241, 0.49 / 2 * 0.9529),
        ("pddpm", 0.4938, 0.49 / 2 * 1.0125),
        ("autoddpm", 0.6590, 0.7193),
    ],
)
def test_published_noise_at_prediction(
    name: str, alpha_bar: float, noise: float
) -> None:
    method = build(name, "paper")

    found = float(method.alpha_bar(torch.device("cpu"))[method.t])

    assert found == pytest.approx(alpha_bar, abs=5e-4)
    deviation = 1.0 if method.noise == "gaussian" else method.deviation
    hidden = deviation * ((1 - found) / found) ** 0.5 / (1 - method.darkest)
    assert hidden == pytest.approx(noise, rel=2e-3)


@pytest.mark.parametrize(
    ("name", "published"),
    [
        (
            "ddpm",
            {
                "size": 256,
                "multipliers": [1, 1, 2, 2, 4, 4],
                "blocks": 2,
                "attention": [32, 16, 8],
                "heads": 2,
                "resampling": True,
                "train_t": 800,
                "sampling_steps": 0,
                "cell": 64 / 256,
                "octaves": 6,
                "persistence": 0.8,
            },
        ),
        (
            "pddpm",
            {
                "size": 96,
                "multipliers": [1, 2, 2],
                "blocks": 3,
                "attention": [],
                "heads": 4,
                "resampling": True,
                "train_t": 1000,
                "patches": 2,
                "cell": 64 / 96,
                "octaves": 6,
                "persistence": 0.8,
            },
        ),
        (
            "autoddpm",
            {
                "size": 128,
                "multipliers": [1, 2, 2],
                "blocks": 1,
                "attention": [64, 32],
                "heads": 1,
                "resampling": False,
                "noise": "gaussian",
                "train_t": 1000,
                "sampling_steps": 0,
                "peak": 1.6,
                "inpainting_t": 50,
                "inpainting_steps": 0,
                "resamples": 5,
                "dilation": 1,
                "rate": 0.05,
            },
        ),
    ],
)
def test_paper_preset_is_the_published_setting(
    name: str, published: dict[str, object]
) -> None:
    found = options.values(build(name, "paper"))

    assert {key: found[key] for key in published} == published
    assert (found["network"], found["base"], found["learning_rate"]) == (
        "residual",
        128,
        1e-4,
    )


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("ddpm", {"t": 900, "train_t": 800}, "t 900 is above train_t 800"),
        ("pddpm", {"t": 900, "train_t": 800}, "t 900 is above train_t 800"),
        ("autoddpm", {"t": 900, "train_t": 800}, "t 900 is above train_t 800"),
        ("ddpm", {"train_t": 2000}, "train_t 2000 is above timesteps 1000"),
        ("ddpm", {"t": 10, "sampling_steps": 11}, "sampling_steps 11 is above t 10"),
        ("autoddpm", {"t": 10, "sampling_steps": 11}, "sampling_steps 11 is above"),
        ("ddpm", {"first_beta": 0.1}, "first_beta 0.1 is above last_beta 0.02"),
        ("ddpm", {"size": 36}, "size 36 is no multiple of 8, .* Set size=32"),
        ("ddpm", {"attention": (16,)}, "attention at 16 px, .* none that could"),
        ("ddpm", {"network": "residual", "attention": (5,)}, "5 px, .* 32, 16, 8"),
        ("ddpm", {"base": 9, "heads": 2}, "2 heads do not divide 9 channels"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    name: str, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=f"{name}: .*{message}"):
        build(name, **given)
