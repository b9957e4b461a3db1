import json
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest

from uadbench.acceleration import Acceleration
from uadbench.errors import ContractError, DataError, UsageError
from uadbench.plans import Plan, describe, resolve

pytestmark = pytest.mark.usefixtures("toy")
TOY = Plan("toy", "toy")


def test_description_is_all_that_shapes_the_numbers_as_json(toy: ModuleType) -> None:
    plan = replace(TOY, options={"steps": "5"}, data_options={"cases": "2"}, seed=3)

    config = describe(plan)

    assert json.loads(json.dumps(config)) == config
    assert config["method"]["name"] == "toy"
    assert config["method"]["options"]["steps"] == 5
    assert config["method"]["options"]["batch"] == toy.ToyMethod().batch
    assert config["dataset"]["options"]["cases"] == 2
    assert (config["protocol"], config["seed"], config["limit"]) == ("volume", 3, None)


@pytest.mark.parametrize(
    ("preset", "used", "steps"),
    [(None, "demo", 4), ("demo", "demo", 4), ("paper", "paper", 8)],
)
def test_demo_is_the_preset_if_none_is_asked_for(
    preset: str | None, used: str, steps: int
) -> None:
    method = describe(replace(TOY, preset=preset))["method"]

    assert (method["preset"], method["options"]["steps"]) == (used, steps)


def test_method_without_presets_starts_from_its_defaults(
    toy: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toy.ToyMethod, "card", toy.Card("Bare"))

    method = describe(TOY)["method"]

    assert (method["preset"], method["options"]["steps"]) == (None, 8)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"method": "tyo"}, "methods: no 'tyo'. Did you mean 'toy'"),
        ({"dataset": "tyo"}, "datasets: no 'tyo'. Did you mean 'toy'"),
        ({"protocol": "volumes"}, "protocols: no 'volumes'. Did you mean 'volume'"),
        ({"preset": "papr"}, "toy: presets: no 'papr'. Did you mean 'paper'"),
        ({"options": {"step": 1}}, "toy: options: no 'step'. Did you mean 'steps'"),
        ({"data_options": {"cases": "x"}}, "toy: option 'cases': .* got 'x'"),
        ({"limit": 0}, "--limit: expected at least 1 case, got 0"),
        (
            {"protocol": "itermask2-2d", "postprocess": "median:3"},
            "--postprocess median:3: its steps work on volumes, but itermask2-2d",
        ),
        ({"device": "gpu"}, "device: expected auto, cpu, cuda"),
        ({"acceleration": Acceleration(devices=1000)}, "--devices: expected 1 to "),
    ],
)
def test_wrong_plan_is_refused_in_one_line(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        resolve(replace(TOY, **changes))


def test_broken_plugin_is_refused() -> None:
    with pytest.raises(ContractError, match="'broken' of package"):
        resolve(replace(TOY, method="broken"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"cases": 0}, "toy: no subject in 'test'"),
        ({"leak": True}, "both in train and test"),
    ],
)
def test_unfit_dataset_is_refused(options: dict[str, object], words: str) -> None:
    with pytest.raises(DataError, match=words):
        resolve(replace(TOY, data_options=options))


def test_job_has_plugins_that_are_ready(toy: ModuleType) -> None:
    job = resolve(replace(TOY, options={"steps": "2"}, device="cpu"))

    assert job.method == toy.ToyMethod(steps=2)
    assert (job.label, job.device) == ("toy", "cpu")
    assert len(job.view.train) == 6
    assert len(job.view.test) == 4


def test_limit_takes_the_first_cases_and_all_healthy_scans() -> None:
    view = resolve(replace(TOY, limit=2)).view

    assert view.test.ids == ("sub-test0", "sub-test1")
    assert (len(view.train), len(view.val)) == (6, 3)


def test_protocol_shapes_the_view() -> None:
    view = resolve(replace(TOY, protocol="itermask2-2d")).view

    assert view.test[0].scan.brain.shape[:2] == (128, 128)


def test_pipeline_changes_with_whatever_shapes_the_scores() -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"seed": 1},
        {"options": {"steps": 2}},
        {"preset": "paper"},
        {"data_options": {"seed": 1}},
        {"protocol": "itermask2-2d"},
        {"postprocess": "median:3"},
        {"postprocess": "min-volume:20"},
        {"thresholds": ("fixed:1",)},
        {"limit": 1},
    ]

    hashes = [resolve(replace(TOY, **change)).pipeline for change in changes]

    assert len(set(hashes)) == len(changes)
    assert resolve(replace(TOY, device="cpu")).pipeline == hashes[0]
    quick = replace(TOY, acceleration=Acceleration(precision="bf16"))
    assert resolve(quick).pipeline == hashes[0]
    assert resolve(replace(TOY, options={"steps": "2"})).pipeline == hashes[2]
