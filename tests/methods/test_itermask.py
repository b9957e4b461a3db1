from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor

from uadbench import options
from uadbench.errors import UsageError
from uadbench.methods._nn.steps import Step
from uadbench.methods.itermask2.inputs import no_condition
from uadbench.methods.itermask2.itermask import IterMask
from uadbench.methods.itermask2.method import IterMask2
from uadbench.methods.itermask2.reconstructor import (
    first_step_loss,
    reconstructor_loss,
)
from uadbench.protocols import Context, Lazy, Scan

Scans = Callable[..., Lazy[Scan]]

QUICK: Mapping[str, object] = {
    "size": 32,
    "base": 8,
    "multipliers": (1, 2),
    "batch": 4,
    "first_steps": 5,
    "steps": 6,
}


def build(**given: object) -> IterMask:
    return options.build(IterMask, "itermask", {**QUICK, **given}, "demo")


def test_networks_see_the_image_alone(scans: Scans) -> None:
    method = build(stem=1)

    method.fit(scans("a"), scans("b"), Context(0))

    weights = method.state()
    assert weights["first_step/down.0.0.weight"].shape[1] == 1
    assert weights["reconstructor/down.0.0.weight"].shape[1] == 1


@pytest.mark.parametrize(
    "loss_of", [first_step_loss, partial(reconstructor_loss, pixel=12.0)]
)
def test_nothing_is_learned_from_what_is_masked(
    loss_of: Callable[..., Tensor],
) -> None:
    brain = torch.zeros(1, 1, 16, 16, dtype=torch.bool)
    brain[..., 4:12, 4:12] = True
    seen: list[Tensor] = []

    def network(inputs: Tensor) -> Tensor:
        seen.append(inputs)
        return inputs[:, :1]

    for image in (torch.zeros(1, 1, 16, 16), brain * 9.0):
        step = Step(image, brain, torch.Generator().manual_seed(0))
        loss_of(network, step, condition=no_condition)

    dark, bright = seen
    assert dark.shape == (1, 1, 16, 16)
    masked = dark == bright
    if loss_of is first_step_loss:
        assert masked.all()
    else:
        assert 0 < int((masked & brain).sum()) < int(brain.sum())


def test_the_mask_shrinks_onto_a_lesion(
    scans: Scans, scan: Callable[..., Scan]
) -> None:
    method = build(first_steps=80, steps=160)
    method.fit(scans("a", "b", "c", "d"), scans("e", "f"), Context(0))
    brain = scan("x")
    lesion = np.zeros_like(brain.brain)
    lesion[8:14, 20:26, 1] = True
    image = np.where(lesion, np.float32(2.0), brain.image)

    (prediction,) = method.predict([replace(brain, image=image)], Context(0))

    assert prediction.mask is not None
    overlap = 2 * (prediction.mask & lesion).sum()
    assert overlap / (prediction.mask.sum() + lesion.sum()) > 0.5


def test_all_options_but_the_condition_are_those_of_itermask2() -> None:
    for preset in ("paper", "demo"):
        whole, ablated = (
            options.values(options.build(method, method.name, {}, preset))
            for method in (IterMask2, IterMask)
        )

        assert whole.pop("radius") > 0
        assert ablated == whole


def test_messages_name_the_method(scan: Callable[..., Scan]) -> None:
    with pytest.raises(UsageError, match="itermask has learned nothing yet"):
        next(build().predict([scan("x")], Context(0)))
    with pytest.raises(UsageError, match="itermask: size 31 is no multiple"):
        build(size=31)
