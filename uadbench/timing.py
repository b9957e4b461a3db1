"""Seconds of each stage, kept where a killed run finds them again."""

import time
from collections.abc import Callable, MutableMapping

SAVE_EVERY = 1.0


class Stopwatch:
    """Adds laps up by stage and saves the sums now and then.

    A stage has the seconds for which the run waited for it. What goes on beside it,
    such as reading ahead and the scoring of the last cases during "predict", may slow
    it down.

    What a killed process did after its last lap is done again and counted once; cases
    that were predicted and not yet scored are predicted, and counted, again.

    Args:
        seconds: sums by stage, those of earlier attempts among them; changed in place.
        save: called after a lap, but at most every `SAVE_EVERY` seconds: what it writes
            may grow with the number of cases.
    """

    def __init__(
        self, seconds: MutableMapping[str, float], save: Callable[[], object]
    ) -> None:
        self._seconds = seconds
        self._save = save
        self._last = self._saved = time.perf_counter()

    def lap(self, stage: str) -> None:
        """Add the time since the last lap to a stage."""
        now = time.perf_counter()
        spent = self._seconds.get(stage, 0.0) + now - self._last
        self._seconds[stage] = round(spent, 3)
        self._last = now
        if now - self._saved >= SAVE_EVERY:
            self._saved = now
            self._save()
