from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from uadbench import options
from uadbench.errors import DataError, UsageError
from uadbench.methods._nn.reconstruction import Stack
from uadbench.methods._nn.steps import Step
from uadbench.methods._nn.streams import Streams
from uadbench.methods.cycl_unet import Cycle, CyclicUNet
from uadbench.protocols import Context, Lazy, Scan

QUICK: Mapping[str, object] = {
    "size": 32,
    "base": 8,
    "multipliers": (1, 2),
    "batch": 4,
    "steps": 4,
}


class Times(nn.Module):
    """A network that multiplies."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, images: Tensor) -> Tensor:
        return self.factor * images


def build(**given: object) -> CyclicUNet:
    return options.build(CyclicUNet, "cycl-unet", {**QUICK, **given}, "demo")


def pairs(scan: Callable[..., Scan], *names: str) -> Lazy[Scan]:
    """Return scans of FLAIR and T1w, in this order."""
    return Lazy(names, lambda name: scan(name, channels=2))


def test_each_network_is_taught_with_real_images_of_both_modalities() -> None:
    # source 1, target 3: (2 * 1 - 3)^2 + (0.5 * 3 - 1)^2 = 1 + 0.25.
    images = torch.tensor([1.0, 3.0]).view(1, 2, 1, 1).expand(5, 2, 4, 4)
    cycle = Cycle(Times(2.0), Times(0.5))
    step = Step(images, images[:, :1] > 0, torch.Generator())

    loss = build().loss(cycle, step)

    assert loss.item() == pytest.approx(1.25)


@pytest.mark.parametrize(("back", "error"), [(0.5, 0.0), (1.0, 1.0)])
def test_score_is_the_squared_error_after_both_translations(
    back: float, error: float
) -> None:
    images = torch.rand(3, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    streams = Streams.of_slices(0, range(len(images)), "cpu")
    stack = Stack(images, images > 0, streams, batch=2)
    cycle = Cycle(Times(2.0), Times(back))

    restored = build().reconstruct(cycle, stack)

    # Twice the image and half of that is the image; twice it and once that is 2 x.
    assert torch.equal(restored.images, 2 * back * images)
    assert torch.equal(restored.score, error * images**2)


@pytest.mark.parametrize(
    ("given", "source"), [({}, 0), ({"source": "T1w", "target": "FLAIR"}, 1)]
)
def test_the_source_alone_is_seen_and_scored_at_test(
    given: dict[str, object], source: int, scan: Callable[..., Scan]
) -> None:
    method = build(**given)
    method.fit(pairs(scan, "a"), pairs(scan, "b"), Context(0))
    both = scan("x", channels=2)
    single = replace(
        both, image=both.image[[source]], modalities=(both.modalities[source],)
    )
    other = both.image.copy()
    other[1 - source] = 7.0

    first, without, changed = (
        next(method.predict([s], Context(0)))
        for s in (both, single, replace(both, image=other))
    )

    assert first.score.any()
    np.testing.assert_array_equal(without.score, first.score)
    np.testing.assert_array_equal(changed.score, first.score)


def test_a_lesion_that_breaks_the_mapping_scores_highest(
    scan: Callable[..., Scan],
) -> None:
    # Target = 1 / source, which a network learns for healthy intensities alone.
    def healthy(name: str) -> Scan:
        brain = scan(name, channels=2)
        source = brain.image[0]
        inverse = np.where(brain.brain, 0.6 / np.maximum(source, 0.2), 0)
        return replace(brain, image=np.stack([source, inverse.astype(np.float32)]))

    method = build(steps=200)
    method.fit(Lazy("abcd", healthy), Lazy("e", healthy), Context(0))
    x = healthy("x")
    image = x.image.copy()
    image[0, 8:13, 20:25, 1] = 3.0

    (prediction,) = method.predict([replace(x, image=image)], Context(0))

    highest = np.unravel_index(prediction.score.argmax(), prediction.score.shape)
    assert highest[2] == 1
    assert 7 <= highest[0] <= 13
    assert 19 <= highest[1] <= 25


def test_paper_has_the_published_network_twice() -> None:
    method = options.build(CyclicUNet, "cycl-unet", {}, "paper")

    published = {"size": 128, "base": 32, "multipliers": [1, 1, 2, 3, 4], "blocks": 2}
    published |= {"attention": [32, 16, 8], "norm": "group", "dropout": 0.1}
    published |= {"learning_rate": 1e-4, "batch": 32, "steps": 100_000}
    published |= {"schedule": "constant", "normalisation": "p90", "average": 0.9999}
    assert options.values(method).items() >= published.items()
    there, back = (
        sum(p.numel() for p in half.parameters()) for half in method.make().children()
    )
    # IterMask2's first step has as many: batch and group normalisation weigh the same.
    assert there == back == 5_918_753


def test_one_modality_is_an_error_that_says_how_to_give_two(
    scan: Callable[..., Scan], scans: Callable[..., Lazy[Scan]]
) -> None:
    message = (
        r"cycl-unet translates between two modalities, got FLAIR in a: .*"
        r"--set-data modality=ONE,OTHER"
    )

    with pytest.raises(DataError, match=message):
        build().fit(scans("a"), scans("b"), Context(0))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"source": "T2"}, "cycl-unet: no 'T2' in a. There are: FLAIR, T1w"),
        ({"target": "T2"}, "cycl-unet: no 'T2' in a. There are: FLAIR, T1w"),
        ({"source": "T1w"}, "got 'T1w' as source and target: set both, of FLAIR, T1w"),
    ],
)
def test_modalities_that_make_no_pair_are_an_error(
    given: dict[str, object], message: str, scan: Callable[..., Scan]
) -> None:
    with pytest.raises(DataError, match=message):
        build(**given).fit(pairs(scan, "a"), pairs(scan, "b"), Context(0))


def test_a_size_that_the_networks_cannot_have_is_refused() -> None:
    with pytest.raises(UsageError, match="cycl-unet: size 31 is no multiple"):
        build(size=31)
