import json
from collections.abc import Callable
from typing import Any

import pytest


@pytest.mark.parametrize("method", ["itermask2", "ae"])
def test_bench_measures_learning_and_prediction_beside_their_products(
    call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    monkeypatch.setattr("uadbench.bench.measure.SHAPE", (24, 20, 12))
    small = ("--set", "size=32", "--set", "batch=2")

    done = call("bench", "-m", method, *small, "--seconds", "0.01", "--json")

    figures = json.loads(done.out)["figures"]
    learned = [f for f in figures if f["name"].startswith("training, ")]
    assert learned
    assert all(f["reached"]["fp32"] > 0 for f in learned)
    (predicted,) = (f for f in figures if f["name"].startswith("prediction"))
    assert predicted["reached"]["fp32"] > 0
    (refined,) = (f for f in figures if f["name"].startswith("refinement"))
    assert bool(refined["measured"]) == (method == "itermask2")
