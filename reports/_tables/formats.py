"""How numbers are printed: digits, intervals, counts, p values."""

import math
from typing import NamedTuple

from uadbench.inference import Paired

from .seeds import Estimate

DASH = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"
UNITS = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
# Smaller p values say no more, and depend on the tails of an approximation.
SMALLEST_P = 0.001


class Shown(NamedTuple):
    """A number as it is printed.

    Attributes:
        value: such as "0.412"; a dash where it is undefined.
        details: what stands beside or below it, each on a line of its own.
        number: what `value` says; NaN for a dash. Rows are compared by it, since two
            equal numbers of which one is bold look like an error.
    """

    value: str
    details: tuple[str, ...] = ()
    number: float = math.nan


def fixed(estimate: Estimate, digits: int = 3, missed: float = 0) -> Shown:
    """Return a number with fixed digits, and the cases that are counted apart.

    Args:
        estimate: the number; its cases that do not define it are counted.
        digits: after the point.
        missed: cases without any prediction, mean over seeds; 0 is not told.
    """
    counts = []
    if estimate.undefined:
        counts += [f"n = {estimate.n}", f"{estimate.undefined} undefined"]
    if missed:
        counts.append(f"{missed:.3g} missed")
    details = (f"({', '.join(counts)})",) if counts else ()
    if math.isnan(estimate.value):
        return Shown(DASH, details)
    value = f"{estimate.value:.{digits}f}"
    return Shown(value, details, float(value))


def with_interval(estimate: Estimate, digits: int = 3, missed: float = 0) -> Shown:
    """Return `fixed` with the spread over seeds and the interval over subjects."""
    value, details, rounded = fixed(estimate, digits, missed)
    if not math.isnan(estimate.spread):
        value += f" ± {estimate.spread:.{digits}f}"
    if not math.isnan(estimate.low):
        ends = f"[{estimate.low:.{digits}f}, {estimate.high:.{digits}f}]"
        details = (ends, *details)
    return Shown(value, details, rounded)


def difference(paired: Paired) -> Shown:
    """Return a mean difference with its interval, p and effect size."""
    found = paired.difference
    if math.isnan(found.mean):
        return Shown(DASH, ("no test",))
    ends = f"[{signed(found.low)}, {signed(found.high)}]"
    details = (
        *(() if math.isnan(found.low) else (ends,)),
        "no test"
        if paired.reason
        else f"{p_value(paired.p_holm)}, r = {signed(paired.effect, 2)}",
    )
    return Shown(signed(found.mean), details, found.mean)


def signed(value: float, digits: int = 3) -> str:
    """Return a number with its sign, a true minus."""
    return f"{value:+.{digits}f}".replace("-", MINUS)


def p_value(p: float) -> str:
    """Return "p = 0.012", or "p < 0.001" for less."""
    return f"p < {SMALLEST_P}" if p < SMALLEST_P else f"p = {p:.3f}"


def seconds(estimate: Estimate) -> Shown:
    """Return a time in s with two significant digits, such as "0.26" or "14"."""
    value = estimate.value
    if math.isnan(value):
        return Shown(DASH)
    return Shown(f"{value:.0f}" if value >= 10 else f"{value:#.2g}", number=value)


def count(estimate: Estimate) -> Shown:
    """Return a count with three significant digits and a unit, such as "1.24 M"."""
    value = estimate.value
    size, unit = next(
        ((value / scale, unit) for scale, unit in UNITS if value >= scale), (value, "")
    )
    digits = max(0, 2 - int(math.log10(size))) if unit else 0
    return Shown(f"{size:.{digits}f} {unit}".strip(), number=value)
