"""From the files of a pair to a case and what is predicted of it, on one grid."""

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from uadbench.errors import DataError
from uadbench.postprocess import Pipeline
from uadbench.protocols import Case, Prediction, Scan
from uadbench.thresholds import Threshold
from uadbench.volumes import open_volume

from .aligning import Aligner, Volume
from .pairs import Pair

Mask = NDArray[np.bool_]
Kind = Literal["mask", "score"]
# How far a factor in the header may move a label from its whole number.
ROUNDING = 1e-3
# Whole numbers up to this are rather labels than scores.
MOST_LABELS = 20


@dataclass(frozen=True)
class Settings:
    """How files are read and cut, the same for every case.

    Attributes:
        kind: what predictions are.
        labels: values of references that are lesion; () for all above 0.
        ignore: values of references that no metric counts.
        prediction_labels: values of predictions that are lesion; () where predictions
            are masks of 0 and 1, or scores.
        inside: whether only the brain is scored; without, the whole image is.
        resample: whether what lies on another grid is brought onto the reference's.
        pipeline: steps of post-processing.
        thresholds: by suffix.
    """

    kind: Kind
    labels: tuple[int, ...] = ()
    ignore: tuple[int, ...] = ()
    prediction_labels: tuple[int, ...] = ()
    inside: bool = False
    resample: bool = False
    pipeline: Pipeline = field(default_factory=Pipeline)
    thresholds: tuple[tuple[str, Threshold], ...] = ()


@dataclass(frozen=True, eq=False)
class Loaded:
    """A case and what is predicted of it.

    Attributes:
        case: its "image" is the prediction, (1, X, Y, Z).
        prediction: with a mask if predictions are masks.
        resampled: whether the prediction or the brain lay on another grid.
        like_labels: whether scores are small whole numbers, as of a label map.
    """

    case: Case
    prediction: Prediction
    resampled: bool
    like_labels: bool


def load(pair: Pair, prediction: Path, settings: Settings) -> Loaded:
    """Return what the files of a pair hold.

    Args:
        pair: of a reference and, perhaps, a brain.
        prediction: that the pair has.
        settings: how to read them.

    Raises:
        DataError: a file is unreadable, has NaN, or is not what it should be; grids
            differ and are not to be resampled; there is no voxel of brain.
    """
    opened = open_volume(pair.reference)
    grid = opened.grid
    lesion, ignored = _labelled(pair.reference, opened.values(), settings)
    aligned = Aligner(grid, pair.reference.name, settings.resample)
    image = aligned.read(prediction, nearest=settings.kind == "mask")
    own = None
    if settings.kind == "mask":
        own = np.ascontiguousarray(_as_mask(prediction, image, settings))
    score = np.ascontiguousarray(image if own is None else own, np.float32)
    brain = _brain(pair, aligned) if settings.inside else np.ones(grid.shape, bool)
    scan = Scan(
        id=pair.case,
        image=score[np.newaxis],
        brain=brain,
        spacing=grid.spacing,
        affine=grid.affine,
        modalities=(settings.kind,),
        slices=_slices(brain),
        axes=grid.axes,
        xform=grid.xform,
    )
    case = Case(scan, lesion, ignored if settings.ignore else None)
    return Loaded(
        case,
        Prediction(score, own),
        aligned.resampled,
        like_labels=own is None and _is_like_labels(score),
    )


def is_mask(path: Path) -> bool | None:
    """Return whether a file holds 0 and 1 (or 255) alone; None if it is unreadable."""
    try:
        return _is_binary(open_volume(path).values())
    except Exception:  # whatever a reader of third-party files raises; scoring tells it
        return None


def _brain(pair: Pair, aligned: Aligner) -> Mask:
    if pair.brain is None:
        msg = (
            f"no brain mask for {pair.reference.name}: add one to the folder, or leave "
            "--brain out."
        )
        raise DataError(msg)
    brain = _whole(pair.brain, aligned.read(pair.brain, nearest=True)) > 0
    if not brain.any():
        msg = f"{pair.brain}: an empty brain mask; nothing can be scored in it."
        raise DataError(msg)
    return np.ascontiguousarray(brain)


def _slices(brain: Mask) -> tuple[int, ...]:
    """Return the axial slices that are measured: all, or the one that holds brain.

    A missed lesion counts the diagonal of the image, not that of the brain's box.
    """
    held = np.flatnonzero(brain.any((0, 1)))
    return tuple(map(int, held if len(held) == 1 else range(brain.shape[2])))


def _labelled(path: Path, values: Volume, settings: Settings) -> tuple[Mask, Mask]:
    """Return what of a reference is lesion, and what is ignored."""
    values = _whole(path, values)
    ignored = _among(values, settings.ignore)
    lesion = _among(values, settings.labels) if settings.labels else values > 0
    nameless = values[(values < 0) & ~ignored]
    if nameless.size and not settings.labels:
        msg = (
            f"{path}: holds {nameless[0]:g}, which is neither lesion nor background. "
            f"Choose by --label what is lesion, or use --ignore {nameless[0]:g}."
        )
        raise DataError(msg)
    return np.ascontiguousarray(lesion & ~ignored), np.ascontiguousarray(ignored)


def _as_mask(path: Path, values: Volume, settings: Settings) -> Mask:
    if settings.prediction_labels:
        return _among(_whole(path, values), settings.prediction_labels)
    if not _is_binary(values):
        held = values[values != 0]
        other = held[(held != 1) & (held != 255)]
        what = f"{other[0]:g}" if other.size else "both 1 and 255"
        msg = (
            f"{path}: not a binary mask, it holds {what}. A mask has 0 and 1 alone, or "
            "0 and 255; --kind score reads a score map, --prediction-label N labels."
        )
        raise DataError(msg)
    return np.asarray(values > 0)


def _is_binary(values: Volume) -> bool:
    top = values.max()
    return bool(top in (0, 1, 255) and ((values == 0) | (values == top)).all())


def _is_like_labels(values: Volume) -> bool:
    few = values.min() >= 0 and values.max() <= MOST_LABELS
    return bool(few and (values == np.rint(values)).all())


def _whole(path: Path, values: Volume) -> Volume:
    """Return labels, rounded; DataError if they are no whole numbers."""
    labels = np.rint(values)
    broken = values[np.abs(values - labels) > ROUNDING]
    if broken.size:
        msg = (
            f"{path}: labels are whole numbers, but it holds {broken[0]:g}. Make a "
            "mask of it (0 and 1), or resample it by the nearest voxel."
        )
        raise DataError(msg)
    return labels


def _among(values: Volume, labels: Collection[int]) -> Mask:
    return np.isin(values, np.array(tuple(labels), np.float32))
