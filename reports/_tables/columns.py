"""The columns of the table: what each reads, how it is rounded, what it is called."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from .comparison import HEADLINE, Comparison
from .entry import Entry, Estimate

DASH = "\N{EN DASH}"
FREE = "Threshold-free"
UPPER_BOUND = "Upper bound"
UNITS = ((1e9, "G"), (1e6, "M"), (1e3, "k"))

Read = Callable[[Comparison, Entry], Estimate | None]


class Shown(NamedTuple):
    """A number as it is printed, and what stands beside or below it."""

    value: str
    detail: str = ""


Format = Callable[[Estimate], Shown]


@dataclass(frozen=True)
class Column:
    """One number of each row.

    Attributes:
        group: heading above the title; "" for none.
        title: short heading.
        long: heading where no group stands above it.
        read: returns the number of a row.
        show: formats it.
        suffix: whose threshold the number stands on; "" for none.
        ranked: whether the largest number of a supervision level is marked.
    """

    group: str
    title: str
    long: str
    read: Read
    show: Format
    suffix: str = ""
    ranked: bool = False

    @property
    def bound(self) -> bool:
        """Whether the number is an upper bound, to be set apart from results."""
        return self.group == UPPER_BOUND


def fraction(estimate: Estimate) -> Shown:
    """Return a number in [0, 1], with the subjects that do not define it."""
    value = DASH if math.isnan(estimate.value) else f"{estimate.value:.3f}"
    if not estimate.undefined:
        return Shown(value)
    return Shown(value, f"(n = {estimate.n}, {estimate.undefined} undefined)")


def with_interval(estimate: Estimate) -> Shown:
    """Return a fraction with its interval and its spread over seeds."""
    value, counts = fraction(estimate)
    if not math.isnan(estimate.spread):
        value += f" ± {estimate.spread:.3f}"
    if math.isnan(estimate.low):
        return Shown(value, counts)
    interval = f"[{estimate.low:.3f}, {estimate.high:.3f}]"
    return Shown(value, f"{interval} {counts}".strip())


def signed(estimate: Estimate) -> Shown:
    """Return a difference with its sign, a true minus."""
    if math.isnan(estimate.value):
        return Shown(DASH)
    return Shown(f"{estimate.value:+.3f}".replace("-", "\N{MINUS SIGN}"))


def seconds(estimate: Estimate) -> Shown:
    """Return a time in s with two significant digits, such as "0.26" or "14"."""
    value = estimate.value
    if math.isnan(value):
        return Shown(DASH)
    return Shown(f"{value:.0f}" if value >= 10 else f"{value:#.2g}")


def count(estimate: Estimate) -> Shown:
    """Return a count with three significant digits and a unit, such as "1.24 M"."""
    value = estimate.value
    size, unit = next(
        ((value / scale, unit) for scale, unit in UNITS if value >= scale), (value, "")
    )
    digits = max(0, 2 - int(math.log10(size))) if unit else 0
    return Shown(f"{size:.{digits}f} {unit}".strip())


def _subject(metric: str) -> Read:
    return lambda _, entry: entry.subject(metric)


def _pooled(metric: str) -> Read:
    return lambda _, entry: entry.pooled(metric)


def _difference(comparison: Comparison, entry: Entry) -> Estimate | None:
    if comparison.baseline is None:
        return None
    return Estimate(comparison.difference(entry))


def _seeds(_: Comparison, entry: Entry) -> Estimate | None:
    return Estimate(len(entry.seeds))


COLUMNS = (
    Column("", "Seeds", "Seeds", _seeds, count),
    Column(
        "Dice",
        "at 5 % FPR",
        "Dice at 5 % FPR [95 % CI]",
        _subject(HEADLINE),
        with_interval,
        suffix="fpr5",
        ranked=True,
    ),
    Column("Dice", "Δ intensity", "Δ to intensity", _difference, signed),
    Column(
        "Dice",
        "at 1 % FPR",
        "Dice at 1 % FPR",
        _subject("dice_fpr1"),
        fraction,
        suffix="fpr1",
        ranked=True,
    ),
    Column(
        "Dice",
        "own mask",
        "Dice of own mask",
        _subject("dice_own"),
        fraction,
        suffix="own",
        ranked=True,
    ),
    Column(
        FREE,
        "AUPRC pooled",
        "AUPRC pooled",
        _pooled("auprc"),
        fraction,
        ranked=True,
    ),
    Column(FREE, "AUPRC", "AUPRC", _subject("auprc"), fraction, ranked=True),
    Column(FREE, "AUROC", "AUROC", _subject("auroc"), fraction, ranked=True),
    Column(
        "At 5 % FPR",
        "precision",
        "Precision at 5 % FPR",
        _subject("precision_fpr5"),
        fraction,
        suffix="fpr5",
    ),
    Column(
        "At 5 % FPR",
        "recall",
        "Recall at 5 % FPR",
        _subject("recall_fpr5"),
        fraction,
        suffix="fpr5",
    ),
    Column(
        "At 5 % FPR",
        "test FPR",
        "FPR on test at 5 % FPR",
        _subject("fpr_fpr5"),
        fraction,
        suffix="fpr5",
    ),
    Column(
        UPPER_BOUND,
        "⌈Dice⌉ oracle",
        "⌈Dice⌉ oracle (upper bound)",
        _subject("dice_oracle"),
        fraction,
        suffix="oracle",
    ),
    Column("Cost", "s / case", "s / case", lambda _, e: e.seconds, seconds),
    Column("Cost", "parameters", "Parameters", lambda _, e: e.parameters, count),
)
