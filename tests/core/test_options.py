import json
from dataclasses import field
from pathlib import Path
from typing import Any, ClassVar, Literal, Optional

import pytest
from pydantic import Field, PositiveInt
from pydantic.dataclasses import dataclass

from uadbench.errors import UsageError
from uadbench.options import build, names, parse, table, values
from uadbench.protocols import Card


@dataclass
class Plugin:
    """One option of each kind that plugins have."""

    card: ClassVar[Card] = Card(
        "Plugin", presets={"demo": {"size": 16, "kinds": ("ms",)}, "paper": {}}
    )

    size: int = Field(64, ge=8, le=256, description="side of a slice, px")
    rate: float = Field(1e-3, gt=0, lt=1, description="learning rate")
    kinds: tuple[str, ...] = Field(("ms", "glioma"), description="of lesions")
    root: Path | None = Field(None, description="folder")
    most: Optional[int] = Field(None, gt=0)  # noqa: UP045 - third parties write it so
    widths: tuple[PositiveInt, ...] = Field(default_factory=lambda: (1, 2))
    norm: Literal["median", "p90"] = "median"
    mode: Literal["fast", "exact"] | None = None
    either: int | float = 1
    flip: bool = False
    network: Any = field(init=False, repr=False, compare=False)

    def learn(self) -> None:
        """Hold what no JSON can."""
        self.network = object()


@dataclass
class Rooted:
    """An option without a default."""

    card: ClassVar[Card] = Card("Rooted")
    root: Path


@dataclass
class Choosy:
    """Two options that have to fit each other."""

    card: ClassVar[Card] = Card("Choosy")
    low: int = 1
    high: int = 2

    def __post_init__(self) -> None:
        if self.low > self.high:
            msg = f"low ({self.low}) is above high ({self.high})"
            raise ValueError(msg)


class Plain:
    """A plugin without options."""

    card: ClassVar[Card] = Card("Plain")


def test_names_of_options_are_those_that_can_be_given() -> None:
    expected = ["size", "rate", "kinds", "root", "most", "widths", "norm", "mode"]

    assert names(Plugin) == [*expected, "either", "flip"]
    assert names(build(Plugin, "toy", {})) == names(Plugin)
    assert names(Plain) == []


def test_words_become_names_and_values() -> None:
    assert parse(["size=64", " root = a=b ", "kinds=", "size=64"]) == {
        "size": "64",
        "root": "a=b",
        "kinds": "",
    }


@pytest.mark.parametrize("word", ["size", "", "=64", "size:64"])
def test_word_that_is_no_pair_is_shown(word: str) -> None:
    with pytest.raises(UsageError, match=f"option '{word}': expected NAME=VALUE"):
        parse([word])


def test_option_with_two_values_is_refused() -> None:
    with pytest.raises(UsageError, match="option 'size': given as 64 and 32"):
        parse(["size=64", "size = 32"])


def test_words_are_turned_into_the_options_types() -> None:
    given = {
        "size": "32",
        "rate": "1e-2",
        "norm": "p90",
        "kinds": "stroke, ms,",
        "widths": "3,4",
        "root": "data",
        "mode": "exact",
        "most": "5",
        "flip": "yes",
    }

    plugin = build(Plugin, "toy", given)

    assert (plugin.size, plugin.rate, plugin.norm) == (32, 0.01, "p90")
    assert (plugin.kinds, plugin.widths) == (("stroke", "ms"), (3, 4))
    assert (plugin.root, plugin.mode, plugin.most) == (Path("data"), "exact", 5)
    assert plugin.flip is True


def test_preset_goes_before_defaults_and_given_before_preset() -> None:
    assert build(Plugin, "toy", {}).size == 64
    assert build(Plugin, "toy", {}, "demo").size == 16
    assert build(Plugin, "toy", {"size": 8}, "demo").size == 8
    assert build(Plugin, "toy", {}, "demo").kinds == ("ms",)
    assert build(Plugin, "toy", {}, "paper") == build(Plugin, "toy", {})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"sise": "3"}, r"toy: options: no 'sise'\. Did you mean 'size'\? There are"),
        ({"network": "3"}, "toy: options: no 'network'"),
        ({"card": "3"}, "toy: options: no 'card'"),
        ({"size": "abc"}, "toy: option 'size': .* valid integer.*; got 'abc'"),
        ({"size": "3"}, "toy: option 'size': .* greater than or equal to 8; got '3'"),
        ({"rate": "1"}, "toy: option 'rate': .* less than 1; got '1'"),
        ({"norm": "p9"}, "toy: option 'norm': .*'median' or 'p90'; got 'p9'"),
        ({"widths": "1,b"}, r"toy: option 'widths\.1': .* valid integer.*; got 'b'"),
        ({"flip": "perhaps"}, "toy: option 'flip': .* valid boolean"),
    ],
)
def test_wrong_options_say_what_was_expected_and_what_came(
    given: dict[str, object], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        build(Plugin, "toy", given)


def test_every_wrong_option_has_its_line() -> None:
    with pytest.raises(UsageError) as caught:
        build(Plugin, "toy", {"size": "1", "rate": "2"})

    assert [line.split(":")[1] for line in str(caught.value).splitlines()] == [
        " option 'size'",
        " option 'rate'",
    ]


def test_missing_option_is_named() -> None:
    with pytest.raises(UsageError) as caught:
        build(Rooted, "bids", {})

    assert str(caught.value) == "bids: option 'root': Field required; got nothing."


def test_options_that_do_not_fit_each_other_are_told_in_the_plugins_words() -> None:
    with pytest.raises(UsageError) as caught:
        build(Choosy, "toy", {"low": "3"})

    assert str(caught.value) == "toy: low (3) is above high (2)."


def test_unknown_preset_is_named_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="toy: presets: no 'dem'"):
        build(Plugin, "toy", {}, "dem")


def test_values_are_json_and_build_the_same_plugin() -> None:
    plugin = build(Plugin, "toy", {"root": "data", "mode": "fast", "kinds": "ms"})

    written = values(plugin)

    assert json.loads(json.dumps(written)) == written
    assert written["root"] == "data"
    assert written["kinds"] == ["ms"]
    assert written["most"] is None
    assert build(Plugin, "toy", written) == plugin


def test_values_leave_out_what_was_learned() -> None:
    plugin = build(Plugin, "toy", {})
    before = values(plugin)

    plugin.learn()

    assert values(plugin) == before
    assert "network" not in before


def test_table_tells_type_range_default_and_meaning() -> None:
    found = {
        option.name: (option.type, option.default, option.help)
        for option in table(Plugin)
    }

    assert found == {
        "size": ("int, >= 8, <= 256", "64", "side of a slice, px"),
        "rate": ("float, > 0, < 1", "0.001", "learning rate"),
        "norm": ("median|p90", "median", ""),
        "kinds": ("list of str", "ms,glioma", "of lesions"),
        "widths": ("list of int", "1,2", ""),
        "root": ("path", "none", "folder"),
        "mode": ("fast|exact", "none", ""),
        "most": ("int, > 0", "none", ""),
        "either": ("int or float", "1", ""),
        "flip": ("bool", "False", ""),
    }


def test_table_marks_what_has_no_default() -> None:
    (option,) = table(Rooted)

    assert (option.type, option.default) == ("path", "required")


def test_plugin_without_options_has_an_empty_table() -> None:
    assert table(Plain) == []
