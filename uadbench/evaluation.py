"""From predictions to rows and a summary: who is counted where."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uadbench.metrics import OVERLAP, Ranking, ranking
from uadbench.protocols import Case, Prediction
from uadbench.thresholds import Threshold

Row = dict[str, object]
RESAMPLES = 10_000
CURVE_COLUMNS = ("threshold", "precision", "recall", "fpr")


def scored_voxels(case: Case) -> NDArray[np.bool_]:
    """Return what metrics count: brain, in slices that count, not ignored."""
    inside = case.scan.scored
    return inside if case.ignore is None else inside & ~case.ignore


def content_hash(case: Case) -> str:
    """Return a short hash of what a case is scored on, to tell whether data changed."""
    digest = hashlib.sha256()
    for array in (case.scan.image, case.lesion, scored_voxels(case)):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


def score_case(
    case: Case, prediction: Prediction, thresholds: Mapping[str, Threshold]
) -> Row:
    """Return a case's row: what needs no other case to be known."""
    inside = scored_voxels(case)
    scores, labels = prediction.score[inside], case.lesion[inside]
    own = None if prediction.mask is None else prediction.mask[inside]
    ranks = ranking(scores, labels)
    volume = float(np.prod(case.scan.spacing)) / 1000
    row: Row = {
        "case": case.scan.id,
        "status": "ok",
        "error": "",
        **{f"stratum_{name}": group for name, group in case.strata.items()},
        "lesion_ml": ranks.positives * volume,
        "brain_ml": len(labels) * volume,
        "prevalence": ranks.positives / len(labels) if len(labels) else float("nan"),
        "auprc": ranks.average_precision(),
        "auroc": ranks.auroc(),
        "dice_oracle_case": ranks.best_dice()[0],
        "content": content_hash(case),
    }
    for suffix, threshold in thresholds.items():
        row |= overlap(threshold.apply(scores, own), labels, suffix)
    return row


def failed_case(name: str, error: Exception) -> Row:
    """Return the row of a case that gave no prediction."""
    words = " ".join(str(error).split()) or type(error).__name__
    return {"case": name, "status": "failed", "error": words}


def overlap(pred: NDArray[np.bool_], ref: NDArray[np.bool_], suffix: str) -> Row:
    """Return every overlap metric of a mask under its column's name."""
    return {f"{name}_{suffix}": metric(pred, ref) for name, metric in OVERLAP.items()}


def summarise(rows: Sequence[Mapping[str, Any]], pooled: Row) -> Row:
    """Return summary.json: counts, means over subjects with intervals, pooled metrics.

    Args:
        rows: of cases.csv.
        pooled: metrics over the voxels of all cases together.
    """
    scored = [row for row in rows if row["status"] == "ok"]
    names = dict.fromkeys(
        name
        for row in scored
        for name, value in row.items()
        if isinstance(value, float)
    )
    return {
        "cases": {
            "expected": len(rows),
            "scored": len(scored),
            "failed": len(rows) - len(scored),
        },
        "subject": {name: interval([row[name] for row in scored]) for name in names},
        "pooled": pooled,
    }


def interval(values: Iterable[float]) -> dict[str, float]:
    """Return the mean of the defined values with its 95 % bootstrap interval.

    BCa over cases, 10,000 resamples, always the same ones (Efron 1987). An interval
    needs three values that are not all equal; otherwise it is NaN.
    """
    from scipy.stats import bootstrap

    every = np.array(list(values), float)
    known = every[~np.isnan(every)]
    low = high = float("nan")
    # Values that differ by rounding alone leave BCa nothing but rounding to divide by.
    if len(known) >= 3 and not np.allclose(known, known[0], rtol=1e-9, atol=1e-12):
        found = bootstrap(
            (known,), np.mean, n_resamples=RESAMPLES, rng=np.random.default_rng(0)
        )
        low, high = (float(edge) for edge in found.confidence_interval)
    return {
        "mean": float(known.mean()) if len(known) else float("nan"),
        "low": low,
        "high": high,
        "n": len(known),
        "undefined": len(every) - len(known),
    }


def pool(
    labels: NDArray[np.bool_], ranks: Ranking, masks: Mapping[str, NDArray[np.bool_]]
) -> Row:
    """Return the metrics over the voxels of all cases together.

    Args:
        labels: (N,) whether each scored voxel is lesion.
        ranks: their ranking.
        masks: (N,) predicted masks by suffix.

    The pooled oracle is exact and has a threshold of its own: that of the rows is the
    best for the mean over cases.
    """
    best, value = ranks.best_dice()
    pooled: Row = {
        "auprc": ranks.average_precision(),
        "auroc": ranks.auroc(),
        "prevalence": float(labels.mean()) if len(labels) else float("nan"),
        "dice_oracle": best,
        "threshold_oracle": value,
    }
    for suffix, mask in masks.items():
        pooled |= overlap(mask, labels, suffix)
    return pooled


def curve(ranks: Ranking, thresholds: NDArray[np.floating]) -> list[Row]:
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
