from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import pytest
import torch
from safetensors.numpy import load, save

from uadbench import options
from uadbench.errors import DataError, UsageError
from uadbench.methods._nn.steps import Step
from uadbench.methods.itermask2.method import IterMask2
from uadbench.methods.itermask2.reconstructor import first_step_loss, reconstructor_loss
from uadbench.protocols import Context, Lazy, Prediction, Scan

# Classes of conftest.py, from which tests cannot import.
Diary: TypeAlias = Any
Scans: TypeAlias = Callable[..., Lazy[Scan]]

QUICK: Mapping[str, object] = {
    "size": 32,
    "base": 8,
    "multipliers": (1, 2),
    "radius": 4.0,
    "batch": 4,
    "first_steps": 5,
    "steps": 6,
}


def build(**given: object) -> IterMask2:
    return options.build(IterMask2, "itermask2", {**QUICK, **given}, "demo")


@pytest.fixture(scope="module")
def fitted() -> IterMask2:
    return build(first_steps=80, steps=160)


@pytest.fixture
def trained(fitted: IterMask2, scans: Scans) -> IterMask2:
    """A method that knows healthy brains a little; trained once."""
    try:
        fitted.state()
    except UsageError:
        fitted.fit(scans("a", "b", "c", "d"), scans("e", "f"), Context(0))
    return fitted


def predict(method: IterMask2, *scans: Scan, seed: int = 0) -> list[Prediction]:
    return list(method.predict(scans, Context(seed)))


def with_lesion(scan: Scan) -> Scan:
    """Return the scan with a bright square in its second slice."""
    image = scan.image.copy()
    image[0, 8:14, 20:26, 1] = 2.0
    return replace(scan, image=image)


def test_the_mask_shrinks_onto_a_lesion(
    trained: IterMask2, scan: Callable[..., Scan]
) -> None:
    lesion = np.zeros((36, 40, 3), bool)
    lesion[8:14, 20:26, 1] = True

    (prediction,) = predict(trained, with_lesion(scan("x")))

    assert prediction.mask is not None
    overlap = 2 * (prediction.mask & lesion).sum()
    assert overlap / (prediction.mask.sum() + lesion.sum()) > 0.5
    trace = prediction.extras["trace"]
    assert trace[0].sum() > 4 * trace[-1].sum()
    inside = scan("x").scored
    lowest, highest = prediction.score[lesion], prediction.score[inside & ~lesion]
    assert np.median(lowest) > np.quantile(highest, 0.99)


def test_prediction_lies_on_the_scans_grid_and_inside_what_counts(
    trained: IterMask2, scan: Callable[..., Scan]
) -> None:
    brain = scan("x", slices=(0, 2))

    (prediction,) = predict(trained, brain)

    outside = ~brain.scored
    assert prediction.score.dtype == np.float32
    assert prediction.score.shape == brain.brain.shape
    assert not prediction.score[outside].any()
    assert prediction.mask is not None
    assert not (prediction.mask & outside).any()
    for name in ("input", "reconstruction", "condition"):
        assert prediction.extras[name].shape == brain.brain.shape


def test_trace_ends_with_the_final_mask(
    trained: IterMask2, scan: Callable[..., Scan]
) -> None:
    (prediction,) = predict(trained, with_lesion(scan("x")))

    trace = prediction.extras["trace"]
    assert trace.dtype == np.bool_
    assert len(trace) > 1
    np.testing.assert_array_equal(trace[-1], prediction.mask)


def test_a_prediction_depends_on_the_scan_and_the_seed_alone(
    trained: IterMask2, scan: Callable[..., Scan]
) -> None:
    x, y = with_lesion(scan("x")), with_lesion(scan("y"))

    together, alone = predict(trained, x, y)[1], predict(trained, y)[0]
    other = predict(trained, y, seed=1)[0]

    np.testing.assert_array_equal(together.score, alone.score)
    assert not np.array_equal(other.score, alone.score)


