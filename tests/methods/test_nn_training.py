import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from uadbench.errors import UsageError
from uadbench.methods._nn import training
from uadbench.methods._nn.optimisers import Optimiser
from uadbench.methods._nn.recipes import Recipe
from uadbench.methods._nn.scans import Healthy
from uadbench.methods._nn.steps import Step, draw_batch, ends_epoch
from uadbench.methods._nn.tensors import arrays_of
from uadbench.methods._nn.training import new_network, train
from uadbench.protocols import Context

# Classes of conftest.py, from which tests cannot import.
Kept: TypeAlias = Any
Diary: TypeAlias = Any

IMAGES = torch.rand(10, 1, 8, 8, generator=torch.Generator().manual_seed(0))
HEALTHY = Healthy([IMAGES.numpy()], [np.ones(IMAGES.shape, bool)])
RECIPE = Recipe(30, 4, 1e-2, "one-cycle", average=0.9, clip=1.0)
AMSGRAD = Recipe(30, 4, 1e-2, "cosine", 0.9, period=7, optimiser="amsgrad", decay=0.1)

pytestmark = pytest.mark.usefixtures("saved_after_every_step")


def make_network() -> nn.Module:
    """Return a network in which all that has a state of its own occurs."""
    return new_network(
        lambda: nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Dropout(0.2),
            nn.Conv2d(4, 1, 3, padding=1),
        ),
        seed=0,
        device="cpu",
    )


def loss(network: nn.Module, step: Step) -> Tensor:
    noise = torch.randn(step.images.shape, generator=step.generator)
    return mse_loss(network(step.images + 0.1 * noise), step.images)


def fit(ctx: Context, recipe: Recipe = RECIPE) -> dict[str, np.ndarray[Any, Any]]:
    network = make_network()
    return arrays_of(train(network, loss, recipe, HEALTHY, ctx, "net"), "net")


def assert_equal(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert one.keys() == other.keys()
    for key, value in one.items():
        np.testing.assert_array_equal(value, other[key], err_msg=key)


@pytest.mark.parametrize("recipe", [RECIPE, AMSGRAD])
@pytest.mark.parametrize("kills", [[1], [29], [3, 4, 17]])
def test_a_killed_training_ends_with_the_same_weights(
    kills: list[int],
    recipe: Recipe,
    kept: Kept,
    diary: type[Diary],
    killed: type[Exception],
) -> None:
    undisturbed = fit(Context(7), recipe)

    for step in kills:
        with pytest.raises(killed):
            fit(Context(7, checkpoint=kept, monitor=diary(("net", step))), recipe)
    monitor = diary()
    resumed = fit(Context(7, checkpoint=kept, monitor=monitor), recipe)

    assert monitor.steps["net"] == list(range(kills[-1], 30))
    assert_equal(resumed, undisturbed)


def test_a_finished_training_is_not_repeated(kept: Kept, diary: type[Diary]) -> None:
    first = fit(Context(7, checkpoint=kept))
    monitor = diary()

    second = fit(Context(7, checkpoint=kept, monitor=monitor))

    assert monitor.steps == {}
    assert_equal(first, second)


def test_checkpoints_come_by_the_clock_and_at_the_end(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "SAVE_EVERY", 3600.0)

    fit(Context(7, checkpoint=kept))

    assert len(kept.saves) == 1
    assert kept.places[""]["step"].tolist() == [30]


def test_the_seed_decides_the_weights() -> None:
    assert_equal(fit(Context(1)), fit(Context(1)))
    one, other = fit(Context(1)), fit(Context(2))
    assert not np.array_equal(one["net/0.weight"], other["net/0.weight"])


def test_torchs_own_generator_is_left_as_it_was() -> None:
    before = torch.random.get_rng_state()

    fit(Context(1))

    assert torch.equal(torch.random.get_rng_state(), before)


def test_training_lowers_the_loss_and_logs_it(diary: type[Diary]) -> None:
    monitor = diary()

    fit(Context(0, monitor=monitor), Recipe(201, 8, 1e-2, average=0.9))

    names, values, steps = zip(*monitor.curve, strict=True)
    assert set(names) == {"net/loss"}
    assert list(steps) == [0, 25, 50, 75, 100, 125, 150, 175, 200]
    assert values[-1] < 0.5 * values[0]


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_a_training_that_diverges_ends_with_the_loss_that_shows_it(
    broken: float, diary: type[Diary]
) -> None:
    monitor = diary()

    def diverging(network: nn.Module, step: Step) -> Tensor:
        steps = len(monitor.steps["net"])
        return loss(network, step) * (broken if steps > 25 else 1.0)

    message = f"net/loss: expected a finite loss, got {broken} at step 25: .* Set a"
    with pytest.raises(UsageError, match=message):
        train(
            make_network(),
            diverging,
            Recipe(100, 4, 1e-2),
            HEALTHY,
            Context(0, monitor=monitor),
            "net",
        )

    # It is in the curve, and no step is taken after it.
    assert [step for _, _, step in monitor.curve] == [0, 25]
    assert monitor.steps["net"][-1] == 25


def test_a_short_training_is_not_averaged_over_its_beginning() -> None:
    network = make_network()
    recipe = Recipe(30, 4, 1e-2, average=0.9999)

    averaged = train(network, loss, recipe, HEALTHY, Context(0), "net")

    first = make_network()[0].weight.detach()  # type: ignore[index]  # Sequential
    last = network[0].weight.detach()  # type: ignore[index]  # Sequential
    found = averaged[0].weight.detach()  # type: ignore[index]  # Sequential
    assert float((found - last).norm()) < 0.5 * float((first - last).norm())


def test_the_average_of_the_weights_is_returned_in_eval_mode() -> None:
    network = make_network()
    states = []

    def recording(module: nn.Module, step: Step) -> Tensor:
        states.append(network[0].weight.detach().clone())  # type: ignore[index]  # Sequential
        return loss(module, step)

    recipe = Recipe(3, 4, 1e-2, average=0.75)
    averaged = train(network, recording, recipe, HEALTHY, Context(0), "net")

    # The average starts at the weights after the first step; the decay rises to 0.75.
    first, second, third = states[1], states[2], network[0].weight.detach()  # type: ignore[index]  # Sequential
    expected = 3 / 12 * (2 / 11 * first + 9 / 11 * second) + 9 / 12 * third
    torch.testing.assert_close(averaged[0].weight.detach(), expected)  # type: ignore[index]  # Sequential
    assert not averaged.training


def test_state_tells_weights_from_what_is_no_parameter() -> None:
    layer = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))

    arrays = arrays_of(layer, "net")

    counted = sum(a.size for name, a in arrays.items() if not name.startswith("_"))
    assert counted == sum(p.numel() for p in layer.parameters())
    assert "_net/1.running_mean" in arrays


