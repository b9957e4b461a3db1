from pathlib import Path
from typing import Any

import pytest
import rich_click as click
from click.testing import CliRunner

from uadbench.arguments import by_method, make_plan, names, seeds_of, shared_options
from uadbench.errors import UsageError
from uadbench.plans import Plan


def parsed(*words: str) -> dict[str, Any]:
    """Return the values of a command that has the shared options alone."""
    seen: dict[str, Any] = {}

    @click.command()
    @shared_options
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
        "limit": None,
        "output": Path("runs"),
        "name": None,
        "overwrite": False,
        "dry_run": False,
        "quiet": False,
        "as_json": False,
    }


def test_words_become_a_plan() -> None:
    words = "-d bids --set-data root=a --set-data modality=T1w,T2w --preset paper"
    more = "--protocol itermask2-2d --device cpu --limit 3"

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
        limit=3,
    )


def test_defaults_of_plan_and_command_line_agree() -> None:
    assert make_plan("ae", 0, parsed(), {}) == Plan("ae")


def test_options_go_to_the_method_before_the_dot() -> None:
    pairs = ("ae.latent=64", "ddpm.steps=0.5", "ae.size=32")

    assert by_method(pairs) == {
        "ae": {"latent": "64", "size": "32"},
        "ddpm": {"steps": "0.5"},
    }


def test_option_of_no_method_is_refused_with_an_example() -> None:
    with pytest.raises(UsageError, match=r"--set size=3\.5: name the method, such as"):
        by_method(("size=3.5",))


def test_names_are_distinct_and_in_order() -> None:
    assert names(" b, a,b,,") == ["b", "a"]


@pytest.mark.parametrize("words", ["", " , "])
def test_no_name_is_refused(words: str) -> None:
    with pytest.raises(UsageError, match="--methods: expected names"):
        names(words)


def test_seeds_are_distinct_numbers_in_order() -> None:
    assert seeds_of("2, 0,2") == [2, 0]


@pytest.mark.parametrize("words", ["", "0,", "a", "1.5", "0,-1"])
def test_seed_that_is_no_whole_number_is_refused(words: str) -> None:
    with pytest.raises(UsageError, match=f"--seeds: expected .* got '{words}'"):
        seeds_of(words)
