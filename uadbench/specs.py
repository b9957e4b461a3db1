"""Words such as "fpr@healthy:0.05": a name that is known, and the number it takes."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from uadbench.errors import UsageError, check_known


@dataclass(frozen=True)
class Kind:
    """Something that a user may ask for by name.

    Attributes:
        name: what stands before the colon.
        parameter: what the number after the colon is; "" where none is taken.
        low: the number must be larger than this ...
        high: ... and smaller than this.
        whole: whether it must be a whole number.
        odd: whether it must be odd.
        help: one sentence.
    """

    name: str
    help: str
    parameter: str = ""
    low: float = -math.inf
    high: float = math.inf
    whole: bool = False
    odd: bool = False

    @property
    def usage(self) -> str:
        """How it is written, such as "fpr@healthy:RATE"."""
        return f"{self.name}:{self.parameter}" if self.parameter else self.name


@dataclass(frozen=True)
class Spec:
    """A name with its number, such as `fpr@healthy:0.05`; None where none is taken."""

    name: str
    number: float | None = None

    def __str__(self) -> str:
        return (
            self.name if self.number is None else f"{self.name}:{shortest(self.number)}"
        )


def shortest(number: float) -> str:
    """Return the shortest text that reads back to the same number, such as "3"."""
    short = f"{number:g}"
    return short if float(short) == number else repr(float(number)).removesuffix(".0")


def parse(what: str, text: str, kinds: Mapping[str, Kind]) -> Spec:
    """Return what a user wrote, checked.

    Args:
        what: what it stands for in messages, such as "--threshold".
        text: such as "fpr@healthy:0.05".
        kinds: those that are known.

    Raises:
        UsageError: the name is unknown, or the number is missing or out of range.
    """
    name, colon, number = text.strip().partition(":")
    check_known(what, name, kinds)
    kind = kinds[name]
    if bool(colon) != bool(kind.parameter):
        msg = f"{what}: expected '{kind.usage}', got '{text}'."
        raise UsageError(msg)
    if not colon:
        return Spec(name)
    return Spec(name, _number(what, kind, number))


def _number(what: str, kind: Kind, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    fits = (
        kind.low < number < kind.high
        and (not kind.whole or number == int(number))
        and (not kind.odd or number % 2 == 1)
    )
    if not fits:
        words = ["an odd" if kind.odd else "a", "whole number" * kind.whole or "number"]
        if kind.low > -math.inf:
            words.append(f"above {kind.low:g}")
        if kind.high < math.inf:
            words.append(f"and below {kind.high:g}")
        msg = f"{what}: '{kind.name}' takes {' '.join(words)}, got '{text}'."
        raise UsageError(msg)
    return number