def test_the_size_of_a_batch_changes_no_prediction(
    trained: IterMask2, scan: Callable[..., Scan]
) -> None:
    brains = [with_lesion(scan("x")), scan("y"), with_lesion(scan("z"))]
    expected = predict(trained, *brains)

    for batch in (2, 16):
        other = build(batch=batch)
        other.restore(trained.state())
        for got, usual in zip(predict(other, *brains), expected, strict=True):
            np.testing.assert_array_equal(got.score, usual.score)
            np.testing.assert_array_equal(got.mask, usual.mask)
            np.testing.assert_array_equal(got.extras["trace"], usual.extras["trace"])


def test_a_scan_of_which_no_slice_counts_has_an_empty_prediction(
    trained: IterMask2, scan: Callable[..., Scan]
) -> None:
    nothing = scan("y", slices=())

    before, empty, after = predict(trained, scan("x"), nothing, scan("z"))

    assert empty.score.shape == nothing.brain.shape
    assert empty.mask is not None
    assert not empty.score.any()
    assert not empty.mask.any()
    assert before.score.any()
    assert after.score.any()


def test_scans_before_one_that_fails_are_predicted(
    trained: IterMask2, scan: Callable[..., Scan]
) -> None:
    brains = [scan("x"), scan("y"), scan("z", channels=2), scan("w")]
    found: list[Prediction] = []

    with pytest.raises(DataError, match="itermask2 takes one modality"):
        found.extend(trained.predict(brains, Context(0)))
    for expected in predict(trained, scan("x"), scan("y")):
        np.testing.assert_array_equal(found.pop(0).score, expected.score)

    assert not found


def test_state_is_all_that_a_prediction_needs(
    trained: IterMask2, scan: Callable[..., Scan]
) -> None:
    restored = build()

    restored.restore(load(save(dict(trained.state()))))

    expected, got = (predict(m, scan("x"))[0] for m in (trained, restored))
    np.testing.assert_array_equal(got.score, expected.score)
    np.testing.assert_array_equal(got.mask, expected.mask)


def test_quantile_decides_how_many_healthy_errors_lie_above_the_threshold(
    scans: Scans,
) -> None:
    thresholds = []
    for quantile in (0.2, 0.8):
        method = build(quantile=quantile)
        method.fit(scans("a", "b"), scans("c"), Context(0))
        thresholds.append(float(method.state()["_threshold"][0]))

    assert 0 < 2 * thresholds[0] < thresholds[1]


def test_first_mask_is_the_kept_part_of_the_brain(
    trained: IterMask2, scan: Callable[..., Scan]
) -> None:
    parts = []
    for keep in (0.3, 1.0):
        method = build(keep=keep)
        method.restore(trained.state())
        first = predict(method, scan("x"))[0].extras["trace"][0]
        parts.append(first.sum() / scan("x").brain.sum())

    # On the finer grid of the scan lone pixels of the slices are lost.
    assert 0.1 < parts[0] < 0.3
    assert parts[1] > 0.9


def test_an_image_stops_where_its_mask_shrinks_by_less_than_the_stop_ratio(
    trained: IterMask2, scan: Callable[..., Scan]
) -> None:
    passes = []
    for ratio in (0.01, 1.0):
        method = build(stop_ratio=ratio)
        method.restore(trained.state())
        trace = predict(method, with_lesion(scan("x")))[0].extras["trace"]
        passes.append(len(trace))

    assert passes[0] > passes[1]


@pytest.mark.parametrize("network", ["first_step", "reconstructor"])
def test_losses_count_every_pixel_and_not_the_brain_alone(network: str) -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand((4, 1, 32, 32), generator=generator)
    brain = torch.zeros_like(images, dtype=torch.bool)
    brain[..., 8:24, 8:24] = True
    condition = build().condition()
    loss = {
        "first_step": partial(first_step_loss, condition=condition),
        "reconstructor": partial(reconstructor_loss, pixel=6.0, condition=condition),
    }[network]

    value = loss(Blank(), Step(images, brain, generator))

    assert float(value) == pytest.approx(float((images**2).mean()))


