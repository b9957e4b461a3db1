"""From the rows of all cases to summary.json: means with intervals, pooled metrics."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uadbench.evaluation import Row, overlap, scored_voxels
from uadbench.inference import intervals, subject_means
from uadbench.kinds import ORACLE
from uadbench.metrics import (
    SUBJECT_SCORES,
    Confusion,
    Ranking,
    ScoreCurve,
    auroc,
    confusion,
)
from uadbench.oracle import Counts, best, candidates, counts_at
from uadbench.protocols import Case
from uadbench.thresholds import SUPERVISION, Threshold
from uadbench.variants import Reading, Variant

Grid = NDArray[np.floating]
CURVE_COLUMNS = ("threshold", "precision", "recall", "fpr")


@dataclass
class Pool:
    """The voxels of all cases together under one variant, in bounded memory."""

    curve: ScoreCurve = field(default_factory=ScoreCurve)
    masks: dict[str, Confusion] = field(default_factory=dict)

    def add(
        self, reading: Reading, inside: NDArray[np.bool_], labels: NDArray[np.bool_]
    ) -> None:
        """Count a case: its voxels inside, and what each mask holds of them."""
        if reading.ranked:
            self.curve.add(reading.score[inside], labels)
        for suffix, mask in reading.masks.items():
            found = confusion(mask[inside], labels)
            self.masks[suffix] = self.masks.get(suffix, Confusion()) + found

    def __add__(self, other: "Pool") -> "Pool":
        """Return the voxels of both."""
        masks = dict(self.masks)
        for suffix, counts in other.masks.items():
            masks[suffix] = masks.get(suffix, Confusion()) + counts
        return Pool(self.curve + other.curve, masks)

    def metrics(self, variant: Variant) -> Row:
        """Return the pooled metrics under the variant that was pooled."""
        return {**self.ranks(variant), **self.overlaps()}

    def ranks(self, variant: Variant) -> Row:
        """Return the pooled metrics of scores; {} if the variant has none of its own.

        They come from a histogram; "_low" and "_high" bound the exact value.
        """
        if not variant.ranked:
            return {}
        suffix = variant.suffix
        pooled: Row = {"prevalence": self.curve.prevalence}
        estimates = {
            "auprc": self.curve.average_precision(),
            "auroc": self.curve.auroc(),
        }
        if variant.bounded:
            dice, threshold = self.curve.best_dice()
            estimates["dice_oracle"] = dice
            pooled[f"threshold_oracle{suffix}"] = threshold
        for name, estimate in estimates.items():
            pooled[name + suffix] = estimate.value
            pooled[f"{name}{suffix}_low"] = estimate.low
            pooled[f"{name}{suffix}_high"] = estimate.high
        return pooled

    def overlaps(self) -> Row:
        """Return the pooled metrics of masks."""
        found: Row = {}
        for suffix, counts in self.masks.items():
            found |= overlap(counts, suffix)
        return found


def oracle_grids(
    pools: Mapping[Variant, Pool], thresholds: Mapping[str, Threshold]
) -> dict[Variant, Grid]:
    """Return the thresholds to try for each variant that is `bounded`.

    Every threshold that the results stand on is one of them: none may be better than
    what is called the best.
    """
    return {
        variant: _with(candidates(pool.curve.ranking()), variant, thresholds)
        for variant, pool in pools.items()
        if variant.bounded
    }


def _with(grid: Grid, variant: Variant, thresholds: Mapping[str, Threshold]) -> Grid:
    """Return falling thresholds, those of a variant among them."""
    # Scores are compared as float32.
    values = [
        np.float32(threshold.value)
        for threshold in thresholds.values()
        if threshold.value is not None
        and threshold.postprocess == str(variant.pipeline)
    ]
    return np.unique(np.append(grid, values))[::-1] if grid.size else grid


def oracle_counts(
    case: Case, readings: Iterable[Reading], grids: Mapping[Variant, Grid]
) -> dict[Variant, Counts]:
    """Return what the thresholds of each grid find in a case."""
    inside = scored_voxels(case)
    return {
        reading.variant: counts_at(
            grids[reading.variant], reading.score[inside], case.lesion[inside]
        )
        for reading in readings
        if reading.variant in grids
    }


def add_oracles(
    scored: Sequence[Row],
    counts: Sequence[Mapping[Variant, Counts]],
    grids: Mapping[Variant, Grid],
    pipeline: str = "",
) -> dict[str, Threshold]:
    """Add what the best threshold finds to the rows; return it by suffix.

    Without any lesion no threshold is the best: there is none, and no column.

    Args:
        scored: rows, which get the columns.
        counts: of each row's case, see `oracle_counts`.
        grids: see `oracle_grids`.
        pipeline: hash of what produced the scores; "" if it is unknown.
    """
    found = {}
    subjects = [str(row["subject"]) for row in scored]
    for variant, grid in grids.items():
        index = best([of_case[variant] for of_case in counts], subjects)
        if index is None:
            continue
        suffix = ORACLE + variant.suffix
        found[suffix] = Threshold(
            value=float(grid[index]),
            strategy=ORACLE,
            supervision=SUPERVISION[ORACLE],
            pipeline=pipeline,
            postprocess=str(variant.pipeline),
        )
        for row, of_case in zip(scored, counts, strict=True):
            row |= overlap(of_case[variant].at(index), suffix)
    return found


def summarise(rows: Sequence[Mapping[str, Any]], pooled: Row) -> Row:
    """Return summary.json: counts, means over subjects with intervals, pooled metrics.

    Args:
        rows: of cases.csv.
        pooled: metrics over the voxels of all cases together.
    """
    scored = [row for row in rows if row["status"] == "ok"]
    names = list(
        dict.fromkeys(
            name
            for row in scored
            for name, value in row.items()
            if isinstance(value, float)
        )
    )
    values = np.array([[row[name] for row in scored] for name in names], np.float64)
    subjects = [str(row["subject"]) for row in scored]
    found = intervals(values, subjects) if names else []
    return {
        "cases": {
            "expected": len(rows),
            "scored": len(scored),
            "failed": len(rows) - len(scored),
            "without_lesion": sum(row["lesion_ml"] == 0 for row in scored),
            "subjects": len(set(subjects)),
        },
        "subject": dict(zip(names, map(asdict, found), strict=True)),
        "pooled": pooled,
        "image": image_level(scored),
    }


def image_level(scored: Sequence[Mapping[str, Any]]) -> Row:
    """Return the AUROC of each subject score, subjects with lesion against the others.

    A subject has the mean score of its scans, and a lesion if one of them has. NaN
    where the test holds no healthy subject, or no other; masks have no such score.
    """
    subjects = [str(row["subject"]) for row in scored]
    names = [name for name in SUBJECT_SCORES if all(name in row for row in scored)]
    values = [[row[name] for row in scored] for name in names]
    lesion = [float(row["lesion_ml"] > 0) for row in scored]
    if not scored:
        return dict.fromkeys(names, float("nan"))
    *scores, ill = subject_means(np.array([*values, lesion], np.float64), subjects)
    return {
        name: auroc(score, ill > 0) for name, score in zip(names, scores, strict=True)
    }


def curve_rows(ranks: Ranking, thresholds: NDArray[np.floating]) -> list[Row]:
    """Return the rows of curve.csv at some of a ranking's thresholds."""
    index = np.searchsorted(-ranks.thresholds, -thresholds)
    columns = (
        ranks.thresholds,
        ranks.precision,
        ranks.recall,
        ranks.false_positive_rate,
    )
    return [
        {
            name: float(values[i])
            for name, values in zip(CURVE_COLUMNS, columns, strict=True)
        }
        for i in index
    ]
