from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from uadbench import options
from uadbench.errors import UsageError
from uadbench.methods._nn.reconstruction import Stack
from uadbench.methods._nn.steps import Step
from uadbench.methods.pddpm import PatchedDDPM, patch_masks
from uadbench.protocols import Context, Lazy, Scan

Stacked = Callable[..., Stack]


def build(**given: object) -> PatchedDDPM:
    quick: dict[str, object] = {"size": 32, "base": 8, "batch": 4, "steps": 6}
    return options.build(PatchedDDPM, "pddpm", {**quick, **given}, "demo")


class Recorder(nn.Module):
    """Answers with one image, and keeps what it was given."""

    def __init__(self, answer: Tensor) -> None:
        super().__init__()
        self.answer = answer
        self.inputs: list[Tensor] = []
        self.steps: list[int] = []

    def forward(self, images: Tensor, t: Tensor) -> Tensor:
        self.inputs.append(images)
        self.steps += t.tolist()
        return self.answer


def random_images(count: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(7)
    return torch.rand((count, 1, 32, 32), generator=generator)


def step_of(images: Tensor) -> Step:
    brain = torch.ones_like(images, dtype=torch.bool)
    return Step(images, brain, torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("size", "patches"), [(96, 2), (12, 3), (8, 1)])
def test_patches_are_equal_squares_that_cover_the_slice_once(
    size: int, patches: int
) -> None:
    masks = patch_masks(size, patches)

    assert masks.shape == (patches**2, 1, size, size)
    assert (masks.sum(dim=0) == 1).all()
    side = size // patches
    for mask in masks[:, 0]:
        rows, columns = mask.any(1), mask.any(0)
        assert (int(rows.sum()), int(columns.sum())) == (side, side)
        assert int(mask.sum()) == side**2


def test_a_perfect_network_gives_a_zero_map(stack_of: Stacked) -> None:
    method, images = build(), random_images()
    network = Recorder(method.scaled(images))

    restored = method.reconstruct(network, stack_of(images))

    torch.testing.assert_close(restored.images, images)
    assert float(restored.score.max()) < 1e-6


def test_network_sees_each_patch_noised_once_and_the_rest_clean(
    stack_of: Stacked,
) -> None:
    method, images = build(), random_images()
    network = Recorder(torch.zeros_like(images))

    method.reconstruct(network, stack_of(images))

    assert network.steps == [method.t] * 4 * len(images)
    changed = [inputs != method.scaled(images) for inputs in network.inputs]
    for changes, patch in zip(changed, patch_masks(32, 2), strict=True):
        assert not (changes & ~patch).any()
        assert (changes & patch).float().mean() == pytest.approx(0.25, abs=0.01)


def test_each_patch_of_the_reconstruction_is_the_answer_to_its_own_noise(
    stack_of: Stacked,
) -> None:
    method, images = build(), random_images()

    class Numbering(nn.Module):
        """Answers the n-th question with n / 10 everywhere."""

        asked = 0

        def forward(self, given: Tensor, t: Tensor) -> Tensor:
            self.asked += 1
            return torch.full_like(given, self.asked / 10)

    restored = method.reconstruct(Numbering(), stack_of(images))

    corners = method.scaled(restored.images)[0, 0][[0, 0, -1, -1], [0, -1, 0, -1]]
    torch.testing.assert_close(corners, torch.tensor([0.1, 0.2, 0.3, 0.4]))


def test_loss_is_the_absolute_error_inside_the_noised_patch_alone() -> None:
    method, images = build(), random_images()
    x_0 = method.scaled(images)
    blind = Recorder(x_0)
    method.loss(blind, step_of(images))
    noised = blind.inputs[0] != x_0

    shifted = Recorder(torch.where(noised, x_0 + 0.25, x_0 + 100))
    value = method.loss(shifted, step_of(images))

    # A pixel whose noise happens to be 0 in single precision would weigh 100.
    assert float(value) == pytest.approx(0.25, abs=1e-5)


def test_training_noises_one_patch_of_each_slice_and_any_of_the_four() -> None:
    method, images = build(), random_images().repeat(32, 1, 1, 1)
    x_0 = method.scaled(images)
    network = Recorder(x_0)

    method.loss(network, step_of(images))

    (inputs,) = network.inputs
    noised = [
        [bool(((one != clean) & patch).any()) for patch in patch_masks(32, 2)]
        for one, clean in zip(inputs, x_0, strict=True)
    ]
    assert [sum(patches) for patches in noised] == [1] * 64
    assert np.any(noised, axis=0).all()


def test_patches_that_do_not_divide_the_slice_are_refused() -> None:
    with pytest.raises(UsageError, match=r"pddpm: 3 patches do not divide .* 32 px"):
        build(patches=3)


def test_trained_denoiser_scores_what_no_healthy_brain_has_highest(
    scan: Callable[..., Scan], scans: Callable[..., Lazy[Scan]]
) -> None:
    method = build(base=16, steps=120)
    method.fit(scans("a", "b", "c", "d"), scans("e"), Context(0))
    healthy = scan("x")
    image = healthy.image.copy()
    image[0, 8:13, 20:25, 1] = 3.0

    (prediction,) = method.predict([replace(healthy, image=image)], Context(0))

    highest = np.unravel_index(prediction.score.argmax(), prediction.score.shape)
    assert highest[2] == 1
    assert 7 <= highest[0] <= 13
    assert 19 <= highest[1] <= 25


def test_patches_share_a_batch_and_change_nothing_for_each_other(
    stack_of: Stacked,
) -> None:
    method, images = build(), random_images()
    network = Recorder(torch.zeros(8, 1, 32, 32))
    untaught = method.make().eval()
    expected = method.reconstruct(untaught, stack_of(images))

    method.reconstruct(network, replace(stack_of(images), batch=8))
    found = method.reconstruct(untaught, replace(stack_of(images), batch=8))

    assert [len(inputs) for inputs in network.inputs] == [8]
    torch.testing.assert_close(found.images, expected.images, rtol=0, atol=2e-5)
