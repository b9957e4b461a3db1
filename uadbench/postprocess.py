"""Post-processing of score maps and masks: one pipeline, the same for every method.

Steps on scores come before the threshold, which is chosen on what they leave; steps on
masks come after it. Results of the raw maps always stand beside the processed ones.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Self

import numpy as np
from numpy.typing import NDArray

from uadbench.kinds import STEPS
from uadbench.protocols import Scan
from uadbench.specs import Spec, parse

Score = NDArray[np.float32]
Mask = NDArray[np.bool_]
# Scores that a median holds in memory.
AT_ONCE = 10_000_000


@dataclass(frozen=True)
class Pipeline:
    """Steps in the order of `STEPS`; without any, maps and masks stay as they are."""

    steps: tuple[Spec, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the pipeline of words such as "erode:3,median:3,min-volume:20".

        In whatever order they come: steps of different kinds do not depend on it, but
        for those on scores, which always come first.

        Raises:
            UsageError: a step is unknown or has no valid number.
        """
        words = [word for word in text.split(",") if word.strip()]
        steps = [parse("--postprocess", word, STEPS) for word in words]
        return cls(tuple(sorted(steps, key=lambda step: list(STEPS).index(step.name))))

    def __str__(self) -> str:
        return ",".join(map(str, self.steps))

    def __bool__(self) -> bool:
        return bool(self.steps)

    @property
    def cuts_masks(self) -> bool:
        """Whether a step works on masks, so that the outcome is no cut of a score."""
        return any(step.name in _ON_MASKS for step in self.steps)

    @property
    def changes_scores(self) -> bool:
        """Whether a step works on scores, so that voxels rank differently."""
        return any(step.name not in _ON_MASKS for step in self.steps)

    def on(self, scan: Scan) -> "Processing":
        """Return the pipeline at work on one scan."""
        return Processing(self.steps, scan)


@dataclass(frozen=True, eq=False)
class Processing:
    """The steps at work on one scan: its map, and as many masks as there are cuts."""

    steps: tuple[Spec, ...]
    scan: Scan

    @cached_property
    def kept(self) -> Mask:
        """The voxels that may be abnormal: the brain without what is eroded."""
        depth = max((s.number or 0 for s in self.steps if s.name == "erode"), default=0)
        brain = self.scan.brain
        return erode(brain, depth, self.scan.spacing) if depth else brain

    def score(self, score: Score) -> Score:
        """Return the scores, float32 (X, Y, Z), after the steps that work on them.

        What is eroded gets the lowest score inside the brain, so that it ranks last.
        """
        brain = self.scan.brain
        for step in self.steps:
            if step.name == "median":
                score = median(score, self.scan.scored, int(step.number or 1))
        if self.kept is brain or not brain.any():
            return score
        return np.where(self.kept, score, score[brain].min())

    def cut(self, score: Score, threshold: float) -> Mask:
        """Return what a threshold of processed scores leaves, in slices that count."""
        return self.mask((score >= threshold) & self.scan.scored)

    def mask(self, mask: Mask) -> Mask:
        """Return a mask, bool (X, Y, Z), after all steps that concern it."""
        mask = mask & self.kept
        for step in self.steps:
            if step.name in _ON_MASKS:
                mask = _ON_MASKS[step.name](mask, step.number or 0, self.scan.spacing)
        return mask


def erode(brain: Mask, depth: float, spacing: Sequence[float]) -> Mask:
    """Return the voxels deeper than `depth` mm below the surface of the brain.

    Neither the border of the image is a surface, since a brain that is cut off goes on
    there, nor an empty slice between others, which was left out.
    """
    from scipy.ndimage import distance_transform_edt

    whole = _without_gaps(brain)
    if whole.all():
        return brain
    return np.asarray(brain & (distance_transform_edt(whole, sampling=spacing) > depth))


def median(score: Score, inside: Mask, voxels: int) -> Score:
    """Return the scores with each one inside replaced by the median of its cube.

    Only voxels inside count, so that neither the rim of the brain nor the first and the
    last slice are pressed towards what lies beyond. Of two middle values the mean.

    Args:
        score: float32 (X, Y, Z).
        inside: bool (X, Y, Z), the brain in slices that count.
        voxels: side of the cube, odd.
    """
    places = np.argwhere(inside)
    if not len(places):
        return score
    counted = np.where(inside, score, np.float32(np.inf))
    padded = np.pad(counted, voxels // 2, constant_values=np.inf)
    cubes = np.lib.stride_tricks.sliding_window_view(padded, (voxels,) * score.ndim)
    smooth = score.copy()
    for part in np.array_split(places, 1 + len(places) * voxels**3 // AT_ONCE):
        at = tuple(part.T)
        ranked = np.sort(cubes[at].reshape(len(part), -1), axis=1)
        count = np.isfinite(ranked).sum(axis=1)
        rows = np.arange(len(part))
        smooth[at] = (ranked[rows, (count - 1) // 2] + ranked[rows, count // 2]) / 2
    return smooth


def remove_small(mask: Mask, volume: float, spacing: Sequence[float]) -> Mask:
    """Return the components of at least `volume` mm3; voxels that touch are joined."""
    labels, sizes = _components(mask)
    return np.asarray((sizes * float(np.prod(spacing)) >= volume)[labels])


def keep_largest(mask: Mask, count: float, spacing: Sequence[float]) -> Mask:
    """Return the `count` largest components; of equals the first in memory."""
    labels, sizes = _components(mask)
    chosen = np.zeros(len(sizes), bool)
    chosen[np.argsort(-sizes, kind="stable")[: int(count)]] = True
    # The background is no component, whatever its rank among the empty ones.
    chosen[0] = False
    return np.asarray(chosen[labels])


def _without_gaps(brain: Mask) -> Mask:
    """Return the brain with empty slices filled by what the slices around share."""
    filled = np.flatnonzero(brain.any(axis=(0, 1)))
    whole = brain.copy()
    for below, above in pairwise(filled):
        shared = brain[..., below] & brain[..., above]
        whole[..., below + 1 : above] = shared[..., np.newaxis]
    return whole


def _components(mask: Mask) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    """Return labels and the size of each, 0 for the background, label 0."""
    from scipy.ndimage import label

    labels, _ = label(mask, np.ones((3,) * mask.ndim))
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return labels, sizes


_ON_MASKS: dict[str, Callable[[Mask, float, Sequence[float]], Mask]] = {
    "min-volume": remove_small,
    "largest": keep_largest,
}
