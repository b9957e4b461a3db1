"""Metrics of a mask against a reference."""

import numpy as np
from numpy.typing import ArrayLike

from .arrays import as_masks


def dice(pred: ArrayLike, ref: ArrayLike) -> float:
    """Return 2 |pred and ref| / (|pred| + |ref|); NaN if the reference is empty."""
    found, truth = as_masks(pred, ref)
    if not truth.any():
        return float("nan")
    return float(2 * (found & truth).sum() / (found.sum() + truth.sum()))


def jaccard(pred: ArrayLike, ref: ArrayLike) -> float:
    """Return |pred and ref| / |pred or ref|; NaN if the reference is empty.

    It is D / (2 - D) of the Dice D, so that it ranks predictions alike.
    """
    found, truth = as_masks(pred, ref)
    if not truth.any():
        return float("nan")
    return float((found & truth).sum() / (found | truth).sum())


def precision(pred: ArrayLike, ref: ArrayLike) -> float:
    """Return the fraction of predicted voxels that are lesion; NaN if none is."""
    found, truth = as_masks(pred, ref)
    return _fraction((found & truth).sum(), found.sum())


def recall(pred: ArrayLike, ref: ArrayLike) -> float:
    """Return the fraction of lesion voxels that are predicted; NaN without lesion."""
    found, truth = as_masks(pred, ref)
    return _fraction((found & truth).sum(), truth.sum())


def false_positive_rate(pred: ArrayLike, ref: ArrayLike) -> float:
    """Return the fraction of healthy voxels that are predicted; NaN without one."""
    found, truth = as_masks(pred, ref)
    return _fraction((found & ~truth).sum(), (~truth).sum())


# What is computed from a mask, by the metric's name.
OVERLAP = {
    "dice": dice,
    "precision": precision,
    "recall": recall,
    "fpr": false_positive_rate,
}


def _fraction(part: np.integer, whole: np.integer) -> float:
    return float(part / whole) if whole else float("nan")
