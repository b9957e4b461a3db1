"""From predictions to the rows of cases.csv: what is counted where, case by case."""

import hashlib
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uadbench.metrics import (
    SUBJECT_SCORES,
    Confusion,
    confusion,
    fpr_at_tpr,
    lesion_detection,
    psnr,
    rank_summary,
    size_stratum_ml,
    ssim,
    surface_distances,
)
from uadbench.protocols import Arrays, Case
from uadbench.variants import Reading

Row = dict[str, object]
Mask = NDArray[np.bool_]
# Of the surface Dice, in mm: about the distance at which two raters draw a border.
TOLERANCE = 2.0
# Smaller images have no window for the structural similarity.
SMALLEST = 11


def scored_voxels(case: Case) -> Mask:
    """Return what metrics count: brain, in slices that count, not ignored."""
    inside = case.scan.scored
    return inside if case.ignore is None else inside & ~case.ignore


def content_hash(case: Case) -> str:
    """Return a short hash of what a case is scored on, to tell whether data changed."""
    digest = hashlib.sha256(repr((case.scan.brain.shape, case.scan.spacing)).encode())
    for array in (case.scan.image, case.lesion, scored_voxels(case)):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


def score_case(
    case: Case, subject: str, readings: Iterable[Reading], extras: Arrays
) -> Row:
    """Return a case's row: what needs no other case to be known.

    Args:
        case: with its reference.
        subject: the person; several cases may be of one.
        readings: the raw maps and, perhaps, the processed ones.
        extras: of the prediction; "input" and "reconstruction" are compared.
    """
    inside = scored_voxels(case)
    labels = case.lesion[inside]
    volume = float(np.prod(case.scan.spacing)) / 1000
    lesion_ml = float(labels.sum()) * volume
    strata = {"size": size_stratum_ml(lesion_ml), **case.strata}
    row: Row = {
        "case": case.scan.id,
        "subject": subject,
        "status": "ok",
        "error": "",
        **{f"stratum_{name}": group for name, group in strata.items()},
        "lesion_ml": lesion_ml,
        "brain_ml": len(labels) * volume,
        "prevalence": float(labels.mean()) if len(labels) else math.nan,
    }
    for reading in readings:
        if reading.ranked:
            row |= _ranked(reading, inside, labels)
        for suffix, mask in reading.masks.items():
            row |= overlap(confusion(mask[inside], labels), suffix)
            row |= shapes(mask, case, suffix)
        if reading.variant.suffix:
            lost = inside & case.lesion & ~reading.kept
            row[f"lost_ml{reading.variant.suffix}"] = float(lost.sum()) * volume
    row |= _reconstructed(extras, inside & ~case.lesion)
    return row | {"content": content_hash(case)}


def failed_case(name: str, subject: str, error: Exception) -> Row:
    """Return the row of a case that gave no prediction."""
    words = " ".join(str(error).split()) or type(error).__name__
    return {"case": name, "subject": subject, "status": "failed", "error": words}


def overlap(counts: Confusion, suffix: str) -> Row:
    """Return every overlap metric under its column's name."""
    return {f"{name}_{suffix}": value for name, value in counts.metrics().items()}


def shapes(mask: Mask, case: Case, suffix: str) -> Row:
    """Return what depends on how voxels lie together: surfaces and whole lesions.

    Only the slices that count exist here: a lesion ends where they end. A single slice
    is measured in its plane. `missed` is 1 where nothing is predicted although there is
    a lesion, whose distances are then the diagonal of the image.
    """
    inside = scored_voxels(case)
    slices = case.scan.slices
    part = (..., slice(min(slices), max(slices) + 1))
    found, lesion = (mask & inside)[part], (case.lesion & inside)[part]
    planar = len(slices) == 1
    distances = surface_distances(
        found[..., 0] if planar else found,
        lesion[..., 0] if planar else lesion,
        case.scan.spacing[:2] if planar else case.scan.spacing,
    )
    lesions = lesion_detection(found, lesion, case.scan.spacing)
    row = {
        "hd95": distances.hausdorff95(),
        "nsd": distances.surface_dice(TOLERANCE),
        "missed": float(not found.any()) if lesion.any() else math.nan,
        "lesion_precision": lesions.precision,
        "lesion_recall": lesions.recall,
        "lesion_f1": lesions.f1,
        "lesion_fp": float(lesions.false_positives),
        "lesion_fp_ml": lesions.false_positive_ml,
    }
    return {f"{name}_{suffix}": value for name, value in row.items()}


def _ranked(reading: Reading, inside: Mask, labels: Mask) -> Row:
    """Return the metrics of a score map that need no threshold."""
    scores = reading.score[inside]
    ranks = rank_summary(scores, labels)
    row = {
        "auprc": ranks.average_precision,
        "auroc": ranks.auroc,
        "fpr_at_tpr95": fpr_at_tpr(scores, labels),
        **{name: pool(scores) for name, pool in SUBJECT_SCORES.items()},
    }
    if reading.variant.bounded:
        row["dice_oracle_case"] = ranks.best_dice
    return {name + reading.variant.suffix: value for name, value in row.items()}


def _reconstructed(extras: Arrays, healthy: Mask) -> Mapping[str, Any]:
    """Return how well healthy brain is reconstructed; {} where nothing is."""
    names = ("input", "reconstruction")
    if not all(name in extras for name in names) or min(healthy.shape[:2]) < SMALLEST:
        return {}
    image, copy = (np.asarray(extras[name], np.float32) for name in names)
    return {
        "ssim": ssim(image, copy, healthy),
        "psnr": psnr(image, copy, healthy),
    }
