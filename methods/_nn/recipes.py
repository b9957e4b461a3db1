"""How a network is trained, in numbers."""

from dataclasses import dataclass

from .optimisers import Optimiser
from .schedules import Schedule


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Attributes:
        steps: number of updates.
        batch: images in each, of all devices together.
        rate: learning rate, the highest one of a schedule that varies it.
        schedule: see `learning_rate`.
        average: decay of the exponential moving average of the weights; 0 follows them.
        clip: largest norm of the gradient; 0 leaves it alone.
        period: of the schedule, see `learning_rate`.
        optimiser: see `new_optimiser`, as for the next two.
        decay: of the weights.
        momentum: beta 1 of Adam.
    """

    steps: int
    batch: int
    rate: float
    schedule: Schedule = "constant"
    average: float = 0.9999
    clip: float = 0.0
    period: int = 0
    optimiser: Optimiser = "adamw"
    decay: float = 0.0
    momentum: float = 0.9
