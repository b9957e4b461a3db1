"""Where a score map is cut, how that is chosen, and what the choice has seen.

A voxel is predicted abnormal if its score is at least the threshold's value.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from uadbench.errors import ContractError, DataError
from uadbench.kinds import (
    FIXED,
    FPR,
    LESION,
    ORACLE,
    ORACLE_CASE,
    OWN,
    QUANTILE,
    THRESHOLDS,
)
from uadbench.specs import Spec, parse, shortest

Scores = NDArray[np.float32]
Mask = NDArray[np.bool_]
# What a threshold has seen, from nothing to the test labels.
Supervision = Literal["none", "healthy-val", "lesion-val", "test-oracle"]

SUPERVISION: dict[str, Supervision] = {
    FPR: "healthy-val",
    QUANTILE: "healthy-val",
    LESION: "lesion-val",
    FIXED: "none",
    OWN: "healthy-val",
    ORACLE: "test-oracle",
    ORACLE_CASE: "test-oracle",
}
DEFAULTS = (Spec(FPR, 0.05), Spec(FPR, 0.01), Spec(FPR, 0.005))
ALWAYS = (OWN, ORACLE, ORACLE_CASE)
HEADLINE = "fpr5"


@dataclass(frozen=True)
class Threshold:
    """A cut with its provenance.

    Attributes:
        value: the smallest score that counts as abnormal; None for a method's own mask.
        strategy: how it was chosen, such as "fpr@healthy:0.05".
        supervision: what it has seen.
        pipeline: hash of what produced the scores it was chosen on.
        postprocess: the steps that the scores went through before; "" for none.
        healthy_rate: fraction of healthy validation voxels that it leaves abnormal,
            after all steps; None where that is not known.
    """

    value: float | None
    strategy: str
    supervision: Supervision
    pipeline: str
    postprocess: str = ""
    healthy_rate: float | None = None

    @classmethod
    def load(cls, record: Mapping[str, Any], pipeline: str) -> Self:
        """Return a stored threshold.

        Raises:
            DataError: it was chosen on the scores of another pipeline.
        """
        threshold = cls(**record)
        if threshold.pipeline != pipeline:
            msg = (
                f"threshold '{threshold.strategy}' belongs to pipeline "
                f"{threshold.pipeline}, not to {pipeline}. Run again with --overwrite."
            )
            raise DataError(msg)
        return threshold

    def apply(self, scores: Scores, own: Mask | None) -> Mask:
        """Return the voxels that are abnormal: `own`, or scores that reach the value.

        Raises:
            ContractError: the method's own mask is asked for and not given.
            DataError: the threshold was read from a damaged record, without value.
        """
        if self.value is not None:
            return scores >= self.value
        if self.strategy != OWN:
            msg = (
                f"threshold '{self.strategy}' has no value. Run again with --overwrite."
            )
            raise DataError(msg)
        if own is None:
            msg = "a method that gives its own mask has to give it for every scan."
            raise ContractError(msg)
        return own

    def record(self) -> dict[str, Any]:
        """Return what `load` takes."""
        return asdict(self)


def strategies(words: Sequence[str]) -> tuple[Spec, ...]:
    """Return the default strategies and those that a user asks for, each once.

    Raises:
        UsageError: one is unknown, or its number is missing or out of range.
    """
    asked = (parse("--threshold", word, THRESHOLDS) for word in words)
    chosen = (spec for spec in asked if spec.name not in ALWAYS)
    return tuple(dict.fromkeys([*DEFAULTS, *chosen]))


def suffix(spec: Spec) -> str:
    """Return the end of the columns of a strategy: "fpr5" of fpr@healthy:0.05."""
    short = {FPR: "fpr", QUANTILE: "q", FIXED: "fixed", LESION: "lesionval"}[spec.name]
    if spec.number is None:
        return short
    # 100 times 0.07 is not 7, in binary.
    percent = float(Decimal(repr(float(spec.number))) * 100)
    number = shortest(spec.number if spec.name == FIXED else percent)
    return short + number.replace(".", "p").replace("-", "m")


def healthy_threshold(scores: Scores, rate: float) -> float:
    """Return the smallest threshold that at most a fraction `rate` of scores reaches.

    Args:
        scores: of healthy brain voxels, any shape.
        rate: false-positive rate in (0, 1).

    Raises:
        DataError: there is no score.
    """
    _check_some(scores)
    allowed = int(rate * scores.size)
    # The product may be rounded down: 0.29 * 100 is below 29.
    allowed += (allowed + 1) / scores.size <= rate
    rank = scores.size - 1 - allowed
    # The score at `rank` may be tied with higher ranks: step just above it.
    highest_refused = np.partition(scores.ravel(), rank)[rank]
    return float(np.nextafter(np.float32(highest_refused), np.float32(np.inf)))


def healthy_quantile(scores: Scores, q: float) -> float:
    """Return the q-quantile of healthy scores, the next higher score where between two.

    Raises:
        DataError: there is no score.
    """
    _check_some(scores)
    return float(np.quantile(scores, q, method="higher"))


def _check_some(scores: Scores) -> None:
    if not scores.size:
        msg = "no healthy validation voxel to calibrate on."
        raise DataError(msg)
