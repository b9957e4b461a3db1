"""From values of scans to one value a subject, the unit that is resampled."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uadbench.errors import DataError

Floats = NDArray[np.float64]
LARGEST = 1e300


def as_values(values: ArrayLike, expected: str, ndim: int) -> Floats:
    """Return values as float64, of `ndim` axes that messages call `expected`.

    Raises:
        DataError: the number of axes differs, or a value is infinite or nearly so,
            masked, or no number.
    """
    try:
        given = np.asanyarray(values)
    except ValueError:
        msg = f"values: expected shape {expected}, got rows of different lengths."
        raise DataError(msg) from None
    if isinstance(given, np.ma.MaskedArray) or given.dtype.kind not in "biuf":
        msg = (
            f"values: expected numbers, got {type(given).__name__} of {given.dtype}. "
            "A metric that is undefined is NaN."
        )
        raise DataError(msg)
    every = np.asarray(given, np.float64)
    if every.ndim != ndim:
        msg = f"values: expected shape {expected}, got {every.shape}."
        raise DataError(msg)
    # Beyond LARGEST a sum may leave the range of numbers.
    infinite = int((np.abs(every) > LARGEST).sum())
    if infinite:
        msg = (
            f"values: {infinite} of {every.size} are infinite or beyond {LARGEST:.0e}. "
            "A metric that is undefined is NaN."
        )
        raise DataError(msg)
    return every


def subject_means(values: Floats, groups: ArrayLike | None) -> Floats:
    """Return the mean of each subject's defined values (M, G), NaN if it has none.

    Args:
        values: (M, N), one column a scan.
        groups: (N,) the subject of each scan; None if each has a subject of its own.

    Raises:
        DataError: there is not one group for each scan, or one is None or NaN.
    """
    if groups is None:
        return values
    names = np.asarray(groups)
    if names.shape != values.shape[1:]:
        msg = (
            f"groups: expected {values.shape[1]}, the subject of each value, "
            f"got shape {names.shape}."
        )
        raise DataError(msg)
    unknown = [name for name in names.tolist() if name is None or name != name]
    if unknown:
        msg = f"groups: expected the subject of each value, got {unknown[0]} for some."
        raise DataError(msg)
    distinct, column = np.unique(names, return_inverse=True)
    totals = np.zeros((len(distinct), len(values)))
    counts = np.zeros_like(totals)
    known = ~np.isnan(values)
    np.add.at(totals, column, np.where(known, values, 0).T)
    np.add.at(counts, column, known.T)
    missing = np.full_like(totals, np.nan)
    return np.divide(totals, counts, out=missing, where=counts > 0).T
