"""Thresholds from validation scans, each chosen on what post-processing leaves."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from uadbench.oracle import best_threshold
from uadbench.postprocess import Pipeline, Processing
from uadbench.protocols import Scan
from uadbench.specs import Spec
from uadbench.thresholds import (
    FIXED,
    FPR,
    LESION,
    OWN,
    QUANTILE,
    SUPERVISION,
    Mask,
    Scores,
    Threshold,
    healthy_quantile,
    healthy_threshold,
    suffix,
)
from uadbench.variants import Variant


@dataclass
class Healthy:
    """Scores of healthy validation scans under one variant.

    Whole maps are kept only where a step works on masks, for which the false positives
    that are left depend on how voxels lie together.
    """

    pipeline: Pipeline
    scores: list[Scores] = field(default_factory=list)
    maps: list[tuple[Scores, Processing]] = field(default_factory=list)

    def add(self, scan: Scan, score: Scores) -> None:
        """Take the map of one healthy scan."""
        # Its image is not needed any more, and large.
        steps = self.pipeline.on(replace(scan, image=scan.image[:0]))
        processed = steps.score(score)
        self.scores.append(processed[scan.scored])
        if self.pipeline.cuts_masks:
            self.maps.append((processed, steps))

    def threshold(self, rate: float) -> float:
        """Return the smallest threshold with at most this rate of false positives.

        Raises:
            DataError: there is no voxel.
        """
        every = np.concatenate(self.scores)
        if not self.maps:
            return healthy_threshold(every, rate)
        # Both removals leave fewer voxels at a higher threshold: bisection is exact.
        levels = np.unique(every)
        low, high = 0, len(levels)
        while low < high:
            middle = (low + high) // 2
            if self._rate(levels[middle]) <= rate:
                high = middle
            else:
                low = middle + 1
        if low < len(levels):
            return float(levels[low])
        return float(np.nextafter(levels[-1], np.float32(np.inf)))

    def quantile(self, q: float) -> float:
        """Return a quantile of the scores; DataError if there is no voxel."""
        return healthy_quantile(np.concatenate(self.scores), q)

    def _rate(self, threshold: float) -> float:
        found = total = 0
        for score, steps in self.maps:
            inside = steps.scan.scored
            mask = steps.mask((score >= threshold) & inside)
            found += int(mask.sum())
            total += int(inside.sum())
        return found / total


def calibrate(
    specs: Sequence[Spec],
    variant: Variant,
    healthy: Healthy,
    labelled: Sequence[tuple[Scores, Mask]],
    pipeline: str,
) -> dict[str, Threshold]:
    """Return the thresholds of some strategies by suffix.

    Args:
        specs: see `thresholds.strategies`.
        variant: what the scores went through.
        healthy: scores of healthy validation scans under it.
        labelled: scores and labels, (N,), of labelled validation cases under it; needed
            by dice@lesion-val alone.
        pipeline: hash of what produced the scores.

    Raises:
        DataError: there is no healthy validation voxel.
    """
    choose: dict[str, Callable[[float], float]] = {
        FPR: healthy.threshold,
        QUANTILE: healthy.quantile,
        FIXED: float,
        LESION: lambda _: best_threshold(labelled),
    }
    return {
        suffix(spec) + variant.suffix: Threshold(
            value=choose[spec.name](spec.number or 0.0),
            strategy=str(spec),
            supervision=SUPERVISION[spec.name],
            pipeline=pipeline,
            postprocess=str(variant.pipeline),
        )
        for spec in specs
    }


def own_mask(variant: Variant, pipeline: str) -> dict[str, Threshold]:
    """Return the method's own mask as a threshold, by suffix."""
    steps = str(variant.pipeline)
    own = Threshold(None, OWN, SUPERVISION[OWN], pipeline, steps)
    return {OWN + variant.suffix: own}
