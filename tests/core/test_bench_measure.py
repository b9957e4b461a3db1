import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from uadbench.acceleration import Acceleration
from uadbench.bench.machine import Machine
from uadbench.bench.measure import measure
from uadbench.errors import UsageError
from uadbench.protocols import Card, Context

ONE = Acceleration()


@pytest.mark.usefixtures("measured")
@pytest.mark.parametrize(("preset", "taken"), [(None, "demo"), ("paper", "paper")])
def test_all_figures_are_in_one_record(preset: str | None, taken: str) -> None:
    heard: list[str] = []

    found = measure("shrinking", preset, {"batch": "2"}, "cpu", ONE, 0.01, heard.append)

    assert json.loads(json.dumps(found)) == found
    assert (found["preset"], found["options"]["batch"]) == (taken, 2)
    assert found["matrix_flop_per_second"].keys() == {"fp32", "bf16"}
    names = [figure["name"] for figure in found["figures"]]
    assert names == [
        "training, teaching",
        "peak memory, training, host",
        "prediction of scans of 32",
        "refinement, 2.0 iterations a slice",
        "peak memory, prediction, host",
        "metrics of a case",
        "reading 24 x 20 x 12 .nii.gz",
    ]
    assert heard[-1] == f"measuring shrinking {taken}"


@pytest.mark.usefixtures("small")
def test_a_method_without_torch_is_measured_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "torch")

    found = measure("intensity", None, {}, "auto", ONE, 0.01, lambda _: None)

    training, _, prediction = found["figures"][:3]
    assert training["reason"] == "no step of it has a matrix product"
    assert prediction["measured"] > 0
    assert (prediction["limits"], prediction["reached"]) == ({}, {})


@pytest.mark.usefixtures("measured")
def test_a_method_without_presets_is_measured_at_its_defaults(
    shrinking: type[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shrinking, "card", Card("Bare"))
    heard: list[str] = []

    found = measure("bare", None, {}, "cpu", ONE, 0.01, heard.append)

    assert found["preset"] is None
    assert heard[-1] == "measuring bare"


@pytest.mark.usefixtures("measured")
def test_operations_are_counted_in_a_fit_that_is_not_compiled(
    shrinking: type[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    fit, seen = shrinking.fit, []

    def noted(method: Any, train: Any, val: Any, ctx: Context) -> None:
        seen.append(ctx.acceleration.compile)
        fit(method, train, val, ctx)

    monkeypatch.setattr(shrinking, "fit", noted)
    graphs = Acceleration(compile="graphs")

    measure("shrinking", None, {}, "cpu", graphs, 0.01, lambda _: None)

    assert seen == ["no", "graphs"]


@pytest.mark.usefixtures("measured")
def test_training_is_beside_the_rate_of_all_devices_and_prediction_beside_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def doubled(_: Machine, rates: Mapping[str, float]) -> dict[str, float]:
        return {name: 2 * rate for name, rate in rates.items()}

    monkeypatch.setattr(Machine, "together", doubled)

    found = measure("shrinking", None, {}, "cpu", ONE, 0.01, lambda _: None)

    training, _, prediction = found["figures"][:3]
    rate = found["matrix_flop_per_second"]["fp32"]
    product = 2 * 9 * 128 * 128
    # A step, of 3 slices, has the product twice; of 32 slices, 1 is predicted.
    assert training["limits"]["fp32"] == pytest.approx(2 * rate * 3 / (2 * product))
    assert prediction["limits"]["fp32"] == pytest.approx(rate * 32 / product)


@pytest.mark.parametrize(
    ("name", "preset", "given", "message"),
    [
        ("ensemble", None, {}, "ensemble: costs what its members cost"),
        ("intensity", "papr", {}, "intensity: presets: no 'papr'"),
        ("intensity", None, {"size": "4"}, "intensity: options: no 'size'"),
        ("ae", None, {"patience": "5"}, "ae: 'patience' would have no effect"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    name: str, preset: str | None, given: Mapping[str, str], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        measure(name, preset, given, "cpu", ONE, 0.01, lambda _: None)


@pytest.mark.usefixtures("measured")
def test_a_table_is_printed_and_the_file_named(call: Callable[..., Any]) -> None:
    done = call("bench", "-m", "shrinking", "--seconds", "0.01", "--device", "cpu")

    assert done.status == 0
    assert "training, teaching" in done.out
    assert done.out.endswith("saved: bench-shrinking-demo-cpu.json\n")
    saved = json.loads(Path("bench-shrinking-demo-cpu.json").read_text())
    assert saved["seconds"] == 0.01


@pytest.mark.usefixtures("measured")
def test_json_is_printed_and_saved_only_if_asked(call: Callable[..., Any]) -> None:
    words = ("bench", "-m", "m", "--seconds", "0.01", "--device", "cpu", "--json")

    first = call(*words)
    second = call(*words, "-o", "there/b.json")

    assert json.loads(first.out)["method"] == "m"
    assert not Path("bench-m-demo-cpu.json").exists()
    assert second.status == 0
    assert json.loads(Path("there/b.json").read_text())["method"] == "m"


@pytest.mark.usefixtures("small")
def test_bench_runs_a_real_method(call: Callable[..., Any]) -> None:
    done = call("bench", "-m", "intensity", "--seconds", "0.001")

    assert done.status == 0
    assert "reading 24 x 20 x 12 .nii.gz" in done.out
    assert "training - slices/s - (no step of it has a matrix product)" in " ".join(
        done.out.split()
    )