@pytest.mark.parametrize(("clip", "largest"), [(0.0, None), (0.5, 0.5)])
def test_gradients_are_clipped_where_the_recipe_says_so(
    clip: float, largest: float | None
) -> None:
    network = make_network()

    def steep(module: nn.Module, step: Step) -> Tensor:
        return 100 * loss(module, step)

    train(network, steep, Recipe(1, 4, 1e-2, clip=clip), HEALTHY, Context(0), "net")

    norm = torch.stack([p.grad.norm() for p in network.parameters()]).norm()  # type: ignore[union-attr]  # trained
    if largest is None:
        assert norm > 1
    else:
        assert float(norm) == pytest.approx(largest, rel=1e-4)


def test_every_epoch_shows_every_image_once() -> None:
    drawn = [i for step in range(15) for i in draw_batch(3, step, 4, 10)]

    epochs = [drawn[start : start + 10] for start in range(0, 60, 10)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert epochs[0] != epochs[1]


def test_a_batch_may_be_larger_than_the_data() -> None:
    assert sorted(draw_batch(0, 0, 6, 3)) == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize(("batch", "count"), [(4, 10), (10, 10), (6, 3)])
def test_an_epoch_ends_where_every_image_was_shown_once_more(
    batch: int, count: int
) -> None:
    ends = [ends_epoch(step, batch, count) for step in range(10)]

    # 4 of 10: after 12, 20, 32 and 40 images, so in steps 2, 4, 7 and 9.
    by_hand = {(4, 10): [2, 4, 7, 9], (10, 10): [*range(10)], (6, 3): [*range(10)]}
    assert [step for step, end in enumerate(ends) if end] == by_hand[batch, count]


@pytest.mark.parametrize(
    ("kind", "decay", "momentum"), [("adamw", 0.1, 0.9), ("amsgrad", 0.1, 0.5)]
)
def test_weights_are_those_of_torchs_own_loop(
    kind: Optimiser, decay: float, momentum: float
) -> None:
    network, ours = nn.Linear(8, 1), nn.Linear(8, 1)
    ours.load_state_dict(network.state_dict())
    rows = IMAGES.reshape(80, 1, 1, 8)
    inside = np.ones(rows.shape, bool)

    def steps_in_size(module: nn.Module, step: Step) -> Tensor:
        # Gradients that shrink tell amsgrad from Adam.
        batch = step.images.flatten(1)
        return mse_loss(module(batch) / len(seen_by(module)), batch[:, :1])

    calls: dict[int, list[None]] = {}

    def seen_by(module: nn.Module) -> list[None]:
        calls.setdefault(id(module), []).append(None)
        return calls[id(module)]

    optimisers: dict[str, Callable[..., torch.optim.Optimizer]] = {
        "adamw": lambda p: torch.optim.AdamW(
            p, lr=1e-2, weight_decay=decay, betas=(momentum, 0.999)
        ),
        "amsgrad": lambda p: torch.optim.Adam(
            p, lr=1e-2, weight_decay=decay, betas=(momentum, 0.999), amsgrad=True
        ),
    }
    optimiser = optimisers[kind](network.parameters())
    for number in range(20):
        images = rows[draw_batch(0, number, 4, 80)]
        optimiser.zero_grad()
        steps_in_size(network, Step(images, images > 0, torch.Generator())).backward()  # type: ignore[no-untyped-call]  # torch
        optimiser.step()

    recipe = Recipe(
        20, 4, 1e-2, average=0.0, optimiser=kind, decay=decay, momentum=momentum
    )
    healthy = Healthy([rows.numpy()], [inside])
    trained = train(ours, steps_in_size, recipe, healthy, Context(0), "net")

    torch.testing.assert_close(trained.weight, network.weight)


def test_new_network_follows_its_seed_and_leaves_torchs_generator() -> None:
    def build(seed: int) -> Tensor:
        weight: Tensor = new_network(lambda: nn.Conv2d(2, 3, 3), seed, "cpu").weight  # type: ignore[assignment]  # Conv2d
        return weight

    before = torch.random.get_rng_state()

    assert torch.equal(build(1), build(1))
    assert not torch.equal(build(1), build(2))
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_learns_in_mixed_precision() -> None:
    images = IMAGES.cuda()

    def on_cuda(network: nn.Module, step: Step) -> Tensor:
        assert torch.is_autocast_enabled("cuda")
        return mse_loss(network(step.images), step.images)

    recipe, ctx = Recipe(200, 8, 1e-2), Context(0, "cuda")
    trained = train(make_network().cuda(), on_cuda, recipe, HEALTHY, ctx, "n")

    error = ((trained(images) - images) ** 2).mean()
    assert float(error) < 0.5 * float(IMAGES.var())
