"""Diffusion's arithmetic, against MONAI's schedulers and closed forms."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from uadbench.methods._nn.diffusion import (
    add_noise,
    cosine_alpha_bar,
    deviation_back,
    image_of,
    linear_alpha_bar,
    noise_of,
    spaced,
    step_back,
)

schedulers = pytest.importorskip("monai.networks.schedulers")

STEPS = 1000
SCHEDULE = {
    "num_train_timesteps": STEPS,
    "schedule": "linear_beta",
    "beta_start": 1e-4,
    "beta_end": 0.02,
    "clip_sample": False,
}
ALPHA_BAR = linear_alpha_bar(STEPS, 1e-4, 0.02).float()


def normal(count: int = 2, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn((count, 1, 8, 8), generator=generator)


def test_schedule_starts_at_the_image_and_ends_in_noise() -> None:
    alpha_bar = linear_alpha_bar(STEPS, 1e-4, 0.02)

    assert alpha_bar.shape == (STEPS + 1,)
    assert float(alpha_bar[0]) == 1
    assert float(alpha_bar[1]) == 1 - 1e-4
    assert float(alpha_bar[-1]) == pytest.approx(4.04e-5, rel=0.01)
    assert (alpha_bar.diff() < 0).all()


def test_cosine_schedule_is_nichol_s() -> None:
    alpha_bar = cosine_alpha_bar(STEPS)

    assert alpha_bar.shape == (STEPS + 1,)
    assert float(alpha_bar[0]) == 1
    # By hand: cos^2(0.508 / 1.008 * 90 degrees) / cos^2(0.008 / 1.008 * 90 degrees).
    assert float(alpha_bar[500]) == pytest.approx(0.4938, abs=1e-4)
    assert (alpha_bar.diff() < 0).all()
    betas = 1 - alpha_bar[1:] / alpha_bar[:-1]
    assert float(betas.max()) == pytest.approx(0.999)


@pytest.mark.parametrize("t", [1, 50, 250, 1000])
def test_forward_process_is_monai_s(t: int) -> None:
    image, noise = normal(seed=1), normal(seed=2)
    theirs = schedulers.DDPMScheduler(**SCHEDULE)

    # MONAI counts the steps from 0.
    expected = theirs.add_noise(image, noise, torch.tensor([t - 1, t - 1]))

    torch.testing.assert_close(add_noise(image, noise, ALPHA_BAR[t]), expected)


@pytest.mark.parametrize("t", [10, 250, 800])
def test_forward_variance_is_the_schedule_s(t: int) -> None:
    image = torch.full((1, 1, 500, 500), 0.7)
    generator = torch.Generator().manual_seed(0)

    x_t = add_noise(image, torch.randn(image.shape, generator=generator), ALPHA_BAR[t])

    # The standard error of a variance from 250,000 draws is 0.3 %.
    assert float(x_t.var()) == pytest.approx(float(1 - ALPHA_BAR[t]), rel=0.015)
    assert float(x_t.mean()) == pytest.approx(
        0.7 * float(ALPHA_BAR[t].sqrt()), abs=0.01
    )


def test_going_on_from_x_s_has_the_law_of_going_at_once() -> None:
    s, t = ALPHA_BAR[100], ALPHA_BAR[300]
    image, first, second = normal(seed=1), normal(seed=2), normal(seed=3)

    x_t = add_noise(add_noise(image, first, s), second, t / s)

    # Two independent noises add by their squares.
    weights = [(t / s * (1 - s)).sqrt(), (1 - t / s).sqrt()]
    expected = t.sqrt() * image + weights[0] * first + weights[1] * second
    torch.testing.assert_close(x_t, expected)
    assert float(sum(w.square() for w in weights)) == pytest.approx(float(1 - t))


@pytest.mark.parametrize("t", [1, 2, 250, 1000])
def test_ancestral_step_has_monai_s_mean_and_variance(t: int) -> None:
    x_t, noise, fresh = normal(seed=1), normal(seed=2), normal(seed=3)
    theirs = schedulers.DDPMScheduler(**SCHEDULE, variance_type="fixed_small")
    here, there = ALPHA_BAR[t], ALPHA_BAR[t - 1]

    image = image_of(x_t, noise, here)
    mean = step_back(x_t, image, here, there, torch.zeros_like(x_t))
    ours = step_back(x_t, image, here, there, fresh)

    generator = torch.Generator().manual_seed(5)
    after, predicted = theirs.step(noise, t - 1, x_t, generator=generator)
    generator.manual_seed(5)
    drawn = torch.randn(x_t.shape, generator=generator)
    torch.testing.assert_close(image, predicted, rtol=1e-4, atol=1e-5)
    deviation = deviation_back(here, there)
    torch.testing.assert_close(
        mean + deviation * drawn, after, rtol=1e-4, atol=1e-4 if t > 1 else 1e-2
    )
    torch.testing.assert_close(ours, mean + deviation * fresh)


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("stride", [1, 50])
def test_ddim_step_is_monai_s(eta: float, stride: int) -> None:
    x_t, noise = normal(seed=1), normal(seed=2)
    theirs = schedulers.DDIMScheduler(**SCHEDULE, set_alpha_to_one=True)
    theirs.set_timesteps(STEPS // stride)
    t = 600

    image = image_of(x_t, noise, ALPHA_BAR[t])
    fresh = torch.randn(x_t.shape, generator=torch.Generator().manual_seed(5))
    ours = step_back(x_t, image, ALPHA_BAR[t], ALPHA_BAR[t - stride], fresh, eta)

    expected, _ = theirs.step(
        noise, t - 1, x_t, eta=eta, generator=torch.Generator().manual_seed(5)
    )
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)


def test_a_step_without_fresh_noise_is_deterministic_and_that_of_eta_0() -> None:
    x_t, image, fresh = normal(seed=1), normal(seed=2), normal(seed=3)
    here, there = ALPHA_BAR[500], ALPHA_BAR[450]

    first, again = (step_back(x_t, image, here, there) for _ in range(2))

    assert torch.equal(first, again)
    torch.testing.assert_close(step_back(x_t, image, here, there, fresh, 0.0), first)


@pytest.mark.parametrize("fresh", [None, normal(seed=3)])
def test_the_last_step_ends_at_the_image(fresh: Tensor | None) -> None:
    x_t, image = normal(seed=1), normal(seed=2)

    x_0 = step_back(x_t, image, ALPHA_BAR[20], ALPHA_BAR[0], fresh)

    torch.testing.assert_close(x_0, image)


@given(t=st.integers(1, STEPS), seed=st.integers(0, 99))
def test_image_and_noise_come_back_from_x_t(t: int, seed: int) -> None:
    alpha_bar = linear_alpha_bar(STEPS, 1e-4, 0.02)[t]
    image, noise = normal(seed=seed).double(), normal(seed=seed + 100).double()

    x_t = add_noise(image, noise, alpha_bar)

    torch.testing.assert_close(image_of(x_t, noise, alpha_bar), image)
    torch.testing.assert_close(noise_of(x_t, image, alpha_bar), noise)


@given(st.data())
def test_spaced_steps_go_down_to_0_as_equal_as_can_be(data: st.DataObject) -> None:
    t = data.draw(st.integers(1, 1000))
    steps = data.draw(st.integers(1, t))

    levels = spaced(t, steps)

    gaps = [a - b for a, b in pairwise(levels)]
    assert len(gaps) == steps
    assert (levels[0], levels[-1]) == (t, 0)
    assert max(gaps) - min(gaps) <= 1
    assert min(gaps) >= 1
