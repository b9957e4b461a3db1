"""Thresholds from validation scans, each chosen on what post-processing leaves."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from uadbench.errors import DataError
from uadbench.evaluation import scored_voxels
from uadbench.kinds import FIXED, FPR, LESION, OWN, QUANTILE
from uadbench.metrics import ScoreCurve
from uadbench.oracle import Counts, best, candidates, counts_at
from uadbench.postprocess import Pipeline, Processing
from uadbench.protocols import Case, Scan
from uadbench.specs import Spec
from uadbench.thresholds import (
    SUPERVISION,
    Mask,
    Scores,
    Threshold,
    healthy_quantile,
    healthy_threshold,
    suffix,
)
from uadbench.variants import Variant

# Thresholds that are tried on labelled cases where steps work on masks.
CUTS = 200


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
        steps = self.pipeline.on(_without_image(scan))
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
            if self.rate(levels[middle]) <= rate:
                high = middle
            else:
                low = middle + 1
        # Between two levels nothing changes: just above the last one refused.
        return float(
            np.nextafter(levels[low - 1], np.float32(np.inf)) if low else levels[0]
        )

    def quantile(self, q: float) -> float:
        """Return a quantile of the scores; DataError if there is no voxel."""
        return healthy_quantile(np.concatenate(self.scores), q)

    def rate(self, threshold: float) -> float:
        """Return the fraction of voxels that a threshold leaves abnormal."""
        if self.maps:
            left = (steps.cut(score, threshold) for score, steps in self.maps)
        else:
            left = (scores >= threshold for scores in self.scores)
        found = sum(int(np.count_nonzero(mask)) for mask in left)
        return found / sum(scores.size for scores in self.scores)


@dataclass
class Labelled:
    """Scores and lesions of labelled validation cases under one variant.

    As with healthy scans, whole maps are kept only where a step works on masks.
    """

    pipeline: Pipeline
    subjects: list[str] = field(default_factory=list)
    voxels: list[tuple[Scores, Mask]] = field(default_factory=list)
    maps: list[tuple[Scores, Mask, Processing]] = field(default_factory=list)

    def add(self, case: Case, subject: str, score: Scores) -> None:
        """Take the map of one case."""
        inside = scored_voxels(case)
        steps = self.pipeline.on(_without_image(case.scan))
        processed = steps.score(score)
        self.subjects.append(subject)
        self.voxels.append((processed[inside], case.lesion[inside]))
        if self.pipeline.cuts_masks:
            self.maps.append((processed, inside, steps))

    def threshold(self) -> float:
        """Return the threshold of the best mean Dice over subjects.

        Of all distinct ones if no step works on masks; else of `CUTS`, evenly among the
        scores of lesions and of brains, since for each the steps have to be taken.

        Raises:
            DataError: no case has a lesion inside its brain.
        """
        curve = ScoreCurve()
        for scores, labels in self.voxels:
            curve.add(scores, labels)
        grid = candidates(curve.ranking())
        if self.maps:
            grid = grid[np.unique(np.linspace(0, len(grid) - 1, CUTS).astype(int))]
            counts = [
                Counts.of((steps.cut(score, cut)[inside] for cut in grid), labels)
                for (score, inside, steps), (_, labels) in zip(
                    self.maps, self.voxels, strict=True
                )
            ]
        else:
            counts = [counts_at(grid, *voxels) for voxels in self.voxels]
        index = best(counts, self.subjects)
        if index is None:
            msg = (
                f"{LESION}: none of {len(self.subjects)} labelled validation cases has "
                "a lesion inside its brain. Leave that threshold out."
            )
            raise DataError(msg)
        return float(grid[index])


def calibrate(
    specs: Sequence[Spec],
    variant: Variant,
    healthy: Healthy,
    labelled: Labelled,
    pipeline: str,
) -> dict[str, Threshold]:
    """Return the thresholds of some strategies by suffix.

    Args:
        specs: see `thresholds.strategies`.
        variant: what the scores went through.
        healthy: scores of healthy validation scans under it.
        labelled: those of labelled validation cases, for dice@lesion-val alone.
        pipeline: hash of what produced the scores.

    Raises:
        DataError: there is no healthy validation voxel, or no lesion that is needed.
    """
    choose: dict[str, Callable[[float], float]] = {
        FPR: healthy.threshold,
        QUANTILE: healthy.quantile,
        FIXED: float,
        LESION: lambda _: labelled.threshold(),
    }
    found = {}
    for spec in specs:
        value = choose[spec.name](spec.number or 0.0)
        found[suffix(spec) + variant.suffix] = Threshold(
            value=value,
            strategy=str(spec),
            supervision=SUPERVISION[spec.name],
            pipeline=pipeline,
            postprocess=str(variant.pipeline),
            healthy_rate=healthy.rate(value),
        )
    return found


def own_mask(variant: Variant, pipeline: str) -> dict[str, Threshold]:
    """Return the method's own mask as a threshold, by suffix."""
    steps = str(variant.pipeline)
    own = Threshold(None, OWN, SUPERVISION[OWN], pipeline, steps)
    return {OWN + variant.suffix: own}


def _without_image(scan: Scan) -> Scan:
    """Return a scan that steps work on, without what is large and not needed."""
    return replace(scan, image=np.empty((0, *scan.brain.shape), np.float32))