class Blank(torch.nn.Module):
    """Reconstructs nothing."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(inputs[:, :1])


def test_both_networks_have_their_own_number_of_steps_and_log_their_curves(
    scans: Scans, diary: type[Diary]
) -> None:
    monitor = diary()

    build().fit(scans("a", "b"), scans("c"), Context(0, monitor=monitor))

    assert len(monitor.steps["first_step"]) == QUICK["first_steps"]
    assert len(monitor.steps["reconstructor"]) == QUICK["steps"]
    assert {n for n, _, _ in monitor.curve} == {"first_step/loss", "reconstructor/loss"}


def test_unfit_validation_scans_show_before_training(
    scan: Callable[..., Scan], scans: Scans, diary: type[Diary]
) -> None:
    monitor = diary()
    unfit = Lazy(("c",), lambda name: scan(name, channels=2))

    with pytest.raises(DataError, match="itermask2 takes one modality"):
        build().fit(scans("a"), unfit, Context(0, monitor=monitor))

    assert "first_step" not in monitor.steps


def test_the_papers_network_runs_at_a_small_size(
    scans: Scans, scan: Callable[..., Scan]
) -> None:
    given = {"size": 32, "attention": (16,), "batch": 2, "first_steps": 1}
    method = options.build(IterMask2, "itermask2", {**given, "steps": 1})

    method.fit(scans("a"), scans("b"), Context(0))

    assert np.isfinite(predict(method, scan("x"))[0].score).all()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"size": 100}, r"size 100 is no multiple of 16.*Set size=96"),
        ({"size": 64, "attention": (32, 7)}, r"attention at 7 px.*64, 32, 16, 8, 4"),
        ({"network": "plain"}, r"attention at 32 px.*attention= for none"),
        ({"size": 48, "stem": 2, "attention": ()}, r"no multiple of 32.*Set size=64"),
    ],
)
def test_options_that_do_not_fit_together_say_what_to_do(
    given: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        options.build(IterMask2, "itermask2", given)


@pytest.mark.parametrize("given", [{"keep": 1.5}, {"stop_ratio": 0}, {"quantile": 1}])
def test_options_out_of_range_are_refused(given: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="option"):
        build(**given)


def test_defaults_are_the_papers() -> None:
    paper, default = (
        options.build(IterMask2, "itermask2", {}, preset) for preset in ("paper", None)
    )

    assert options.values(paper) == options.values(default)
    assert options.values(paper) == {
        "modality": "",
        "size": 128,
        "field": 240.0,
        "normalisation": "p90",
        "network": "residual",
        "base": 32,
        "multipliers": [1, 1, 2, 3, 4],
        "blocks": 2,
        "attention": [32, 16, 8],
        "norm": "batch",
        "dropout": 0.1,
        "stem": 1,
        "batch": 32,
        "learning_rate": 1e-4,
        "schedule": "constant",
        "first_steps": 150_000,
        "steps": 150_000,
        "average": 0.9999,
        "clip": 0.0,
        "quantile": 0.8,
        "keep": 0.6,
        "stop_ratio": 0.01,
        "radius": 15.0,
    }


def test_predicting_before_learning_is_refused(scan: Callable[..., Scan]) -> None:
    with pytest.raises(UsageError, match="itermask2 has learned nothing yet"):
        predict(build(), scan("x"))


def test_several_modalities_are_an_error_that_names_them(
    trained: IterMask2, scan: Callable[..., Scan]
) -> None:
    with pytest.raises(DataError, match="itermask2 takes one modality, got FLAIR, T1w"):
        predict(trained, scan("x", channels=2))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_predicts_what_the_cpu_predicts(
    trained: IterMask2, scan: Callable[..., Scan]
) -> None:
    (here,) = predict(trained, with_lesion(scan("x")))

    there = next(trained.predict([with_lesion(scan("x"))], Context(0, "cuda")))

    # A pixel whose error is at the threshold may fall on either side.
    assert here.mask is not None
    assert there.mask is not None
    assert (here.mask ^ there.mask).sum() <= 0.05 * here.mask.sum()
    np.testing.assert_allclose(there.score, here.score, atol=0.05)
