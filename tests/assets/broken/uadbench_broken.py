"""What may stand behind an entry point without being a plugin."""

from typing import ClassVar

from uadbench.protocols import Card


class Cardless:
    """A class without a card."""


class Partless:
    """A class with a card and nothing else."""

    card: ClassVar[Card] = Card("Partless")


class Plain:
    """A method that is no dataclass of pydantic."""

    card: ClassVar[Card] = Card("Plain")

    def fit(self) -> None:
        """Do nothing."""

    predict = state = restore = fit


def make() -> None:
    """Make nothing."""
