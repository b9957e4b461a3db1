from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from uadbench import options
from uadbench.errors import DataError, UsageError
from uadbench.methods._nn.perceptual import distance
from uadbench.methods._nn.reconstruction import Stack
from uadbench.methods._nn.streams import Streams
from uadbench.methods._nn.tensors import arrays_of, load_arrays
from uadbench.methods.autoddpm import AutoDDPM, dilated, saturated
from uadbench.protocols import Context, Lazy, Scan

Healthy = Callable[..., tuple[Tensor, Any]]
Stacked = Callable[..., Stack]


def build(**given: object) -> AutoDDPM:
    quick: dict[str, object] = {"size": 32, "base": 8, "batch": 4, "steps": 6}
    return options.build(AutoDDPM, "autoddpm", {**quick, **given}, "demo")


@pytest.fixture
def healthy(oracle: Callable[..., nn.Module]) -> Healthy:
    """Makes images within the range of a method, and the network that knows them."""

    def make(method: AutoDDPM, count: int = 1) -> tuple[Tensor, Any]:
        wave = torch.sin(torch.arange(32) / 3)
        images = (0.8 + 0.3 * wave[:, None] * wave).expand(count, 1, 32, 32)
        return images, oracle(method.scaled(images), method.alpha_bar(images.device))

    return make


def with_lesion(images: Tensor) -> Tensor:
    """Return the images with a bump that exceeds the peak."""
    line = torch.arange(32.0)
    bump = torch.exp(-((line[:, None] - 12) ** 2 + (line - 20) ** 2) / 18)
    return images + bump


def set_threshold(method: AutoDDPM, threshold: float) -> None:
    weights = arrays_of(method.make(), method.name)
    method.restore({**weights, "_threshold": np.array([threshold])})


def test_a_perfect_network_gives_a_zero_map(
    healthy: Healthy, stack_of: Stacked
) -> None:
    method = build()
    set_threshold(method, 0.1)
    images, oracle = healthy(method)

    restored = method.reconstruct(oracle, stack_of(images))

    torch.testing.assert_close(restored.images, images, rtol=0, atol=1e-4)
    assert float(restored.score.max()) < 1e-4


def test_map_is_the_saturated_residual_weighted_with_the_perceptual_distance(
    healthy: Healthy, stack_of: Stacked
) -> None:
    method = build()
    images, oracle = healthy(method)
    lesion = with_lesion(images)

    first, combined = method.first_pass(oracle, stack_of(lesion))

    x_0 = method.scaled(lesion)
    torch.testing.assert_close(first, method.scaled(images), rtol=0, atol=1e-4)
    expected = saturated((x_0 - first).abs()) * distance("ssim", x_0, first)
    torch.testing.assert_close(combined, expected)
    assert 0.1 < float(combined.max()) < 0.9


def test_score_is_the_difference_inside_the_grown_mask_weighted_with_the_map(
    healthy: Healthy, stack_of: Stacked
) -> None:
    method = build(dilation=1, peak=1.6)
    images, oracle = healthy(method)
    lesion = with_lesion(images)
    _, combined = method.first_pass(oracle, stack_of(lesion))
    # Only a quarter of what differs would be in the mask if it didn't grow.
    threshold = float(combined[combined > 0.01].quantile(0.75))
    set_threshold(method, threshold)

    restored = method.reconstruct(oracle, stack_of(lesion))

    mask = dilated(combined > threshold, 1)
    expected = (lesion.clamp(max=method.peak) - images).abs() * mask * combined
    assert float(lesion.max()) > 1.7
    torch.testing.assert_close(restored.score, expected, rtol=0, atol=1e-3)
    grown = expected[mask & (combined <= threshold)]
    assert float(grown.max()) > 0.02


def test_second_pass_starts_from_the_noised_first_reconstruction(
    healthy: Healthy, stack_of: Stacked
) -> None:
    method = build()
    images, oracle = healthy(method)
    first = 1 - method.scaled(images)
    mask = torch.ones_like(images, dtype=torch.bool)

    method.inpainted(oracle, first, mask, stack_of(images))

    expected = method.noised(first, method.inpainting_t, stack_of(images))
    torch.testing.assert_close(oracle.inputs[0], expected)


def test_outside_of_the_mask_has_the_noise_of_each_step(
    healthy: Healthy, stack_of: Stacked
) -> None:
    method = build(inpainting_t=200, inpainting_steps=4, resamples=1)
    images, oracle = healthy(method, 16)
    nowhere = torch.zeros_like(images, dtype=torch.bool)

    method.inpainted(oracle, method.scaled(images), nowhere, stack_of(images))

    assert oracle.seen == [200, 150, 100, 50]
    for number, t in enumerate(oracle.seen):
        deviation = float(1 - oracle.alpha_bar[t]) ** 0.5
        assert float(oracle.noise(number).std()) == pytest.approx(deviation, rel=0.03)


