from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import rich_click as click
from click.testing import CliRunner

from uadbench.acceleration import Acceleration
from uadbench.arguments import (
    ONE_DATASET,
    SEVERAL_DATASETS,
    Decorator,
    make_plan,
    make_plans,
    shared_options,
)
from uadbench.plans import Plan


def parsed(*words: str, data: Iterable[Decorator] = ONE_DATASET) -> dict[str, Any]:
    """Return the values of a command that has the shared options alone."""
    seen: dict[str, Any] = {}

    @click.command()
    @shared_options(data)
    def command(**shared: Any) -> None:
        seen.update(shared)

    CliRunner().invoke(command, words, catch_exceptions=False)
    return seen


def test_defaults_of_the_shared_options() -> None:
    assert parsed() == {
        "dataset": "phantom",
        "data_pairs": (),
        "preset": None,
        "protocol": "volume",
        "thresholds": (),
        "postprocess": "",
        "device": "auto",
        "devices": 1,
        "precision": "auto",
        "compile": "auto",
        "limit": None,
        "output": Path("runs"),
        "cache": None,
        "no_cache": False,
        "name": None,
        "overwrite": False,
        "dry_run": False,
        "quiet": False,
        "as_json": False,
    }


def test_words_become_a_plan() -> None:
    words = "-d bids --set-data root=a --set-data modality=T1w,T2w --preset paper"
    more = "--protocol itermask2-2d --device cpu --limit 3"
    more += " --devices 2 --precision bf16 --compile no --cache kept"

    plan = make_plan("ae", 7, parsed(*words.split(), *more.split()), {"size": "32"})

    assert plan == Plan(
        method="ae",
        dataset="bids",
        preset="paper",
        options={"size": "32"},
        data_options={"root": "a", "modality": "T1w,T2w"},
        protocol="itermask2-2d",
        seed=7,
        device="cpu",
        acceleration=Acceleration(2, "bf16", "no"),
        limit=3,
        cache=Path("kept"),
    )


def test_defaults_of_plan_and_command_line_agree() -> None:
    assert make_plan("ae", 0, parsed("--no-cache"), {}) == Plan("ae")


def test_the_cache_lies_beside_the_runs() -> None:
    assert make_plan("ae", 0, parsed("-o", "mine"), {}).cache == Path("mine/.cache")


@pytest.mark.parametrize("flag", ["-d", "--dataset", "--datasets"])
def test_a_comparison_takes_several_datasets_by_any_name_of_the_option(
    flag: str,
) -> None:
    words = f"{flag} phantom,own=bids --set-data own.root=a --protocol itermask2-2d"
    words += " --no-cache"

    plans = make_plans("ae", parsed(*words.split(), data=SEVERAL_DATASETS))

    assert plans == {
        "phantom": Plan("ae", "phantom", protocol="itermask2-2d"),
        "own": Plan("ae", "bids", data_options={"root": "a"}, protocol="itermask2-2d"),
    }
