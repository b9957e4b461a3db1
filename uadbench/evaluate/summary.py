"""summary.json of an evaluation: what a run's has, and what it was made of."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from uadbench import __version__, summary
from uadbench.evaluation import Row
from uadbench.metrics import Confusion
from uadbench.summary import Pool

from .names import Source
from .pairs import Pairs
from .request import Request
from .run import Evaluation

# The column of a mask's Dice, and nnU-Net's name of the only label.
DICE, LABEL = "dice_mask", "1"


def summarise(
    request: Request, found: Evaluation, cautions: Sequence[str]
) -> dict[str, Any]:
    """Return summary.json: that of a run, and what nnU-Net's users look for.

    `metric_per_case` lists files with their metrics; `mean` has the mean of each metric
    over subjects, which is nnU-Net's over cases where each subject has one case. Of
    masks both also have nnU-Net's "Dice" and "IoU" under the label "1", the lesion.
    """
    pooled: Row = {}
    for variant, pool in found.pools.items():
        if found.kind == "score":
            pooled |= pool.ranks(variant)
        else:
            pooled["prevalence"] = _prevalence(pool)
        pooled |= pool.overlaps()
    whole: dict[str, Any] = summary.summarise(found.rows, pooled)
    counts = Counter(row["status"] for row in found.rows)
    of_cases = [
        {
            "case": row["case"],
            "status": row["status"],
            "prediction_file": pair.prediction and str(pair.prediction),
            "reference_file": str(pair.reference),
            "brain_file": pair.brain and str(pair.brain),
            "metrics": _with_label(
                {k: v for k, v in row.items() if isinstance(v, float)}
            ),
        }
        for pair, row in zip(found.pairs.pairs, found.rows, strict=True)
    ]
    means = {name: of["mean"] for name, of in whole["subject"].items()}
    return {
        "metric_per_case": of_cases,
        "mean": _with_label(means, [row[DICE] for row in found.scored if DICE in row]),
        **whole,
        "cases": {
            **whole["cases"],
            "failed": counts["failed"],
            "missing": counts["missing"],
            "coverage": counts["ok"] / len(found.rows),
        },
        "thresholds": {name: cut.record() for name, cut in found.thresholds.items()},
        "cautions": list(cautions),
        "resampled": found.resampled,
        "ignored_files": [str(path) for path in _ignored(found.pairs)],
        "options": _options(request, found.kind),
    }


def _with_label(
    metrics: Mapping[str, float], cases: Sequence[object] = ()
) -> dict[str, object]:
    """Return metrics with nnU-Net's of a mask under its label.

    Args:
        metrics: of a case, or means.
        cases: Dice of the cases that the means are of.
    """
    if DICE not in metrics:
        return dict(metrics)
    dice = np.array(cases or [metrics[DICE]], np.float64)
    known = dice[~np.isnan(dice)]
    overlap = float((known / (2 - known)).mean()) if known.size else float("nan")
    return {LABEL: {"Dice": metrics[DICE], "IoU": overlap}, **metrics}


def _ignored(pairs: Pairs) -> list[Path]:
    """Return files that belong to no case, although their folder was given for it."""
    return sorted([*pairs.extra, *pairs.images, *pairs.spare])


def _prevalence(pool: Pool) -> float:
    """Return lesion voxels per voxel, as any mask knows them; NaN without a case."""
    counts = next(iter(pool.masks.values()), Confusion())
    total = counts.positives + counts.negatives
    return counts.positives / total if total else float("nan")


def _options(request: Request, kind: str) -> dict[str, object]:
    """Return what the numbers depend on; the number of processes is nothing of it."""
    return {
        "predictions": _folder(request.predictions),
        "references": _folder(request.references),
        "brain": _folder(request.brains),
        "kind": kind,
        "label": request.labels,
        "ignore": request.ignore,
        "prediction_label": request.prediction_labels,
        "on_geometry_mismatch": "resample" if request.resample else "error",
        "threshold": [str(spec) for spec in request.thresholds],
        "postprocess": str(request.pipeline),
        "uadbench": __version__,
    }


def _folder(folder: Source | None) -> dict[str, str] | None:
    if folder is None:
        return None
    return {"folder": str(folder.path), "pattern": folder.pattern}
