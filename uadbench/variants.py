"""The maps of a method, raw and post-processed, as they are cut and scored."""

from collections.abc import Mapping
from dataclasses import dataclass

from uadbench.postprocess import Pipeline
from uadbench.protocols import Prediction, Scan
from uadbench.thresholds import Mask, Scores, Threshold


@dataclass(frozen=True)
class Variant:
    """One way to read a method's maps.

    Attributes:
        suffix: end of the columns: "" of the raw maps, "_post" of the processed ones.
        pipeline: what is done to maps and masks.
    """

    suffix: str
    pipeline: Pipeline

    @property
    def ranked(self) -> bool:
        """Whether its scores are worth ranking: not those of the raw maps once more."""
        return not self.pipeline or self.pipeline.changes_scores

    @property
    def bounded(self) -> bool:
        """Whether the best cut of its scores is an upper bound.

        Not where masks are cleaned up: a lower cut may be better after that.
        """
        return not self.pipeline.cuts_masks


@dataclass(frozen=True, eq=False)
class Reading:
    """What a variant makes of one prediction.

    Attributes:
        variant: the way it was read.
        score: float32 (X, Y, Z).
        masks: bool (X, Y, Z) by the suffix of the threshold, in what counts.
        kept: bool (X, Y, Z), what may be abnormal: the brain without what is eroded.
        ranked: whether the score orders voxels anew; a bare mask's orders none.
    """

    variant: Variant
    score: Scores
    masks: Mapping[str, Mask]
    kept: Mask
    ranked: bool


def variants(pipeline: Pipeline) -> tuple[Variant, ...]:
    """Return the raw maps and, where there are steps, the processed ones."""
    raw = Variant("", Pipeline())
    return (raw, Variant("_post", pipeline)) if pipeline else (raw,)


def read(
    scan: Scan,
    prediction: Prediction,
    variant: Variant,
    thresholds: Mapping[str, Threshold],
) -> Reading:
    """Return the score and the mask at each threshold that was chosen on this variant.

    Raises:
        ContractError: the method's own mask is asked for and not given.
    """
    steps = variant.pipeline.on(scan)
    score = steps.score(prediction.score)
    masks = {
        suffix: steps.mask(threshold.apply(score, prediction.mask) & scan.scored)
        for suffix, threshold in thresholds.items()
        if threshold.postprocess == str(variant.pipeline)
    }
    return Reading(variant, score, masks, steps.kept, variant.ranked)
