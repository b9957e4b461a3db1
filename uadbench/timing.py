"""Seconds of each stage, kept where a killed run finds them again."""

import time
from collections.abc import Callable, MutableMapping


class Stopwatch:
    """Adds laps up by stage and saves the sums after each.

    A stage has the seconds in which it alone held the run up: reading ahead and scoring
    of the last case, while the method predicts the next, are in those of "predict".

    What a killed process did after its last lap is done again and counted once, so that
    a run has the same times however often it was interrupted.

    Args:
        seconds: sums by stage, those of earlier attempts among them; changed in place.
        save: called after each lap.
    """

    def __init__(
        self, seconds: MutableMapping[str, float], save: Callable[[], object]
    ) -> None:
        self._seconds = seconds
        self._save = save
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        """Add the time since the last lap to a stage."""
        now = time.perf_counter()
        spent = self._seconds.get(stage, 0.0) + now - self._last
        self._seconds[stage] = round(spent, 3)
        self._last = now
        self._save()
