"""What is measured, beside the most that the hardware would allow."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Figure:
    """One measurement.

    Attributes:
        name: of what was measured.
        unit: of all numbers.
        measured: None where it cannot be.
        limits: what the floor of its time would allow, by what bounds it: matrix
            products at a precision, or memory.
        reason: why it could not be measured, or has no limit; "" where all is there.
    """

    name: str
    unit: str
    measured: float | None
    limits: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""

    @property
    def reached(self) -> dict[str, float]:
        """The part of each limit that is reached."""
        if self.measured is None:
            return {}
        return {name: self.measured / limit for name, limit in self.limits.items()}

    def record(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {**asdict(self), "reached": self.reached}


def missing(name: str, unit: str, reason: str) -> Figure:
    """Return a figure that could not be measured."""
    return Figure(name, unit, None, reason=reason)


def limits(rates: Mapping[str, float], cost: float) -> dict[str, float]:
    """Return how often a second rates allow what costs so much; {} if it is nothing.

    A precision that is slower here than the first one is no limit: nobody would use it.
    """
    first = next(iter(rates.values()), 0.0)
    return {n: rate / cost for n, rate in rates.items() if rate >= first and cost}


def memory(name: str, found: Mapping[str, float]) -> list[Figure]:
    """Return peak memory, a figure for host and GPU."""
    return [
        Figure(f"peak memory, {name}, {where}", "MiB", mib)
        for where, mib in found.items()
    ]
