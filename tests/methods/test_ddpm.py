import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from uadbench import options
from uadbench.errors import UsageError
from uadbench.methods._nn.diffusion import image_of
from uadbench.methods._nn.reconstruction import Stack
from uadbench.methods._nn.training import Step
from uadbench.methods.ddpm import AnoDDPM
from uadbench.protocols import Context, Lazy, Scan


def build(**given: object) -> AnoDDPM:
    quick: dict[str, object] = {"size": 32, "base": 8, "batch": 4, "steps": 6}
    return options.build(AnoDDPM, "ddpm", {**quick, **given}, "demo")


class Oracle(nn.Module):
    """Knows the healthy images and so the noise of every x_t."""

    def __init__(self, x_0: Tensor, alpha_bar: Tensor) -> None:
        super().__init__()
        self.x_0, self.alpha_bar = x_0, alpha_bar
        self.seen: list[int] = []

    def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
        self.seen.append(int(t[0]))
        alpha_bar = self.alpha_bar[t][:, None, None, None]
        return (x_t - alpha_bar.sqrt() * self.x_0) / (1 - alpha_bar).sqrt()


class Blind(nn.Module):
    """Finds no noise anywhere."""

    def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
        return torch.zeros_like(x_t)


def stack_of(images: Tensor, seed: int = 0) -> Stack:
    brain = torch.ones_like(images, dtype=torch.bool)
    return Stack(images, brain, torch.Generator().manual_seed(seed), len(images))


def healthy(method: AnoDDPM, count: int = 2) -> tuple[Tensor, Oracle]:
    """Return images within the range of the method, and the network that knows them."""
    generator = torch.Generator().manual_seed(7)
    images = method.peak * torch.rand((count, 1, 32, 32), generator=generator)
    alpha_bar = method.alpha_bar(images.device)
    return images, Oracle(method.scaled(images), alpha_bar)


@pytest.mark.parametrize("sampler", ["ancestral", "ddim"])
@pytest.mark.parametrize("noise", ["gaussian", "simplex"])
def test_a_perfect_network_gives_a_zero_map(sampler: str, noise: str) -> None:
    method = build(sampler=sampler, noise=noise)
    images, oracle = healthy(method)

    restored = method.reconstruct(oracle, stack_of(images))

    torch.testing.assert_close(restored.images, images, rtol=0, atol=1e-4)
    assert float(restored.score.max()) < 1e-7


def test_score_is_the_squared_difference_to_what_the_network_knows() -> None:
    method = build()
    images, oracle = healthy(method)
    lesion = images.clone()
    lesion[0, 0, 5, 6] += 0.5

    restored = method.reconstruct(oracle, stack_of(lesion))

    assert float(restored.score[0, 0, 5, 6]) == pytest.approx(0.25, rel=1e-2)
    restored.score[0, 0, 5, 6] = 0
    assert float(restored.score.max()) < 1e-7


def test_network_sees_every_noise_step_or_as_many_as_asked_for() -> None:
    whole = build(sampler="ancestral", t=12, sampling_steps=0)
    few = build(t=12, sampling_steps=3)

    seen = []
    for method in (whole, few):
        images, oracle = healthy(method)
        method.reconstruct(oracle, stack_of(images))
        seen.append(oracle.seen)

    assert seen == [list(range(12, 0, -1)), [12, 8, 4]]


def test_only_ancestral_sampling_draws_noise_on_the_way_back() -> None:
    drawn = []
    for sampler in ("ancestral", "ddim"):
        method = build(sampler=sampler, sampling_steps=3)
        images, oracle = healthy(method)
        stack = stack_of(images)
        once = stack_of(images)

        method.reconstruct(oracle, stack)

        method.noised(images, method.t, once)
        same = torch.equal(stack.generator.get_state(), once.generator.get_state())
        drawn.append("once" if same else "often")
    assert drawn == ["often", "once"]


def test_reconstructions_stay_in_the_healthy_range() -> None:
    method = build()
    images = torch.full((1, 1, 32, 32), 40.0)

    restored = method.reconstruct(Blind(), stack_of(images))

    assert float(restored.images.max()) <= method.peak * (1 + 1e-6)


def test_loss_is_0_for_the_network_that_knows_the_noise() -> None:
    method = build()
    images, oracle = healthy(method)
    step = Step(torch.tensor([0, 1]), torch.Generator().manual_seed(0))

    loss = method.loss(images, torch.ones_like(images, dtype=torch.bool))

    assert float(loss(oracle, step)) == pytest.approx(0, abs=1e-8)
    # That of a network that finds none is the variance of the noise.
    assert float(loss(Blind(), step)) == pytest.approx(method.deviation**2, rel=0.5)


def test_training_goes_up_to_the_sample_distance_and_no_further() -> None:
    method = build(train_t=300)
    step = Step(torch.zeros(20_000, dtype=torch.long), torch.Generator().manual_seed(0))

    t = method.random_steps(step)

    assert (int(t.min()), int(t.max())) == (1, 300)
    assert float(t.float().mean()) == pytest.approx(150.5, abs=3)


@pytest.mark.parametrize(
    ("normalisation", "background", "bright"), [("median", 0, 2.5), ("p90", -3, -0.5)]
)
def test_background_and_peak_become_minus_1_and_1(
    normalisation: str, background: float, bright: float
) -> None:
    method = build(normalisation=normalisation)
    ends = torch.tensor([background, bright])

    scaled = method.scaled(ends)

    torch.testing.assert_close(scaled, torch.tensor([-1.0, 1.0]))
    torch.testing.assert_close(method.unscaled(scaled), ends)


def test_estimate_of_the_image_is_the_noise_taken_away() -> None:
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


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"t": 900, "train_t": 800}, "t 900 is above train_t 800"),
        ({"train_t": 2000}, "train_t 2000 is above timesteps 1000"),
        ({"t": 10, "sampling_steps": 11}, "sampling_steps 11 is above t 10"),
        ({"first_beta": 0.1}, "first_beta 0.1 is above last_beta 0.02"),
        ({"size": 36}, "size 36 is no multiple of 8, .* Set size=32"),
        ({"attention": (16,)}, "attention at 16 px, .* none that could have it"),
        ({"network": "residual", "attention": (5,)}, "5 px, .* are 32, 16, 8"),
        ({"base": 9, "heads": 2}, "2 heads do not divide 9 channels"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    given: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError, match=f"ddpm: .*{message}"):
        build(**given)


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


def test_batch_size_changes_no_prediction(
    scan: Callable[..., Scan], scans: Callable[..., Lazy[Scan]]
) -> None:
    fitted, other = (
        build(batch=batch, sampler="ancestral", sampling_steps=4) for batch in (3, 1)
    )
    fitted.fit(scans("a", "b"), scans("c"), Context(0))
    other.restore(fitted.state())

    one, two = (next(m.predict([scan("x")], Context(0))) for m in (fitted, other))

    np.testing.assert_allclose(one.score, two.score, rtol=0, atol=1e-5)
