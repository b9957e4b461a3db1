import json
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from uadbench import engine
from uadbench.errors import UsageError
from uadbench.members import Member, check, check_enough, describe, has_members
from uadbench.plans import Plan, resolve
from uadbench.plans import describe as describe_plan
from uadbench.protocols import Context, Silent
from uadbench.results import Run

pytestmark = pytest.mark.usefixtures("toy")
TOY = Plan("toy", "toy", device="cpu", data_options={"cases": 1})


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return engine.run(TOY, tmp_path / "run", Silent())


def change(run: Run, **record: object) -> None:
    """Write other facts into the record of a run."""
    words = json.dumps({**run.record, **record})
    (run.folder / "run.json").write_text(words)


def check_for(plan: Plan, *folders: Path) -> None:
    """Check runs as members of a plan's run."""
    job = resolve(plan)
    check(folders, job.config, job.view)


def test_a_member_predicts_what_its_run_did(run: Run, toy: ModuleType) -> None:
    scan = toy.make_scan("sub-x")
    trained = toy.ToyMethod(steps=4)
    job = resolve(TOY)
    trained.fit(job.view.train, job.view.val, Context(TOY.seed).child("fit"))

    restored = Member.read(run.folder).method()

    expected, got = (
        next(method.predict([scan], Context(5))).score for method in (trained, restored)
    )
    np.testing.assert_array_equal(got, expected)


def test_an_option_of_that_name_makes_a_method_build_on_runs(toy: ModuleType) -> None:
    class Plain:
        runs = ()

    assert not has_members(toy.ToyMethod)
    assert not has_members(Plain)
    assert has_members(Builder)


@dataclass
class Builder:
    """A method that builds on runs."""

    runs: tuple[Path, ...] = ()


class Wanting(Builder):
    fewest = 2


@pytest.mark.parametrize(
    "method", [object(), Builder(), Wanting((Path("a"), Path("b")))]
)
def test_method_that_says_no_number_needs_no_runs(method: object) -> None:
    check_enough(method, "x")


def test_runs_to_come_count_among_those_that_a_method_needs() -> None:
    one = Wanting((Path("a"),))

    check_enough(one, "x", awaited=1)
    with pytest.raises(UsageError, match="x: expected at least 2 finished runs, got 1"):
        check_enough(one, "x")


def test_runs_are_the_same_however_their_folders_are_written(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(run.folder.parent)
    words = (str(run.folder), "run", "../" + run.folder.parent.name + "/run")

    found = [
        describe_plan(replace(TOY, method="ensemble", options={"runs": word}))
        for word in words
    ]

    assert found[0]["method"]["options"]["runs"] == [str(run.folder)]
    assert found[1:] == found[:1] * 2


def test_description_has_the_options_of_each_member_by_its_name(run: Run) -> None:
    found = describe([run.folder, run.folder])

    assert list(found) == ["toy", "toy-2"]
    assert found["toy-2"] == run.record["method"]["options"]


def test_runs_of_the_same_dataset_may_be_members_whatever_their_seed(
    run: Run, tmp_path: Path
) -> None:
    other = engine.run(replace(TOY, seed=4), tmp_path / "other", Silent())

    check_for(replace(TOY, limit=1), run.folder, other.folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data_options": {"cases": 2}}, "was run with cases 1, here it is 2"),
        ({"data_options": {"cases": 1, "seed": 3}}, "with seed 0, here it is 3"),
        ({"protocol": "itermask2-2d"}, "with protocol volume, here it is itermask2-2d"),
        ({"dataset": "phantom", "data_options": {}}, "dataset toy, here it is phantom"),
    ],
)
def test_run_of_another_dataset_split_or_protocol_is_refused(
    run: Run, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        check_for(replace(TOY, **changes), run.folder)


@pytest.mark.parametrize("part", ["train", "val"])
def test_run_on_other_subjects_is_refused(run: Run, part: str) -> None:
    change(run, subjects={**run.record["subjects"], part: ["sub-else"]})

    with pytest.raises(UsageError, match=f"had other subjects in '{part}'"):
        check_for(TOY, run.folder)


@pytest.mark.parametrize(
    "use", [Member.read, lambda folder: check_for(TOY, folder), lambda f: describe([f])]
)
def test_unfinished_run_is_refused(run: Run, use: Callable[[Path], object]) -> None:
    change(run, status="running")

    with pytest.raises(UsageError, match="is not finished, its status is 'running'"):
        use(run.folder)


def test_the_same_run_twice_is_refused_however_it_is_written(run: Run) -> None:
    with pytest.raises(UsageError, match="comes twice among the runs"):
        check_for(TOY, run.folder, Path(os.path.relpath(run.folder)))


def test_home_is_found_in_a_folder(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(run.folder.parent))

    assert Member.read(Path("~/run")).name == "toy"


def test_members_are_checked_before_anything_is_run(run: Run, tmp_path: Path) -> None:
    runs = [str(run.folder), str(run.folder)]
    plan = replace(TOY, method="ensemble", options={"runs": runs})

    with pytest.raises(UsageError, match="with seed 0, here it is 3"):
        engine.run(
            replace(plan, data_options={"cases": 1, "seed": 3}),
            tmp_path / "ensemble",
            Silent(),
        )

    assert not (tmp_path / "ensemble").exists()
