from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import pytest
import torch
from safetensors.numpy import load, save
from torch import Tensor, nn

from uadbench import options
from uadbench.errors import DataError, UsageError
from uadbench.methods._nn.reconstruction import Stack
from uadbench.methods._nn.residuals import Residual, residual
from uadbench.methods._nn.steps import Step
from uadbench.methods._nn.streams import Streams
from uadbench.methods._nn.tensors import load_arrays
from uadbench.methods.ae import Autoencoder
from uadbench.protocols import Context, Lazy, Prediction, Scan

# Classes of conftest.py, from which tests cannot import.
Kept: TypeAlias = Any
Diary: TypeAlias = Any


def build(**given: object) -> Autoencoder:
    quick: dict[str, object] = {"size": 32, "base": 4, "latent": 8, "batch": 4}
    return options.build(Autoencoder, "ae", {**quick, "steps": 6, **given}, "demo")


@pytest.fixture(scope="module")
def fitted() -> Autoencoder:
    return build(steps=150)


@pytest.fixture
def trained(fitted: Autoencoder, scans: Callable[..., Lazy[Scan]]) -> Autoencoder:
    """An autoencoder that knows healthy brains a little; trained once."""
    try:
        fitted.state()
    except UsageError:
        fitted.fit(scans("a", "b", "c", "d"), scans("e"), Context(0))
    return fitted


class Half(nn.Module):
    """Gives back half of what it gets."""

    def forward(self, images: Tensor) -> Tensor:
        return images / 2


def predict(method: Autoencoder, *scans: Scan) -> list[Prediction]:
    return list(method.predict(scans, Context(0)))


def with_lesion(scan: Scan) -> Scan:
    """Return the scan with a bright square in its second slice."""
    image = scan.image.copy()
    image[0, 8:13, 20:25, 1] = 3.0
    return replace(scan, image=image)


def test_what_no_healthy_brain_has_scores_highest(
    trained: Autoencoder, scan: Callable[..., Scan]
) -> None:
    (prediction,) = predict(trained, with_lesion(scan("x")))

    highest = np.unravel_index(prediction.score.argmax(), prediction.score.shape)
    assert highest[2] == 1
    assert 7 <= highest[0] <= 13
    assert 19 <= highest[1] <= 25
    assert prediction.mask is None


def test_score_is_the_error_inside_the_brain_of_slices_that_count(
    trained: Autoencoder, scan: Callable[..., Scan]
) -> None:
    brain = scan("x", slices=(0, 2))

    (prediction,) = predict(trained, brain)

    assert prediction.score.dtype == np.float32
    assert not prediction.score[~brain.scored].any()
    assert (prediction.score >= 0).all()
    assert prediction.extras.keys() == {"input", "reconstruction"}
    residual = np.abs(prediction.extras["input"] - prediction.extras["reconstruction"])
    inner = brain.scored & (np.arange(36) % 36 > 12)[:, None, None]
    correlation = np.corrcoef(residual[inner], prediction.score[inner])[0, 1]
    assert correlation > 0.8


def test_state_is_all_that_a_prediction_needs(
    trained: Autoencoder, scan: Callable[..., Scan]
) -> None:
    restored = build()

    restored.restore(load(save(dict(trained.state()))))

    expected, got = (predict(m, scan("x"))[0] for m in (trained, restored))
    np.testing.assert_array_equal(got.score, expected.score)


def test_training_stops_early_and_resumes_to_the_same_weights(
    scans: Callable[..., Lazy[Scan]],
    kept: Kept,
    diary: type[Diary],
    killed: type[Exception],
) -> None:
    def fit(context: Context) -> Autoencoder:
        # A rate that jumps about soon does worse in an epoch than in the one before.
        jumpy = {"learning_rate": 0.1, "schedule": "constant", "average": 0.0}
        method = build(steps=200, patience=1, batch=3, **jumpy)
        method.fit(scans("a", "b"), scans("c"), context)
        return method

    def monitor(kill: tuple[str, int] | None = None) -> Diary:
        diary_ = diary(kill)
        diary_.say = lambda message: None
        return diary_

    whole = monitor()
    undisturbed = fit(Context(3, monitor=whole))
    end = whole.steps["ae"][-1]
    with pytest.raises(killed):
        fit(Context(3, checkpoint=kept, monitor=monitor(("ae", end))))
    resumed = fit(Context(3, checkpoint=kept, monitor=monitor()))

    assert end < 199
    expected, got = undisturbed.state(), resumed.state()
    for key, value in expected.items():
        np.testing.assert_array_equal(got[key], value, err_msg=key)


