"""Counts of voxels by score in bounded memory: exact at the top, in bins below."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uadbench.errors import DataError

from .bins import (
    BINS,
    PREFIXES,
    SHIFT,
    Bins,
    Counts,
    Scores,
    bins_of,
    ends_of,
    lowest_of,
    prefixes_of,
    rests_of,
)

# Rows of the counts: all voxels, and lesion voxels.
EVERY, LESION = range(2)
# Prefixes that are counted score by score, at 64 KiB each.
PAGES = 256
PAGE = 1 << SHIFT
# Scores at a time, so that their bits stay in the cache.
CHUNK = 1 << 16
NONE = -1

State = Mapping[str, NDArray[Any]]


class Tally:
    """How many voxels have which float32 score, for all voxels and for lesions.

    The highest PAGES prefixes that hold a voxel have a page with a counter for every
    score; the voxels of the others are counted in bins. Which prefixes these are does
    not depend on the order of voxels: one that is among the highest of all was so among
    any part of them, so that its page has missed no voxel.
    """

    def __init__(self) -> None:
        # The last counter is for scores that have a page.
        self._bins = np.zeros((2, BINS + 1), np.int64)
        self._pages = np.zeros((2, PAGES * PAGE), np.int64)
        # The prefix of each page, and the first counter of each prefix's page.
        self._prefixes = np.full(PAGES, NONE)
        self._first = np.full(PREFIXES, NONE)
        # No score below has a page; while some are free, any may.
        self._floor = np.float32(-np.inf)

    def add(self, scores: Scores, lesion: Scores) -> None:
        """Count finite scores (N,), and those among them of lesion voxels (L,)."""
        if self._floor == -np.inf:
            # In one go: to open pages and close them a few rounds later takes long.
            self._open(np.unique(prefixes_of(_highest(scores) + np.float32(0))))
        for row, part in ((EVERY, scores), (LESION, lesion)):
            for start in range(0, len(part), CHUNK):
                # Adding zero makes one score of -0.0 and 0.0.
                self._count(row, part[start : start + CHUNK] + np.float32(0))

    def total(self, row: int) -> int:
        """Return the number of voxels, EVERY or LESION."""
        return int(self._bins[row, :BINS].sum() + self._pages[row].sum())

    def merge(self, state: State) -> None:
        """Add the counts of another tally's state.

        Raises:
            DataError: no tally has that state.
        """
        every, lesion = np.concatenate((state["of_scores"], state["of_bins"]), axis=1)
        known = bool(((lesion >= 0) & (lesion <= every)).all())
        if known:
            for row in (EVERY, LESION):
                self._count(row, state["scores"], state["of_scores"][row])
                np.add.at(self._bins[row], state["bins"], state["of_bins"][row])
        if not known or (ends_of(state["bins"])[1] >= self._floor).any():
            msg = (
                "state: expected what a ScoreCurve returned, got more lesion voxels "
                "than voxels, or bins where single scores are counted."
            )
            raise DataError(msg)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return all that holds a voxel, and two counts of each: all, lesion.

        `scores` (J,) float32 are counted each, `of_scores` (2, J) how often; `bins`
        (K,) and `of_bins` (2, K) are the same of bins.
        """
        at = np.flatnonzero(self._pages[EVERY])
        bits = (self._prefixes[at // PAGE] << SHIFT) + at % PAGE
        # Which page is whose depends on the order of voxels, and is left behind.
        order = np.argsort(bits)
        at, bits = at[order], bits[order]
        bins = np.flatnonzero(self._bins[EVERY, :BINS])
        return {
            "scores": bits.astype(np.uint32).view(np.float32),
            "of_scores": self._pages[:, at],
            "bins": bins,
            "of_bins": self._bins[:, bins],
        }

    def occupied(self) -> Bins:
        """Return all that holds a voxel; a single score is a bin without a width."""
        state = self.state()
        lowest, highest = ends_of(state["bins"])
        first = np.concatenate((state["scores"], lowest)).astype(np.float64)
        last = np.concatenate((state["scores"], highest)).astype(np.float64)
        counts = np.concatenate((state["of_scores"], state["of_bins"]), axis=1)
        falling = np.argsort(-first)
        every, lesion = counts[:, falling]
        return Bins(first[falling], last[falling], lesion, every - lesion)

    def _count(self, row: int, scores: Scores, times: Counts | int = 1) -> None:
        """Add scores (N,), each so many times (N,), to a row."""
        high = scores >= self._floor
        # Most rounds have few such scores, or no other.
        at = slice(None) if high.all() else np.flatnonzero(high)
        top = scores[at]
        prefixes = prefixes_of(top)
        first = self._first.take(prefixes)
        if first.min(initial=0) == NONE:
            self._open(np.unique(prefixes[first == NONE]))
            self._count(row, scores, times)
            return
        if len(top):
            np.add.at(self._pages[row], first + rests_of(top), _of(times, at))
        if len(top) < len(scores):
            bins = bins_of(scores)
            # To count what has a page in vain is faster than to take it out.
            bins[at] = BINS
            np.add.at(self._bins[row], bins, times)

    def _open(self, new: NDArray[np.intp]) -> None:
        """Give pages to the highest prefixes, of those that have one and new ones."""
        held = self._prefixes[self._prefixes != NONE]
        candidates = np.union1d(held, new)
        highest = candidates[np.argsort(-lowest_of(candidates))][:PAGES]
        self._close(np.setdiff1d(held, highest))
        fresh = np.setdiff1d(highest, held)
        free = np.flatnonzero(self._prefixes == NONE)[: len(fresh)]
        self._prefixes[free], self._first[fresh] = fresh, free * PAGE
        if len(highest) == PAGES:
            self._floor = lowest_of(highest).min(initial=np.inf)

    def _close(self, prefixes: NDArray[np.intp]) -> None:
        """Move the counts of pages to their bins, and free the pages."""
        pages = self._first[prefixes] // PAGE
        counts = self._pages.reshape(2, PAGES, PAGE)
        self._bins[:, 2 * prefixes] += counts[:, pages, 0]
        self._bins[:, 2 * prefixes + 1] += counts[:, pages, 1:].sum(axis=2)
        counts[:, pages] = 0
        self._first[prefixes], self._prefixes[pages] = NONE, NONE


def _highest(scores: Scores) -> Scores:
    """Return the highest hundredth of scores (N,), or a little less."""
    sample = scores[::100]
    if not len(sample):
        return scores
    rank = len(sample) - 1 - len(sample) // 100
    highest: Scores = scores[scores > np.partition(sample, rank)[rank]]
    return highest


def _of(times: Counts | int, at: NDArray[np.intp] | slice) -> Counts | int:
    return times if isinstance(times, int) else times[at]
