"""Options of training, for every method that is trained, and whether it has been."""

from typing import TypeVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from uadbench.errors import UsageError

from .recipes import Recipe
from .schedules import Schedule

Found = TypeVar("Found")


@dataclass
class TrainingOptions:
    """How a network is trained, but for the number of updates."""

    batch: int = Field(32, ge=1, description="slices in a batch")
    learning_rate: float = Field(1e-4, gt=0, description="the highest")
    schedule: Schedule = Field("constant", description="of the learning rate")
    average: float = Field(
        0.999, ge=0, lt=1, description="decay of the weights' moving average"
    )
    clip: float = Field(0.0, ge=0, description="largest norm of the gradient; 0: any")

    def recipe_of(self, steps: int) -> Recipe:
        """Return these options with a number of updates."""
        return Recipe(
            steps,
            self.batch,
            self.learning_rate,
            self.schedule,
            self.average,
            self.clip,
        )


def learned(found: Found | None, method: str) -> Found:
    """Return what a method has learned; UsageError, naming it, if that is nothing."""
    if found is None:
        msg = f"{method} has learned nothing yet: fit or restore it first."
        raise UsageError(msg)
    return found
