import math
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from uadbench.errors import UsageError
from uadbench.methods._nn.recipes import Recipe
from uadbench.methods._nn.scans import Healthy
from uadbench.methods._nn.steps import Step
from uadbench.methods._nn.stopping import Best
from uadbench.methods._nn.tensors import arrays_of
from uadbench.methods._nn.training import Validation, new_network, train
from uadbench.protocols import Context

# Classes of conftest.py, from which tests cannot import.
Kept: TypeAlias = Any
Diary: TypeAlias = Any

IMAGES = torch.rand(16, 1, 4, 4, generator=torch.Generator().manual_seed(0))
HELD_OUT = IMAGES[6:]


def healthy_of(images: Tensor) -> Healthy:
    return Healthy([images.numpy()], [np.ones(images.shape, bool)])


SIX, TEN = healthy_of(IMAGES[:6]), healthy_of(HELD_OUT)
# Six images are an epoch of three steps.
RECIPE = Recipe(90, 2, 3e-2, average=0.5)

pytestmark = pytest.mark.usefixtures("saved_after_every_step")


def make_network() -> nn.Module:
    """Return a network that soon knows six images by heart."""
    return new_network(
        lambda: nn.Sequential(
            nn.Flatten(),
            nn.Linear(16, 32),
            nn.BatchNorm1d(32),
            nn.ReLU(),
            nn.Dropout(0.1),
            nn.Linear(32, 16),
            nn.Unflatten(1, (1, 4, 4)),
        ),
        seed=0,
        device="cpu",
    )


def loss(network: nn.Module, step: Step) -> Tensor:
    noise = torch.randn(step.images.shape, generator=step.generator)
    return mse_loss(network(step.images + 0.1 * noise), step.images)


def fit(ctx: Context, patience: int = 4, recipe: Recipe = RECIPE) -> nn.Module:
    validation = Validation(TEN, patience)
    return train(make_network(), loss, recipe, SIX, ctx, "net", validation)


@pytest.fixture
def talkative(diary: type[Diary]) -> Any:
    """Makes monitors that remember what they were told."""

    def make(kill: tuple[str, int] | None = None) -> Diary:
        monitor = diary(kill)
        monitor.said = []
        monitor.say = monitor.said.append
        return monitor

    return make


def checks(monitor: Diary) -> list[tuple[float, int]]:
    return [(v, n) for name, v, n in monitor.curve if name == "net/validation"]


def test_training_ends_when_validation_gains_nothing_for_so_many_epochs(
    talkative: Any,
) -> None:
    monitor = talkative()

    fit(Context(0, monitor=monitor))

    losses, steps = zip(*checks(monitor), strict=True)
    assert list(steps) == list(range(2, 3 * len(steps), 3))
    assert int(np.argmin(losses)) == len(losses) - 5
    assert len(losses) < 30
    assert monitor.steps["net"][-1] == steps[-1]
    assert monitor.said == [
        f"net: {steps[-1] + 1} of 90 steps, no lower validation loss in 4 epochs."
    ]


def test_the_weights_of_the_best_check_are_returned(talkative: Any) -> None:
    monitor = talkative()

    trained = fit(Context(0, monitor=monitor))

    losses, steps = zip(*checks(monitor), strict=True)
    best = steps[int(np.argmin(losses))]
    # A constant rate makes the shorter training the start of the longer one.
    shorter = train(
        make_network(),
        loss,
        Recipe(best + 1, 2, 3e-2, average=0.5),
        SIX,
        Context(0),
        "net",
    )
    assert_equal(trained, shorter)


def test_a_training_with_patience_to_its_end_returns_the_best_too(
    talkative: Any,
) -> None:
    monitor = talkative()

    trained = fit(Context(0, monitor=monitor), patience=1000)

    assert monitor.said == []
    assert monitor.steps["net"] == list(range(90))
    losses, steps = zip(*checks(monitor), strict=True)
    assert steps[-1] == 89
    assert_equal(trained, fit(Context(0, monitor=talkative()), patience=4))
    assert int(np.argmin(losses)) < len(losses) - 5


