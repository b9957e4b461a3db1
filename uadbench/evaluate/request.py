"""What a user asks of an evaluation, and what of it does not go together."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from uadbench.errors import UsageError
from uadbench.kinds import FIXED, ORACLE, ORACLE_CASE, OWN, THRESHOLDS
from uadbench.postprocess import Pipeline
from uadbench.specs import Spec, parse
from uadbench.thresholds import SUPERVISION, Threshold, suffix
from uadbench.variants import variants

from .names import Source
from .reading import Kind, Settings

# End of the columns of predictions that are masks: "dice_mask".
MASK = "mask"


@dataclass(frozen=True)
class Request:
    """The options of `uadbench evaluate`, checked as far as they go without a file.

    Attributes:
        predictions: folder of what is scored.
        references: folder of the cases that are expected.
        brains: folder of the masks that are scored in; None scores the whole image.
        kind: what predictions are; "auto" looks at their values.
        labels: see `Settings`; so are `ignore`, `prediction_labels` and `resample`.
        thresholds: for score maps.
        pipeline: steps of post-processing.
        jobs: processes.
    """

    predictions: Source
    references: Source
    brains: Source | None = None
    kind: Literal["auto", "mask", "score"] = "auto"
    labels: tuple[int, ...] = ()
    ignore: tuple[int, ...] = ()
    prediction_labels: tuple[int, ...] = ()
    resample: bool = False
    thresholds: tuple[Spec, ...] = ()
    pipeline: Pipeline = field(default_factory=Pipeline)
    jobs: int = 1

    def __post_init__(self) -> None:
        """Raise a UsageError if options contradict each other."""
        both = sorted(set(self.labels) & set(self.ignore))
        if both:
            msg = f"label {both[0]} is both in --label and in --ignore: leave one out."
            raise UsageError(msg)
        if 0 in self.labels + self.prediction_labels:
            msg = (
                "label 0 is the background: --label and --prediction-label take others."
            )
            raise UsageError(msg)
        if self.prediction_labels and self.kind == "score":
            msg = "--prediction-label makes masks: leave it or --kind score out."
            raise UsageError(msg)
        steps = {step.name for step in self.pipeline.steps}
        if "erode" in steps and self.brains is None:
            msg = "--postprocess erode: there is no brain to erode without --brain."
            raise UsageError(msg)

    def settings(self, kind: Kind) -> Settings:
        """Return how cases are scored if predictions are of a kind.

        Raises:
            UsageError: masks are asked for what only scores have, or the reverse.
        """
        steps = {step.name for step in self.pipeline.steps}
        if kind == "mask" and "median" in steps:
            msg = "--postprocess median: works on score maps; predictions are masks."
            raise UsageError(msg)
        if kind == "mask" and self.thresholds:
            msg = "--threshold: predictions are masks, which have no scores to cut."
            raise UsageError(msg)
        if kind == "score" and self.pipeline.cuts_masks and not self.thresholds:
            msg = (
                f"--postprocess {self.pipeline}: cleans masks, but predictions are "
                "scores. Cut them by --threshold fixed:SCORE, or leave these steps out."
            )
            raise UsageError(msg)
        return Settings(
            kind=kind,
            labels=self.labels,
            ignore=self.ignore,
            prediction_labels=self.prediction_labels,
            inside=self.brains is not None,
            resample=self.resample,
            pipeline=self.pipeline,
            thresholds=self._cuts(kind),
        )

    def _cuts(self, kind: Kind) -> tuple[tuple[str, Threshold], ...]:
        cuts: list[tuple[str, str, float | None]] = [(MASK, OWN, None)]
        if kind == "score":
            cuts = [(suffix(spec), FIXED, spec.number) for spec in self.thresholds]
        return tuple(
            (
                name + way.suffix,
                Threshold(value, word, SUPERVISION[word], "", str(way.pipeline)),
            )
            for way in variants(self.pipeline)
            for name, word, value in cuts
        )


def thresholds(words: Sequence[str]) -> tuple[Spec, ...]:
    """Return the fixed thresholds among those asked for; oracles are always reported.

    Raises:
        UsageError: one is unknown, or needs more than two folders to be chosen by.
    """
    known = {name: THRESHOLDS[name] for name in (FIXED, ORACLE, ORACLE_CASE)}
    specs = []
    for word in words:
        if _is_number(word):
            msg = f"--threshold {word}: a value is written as fixed:{word}."
            raise UsageError(msg)
        named = word.partition(":")[0].strip() in THRESHOLDS
        specs.append(parse("--threshold", word, THRESHOLDS if named else known))
    for word, spec in zip(words, specs, strict=True):
        if spec.name not in known:
            msg = (
                f"--threshold {word}: needs the validation scans or the method itself, "
                "which two folders don't hold. Give a value as fixed:SCORE (a run's "
                "stand in its thresholds.json); the oracle's is always reported."
            )
            raise UsageError(msg)
    return tuple(spec for spec in dict.fromkeys(specs) if spec.name == FIXED)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def labels(option: str, words: str) -> tuple[int, ...]:
    """Return the distinct numbers of "1,3"; () of "".

    Raises:
        UsageError: a word is no whole number.
    """
    try:
        return tuple(sorted({int(word) for word in words.split(",")} if words else ()))
    except ValueError:
        msg = f"{option}: expected whole numbers such as 1 or 1,3, got '{words}'."
        raise UsageError(msg) from None
