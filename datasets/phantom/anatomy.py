"""The anatomy of one subject: the template's tissues, warped and made individual."""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from .fields import CENTRE, Floats, Grid, smooth_noise

MAP = "mni_icbm152_{}_tal_nlin_sym_09a_converted.nii.gz"
COARSE = 2  # mm: resolution of the distance maps
# mm in the template; a box around lateral and third ventricles
VENTRICLE_BOX = ((-42, 42), (-52, 36), (-14, 36))


@dataclass(frozen=True, eq=False)
class Template:
    """Average maps of a healthy brain.

    Attributes:
        tissues: probability of CSF and grey matter at 1 mm; the rest is white matter.
        depth: mm below the brain's surface, negative outside, at COARSE mm.
        ventricle: mm from the nearest lateral or third ventricle, at COARSE mm.
        origin: mm of the first voxel of all maps.
    """

    tissues: tuple[Floats, Floats]
    depth: Floats
    ventricle: Floats
    origin: Floats


@dataclass(frozen=True, eq=False)
class Anatomy:
    """What lies where in one subject, each (X, Y, Z) on the fine grid.

    Attributes:
        tissues: fractions of CSF, grey and white matter, summing to 1: (3, X, Y, Z).
        brain: bool, what skull-stripping kept.
        depth: mm below the brain's surface.
        ventricle: mm from the nearest ventricle.
        place: mm in the template that each voxel comes from: (3, X, Y, Z).
    """

    tissues: Floats
    brain: NDArray[np.bool_]
    depth: Floats
    ventricle: Floats
    place: Floats


def load_map(name: str) -> tuple[Floats, NDArray[np.float64]]:
    """Return a map of nilearn's ICBM152 at 1 mm, scaled to at most 1, and its affine.

    Its function for that takes seconds to import, and is asked only where the file is
    no longer in its place.

    Args:
        name: "t1", or "gm" or "wm" for the probability of a tissue.
    """
    path = Path(str(files("nilearn"))) / "datasets" / "data" / MAP.format(name)
    if path.is_file():
        image = nib.nifti1.load(path)
        values = np.asanyarray(image.dataobj).astype(np.float32)
        return values / values.max(), image.affine
    return load_map_by_nilearn(name)


def load_map_by_nilearn(name: str) -> tuple[Floats, NDArray[np.float64]]:
    """Return what `load_map` does, by nilearn's public functions."""
    from nilearn import datasets

    part = "" if name == "t1" else f"{name}_"
    image = getattr(datasets, f"load_mni152_{part}template")(resolution=1)
    return image.get_fdata(dtype=np.float32), image.affine


@cache
def load_template() -> Template:
    """Return the ICBM152 maps inside nilearn, cropped to the brain."""
    head, affine = load_map("t1")
    inside = head > 0.2
    box = tuple(
        slice(max(0, part.start - 8), part.stop + 8)
        for part in ndimage.find_objects(inside.astype(np.int8))[0]
    )
    brain = inside[box]
    origin = affine[:3, 3] + [part.start for part in box]
    del head, inside  # the whole head is large
    grey, white = (load_map(tissue)[0][box].copy() for tissue in ("gm", "wm"))
    # Outside the brain lies fluid too, where skull-stripping is generous.
    csf = np.clip(1 - grey - white, 0, 1)
    coarse = (slice(None, None, COARSE),) * 3
    within, beyond = (
        ndimage.distance_transform_edt(mask[coarse], sampling=COARSE)
        for mask in (brain, ~brain)
    )
    depth = within - beyond
    ventricle = (csf[coarse] > 0.5) & (depth > 24)
    for axis, (low, high) in enumerate(VENTRICLE_BOX):
        mm = origin[axis] + COARSE * np.arange(depth.shape[axis])
        line = np.expand_dims(
            (mm > low) & (mm < high), [a for a in range(3) if a != axis]
        )
        ventricle &= line
    away = ndimage.distance_transform_edt(~ventricle, sampling=COARSE)
    return Template(
        tissues=(csf, grey),
        depth=depth.astype(np.float32),
        ventricle=away.astype(np.float32),
        origin=origin.astype(np.float32),
    )


def draw_anatomy(rng: np.random.Generator, grid: Grid) -> Anatomy:
    """Return a new person: own head shape, own sulci, own ventricles."""
    template = load_template()
    place = _draw_place(rng, grid)
    at = place - template.origin[:, None, None, None]
    depth = _sample(template.depth, at / np.float32(COARSE))
    stripping = rng.normal(0, 0.5) + 0.8 * smooth_noise(rng, grid, 14)
    brain = depth > stripping
    inside = at[:, brain]

    def scatter(values: Floats) -> Floats:
        volume = np.zeros(grid.shape, np.float32)
        volume[brain] = values
        return volume

    ventricle = _sample(template.ventricle, inside / np.float32(COARSE))
    csf, grey = (_sample(tissue, inside) for tissue in template.tissues)
    averages = [csf, grey, np.maximum(1 - csf - grey, 0)]
    tissues = _sharpen(rng, grid, averages, ventricle, brain)
    return Anatomy(
        tissues=np.stack([scatter(tissue) for tissue in tissues]),
        brain=brain,
        depth=depth * brain,
        ventricle=scatter(ventricle),
        place=place,
    )


def _draw_place(rng: np.random.Generator, grid: Grid) -> Floats:
    """Return the point of the template, in mm, that each voxel shows: (3, X, Y, Z)."""
    turn = Rotation.from_euler("xyz", rng.normal(0, 3, 3), degrees=True).as_matrix()
    # The template is larger than most heads.
    affine = turn * rng.normal(1.09, 0.035, 3)
    shift = rng.normal(0, 2, 3) + CENTRE
    place = np.tensordot(affine.astype(np.float32), grid.points, axes=1)
    for axis in range(3):
        bend = 2.0 * smooth_noise(rng, grid, 45) + 0.8 * smooth_noise(rng, grid, 18)
        place[axis] += bend + np.float32(shift[axis])
    return place


def _sharpen(
    rng: np.random.Generator,
    grid: Grid,
    averages: list[Floats],
    ventricle: Floats,
    brain: NDArray[np.bool_],
) -> Floats:
    """Return one person's tissues, where the averages of many are blurred: (3, N).

    A softmax of the sharpened logarithm; noise decides who wins where the average is
    undecided, so that every subject gets sulci of its own.
    """
    wide, folds = rng.normal(0, 0.9), rng.normal(0.9, 0.4)
    near = np.exp(-((ventricle / 8) ** 2))
    offsets = [folds + np.float32(wide) * near, 0.0, rng.normal(0, 0.25)]
    logits = np.stack(
        [
            2.2 * np.log(average + 0.02)
            + 0.9 * smooth_noise(rng, grid, 7)[brain]
            + 0.5 * smooth_noise(rng, grid, 20)[brain]
            + offset
            for average, offset in zip(averages, offsets, strict=True)
        ]
    ).astype(np.float32)
    odds = np.exp(logits - logits.max(axis=0))
    return np.asarray(odds / odds.sum(axis=0), np.float32)


def _sample(volume: Floats, at: Floats) -> Floats:
    """Return the volume at points in voxels, linearly."""
    return np.asarray(
        ndimage.map_coordinates(volume, at, order=1, mode="nearest"), np.float32
    )
