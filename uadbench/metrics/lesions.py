"""Metrics that count lesions instead of voxels, so that large ones don't drown small.

A lesion is a connected component; voxels that share a corner are connected (26
neighbours in a volume, 8 in a slice). `inside` is what is scored, such as the brain:
a lesion is what it is in the whole array, but its size is counted inside only, and one
with no voxel inside is none. A prediction outside is not looked at.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uadbench.errors import DataError

from .arrays import (
    ROUNDING,
    Bools,
    as_inside,
    as_masks,
    as_number,
    as_rate,
    as_scores_inside,
    as_spacing,
    bounding_box,
    fraction,
)

Curve = NDArray[np.float64]
Counts = NDArray[np.integer]


@dataclass(frozen=True)
class LesionDetection:
    """How many lesions were found, and how many findings are none.

    Attributes:
        lesions: of the reference.
        true_positives: lesions of the reference that were found.
        false_positives: predicted components that are no lesion.
        false_positive_ml: their volume in mL.
    """

    lesions: int
    true_positives: int
    false_positives: int
    false_positive_ml: float

    @property
    def missed(self) -> int:
        """Lesions of the reference that were not found."""
        return self.lesions - self.true_positives

    @property
    def precision(self) -> float:
        """TP / (TP + FP); if both are 0, 0 with a lesion, and NaN without.

        Who finds nothing where there is something is not precise: see `overlap`.
        """
        findings = self.true_positives + self.false_positives
        return fraction(self.true_positives, findings or self.lesions)

    @property
    def recall(self) -> float:
        """TP / lesions; NaN without lesion."""
        return fraction(self.true_positives, self.lesions)

    @property
    def f1(self) -> float:
        """2 TP / (2 TP + FP + missed); NaN without lesion."""
        if not self.lesions:
            return float("nan")
        return fraction(
            2 * self.true_positives,
            self.true_positives + self.false_positives + self.lesions,
        )


def lesion_detection(
    pred: ArrayLike,
    ref: ArrayLike,
    spacing: ArrayLike,
    min_volume: float = 3.0,
    overlap: float = 0.1,
    *,
    inside: ArrayLike | None = None,
) -> LesionDetection:
    """Return which lesions of `ref` are found in `pred`, and what else is.

    A lesion is found if `pred` covers at least the fraction `overlap` of its volume; 0
    means any voxel. A predicted component is a false positive unless the reference,
    all its lesions together, covers at least that fraction of it: one that fills the
    brain finds every lesion, and is false itself.

    Counted as in ISLES 2022 (which has `overlap` 0): a lesion that is found in pieces
    is one true positive, and a component that covers two lesions is two. MSSEG 2016,
    where 0.1 is from (Commowick et al., Sci Rep 2018), counts the pieces in precision
    instead, and also refuses a component that spills too far.

    Args:
        pred: bool (X, Y, Z).
        ref: bool (X, Y, Z).
        spacing: in mm. A slice is (X, Y, 1) with its thickness: volumes need it.
        min_volume: in mm^3; three voxels of 1 mm are what MS protocols call a lesion
            (Nair et al., MedIA 2020). Smaller components of `pred` are taken out of it.
            Smaller lesions of `ref` are neither found nor missed, but remain reference
            where a component is judged, so that to find one is not false.
        overlap: in [0, 1].
        inside: bool (X, Y, Z), what is scored; everything if None.

    Raises:
        DataError: shapes differ, a mask is not bool or not (X, Y, Z), a spacing is not
            positive, or an option is out of its range.
    """
    found, truth = as_masks(pred, ref)
    if found.ndim != 3:
        msg = (
            f"pred: expected shape (X, Y, Z), got {found.shape}. "
            "Pass a slice as (X, Y, 1) with its thickness: volumes need it."
        )
        raise DataError(msg)
    scored = as_inside(inside, found.shape)
    voxel = float(as_spacing(spacing, found.ndim).prod())
    smallest = as_number("min_volume", min_volume, 0) * (1 - ROUNDING) / voxel
    as_number("overlap", overlap, 0, 1)

    box = bounding_box(found | truth)
    found, truth, scored = found[box], truth[box], scored[box]
    findings, found_sizes = _components(found & scored, scored)
    kept = found_sizes >= max(smallest, 1)
    found = kept[findings]
    lesions, lesion_sizes = _components(truth, scored)
    counted = lesion_sizes >= max(smallest, 1)

    hit = _covered(lesions, found, lesion_sizes, overlap)
    right = _covered(findings, lesions > 0, found_sizes, overlap)
    wrong = kept & ~right
    return LesionDetection(
        lesions=int(counted.sum()),
        true_positives=int((counted & hit).sum()),
        false_positives=int(wrong.sum()),
        false_positive_ml=float(found_sizes[wrong].sum() * voxel / 1000),
    )


def pro(
    scores: ArrayLike,
    labels: ArrayLike,
    max_fpr: float = 0.3,
    *,
    inside: ArrayLike | None = None,
) -> float:
    """Return the area under per-region overlap against FPR, up to `max_fpr`, over it.

    AUPRO (Bergmann et al., IJCV 2021): at each threshold, the mean over lesions of the
    fraction found, so that each weighs the same whatever its size. Exact over all
    thresholds, straight between them, ties sharing one; 1 is perfect and a random score
    gives `max_fpr` / 2. NaN without a lesion or without a healthy voxel.

    Args:
        scores: any shape, larger is more abnormal. Every axis is space: lesions of
            subjects that are stacked would touch.
        labels: bool, same shape.
        max_fpr: in (0, 1].
        inside: bool, same shape, what is scored; everything if None.

    Raises:
        DataError: shapes differ, scores inside are not finite, a mask is not bool, or
            `max_fpr` is not in (0, 1].
    """
    values, truth, chosen = as_scores_inside(scores, labels, inside)
    as_rate("max_fpr", max_fpr)
    numbers, sizes = _components(truth, chosen)
    healthy = numbers == 0
    if healthy.all() or not healthy.any():
        return float("nan")

    order = np.argsort(values)[::-1]
    values, numbers, healthy = values[order], numbers[order], healthy[order]
    weights = np.divide(1.0, sizes, out=np.zeros(len(sizes)), where=sizes > 0)
    # Ties share one threshold: only the last voxel of each run of equal scores counts.
    last = np.flatnonzero(np.append(values[1:] != values[:-1], True))
    regions, negatives = (
        np.append(0.0, np.cumsum(part)[last]) for part in (weights[numbers], healthy)
    )
    area = _area(negatives / negatives[-1], regions / regions[-1], max_fpr)
    return area / max_fpr


def _area(x: Curve, y: Curve, limit: float) -> float:
    """Return the area under straight lines from x = 0 to `limit`."""
    end = int(np.searchsorted(x, limit))
    share = (limit - x[end - 1]) / (x[end] - x[end - 1])
    height = y[end - 1] + share * (y[end] - y[end - 1])
    return float(np.trapezoid(np.append(y[:end], height), np.append(x[:end], limit)))


def _components(mask: Bools, inside: Bools) -> tuple[Counts, Counts]:
    """Return a component's number for each voxel inside, (N,), and sizes by number.

    Number 0 is what is in none; it has size 0.
    """
    from scipy.ndimage import label

    numbers, count = label(mask, np.ones((3,) * mask.ndim, np.bool_))
    chosen = numbers[inside]
    sizes = np.bincount(chosen, minlength=count + 1)
    sizes[0] = 0
    return chosen, sizes


def _covered(numbers: Counts, cover: Bools, sizes: Counts, overlap: float) -> Bools:
    """Return which components have a voxel, and a fraction `overlap`, under a cover."""
    hits = np.bincount(numbers[cover], minlength=len(sizes))
    # A product would round where a quotient is the nearest number to the fraction.
    share = np.divide(hits, sizes, out=np.zeros(len(sizes)), where=sizes > 0)
    return (share > 0) & (share >= overlap)
