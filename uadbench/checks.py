"""What plugins hand over, checked in every run; messages say what is wrong."""

from collections.abc import Iterable, Iterator
from itertools import combinations

import numpy as np

from uadbench.errors import ContractError, DataError
from uadbench.protocols import Prediction, Scan
from uadbench.views import View


def check_prediction(prediction: Prediction, scan: Scan, label: str) -> None:
    """Raise unless a prediction has the type, shape and finite scores of its contract.

    Raises:
        ContractError: a wrong type or shape, which is a mistake in the method.
        DataError: scores that are NaN or infinite, which one scan may provoke.
    """
    if not isinstance(prediction, Prediction):
        msg = (
            f"{label}: predict must yield Prediction, got {type(prediction).__name__}."
        )
        raise ContractError(msg)
    _check_array(label, "score", prediction.score, np.dtype(np.float32), scan)
    if prediction.mask is not None:
        _check_array(label, "mask", prediction.mask, np.dtype(np.bool_), scan)
    for name, array in prediction.extras.items():
        shape, grid = np.shape(array), scan.brain.shape
        form = "(K, X, Y, Z)" if name == "trace" else "(..., X, Y, Z)"
        if shape[-3:] != grid or (name == "trace" and len(shape) != 4):
            msg = (
                f"{label}: extra '{name}' has shape {shape}; expected {form}, "
                f"where the scan has {grid}."
            )
            raise ContractError(msg)
    # Outside the brain as well: the score map is saved whole, and read back.
    broken = int((~np.isfinite(prediction.score)).sum())
    if broken:
        msg = f"{label}: {broken} scores are NaN or infinite."
        raise DataError(msg)


def check_scan(scan: Scan) -> None:
    """Raise a ContractError unless a dataset's scan is what methods rely on."""
    for holds, message in _rules(scan):
        if not holds:
            msg = f"{scan.id}: {message}."
            raise ContractError(msg)


def _rules(scan: Scan) -> Iterator[tuple[bool, str]]:
    """Yield what a scan has to keep, each rule resting on those before it."""
    grid, image = scan.brain.shape, scan.image
    shape = (len(scan.modalities), *grid)
    yield len(grid) == 3, f"brain must be (X, Y, Z), got {grid}"
    yield scan.brain.dtype == np.bool_, f"brain must be bool, got {scan.brain.dtype}"
    yield image.shape == shape, f"image must be {shape}, got {image.shape}"
    yield image.dtype == np.float32, f"image must be float32, got {image.dtype}"
    yield bool(np.isfinite(image).all()), "image must be finite"
    yield (
        scan.affine.shape == (4, 4),
        f"affine must be 4 x 4, got {scan.affine.shape}",
    )
    yield min(scan.spacing) > 0, f"spacing must be positive, got {scan.spacing}"
    yield len(scan.slices) > 0, "at least one slice must count"
    yield (
        set(scan.slices) <= set(range(grid[-1])),
        f"slices must lie in 0..{grid[-1] - 1}, got {scan.slices}",
    )
    yield bool(scan.scored.any()), "the slices that count must hold brain"


def check_view(view: View, label: str) -> None:
    """Raise unless train, val and test are non-empty and share no subject.

    Labelled validation cases may be absent, and may be of the subjects of val.

    Raises:
        DataError: a part is empty, or a subject is in two of them.
    """
    parts = {"train": view.train, "val": view.val, "test": view.test}
    labelled = {"the labelled validation cases": view.labelled}
    for name, items in parts.items():
        if not len(items):
            msg = f"{label}: no subject in '{name}'. Give it more, or split otherwise."
            raise DataError(msg)
        _check_unique(f"{label}: {name}", items.ids)
    every = {**parts, **labelled}
    for first, second in combinations(every, 2):
        if first == "val" and second in labelled:
            continue
        shared = sorted(set(every[first].subjects) & set(every[second].subjects))
        if shared:
            msg = (
                f"{label}: {len(shared)} subjects are both in {first} and {second}: "
                f"{', '.join(shared[:5])}. Split by subject."
            )
            raise DataError(msg)


def _check_unique(label: str, ids: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in ids:
        if name in seen:
            msg = f"{label}: the id '{name}' comes twice."
            raise DataError(msg)
        seen.add(name)


def _check_array(
    label: str,
    name: str,
    array: np.ndarray[tuple[int, ...], np.dtype[np.generic]],
    dtype: np.dtype[np.generic],
    scan: Scan,
) -> None:
    if not isinstance(array, np.ndarray):
        msg = f"{label}: {name} must be a numpy array, got {type(array).__name__}."
        raise ContractError(msg)
    if array.shape != scan.brain.shape or array.dtype != dtype:
        msg = (
            f"{label}: {name} must be {dtype} of shape {scan.brain.shape}, got "
            f"{array.dtype} of shape {array.shape}."
        )
        raise ContractError(msg)
