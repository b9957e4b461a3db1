"""Options of a plugin: from words on the command line to a checked object."""

import dataclasses
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic.dataclasses import is_pydantic_dataclass
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from uadbench.errors import UsageError, check_known
from uadbench.protocols import Card

Plugin = TypeVar("Plugin")


def parse(pairs: Iterable[str]) -> dict[str, str]:
    """Return {name: value} of words such as "size=64".

    Raises:
        UsageError: a word has no "=", or an option comes with two values.
    """
    options: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not (equals and name):
            msg = f"option '{pair}': expected NAME=VALUE, such as size=64."
            raise UsageError(msg)
        name, value = name.strip(), value.strip()
        if options.get(name, value) != value:
            msg = f"option '{name}': given as {options[name]} and {value}. Choose one."
            raise UsageError(msg)
        options[name] = value
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
    known = names(plugin)
    for name in options:
        check_known(f"{label}: options", name, known)
    hints = typing.get_type_hints(plugin)
    try:
        return plugin(**{k: _split(v, hints[k]) for k, v in options.items()})
    except ValidationError as error:
        raise UsageError(_explain(error, label)) from None


def names(plugin: object) -> list[str]:
    """Return what the options of a plugin, or of its class, are called.

    A class that is no dataclass, as most reports are, has none.
    """
    if not dataclasses.is_dataclass(plugin):
        return []
    return [field.name for field in dataclasses.fields(plugin) if field.init]


def values(plugin: object) -> dict[str, Any]:
    """Return all options of a plugin as JSON values."""
    return {name: to_jsonable_python(getattr(plugin, name)) for name in names(plugin)}


@dataclasses.dataclass(frozen=True)
class Option:
    """An option as a user reads of it."""

    name: str
    type: str
    default: str
    help: str


def table(plugin: type) -> list[Option]:
    """Return the options of a plugin with type, range, default and meaning.

    A class without pydantic fields, as most reports are, has none.
    """
    if not is_pydantic_dataclass(plugin):
        return []
    fields: Mapping[str, FieldInfo] = plugin.__pydantic_fields__
    return [_option(name, fields[name]) for name in names(plugin)]


def _option(name: str, info: FieldInfo) -> Option:
    bounds = [
        f"{sign} {getattr(bound, attribute)}"
        for bound in info.metadata
        for attribute, sign in (("gt", ">"), ("ge", ">="), ("lt", "<"), ("le", "<="))
        if hasattr(bound, attribute)
    ]
    start = info.get_default(call_default_factory=True)
    default = "required" if info.is_required() else _words(start)
    kind = _type_words(info.annotation)
    return Option(name, ", ".join([kind, *bounds]), default, info.description or "")


def _type_words(hint: object) -> str:
    if typing.get_origin(hint) is typing.Literal:
        return "|".join(str(choice) for choice in typing.get_args(hint))
    if typing.get_origin(hint) is typing.Annotated:
        return _type_words(typing.get_args(hint)[0])
    if typing.get_origin(hint) is tuple:
        return "list of " + _type_words(typing.get_args(hint)[0])
    # `Literal[...] | None` makes a typing.Union, `int | None` a types.UnionType.
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        parts = [part for part in typing.get_args(hint) if part is not types.NoneType]
        return " or ".join(_type_words(part) for part in parts)
    return getattr(hint, "__name__", str(hint)).lower()


def _words(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(str(part) for part in value)
    return "none" if value is None else str(value)


def _preset(plugin: type, label: str, preset: str | None) -> Mapping[str, object]:
    card: Card = plugin.card  # type: ignore[attr-defined]  # part of every contract
    if preset is None:
        return {}
    check_known(f"{label}: presets", preset, card.presets)
    return card.presets[preset]


def _split(value: object, hint: object) -> object:
    """Return "a,b" as ["a", "b"] where the option is a tuple."""
    if isinstance(value, str) and typing.get_origin(hint) is tuple:
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def _explain(error: ValidationError, label: str) -> str:
    lines = []
    for problem in error.errors():
        name = ".".join(str(part) for part in problem["loc"])
        message = problem["msg"].removeprefix("Value error, ")
        came = "nothing" if problem["type"] == "missing" else repr(problem["input"])
        # A plugin's own check of several options has no place and no single value.
        place = f"option '{name}': {message}; got {came}" if name else message
        lines.append(f"{label}: {place}.")
    return "\n".join(lines)
