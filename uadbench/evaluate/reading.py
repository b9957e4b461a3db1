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
from uadbench.volumes import Grid, check_on_grid, read_grid, read_values

from .pairs import Pair

Volume = NDArray[np.float32]
Mask = NDArray[np.bool_]
Kind = Literal["mask", "score"]
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
    reference, grid = read_values(pair.reference)
    lesion, ignored = _labelled(pair.reference, reference, settings)
    aligned = _Aligner(grid, pair.reference.name, settings.resample)
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
        slices=tuple(int(z) for z in np.flatnonzero(brain.any((0, 1)))),
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
        values, _ = read_values(path)
    except DataError:
        return None
    return _is_binary(values)


class _Aligner:
    """Reads volumes onto one grid.

    Attributes:
        resampled: whether one lay on another.
    """

    def __init__(self, grid: Grid, owner: str, resample: bool) -> None:
        self._grid = grid
        self._owner = owner
        self._resample = resample
        self.resampled = False

    def read(self, path: Path, *, nearest: bool) -> Volume:
        """Return the voxels of a file on the grid, float32 (X, Y, Z).

        Raises:
            DataError: it is unreadable, or on another grid and not to be resampled.
        """
        read_grid(path)
        try:
            check_on_grid(path, self._grid, self._owner)
        except DataError as error:
            if not self._resample:
                msg = f"{error} --on-geometry-mismatch resample does."
                raise DataError(msg) from None
            self.resampled = True
            return resample(path, self._grid, nearest=nearest)
        return read_values(path)[0]


def resample(path: Path, grid: Grid, *, nearest: bool) -> Volume:
    """Return a volume on another grid, float32 (X, Y, Z).

    Values between voxels are linear, or those of the nearest; what the volume does not
    cover gets its lowest value, so that it ranks last. Nothing is smoothed before a
    finer volume is brought onto a coarser grid.

    Raises:
        DataError: it is unreadable, or the two do not overlap.
    """
    from scipy.ndimage import affine_transform

    voxels, own = read_values(path)
    to_own = np.linalg.inv(own.affine) @ grid.affine
    corners = np.indices((2, 2, 2)).reshape(3, -1).T * (np.array(grid.shape) - 1)
    reached = corners @ to_own[:3, :3].T + to_own[:3, 3]
    last = np.array(own.shape) - 1
    if (reached.max(0) < 0).any() or (reached.min(0) > last).any():
        msg = f"{path}: lies apart from its reference, says its affine. Check the file."
        raise DataError(msg)
    # "constant" would take a coordinate of -1e-12 for one outside the volume.
    moved = affine_transform(
        voxels,
        to_own[:3, :3],
        to_own[:3, 3],
        output_shape=grid.shape,
        order=0 if nearest else 1,
        mode="grid-constant",
        cval=float(voxels.min()),
    )
    return np.asarray(moved, np.float32)


def _brain(pair: Pair, aligned: _Aligner) -> Mask:
    if pair.brain is None:
        msg = f"no brain mask for {pair.reference.name}"
        raise DataError(msg)
    brain = aligned.read(pair.brain, nearest=True) > 0
    if not brain.any():
        msg = f"{pair.brain}: an empty brain mask; nothing can be scored in it."
        raise DataError(msg)
    return np.ascontiguousarray(brain)


def _labelled(path: Path, values: Volume, settings: Settings) -> tuple[Mask, Mask]:
    """Return what of a reference is lesion, and what is ignored."""
    if settings.labels or settings.ignore:
        _check_whole(path, values)
    ignored = _among(values, settings.ignore)
    lesion = _among(values, settings.labels) if settings.labels else values > 0
    return np.ascontiguousarray(lesion & ~ignored), np.ascontiguousarray(ignored)


def _as_mask(path: Path, values: Volume, settings: Settings) -> Mask:
    if settings.prediction_labels:
        _check_whole(path, values)
        return _among(values, settings.prediction_labels)
    if not _is_binary(values):
        other = values[(values != 0) & (values != 1)][0]
        msg = (
            f"{path}: not a binary mask, it holds {other:g}. A mask has 0 and 1 (or "
            "255) alone; --kind score reads a score map, --prediction-label N labels."
        )
        raise DataError(msg)
    return np.asarray(values > 0)


def _is_binary(values: Volume) -> bool:
    top = values.max()
    return bool(top in (0, 1, 255) and ((values == 0) | (values == top)).all())


def _is_like_labels(values: Volume) -> bool:
    few = values.min() >= 0 and values.max() <= MOST_LABELS
    return bool(few and (values == np.rint(values)).all())


def _check_whole(path: Path, values: Volume) -> None:
    broken = values[values != np.rint(values)]
    if broken.size:
        msg = f"{path}: labels are whole numbers, but it holds {broken[0]:g}."
        raise DataError(msg)


def _among(values: Volume, labels: Collection[int]) -> Mask:
    return np.isin(values, np.array(tuple(labels), np.float32))