@pytest.mark.parametrize("back", [[1], [2], [6], [4, 3, 1]])
def test_a_killed_training_stops_at_the_same_step_with_the_same_weights(
    back: list[int], kept: Kept, talkative: Any, killed: type[Exception]
) -> None:
    monitor = talkative()
    undisturbed = fit(Context(7, monitor=monitor))
    end = monitor.steps["net"][-1] + 1

    for steps in back:
        killer = talkative(("net", end - steps))
        with pytest.raises(killed):
            fit(Context(7, checkpoint=kept, monitor=killer))
    last = talkative()
    resumed = fit(Context(7, checkpoint=kept, monitor=last))

    assert last.steps["net"] == list(range(end - back[-1], end))
    assert_equal(resumed, undisturbed)


def test_a_stopped_training_is_not_taken_up_again(kept: Kept, talkative: Any) -> None:
    first = fit(Context(7, checkpoint=kept, monitor=talkative()))
    monitor = talkative()

    second = fit(Context(7, checkpoint=kept, monitor=monitor))

    assert monitor.steps == {}
    assert_equal(first, second)


def test_checking_changes_nothing_in_the_training(talkative: Any) -> None:
    recipe = Recipe(12, 2, 3e-2, average=0.5)
    with_checks, without = talkative(), talkative()

    fit(Context(0, monitor=with_checks), 1000, recipe)
    network = make_network()
    train(network, loss, recipe, SIX, Context(0, monitor=without), "net")

    ours = [entry for entry in with_checks.curve if entry[0] == "net/loss"]
    assert ours == without.curve


def test_the_same_weights_have_the_same_validation_loss(talkative: Any) -> None:
    monitor = talkative()
    layer = new_network(lambda: nn.Conv2d(1, 1, 3, padding=1), 0, "cpu")

    # A rate that moves nothing: only the noise could make a difference.
    train(
        layer,
        loss,
        Recipe(12, 2, 1e-30, average=0.0),
        SIX,
        Context(0, monitor=monitor),
        "net",
        validation=Validation(TEN, 1000),
    )

    assert len(checks(monitor)) == 4
    assert len({loss for loss, _ in checks(monitor)}) == 1


def test_validation_loss_is_the_mean_over_all_images_also_in_uneven_batches(
    talkative: Any,
) -> None:
    monitor = talkative()

    def plain(network: nn.Module, step: Step) -> Tensor:
        return mse_loss(network(step.images), step.images)

    # Ten images in batches of 4, 4 and 2.
    trained = train(
        make_network(),
        plain,
        Recipe(1, 4, 1e-2, average=0.0),
        SIX,
        Context(0, monitor=monitor),
        "net",
        validation=Validation(TEN, 1),
    )

    ((found, _),) = checks(monitor)
    with torch.no_grad():
        expected = mse_loss(trained(HELD_OUT), HELD_OUT)
    assert found == pytest.approx(float(expected), rel=1e-6)


def test_patience_does_not_wait_for_a_training_that_diverged(talkative: Any) -> None:
    monitor = talkative()

    with pytest.raises(UsageError, match="net/validation: expected a finite loss"):
        fit(Context(0, monitor=monitor), 1, replace(RECIPE, rate=1e30))

    # The first check, after an epoch of three steps.
    assert monitor.steps["net"] == [0, 1, 2]
    assert monitor.said == []


def test_a_validation_loss_that_is_no_number_is_never_the_best() -> None:
    best, layer = Best(patience=2), nn.Linear(2, 2)
    before = arrays_of(layer, "net")

    best.judge(math.nan, layer)
    assert not best.given_up
    best.judge(math.nan, layer)

    assert best.given_up
    best.recall(layer)
    np.testing.assert_array_equal(
        arrays_of(layer, "net")["net/weight"], before["net/weight"]
    )


def test_without_patience_nothing_is_given_up() -> None:
    best, layer = Best(patience=0), nn.Linear(2, 2)

    for loss in (1.0, 2.0, 3.0):
        best.judge(loss, layer)

    assert not best.given_up
    assert best.loss == 1.0


def assert_equal(one: nn.Module, other: nn.Module) -> None:
    first, second = arrays_of(one, "net"), arrays_of(other, "net")
    for key, value in first.items():
        np.testing.assert_array_equal(value, second[key], err_msg=key)
