from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import pytest
import torch

from uadbench import options, registry
from uadbench.acceleration import Acceleration, Precision
from uadbench.datasets.phantom import Phantom
from uadbench.methods._nn.acceleration import (
    compiler,
    devices,
    precise,
    training_precision,
)
from uadbench.metrics import average_precision
from uadbench.protocols import Context, Lazy, Scan

# Classes of conftest.py, from which tests cannot import.
Kept: TypeAlias = Any
Diary: TypeAlias = Any

BRIEF: dict[str, dict[str, object]] = {
    # One pass: later ones go another way once a pixel falls on the other side of the
    # threshold, which is why 32 bits are the default at prediction.
    "itermask2": {"size": 32, "first_steps": 60, "steps": 150, "stop_ratio": 1.0},
    "ae": {"size": 32, "steps": 150},
}


def build(name: str, **given: object) -> Any:
    return options.build(registry.load("methods", name), name, given, "demo")


def asked(precision: Precision) -> Context:
    return Context(0, acceleration=Acceleration(precision=precision))


def test_unasked_the_cpu_trains_in_32_bits_uncompiled_and_predicts_so() -> None:
    ctx = Context()

    assert (training_precision(ctx), compiler(ctx)) == ("32", "no")
    with precise(ctx):
        assert not torch.is_autocast_enabled("cpu")


@pytest.mark.parametrize(
    ("capability", "precision"), [((7, 5), "fp16"), ((8, 0), "bf16"), ((9, 0), "bf16")]
)
def test_unasked_cuda_trains_in_what_it_is_fastest_at_and_predicts_in_32_bits(
    capability: tuple[int, int], precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    ctx = Context(device="cuda:1", acceleration=Acceleration(devices=2))

    assert (training_precision(ctx), compiler(ctx)) == (precision, "yes")
    assert devices(ctx) == ("cuda:1", "cuda:2")
    with precise(ctx):
        assert not torch.is_autocast_enabled("cuda")


@pytest.mark.parametrize(
    ("precision", "dtype"), [("bf16", torch.bfloat16), ("fp16", torch.float16)]
)
def test_a_precision_that_is_named_holds_for_training_and_prediction(
    precision: Precision, dtype: torch.dtype
) -> None:
    layer = torch.nn.Linear(2, 2)

    with precise(asked(precision)):
        found = layer(torch.ones(1, 2)).dtype

    assert training_precision(asked(precision)) == precision
    assert found == dtype


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_training_in_16_bits_learns_about_the_same(
    precision: Precision, scans: Callable[..., Lazy[Scan]], diary: type[Diary]
) -> None:
    ends = []
    for bits in ("32", precision):
        monitor = diary()
        ctx = replace(asked(bits), monitor=monitor)

        build("ae", size=32, steps=60).fit(scans("a", "b"), scans("c"), ctx)

        ends += [loss for _, loss, step in monitor.curve if step == 59]

    assert len(ends) == 2
    assert ends[1] == pytest.approx(ends[0], rel=0.1)
    assert ends[1] != ends[0]


@pytest.mark.usefixtures("saved_after_every_step")
def test_a_killed_training_in_float16_ends_with_the_same_weights_and_scale(
    scans: Callable[..., Lazy[Scan]],
    kept: Kept,
    diary: type[Diary],
    killed: type[Exception],
) -> None:
    def fit(ctx: Context) -> dict[str, Any]:
        method = build("ae", size=32, steps=12, dropout=0.2)
        method.fit(scans("a", "b"), scans("c"), ctx)
        return dict(method.state())

    undisturbed = fit(asked("fp16"))
    # The first scale is too large: some of the first steps change nothing.
    for step in (1, 3, 7):
        with pytest.raises(killed):
            fit(Context(0, "cpu", kept, diary(("ae", step)), Acceleration(1, "fp16")))
    resumed = fit(Context(0, "cpu", kept, diary(), Acceleration(1, "fp16")))

    state = kept.places["/ae"]
    assert 0 < int(state["updates"][0]) < 12
    assert state["scale"][0] < 2.0**16
    for name, value in undisturbed.items():
        np.testing.assert_array_equal(resumed[name], value, err_msg=name)


@pytest.mark.parametrize("name", BRIEF)
def test_bfloat16_at_prediction_finds_as_much(name: str) -> None:
    phantom = Phantom()
    method = build(name, **BRIEF[name])
    method.fit(phantom.train()[:4], phantom.val()[:2], Context(0))
    cases = list(phantom.test()[:4])
    inside = np.concatenate([case.scan.scored.ravel() for case in cases])
    truth = np.concatenate([case.lesion.ravel() for case in cases])[inside]

    scores = []
    for precision in ("32", "bf16"):
        predictions = method.predict([case.scan for case in cases], asked(precision))
        scores.append(np.concatenate([p.score.ravel() for p in predictions])[inside])

    one, other = (average_precision(score, truth) for score in scores)
    assert not np.array_equal(*scores)
    assert one == pytest.approx(other, abs=0.005)
    # It finds something, or there would be nothing to lose.
    assert one > 2 * truth.mean()
