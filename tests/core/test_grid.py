from dataclasses import replace
from pathlib import Path

import pytest

from uadbench import engine
from uadbench.errors import UsageError
from uadbench.grid import BASELINE, grid
from uadbench.plans import Plan
from uadbench.protocols import Silent

pytestmark = pytest.mark.usefixtures("toy")
TOY = Plan("toy", "toy", device="cpu", data_options={"cases": 2})


def test_grid_has_a_cell_for_each_method_and_seed_and_adds_the_baseline() -> None:
    cells = grid({"toy": TOY}, ["toy"], [0, 5], {"toy": {"steps": 3}}, Path("out"))

    assert [(cell.plan.method, cell.plan.seed, cell.folder) for cell in cells] == [
        ("toy", 0, Path("out/toy-toy-seed0")),
        ("toy", 5, Path("out/toy-toy-seed5")),
        (BASELINE, 0, Path(f"out/{BASELINE}-toy-seed0")),
        (BASELINE, 5, Path(f"out/{BASELINE}-toy-seed5")),
    ]
    assert [cell.plan.options for cell in cells] == [{"steps": 3}, {"steps": 3}, {}, {}]


def test_grid_goes_over_the_datasets_in_turn() -> None:
    more = replace(TOY, data_options={"cases": 3})

    cells = grid({"few": TOY, "more": more}, ["toy"], [0], {}, Path("out"))

    assert [(cell.folder.name, cell.plan.data_options["cases"]) for cell in cells] == [
        ("toy-few-seed0", 2),
        (f"{BASELINE}-few-seed0", 2),
        ("toy-more-seed0", 3),
        (f"{BASELINE}-more-seed0", 3),
    ]


def test_the_same_dataset_twice_is_refused() -> None:
    same = replace(TOY, data_options={"cases": "2", "seed": 0})

    with pytest.raises(UsageError, match="'a' and 'b' are toy with the same options"):
        grid({"a": TOY, "b": same}, ["toy"], [0], {}, Path("out"))


def test_baseline_that_is_asked_for_comes_once_in_its_place() -> None:
    cells = grid({"toy": TOY}, [BASELINE, "toy", BASELINE], [0], {}, Path("out"))

    assert [cell.plan.method for cell in cells] == [BASELINE, "toy"]


def test_preset_goes_to_the_methods_that_were_asked_for_alone() -> None:
    cells = grid({"toy": replace(TOY, preset="paper")}, ["toy"], [0], {}, Path("out"))

    assert [cell.plan.preset for cell in cells] == ["paper", None]


def test_every_cell_is_checked_before_the_first_is_run() -> None:
    with pytest.raises(UsageError, match="toy: options: no 'step'"):
        grid({"toy": TOY}, [BASELINE, "toy"], [0], {"toy": {"step": 3}}, Path("out"))


def test_method_that_builds_on_runs_comes_last_with_the_others_of_its_seed() -> None:
    cells = grid({"a": TOY}, ["ensemble", "toy"], [0, 1], {}, Path("out"))

    assert [cell.plan.method for cell in cells[::2]] == ["toy", BASELINE, "ensemble"]
    # Not the baseline, which nobody asked for.
    assert [cell.members for cell in cells[-2:]] == [
        (Path("out/toy-a-seed0"),),
        (Path("out/toy-a-seed1"),),
    ]
    assert {cell.members for cell in cells[:-2]} == {()}


def test_baseline_is_a_member_if_it_was_asked_for() -> None:
    methods = ["ensemble", BASELINE, "toy"]

    *_, ensemble = grid({"a": TOY}, methods, [0], {}, Path("out"))

    assert ensemble.members == (
        Path(f"out/{BASELINE}-a-seed0"),
        Path("out/toy-a-seed0"),
    )


def test_method_that_builds_on_runs_keeps_those_that_it_is_given(
    tmp_path: Path,
) -> None:
    folders = [str(tmp_path / name) for name in ("a", "b")]
    for seed, folder in enumerate(folders):
        engine.run(replace(TOY, seed=seed), Path(folder), Silent())
    given = {"ensemble": {"runs": folders}}

    *_, ensemble = grid({"a": TOY}, ["toy", "ensemble"], [0], given, Path("out"))

    assert ensemble.plan.options == {"runs": folders}
    assert ensemble.members == ()
