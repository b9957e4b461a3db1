"""Learning rates in the course of a training."""

import math
from typing import Literal

Schedule = Literal["constant", "one-cycle", "cosine"]
PEAK = 0.25  # part of a one-cycle training until its highest rate


def learning_rate(
    schedule: Schedule, highest: float, step: int, steps: int, period: int = 0
) -> float:
    """Return the learning rate of a step, counted from 0, out of `steps`.

    constant: always the highest.
    one-cycle: up to the highest over the first quarter, then down to almost 0, on
        cosines.
    cosine: from the highest to 0 in `period` steps (0: in all), in as many back up,
        and so on: torch's CosineAnnealingLR beyond its T_max.
    """
    if schedule == "constant":
        return highest
    if schedule == "one-cycle":
        done = (step + 1) / (steps + 1)
        phase = done / PEAK if done < PEAK else (1 - done) / (1 - PEAK)
        return highest * (1 - math.cos(math.pi * phase)) / 2
    return highest * (1 + math.cos(math.pi * step / (period or steps))) / 2
