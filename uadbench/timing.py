"""Seconds of each stage, kept where a killed run finds them again."""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, MutableMapping

SAVE_EVERY = 1.0
Sums = Mapping[str, float]


class Stopwatch:
    """Adds laps up by stage and saves the sums now and then.

    A stage has the seconds for which the run waited for it. Reading ahead goes on
    meanwhile, and in "predict" the scoring of the case before, which both slow it down
    where cores are few.

    A killed run does again, and counts once, what came after the sums that it kept.
    What it did before for cases that were not settled yet, such as the others of a
    batch across scans, is counted again.

    Args:
        seconds: kept sums by stage, those of earlier attempts among them; changed in
            place.
        save: called when sums are kept, but at most every `SAVE_EVERY` seconds: what it
            writes may grow with the number of cases.
    """

    def __init__(
        self, seconds: MutableMapping[str, float], save: Callable[[], object]
    ) -> None:
        self._kept = seconds
        self._save = save
        self._sums = defaultdict(float, seconds)
        self._last = self._saved = time.perf_counter()

    def lap(self, stage: str) -> None:
        """Add the time since the last lap to a stage, and keep the sums."""
        self.keep(self.add(stage))

    def add(self, stage: str) -> Sums:
        """Add the time since the last lap to a stage; return the sums, not yet kept."""
        now = time.perf_counter()
        self._sums[stage] += now - self._last
        self._last = now
        return dict(self._sums)

    def keep(self, sums: Sums) -> None:
        """Keep sums, of which the work has left its result."""
        self._kept.update({stage: round(spent, 3) for stage, spent in sums.items()})
        if self._last - self._saved >= SAVE_EVERY:
            self._saved = self._last
            self._save()
