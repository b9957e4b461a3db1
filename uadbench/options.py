"""Options of a plugin: from words on the command line to a checked object."""

import dataclasses
import typing
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from uadbench.errors import UsageError, unknown
from uadbench.protocols import Card

Plugin = TypeVar("Plugin")


def parse(pairs: Iterable[str]) -> dict[str, str]:
    """Return {name: value} of words such as "size=64"; a later word wins.

    Raises:
        UsageError: a word has no "=".
    """
    options = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not (equals and name):
            msg = f"option '{pair}': expected NAME=VALUE, such as size=64."
            raise UsageError(msg)
        options[name.strip()] = value.strip()
    return options


def build(
    plugin: type[Plugin],
    label: str,
    given: Mapping[str, object],
    preset: str | None = None,
) -> Plugin:
    """Return the plugin with a preset's options, then the given ones, all checked.

    Args:
        plugin: a pydantic dataclass.
        label: its name in messages.
        given: values or the words that a user typed.
        preset: one of the plugin's own; None keeps the defaults.

    Raises:
        UsageError: an unknown preset or option, or a value of the wrong type or range.
    """
    options = {**_preset(plugin, label, preset), **given}
    fields = {field.name for field in dataclasses.fields(plugin) if field.init}  # type: ignore[arg-type]  # mypy sees no dataclass
    for name in options:
        if name not in fields:
            raise unknown(f"{label}: options", name, fields)
    hints = typing.get_type_hints(plugin)
    try:
        return plugin(**{k: _split(v, hints[k]) for k, v in options.items()})
    except ValidationError as error:
        raise UsageError(_explain(error, label)) from None


def values(plugin: object) -> dict[str, Any]:
    """Return all options of a plugin as JSON values."""
    from pydantic import TypeAdapter

    dumped = TypeAdapter(type(plugin)).dump_python(plugin, mode="json")
    fields = dataclasses.fields(plugin)  # type: ignore[arg-type]  # mypy sees no dataclass
    return {field.name: dumped[field.name] for field in fields if field.init}


def _preset(plugin: type, label: str, preset: str | None) -> Mapping[str, object]:
    card: Card = plugin.card  # type: ignore[attr-defined]  # part of every contract
    if preset is None:
        return {}
    if preset not in card.presets:
        raise unknown(f"{label}: presets", preset, card.presets)
    return card.presets[preset]


def _split(value: object, hint: object) -> object:
    """Return "a,b" as ["a", "b"] where the option is a tuple."""
    if isinstance(value, str) and typing.get_origin(hint) is tuple:
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def _explain(error: ValidationError, label: str) -> str:
    lines = []
    for problem in error.errors():
        name = ".".join(str(part) for part in problem["loc"]) or "options"
        came = problem["input"]
        lines.append(f"{label}: option '{name}': {problem['msg']}; got {came!r}.")
    return "\n".join(lines)
