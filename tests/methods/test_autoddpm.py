from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from uadbench import options
from uadbench.errors import DataError, UsageError
from uadbench.methods._nn.reconstruction import Stack
from uadbench.methods._nn.tensors import arrays_of
from uadbench.methods.autoddpm import AutoDDPM, dilated, saturated
from uadbench.protocols import Context, Lazy, Scan


def build(**given: object) -> AutoDDPM:
    quick: dict[str, object] = {"size": 32, "base": 8, "batch": 4, "steps": 6}
    return options.build(AutoDDPM, "autoddpm", {**quick, **given}, "demo")


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


def stack_of(images: Tensor) -> Stack:
    brain = torch.ones_like(images, dtype=torch.bool)
    return Stack(images, brain, torch.Generator().manual_seed(0), len(images))


def healthy(method: AutoDDPM) -> tuple[Tensor, Oracle]:
    """Return an image within the range of the method, and the network that knows it."""
    wave = torch.sin(torch.arange(32) / 3)
    images = (1 + 0.3 * wave[:, None] * wave)[None, None]
    return images, Oracle(method.scaled(images), method.alpha_bar(images.device))


def set_threshold(method: AutoDDPM, threshold: float) -> None:
    weights = arrays_of(method.make(), method.name)
    method.restore({**weights, "_threshold": np.array([threshold])})


def test_a_perfect_network_gives_a_zero_map() -> None:
    method = build()
    set_threshold(method, 0.1)
    images, oracle = healthy(method)

    restored = method.reconstruct(oracle, stack_of(images))

    torch.testing.assert_close(restored.images, images, rtol=0, atol=1e-4)
    assert float(restored.score.max()) < 1e-4


def test_score_is_the_difference_weighted_with_the_map_where_the_mask_is() -> None:
    method = build(perceptual="none", dilation=0)
    set_threshold(method, 0.5)
    images, oracle = healthy(method)
    lesion = images.clone()
    lesion[..., 10:14, 20:24] += 0.8

    restored = method.reconstruct(oracle, stack_of(lesion))

    # 16 of 1024 pixels: their residual is far above the 95th percentile, its weight 1.
    inside = restored.score[..., 10:14, 20:24]
    torch.testing.assert_close(inside, torch.full_like(inside, 0.8), rtol=1e-3, atol=0)
    restored.score[..., 10:14, 20:24] = 0
    assert not restored.score.any()


def test_outside_the_mask_the_image_stays_as_it_is() -> None:
    method = build()
    images, oracle = healthy(method)
    changed = images + 0.4
    mask = torch.zeros_like(images, dtype=torch.bool)
    mask[..., 5:9, 5:9] = True

    final = method.inpainted(oracle, method.scaled(images), mask, stack_of(changed))

    torch.testing.assert_close(final[~mask], method.scaled(changed)[~mask])
    torch.testing.assert_close(
        final[mask], method.scaled(images)[mask], rtol=0, atol=1e-4
    )


def test_every_inpainting_step_is_passed_as_often_as_asked_for() -> None:
    method = build(inpainting_t=6, inpainting_steps=3, resamples=4)
    images, oracle = healthy(method)
    mask = torch.ones_like(images, dtype=torch.bool)

    method.inpainted(oracle, method.scaled(images), mask, stack_of(images))

    assert oracle.seen == [6] * 4 + [4] * 4 + [2] * 4


def test_threshold_is_what_the_given_part_of_the_healthy_brain_exceeds(
    scans: Callable[..., Lazy[Scan]],
) -> None:
    method = build(rate=0.2)
    maps = []
    plain = method.first_pass

    def kept(network: nn.Module, stack: Stack) -> tuple[Tensor, Tensor]:
        first, combined = plain(network, stack)
        maps.append(combined[stack.brain])
        return first, combined

    method.first_pass = kept  # type: ignore[method-assign]

    method.fit(scans("a", "b"), scans("c", "d"), Context(0))

    (healthy_map,) = maps
    threshold = float(method.state()["_threshold"][0])
    exceeding = float((healthy_map > threshold).float().mean())
    assert exceeding == pytest.approx(0.2, abs=1e-3)


def test_validation_without_brain_is_refused(
    scans: Callable[..., Lazy[Scan]],
) -> None:
    with pytest.raises(DataError, match=r"no healthy slice .* 0 validation"):
        build().fit(scans("a"), scans(), Context(0))


def test_residuals_become_1_at_their_own_95th_percentile() -> None:
    ramp = torch.arange(1000.0).view(1, 1, 20, 50)
    residuals = torch.cat([ramp, 7 * ramp])

    one, other = saturated(residuals).flatten(1)

    torch.testing.assert_close(one, other)
    assert float((one >= 1).float().mean()) == pytest.approx(0.05)
    assert float(one[500]) == pytest.approx(500 / 949.05)


def test_residuals_of_0_stay_0() -> None:
    assert not saturated(torch.zeros(1, 1, 8, 8)).any()


def test_a_mask_grows_by_a_square() -> None:
    mask = torch.zeros(1, 1, 7, 7, dtype=torch.bool)
    mask[..., 3, 3] = True

    assert int(dilated(mask, 0).sum()) == 1
    assert dilated(mask, 1)[..., 2:5, 2:5].all()
    assert int(dilated(mask, 1).sum()) == 9


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"t": 400, "train_t": 300}, "t 400 is above train_t 300"),
        ({"inpainting_t": 301, "train_t": 300}, "inpainting_t 301 is above train_t"),
        ({"inpainting_t": 5, "inpainting_steps": 6}, "inpainting_steps 6 is above"),
        ({"sampling_steps": 201}, "sampling_steps 201 is above t 200"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    given: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError, match=f"autoddpm: {message}"):
        build(**given)


def test_trained_denoiser_scores_what_no_healthy_brain_has_highest(
    scan: Callable[..., Scan], scans: Callable[..., Lazy[Scan]]
) -> None:
    method = build(base=16, steps=120)
    method.fit(scans("a", "b", "c", "d"), scans("e"), Context(0))
    brain = scan("x")
    image = brain.image.copy()
    image[0, 8:13, 20:25, 1] = 3.0

    (prediction,) = method.predict([replace(brain, image=image)], Context(0))

    highest = np.unravel_index(prediction.score.argmax(), prediction.score.shape)
    assert highest[2] == 1
    assert 7 <= highest[0] <= 13
    assert 19 <= highest[1] <= 25
