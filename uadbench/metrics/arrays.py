"""What metrics take: arrays of one shape, finite scores, bool masks, spacings in mm."""

from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uadbench.errors import DataError

Bools = NDArray[np.bool_]

# NIfTI headers keep spacings as float32, so that 3 x 1.1 mm reads 3.3000001: a length
# or a volume this near to a limit is equal to it.
ROUNDING = 1e-6
# Beyond, float64 skips some.
EXACT_INTEGERS = 2**53


def as_scores(
    scores: ArrayLike, labels: ArrayLike
) -> tuple[NDArray[np.floating], Bools]:
    """Return scores and labels, each (N,).

    Raises:
        DataError: shapes differ, scores are not finite or not numbers that float64
            holds exactly, or labels are not bool.
    """
    values, truth = _as_array("scores", scores), _as_array("labels", labels)
    _same_shape("scores", values, "labels", truth)
    _is_bool("labels", truth)
    # A threshold is returned as float64: it must be one of the scores.
    values = as_finite("scores", values)
    if values.dtype.itemsize > 8 or (
        values.dtype.kind in "iu"
        and values.size
        and (values.max() > EXACT_INTEGERS or values.min() < -EXACT_INTEGERS)
    ):
        msg = (
            f"scores: expected numbers that float64 holds exactly, got {values.dtype} "
            "beyond them. Round them first."
        )
        raise DataError(msg)
    return values.ravel(), truth.ravel()


def as_finite(name: str, values: ArrayLike) -> NDArray[np.floating]:
    """Return real numbers as an array.

    Raises:
        DataError: one of them is NaN, infinite, masked or no real number.
    """
    array = _as_numbers(name, values)
    finite = int(np.isfinite(array).sum())
    if finite < array.size:
        broken = array.size - finite
        msg = f"{name}: {broken} of {array.size} are NaN or infinite."
        raise DataError(msg)
    return array


def as_masks(pred: ArrayLike, ref: ArrayLike) -> tuple[Bools, Bools]:
    """Return both masks as they are.

    Raises:
        DataError: shapes differ, or a mask is not bool.
    """
    found, truth = _as_array("pred", pred), _as_array("ref", ref)
    _same_shape("pred", found, "ref", truth)
    _is_bool("pred", found)
    _is_bool("ref", truth)
    return found, truth


def as_scores_inside(
    scores: ArrayLike, labels: ArrayLike, inside: ArrayLike | None
) -> tuple[NDArray[np.floating], Bools, Bools]:
    """Return the scores inside, (N,), the labels everywhere, and where inside is.

    Raises:
        DataError: shapes differ, scores inside are not finite, or a mask is not bool.
    """
    values, truth = _as_array("scores", scores), _as_array("labels", labels)
    _same_shape("scores", values, "labels", truth)
    chosen = as_inside(inside, truth.shape)
    return as_scores(values[chosen], truth[chosen])[0], truth, chosen


def as_inside(inside: ArrayLike | None, shape: tuple[int, ...]) -> Bools:
    """Return the mask of voxels that count; all do if it is None.

    Raises:
        DataError: it is not bool or not of that shape.
    """
    if inside is None:
        return np.ones(shape, np.bool_)
    chosen = _as_array("inside", inside)
    _is_bool("inside", chosen)
    if chosen.shape != shape:
        msg = f"inside has shape {chosen.shape}, but the image has {shape}."
        raise DataError(msg)
    return chosen


def as_spacing(spacing: ArrayLike, ndim: int) -> NDArray[np.float64]:
    """Return the voxel size in mm, one positive number for each of `ndim` axes.

    Raises:
        DataError: there are more or fewer, or one is not positive and finite.
    """
    sizes = _as_numbers("spacing", spacing).astype(np.float64)
    if not ndim or sizes.shape != (ndim,):
        msg = f"spacing: expected a size in mm for each of {ndim} axes, got {sizes}."
        raise DataError(msg)
    if not (np.isfinite(sizes) & (sizes > 0)).all():
        msg = f"spacing: expected sizes in mm above 0, got {sizes}."
        raise DataError(msg)
    return sizes


def as_number(name: str, value: float, low: float, high: float = np.inf) -> float:
    """Return an option that lies in [low, high].

    Raises:
        DataError: it does not, or is not a finite number.
    """
    if not (_is_finite(value) and low <= value <= high):
        bounds = f"in [{low:g}, {high:g}]" if high < np.inf else f"from {low:g} up"
        msg = f"{name}: expected a finite number {bounds}, got {value!r}."
        raise DataError(msg)
    return value


def as_rate(name: str, value: float) -> float:
    """Return an option that lies in (0, 1].

    Raises:
        DataError: it does not.
    """
    if not (_is_finite(value) and 0 < value <= 1):
        msg = f"{name}: expected a rate in (0, 1], got {value!r}."
        raise DataError(msg)
    return value


def fraction(part: int, whole: int) -> float:
    """Return part / whole; NaN if whole is 0."""
    return part / whole if whole else float("nan")


def bounding_box(mask: Bools) -> tuple[slice, ...]:
    """Return the smallest box that holds every voxel of a mask; empty if none is."""
    box = []
    for _ in range(mask.ndim):
        # Each axis is looked at in what the axes before it have left.
        rows = np.flatnonzero(mask.any(axis=tuple(range(1, mask.ndim))))
        edge = slice(int(rows[0]), int(rows[-1]) + 1) if len(rows) else slice(0, 0)
        box.append(edge)
        mask = np.moveaxis(mask[edge], 0, -1)
    return tuple(box)


def _is_finite(value: object) -> bool:
    return isinstance(value, Real) and bool(np.isfinite(float(value)))


def _as_array(name: str, values: ArrayLike) -> NDArray[Any]:
    if isinstance(values, np.ma.MaskedArray):
        # numpy would drop the mask in silence.
        msg = f"{name}: expected a plain array, got a masked one. Pass what counts."
        raise DataError(msg)
    try:
        return np.asarray(values)
    except ValueError:
        msg = f"{name}: expected an array, got rows of different lengths."
        raise DataError(msg) from None


def _as_numbers(name: str, values: ArrayLike) -> NDArray[Any]:
    array = _as_array(name, values)
    if array.dtype.kind not in "biuf":
        msg = f"{name}: expected real numbers, got {array.dtype}."
        raise DataError(msg)
    return array


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
