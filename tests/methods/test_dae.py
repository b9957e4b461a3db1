from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from uadbench import options
from uadbench.errors import UsageError
from uadbench.methods._nn.coarse_noise import coarse_noise
from uadbench.methods._nn.reconstruction import Stack
from uadbench.methods._nn.steps import Step
from uadbench.methods._nn.streams import Streams
from uadbench.methods._nn.tensors import load_arrays
from uadbench.methods.dae import DenoisingAutoencoder
from uadbench.protocols import Context, Lazy, Scan
from uadbench.slices import cut

# Classes of conftest.py, from which tests cannot import.
Kept: TypeAlias = Any
Diary: TypeAlias = Any

IMAGES = torch.rand(4, 1, 32, 32, generator=torch.Generator().manual_seed(0))
BRAIN = torch.zeros(4, 1, 32, 32, dtype=torch.bool)
BRAIN[..., 8:24, 8:24] = True
STREAMS = Streams.of_slices(0, range(len(IMAGES)), "cpu")


def build(**given: object) -> DenoisingAutoencoder:
    quick: dict[str, object] = {"size": 32, "base": 4, "depth": 2, "cells": 8}
    return options.build(
        DenoisingAutoencoder, "dae", {**quick, "steps": 6, **given}, "demo"
    )


@pytest.fixture(scope="module")
def fitted() -> DenoisingAutoencoder:
    return build(steps=150, base=8)


@pytest.fixture
def trained(
    fitted: DenoisingAutoencoder, scans: Callable[..., Lazy[Scan]]
) -> DenoisingAutoencoder:
    """A method that knows healthy brains a little; trained once."""
    try:
        fitted.state()
    except UsageError:
        fitted.fit(scans("a", "b", "c", "d"), scans("e"), Context(0))
    return fitted


class Recorder(nn.Module):
    """Gives back what it gets, and remembers it."""

    def forward(self, images: Tensor) -> Tensor:
        self.seen = images
        return images


def step() -> Step:
    return Step(IMAGES, BRAIN, torch.Generator().manual_seed(3))


def test_noise_is_added_inside_the_brain_alone() -> None:
    network = Recorder()

    build(noise=0.4).loss(network, step())

    added = network.seen - IMAGES
    noise = coarse_noise(added.shape, 8, 0.4, torch.Generator().manual_seed(3))
    torch.testing.assert_close(added, noise * BRAIN, atol=1e-6, rtol=0)


def test_loss_counts_the_brain_and_divides_by_all_pixels() -> None:
    network = Recorder()

    loss = build(noise=0.4).loss(network, step())

    # What comes back is the noisy image: the error is the noise, in 256 of 1024 px.
    noise = coarse_noise(
        torch.Size((4, 1, 32, 32)), 8, 0.4, torch.Generator().manual_seed(3)
    )
    expected = (noise[..., 8:24, 8:24] ** 2).sum() / (4 * 1024)
    assert float(loss) == pytest.approx(float(expected), rel=1e-4)


def test_score_is_the_absolute_error_without_noise_and_zero_outside() -> None:
    class Darker(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return images - 0.25

    stack = Stack(IMAGES, BRAIN, STREAMS, 2)

    restored = build().reconstruct(Darker(), stack)

    torch.testing.assert_close(restored.score, 0.25 * BRAIN, atol=1e-6, rtol=0)
    assert torch.equal(restored.images[~BRAIN], IMAGES[~BRAIN])


def test_a_perfect_reconstructor_gives_an_empty_map() -> None:
    stack = Stack(IMAGES, BRAIN, STREAMS, 2)

    assert not build().reconstruct(nn.Identity(), stack).score.any()


def test_noise_is_removed_after_training(
    trained: DenoisingAutoencoder, scans: Callable[..., Lazy[Scan]]
) -> None:
    network = trained.make().eval()
    load_arrays(network, trained.state(), "dae")
    slices = loaded(trained, scans("x", "y"))

    with torch.no_grad():
        error, untouched = (
            trained.loss(module, Step(*slices, torch.Generator().manual_seed(0)))
            for module in (network, nn.Identity())
        )

    assert float(error) < 0.5 * float(untouched)


def loaded(method: DenoisingAutoencoder, scans: Lazy[Scan]) -> tuple[Tensor, Tensor]:
    """Return the slices of scans as the method sees them."""
    slices = [cut(s, method.size, method.field, method.normalisation) for s in scans]
    images = np.concatenate([s.images for s in slices])
    brain = np.concatenate([s.brain[:, None] for s in slices])
    return torch.from_numpy(images), torch.from_numpy(brain)


def test_a_bright_lesion_is_taken_for_noise(
    trained: DenoisingAutoencoder, scan: Callable[..., Scan]
) -> None:
    healthy = scan("x")
    image = healthy.image.copy()
    image[0, 8:13, 20:25, 1] += 1.0

    (prediction,) = trained.predict([replace(healthy, image=image)], Context(0))

    highest = np.unravel_index(prediction.score.argmax(), prediction.score.shape)
    assert highest[2] == 1
    assert 7 <= highest[0] <= 13
    assert 19 <= highest[1] <= 25


def test_paper_preset_is_the_published_training() -> None:
    paper = options.build(DenoisingAutoencoder, "dae", {}, "paper")

    recipe = paper.recipe()
    assert (recipe.steps, recipe.batch, recipe.rate) == (67_200, 16, 1e-4)
    assert (recipe.optimiser, recipe.decay, recipe.clip) == ("amsgrad", 1e-5, 0.5)
    assert (recipe.schedule, recipe.period) == ("cosine", 3200)
    assert (paper.size, paper.cells, paper.base, paper.depth) == (128, 16, 64, 4)
    assert (recipe.average, paper.noise) == (0.0, 0.4)


@pytest.mark.parametrize(("size", "depth"), [(16, 4), (128, 7), (48, 5)])
def test_a_network_that_ends_in_two_pixels_or_more_is_used(
    size: int, depth: int
) -> None:
    network = build(size=size, depth=depth, base=1).make()

    assert network(torch.zeros(1, 1, size, size)).shape == (1, 1, size, size)


@pytest.mark.parametrize(
    ("given", "remedy"),
    [
        ({"size": 36, "depth": 4}, "Set size=32"),
        ({"size": 128, "depth": 8}, "Set depth=7 or size=256"),
        ({"size": 16, "depth": 5}, "Set depth=4 or size=32"),
        ({"size": 16, "cells": 16}, "Set cells=4"),
    ],
)
def test_options_that_do_not_fit_are_refused_with_what_does(
    given: dict[str, object], remedy: str
) -> None:
    with pytest.raises(UsageError, match=f"dae: .* {remedy}"):
        build(**given)
