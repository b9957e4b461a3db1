"""Tiny: the score is the distance to the median of the brain; nothing is learned."""

from collections.abc import Iterable, Iterator
from typing import ClassVar

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from uadbench.protocols import Arrays, Card, Context, Lazy, Prediction, Scan


@dataclass
class Tiny:
    """Calls whatever is far from the median abnormal."""

    card: ClassVar[Card] = Card("Tiny", presets={"demo": {}, "paper": {"power": 2.0}})

    power: float = Field(1.0, gt=0, description="of the distance")

    def fit(self, train: Lazy[Scan], val: Lazy[Scan], ctx: Context) -> None:
        """Learn nothing."""

    def predict(self, scans: Iterable[Scan], ctx: Context) -> Iterator[Prediction]:
        """Measure the distance in units of the median."""
        for scan in scans:
            image = scan.image[0]
            level = np.median(image[scan.brain])
            distance = np.abs(image / level - 1) ** self.power
            yield Prediction((distance * scan.scored).astype(np.float32))

    def state(self) -> Arrays:
        """Return nothing."""
        return {}

    def restore(self, state: Arrays) -> None:
        """Take back nothing."""