def test_a_step_is_passed_again_from_the_noise_it_began_with(
    healthy: Healthy, stack_of: Stacked
) -> None:
    method = build(inpainting_t=200, inpainting_steps=2, resamples=3)
    images, oracle = healthy(method, 16)
    mask = torch.zeros_like(images, dtype=torch.bool)
    mask[..., :16] = True

    method.inpainted(oracle, method.scaled(images), mask, stack_of(images))

    assert oracle.seen == [200] * 3 + [100] * 3
    deviation = float(1 - oracle.alpha_bar[200]) ** 0.5
    for number in (1, 2):
        again, before = oracle.noise(number), oracle.noise(number - 1)
        for part in (mask, ~mask):
            assert float(again[part].std()) == pytest.approx(deviation, rel=0.03)
            both = torch.stack([again[part], before[part]])
            assert float(torch.corrcoef(both)[0, 1]) < 0.9


def test_outside_the_mask_the_image_stays_as_it_is(
    healthy: Healthy, stack_of: Stacked
) -> None:
    method = build()
    images, oracle = healthy(method)
    changed = images + 0.3
    mask = torch.zeros_like(images, dtype=torch.bool)
    mask[..., 5:9, 5:9] = True

    final = method.inpainted(oracle, method.scaled(images), mask, stack_of(changed))

    torch.testing.assert_close(final[~mask], method.scaled(changed)[~mask])
    torch.testing.assert_close(
        final[mask], method.scaled(images)[mask], rtol=0, atol=1e-4
    )


def test_every_inpainting_step_is_passed_as_often_as_asked_for(
    healthy: Healthy, stack_of: Stacked
) -> None:
    method = build(inpainting_t=6, inpainting_steps=3, resamples=4)
    images, oracle = healthy(method)
    mask = torch.ones_like(images, dtype=torch.bool)

    method.inpainted(oracle, method.scaled(images), mask, stack_of(images))

    assert oracle.seen == [6] * 4 + [4] * 4 + [2] * 4


def test_threshold_is_what_the_given_part_of_the_healthy_brain_exceeds(
    scans: Callable[..., Lazy[Scan]], diary: type[Any]
) -> None:
    method, monitor = build(rate=0.2), diary()
    network = method.make().eval()

    method.fit(scans("a", "b"), scans("c", "d"), Context(0, monitor=monitor))

    load_arrays(network, method.state(), method.name)
    maps = []
    for scan in scans("c", "d"):
        slices = method.grid.cut(scan)
        seed = Context(0).child("threshold").child(scan.id).seed
        for image, inside, z in zip(
            slices.images, slices.brain, slices.index, strict=True
        ):
            brain = torch.from_numpy(inside)[None, None]
            streams = Streams.of_slices(seed, [z], "cpu")
            stack = Stack(torch.from_numpy(image)[None], brain, streams, 1)
            maps.append(method.first_pass(network, stack)[1][brain])
    assert len(monitor.steps["mask threshold"]) == 2
    threshold = float(method.state()["_threshold"][0])
    exceeding = float((torch.cat(maps) > threshold).float().mean())
    assert exceeding == pytest.approx(0.2, abs=1e-3)
    by_hand = float(torch.cat(maps).quantile(0.8))
    assert threshold == pytest.approx(by_hand, rel=1e-4)


def test_threshold_depends_on_no_order_of_the_validation_scans(
    scans: Callable[..., Lazy[Scan]],
) -> None:
    thresholds = []
    for names in ("cd", "dc"):
        method = build(steps=2)
        method.fit(scans("a"), scans(*names), Context(0))
        thresholds.append(float(method.state()["_threshold"][0]))

    assert thresholds[0] == pytest.approx(thresholds[1], abs=1e-9)


def test_validation_without_brain_is_refused_before_the_training(
    scans: Callable[..., Lazy[Scan]], diary: type[Any]
) -> None:
    monitor = diary()

    with pytest.raises(DataError, match=r"no healthy slice .* 0 validation"):
        build().fit(scans("a"), scans(), Context(0, monitor=monitor))
    assert "reading training scans" not in monitor.steps


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
        ({"inpainting_t": 301, "train_t": 300}, "inpainting_t 301 is above train_t"),
        ({"inpainting_t": 5, "inpainting_steps": 6}, "inpainting_steps 6 is above"),
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
    method = build(base=16, steps=120, peak=2.5, t=200, inpainting_t=50)
    method.fit(scans("a", "b", "c", "d"), scans("e"), Context(0))
    brain = scan("x")
    image = brain.image.copy()
    image[0, 8:13, 20:25, 1] = 3.0

    (prediction,) = method.predict([replace(brain, image=image)], Context(0))

    highest = np.unravel_index(prediction.score.argmax(), prediction.score.shape)
    assert highest[2] == 1
    assert 7 <= highest[0] <= 13
    assert 19 <= highest[1] <= 25
