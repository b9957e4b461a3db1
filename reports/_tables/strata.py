"""The headline in each group of cases: by kind of lesion, by site, by size."""

import math
from dataclasses import dataclass

from uadbench.metrics import NO_LESION, PIXEL_STRATA, VOLUME_STRATA

from .comparison import HEADLINE, Comparison
from .entry import Entry
from .formats import DASH
from .seeds import mean

PREFIX = "stratum_"
# Sizes by size; every other group by its name.
SIZES = [
    NO_LESION,
    *(name for strata in (PIXEL_STRATA, VOLUME_STRATA) for _, name in strata),
]


@dataclass(frozen=True)
class Strata:
    """A small table.

    Attributes:
        name: what the cases are grouped by.
        groups: with the number of cases in each.
        lines: a method's title and its mean Dice in each group.
    """

    name: str
    groups: tuple[tuple[str, int], ...]
    lines: tuple[tuple[str, tuple[str, ...]], ...]


def strata(comparison: Comparison) -> list[Strata]:
    """Return a table for each grouping that has at least two groups."""
    names = [
        column.removeprefix(PREFIX)
        for column in comparison.entries[0].runs[0].cases.columns
        if column.startswith(PREFIX)
    ]
    tables = [_table(comparison, name) for name in names]
    return [table for table in tables if len(table.groups) > 1]


def _table(comparison: Comparison, name: str) -> Strata:
    members: dict[str, list[str]] = {}
    for entry in comparison.entries:
        for case, group in _groups(entry, name).items():
            cases = members.setdefault(group, [])
            if case not in cases:
                cases.append(case)
    ordered = sorted(members.items(), key=lambda item: _place(item[0]))
    return Strata(
        name=name,
        groups=tuple((group, len(cases)) for group, cases in ordered),
        lines=tuple(
            (entry.title, tuple(_headline(entry, cases) for _, cases in ordered))
            for entry in comparison.ordered
        ),
    )


def _place(group: str) -> tuple[int, str]:
    return (SIZES.index(group) if group in SIZES else 0), group


def _groups(entry: Entry, name: str) -> dict[str, str]:
    """Return the group of each case that an entry's first run scored."""
    cases = entry.runs[0].cases
    if PREFIX + name not in cases:
        return {}
    scored = cases[cases["status"] == "ok"]
    return dict(zip(scored["case"], scored[PREFIX + name].astype(str), strict=True))


def _headline(entry: Entry, cases: list[str]) -> str:
    dice = entry.by_case(HEADLINE)
    found = mean(dice[case] for case in cases if case in dice)
    return DASH if math.isnan(found) else f"{found:.3f}"