def test_paper_preset_is_the_published_training() -> None:
    paper = options.build(Autoencoder, "ae", {}, "paper")

    recipe = paper.recipe()
    assert (recipe.batch, recipe.rate, recipe.momentum) == (8, 1e-4, 0.5)
    assert (recipe.schedule, recipe.decay, recipe.average) == ("constant", 0.0, 0.0)
    assert (paper.patience, paper.dropout) == (5, 0.2)
    assert (paper.latent, paper.size) == (128, 128)
    # 1000 epochs of 128,000 slices: patience ends it before.
    assert recipe.steps == 1000 * 128_000 // 8


def test_loss_is_the_absolute_error_summed_over_all_pixels() -> None:
    method = build(dropout=0.0)
    images = torch.rand(4, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    network = method.make().eval()
    brain = torch.zeros(4, 1, 32, 32, dtype=torch.bool)

    loss = method.loss(network, Step(images, brain, torch.Generator()))

    expected = (network(images) - images).abs().sum() / 4
    assert float(loss.detach()) == pytest.approx(float(expected.detach()), rel=1e-5)


def test_stopping_is_judged_on_the_validation_scans(
    scan: Callable[..., Scan], scans: Callable[..., Lazy[Scan]], diary: type[Diary]
) -> None:
    held_out = Lazy(["c"], lambda name: with_lesion(scan(name)))
    method, monitor = build(steps=1, patience=1), diary()

    method.fit(scans("a", "b"), held_out, Context(0, monitor=monitor))

    (found,) = [value for name, value, _ in monitor.curve if name == "ae/validation"]
    network = method.make().eval()
    load_arrays(network, method.state(), "ae")
    images = torch.from_numpy(method.grid.cut(held_out[0]).images)
    expected = (network(images) - images).abs().sum() / len(images)
    assert found == pytest.approx(float(expected.detach()), rel=1e-5)


def test_l1_is_the_absolute_error_summed_over_pixels_and_l2_its_square() -> None:
    images, restored = torch.zeros(2, 1, 4, 4), torch.full((2, 1, 4, 4), 0.5)

    # 16 px of 0.5 in each image.
    assert float(build(distance="l1").difference(restored, images)) == 8.0
    assert float(build(distance="l2").difference(restored, images)) == 4.0


@pytest.mark.parametrize("how", ["l1", "l2", "ssim"])
def test_score_is_the_residual_that_was_asked_for(how: Residual) -> None:
    images = torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    streams = Streams.of_slices(0, range(len(images)), "cpu")
    stack = Stack(images, images > 0, streams, 2)

    restored = build(residual=how).reconstruct(nn.Identity(), stack)
    halved = build(residual=how).reconstruct(Half(), stack)

    torch.testing.assert_close(restored.score, torch.zeros(2, 1, 32, 32))
    expected = residual(how, images, images / 2, "median")
    torch.testing.assert_close(halved.score, expected)


def test_ssim_of_intensities_on_no_known_scale_is_refused() -> None:
    with pytest.raises(UsageError, match=r"residual=ssim .* Set normalisation=median"):
        build(residual="ssim", normalisation="none")


@pytest.mark.parametrize(("size", "better"), [(48, 64), (20, 16), (100, 128)])
def test_a_size_that_does_not_halve_is_refused_with_one_that_does(
    size: int, better: int
) -> None:
    with pytest.raises(UsageError, match=f"size {size} .* Set size={better}"):
        build(size=size)


def test_predicting_before_learning_is_refused(scan: Callable[..., Scan]) -> None:
    with pytest.raises(UsageError, match="ae has learned nothing yet"):
        predict(build(), scan("x"))


def test_several_modalities_are_an_error(
    trained: Autoencoder, scan: Callable[..., Scan]
) -> None:
    with pytest.raises(DataError, match="ae takes one modality, got FLAIR, T1w"):
        predict(trained, scan("x", channels=2))
