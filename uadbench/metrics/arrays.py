"""What metrics take: arrays of one shape, finite scores, masks that are bool."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uadbench.errors import DataError

Bools = NDArray[np.bool_]


def as_scores(
    scores: ArrayLike, labels: ArrayLike
) -> tuple[NDArray[np.floating], Bools]:
    """Return scores and labels, each (N,).

    Raises:
        DataError: shapes differ, scores are not finite, or labels are not bool.
    """
    values, truth = np.asarray(scores), np.asarray(labels)
    _same_shape("scores", values, "labels", truth)
    _is_bool("labels", truth)
    if not np.isfinite(values).all():
        broken = int(values.size - np.isfinite(values).sum())
        msg = f"scores: {broken} of {values.size} are NaN or infinite."
        raise DataError(msg)
    return values.ravel(), truth.ravel()


def as_masks(pred: ArrayLike, ref: ArrayLike) -> tuple[Bools, Bools]:
    """Return both masks as they are.

    Raises:
        DataError: shapes differ, or a mask is not bool.
    """
    found, truth = np.asarray(pred), np.asarray(ref)
    _same_shape("pred", found, "ref", truth)
    _is_bool("pred", found)
    _is_bool("ref", truth)
    return found, truth


def _same_shape(
    name: str, array: NDArray[np.generic], other: str, reference: NDArray[np.generic]
) -> None:
    if array.shape != reference.shape:
        msg = f"{name} have shape {array.shape}, but {other} have {reference.shape}."
        raise DataError(msg)


def _is_bool(name: str, array: NDArray[np.generic]) -> None:
    if array.dtype != np.bool_:
        msg = (
            f"{name}: expected bool, got {array.dtype}. Compare with a threshold first."
        )
        raise DataError(msg)
