"""Lesions: where they lie, how they push, what they look like.

A lesion is a weight in [0, 1] with soft borders and a texture between mild and strong;
the reference mask is where the weight passes one half.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .anatomy import Anatomy
from .contrast import Contrast
from .fields import Floats, Grid, ramp, smooth_noise

Kind = Literal["glioma", "stroke", "ms"]


@dataclass(frozen=True, eq=False)
class Lesion:
    """One patient's lesion, each (X, Y, Z) on the fine grid.

    Attributes:
        weight: how much of a voxel is lesion.
        strength: 0 is mild, 1 is strong.
        core: how much of the lesion is cyst or necrosis.
    """

    weight: Floats
    strength: Floats
    core: Floats


@dataclass(frozen=True)
class Severity:
    """How bad a lesion is, each in [0, 1), uniform over patients.

    Attributes:
        extent: from small to large.
        visibility: from mild to strong.
    """

    extent: float
    visibility: float


def draw_severities(rng: np.random.Generator, count: int) -> list[Severity]:
    """Return severities spread evenly: few patients cover the range as many would.

    The first ones are the same for every count (the R2 sequence from a random start).
    """
    start, stride = rng.random(2), np.array([0.7548776662, 0.5698402910])
    return [Severity(*((start + index * stride) % 1)) for index in range(count)]


def draw_lesion(
    rng: np.random.Generator,
    kind: Kind,
    grid: Grid,
    anatomy: Anatomy,
    severity: Severity,
) -> tuple[Anatomy, Lesion]:
    """Return a lesion of a kind inside the brain, and the anatomy that it left."""
    return _DRAW[kind](rng, grid, anatomy, severity)


def add_lesion(
    signal: Floats, lesion: Lesion, contrast: Contrast, factor: float
) -> Floats:
    """Return the signal with the lesion in it; a factor of 0 leaves it as it was."""
    mild, strong = contrast.lesion
    solid = mild + np.float32(strong - mild) * lesion.strength
    target = solid + lesion.core * (np.float32(contrast.core) - solid)
    return np.maximum(
        signal + np.float32(factor) * lesion.weight * (target - signal), 0
    )


def _glioma(
    rng: np.random.Generator, grid: Grid, anatomy: Anatomy, severity: Severity
) -> tuple[Anatomy, Lesion]:
    """Noisy ball with oedema along white matter, a core and a mass effect."""
    radius = np.float32(14 + 11 * severity.extent)
    deep = (anatomy.depth > 0.5 * radius) & (anatomy.tissues[0] < 0.5)
    centre = _pick(rng, grid, deep & _middle(grid))
    stretch = np.exp(rng.uniform(-0.22, 0.22, 3)).astype(np.float32)
    stretch /= np.cbrt(stretch.prod())  # its volume follows from the radius alone
    offset = grid.points - centre
    distance = np.linalg.norm(offset * stretch[:, None, None, None], axis=0)
    mass = radius * rng.uniform(0.15, 0.4)
    # Less than 1 mm per mm at the centre, or the tissue would fold.
    pull = np.exp(-((distance / (1.6 * radius)) ** 2)) / (distance / mass + 1.25)
    anatomy = _displace(anatomy, offset * pull.astype(np.float32), grid)
    rough = 0.16 * smooth_noise(rng, grid, 14) + 0.07 * smooth_noise(rng, grid, 6)
    # Oedema spreads along fibres and stops at cortex and fluid.
    reach = radius * (1 + rough + 0.35 * (anatomy.tissues[2] - 0.5))
    weight = ramp(reach - distance, -2.5, 2.5) * anatomy.brain
    weight *= 1 - 0.7 * ramp(anatomy.tissues[0], 0.5, 0.9)
    inner = ramp(
        radius * rng.uniform(0.3, 0.6) * (1 + 1.6 * rough) - distance, -1.5, 1.5
    )
    cyst = rng.choice([0.0, 0.5, 1.0], p=[0.4, 0.3, 0.3])
    level = np.float32(severity.visibility**1.4)
    strength = level + 0.18 * smooth_noise(rng, grid, 8) + 0.15 * inner
    return anatomy, Lesion(weight, strength, np.float32(cyst) * inner)


def _stroke(
    rng: np.random.Generator, grid: Grid, anatomy: Anatomy, severity: Severity
) -> tuple[Anatomy, Lesion]:
    """Wedge with its tip deep in one hemisphere and its base on the cortex."""
    side = rng.choice([-1.0, 1.0])
    x, y, _ = anatomy.place
    column = (x * side > 18) & (x * side < 34) & (y > -50) & (y < 30)
    tip = _pick(rng, grid, column & (anatomy.depth > 12) & _middle(grid))
    angle = rng.normal(0, 0.5)
    # Flatter than the wedge is open, so that it never leaves a single slice.
    tilt = rng.uniform(-0.25, 0.25)
    axis = np.array([side * np.cos(angle), np.sin(angle), tilt])
    axis = (axis / np.linalg.norm(axis)).astype(np.float32)
    offset = grid.points - tip
    along = np.tensordot(axis, offset, axes=1)
    across = np.linalg.norm(offset - axis[:, None, None, None] * along, axis=0)
    opening = np.tan(0.28 + 0.34 * severity.extent)
    rough = 2.2 * smooth_noise(rng, grid, 10) + 1.2 * smooth_noise(rng, grid, 5)
    inside = opening * (along + 3) - across + rough
    weight = ramp(inside, -2.0, 2.0) * ramp(along, -2.0, 2.0) * anatomy.brain
    weight *= 1 - 0.85 * ramp(anatomy.tissues[0], 0.4, 0.8)
    level = np.float32(severity.visibility**1.4)
    strength = level + 0.15 * smooth_noise(rng, grid, 7) + 0.15 * anatomy.tissues[1]
    return anatomy, Lesion(weight, strength, np.zeros_like(weight))


def _ms(
    rng: np.random.Generator, grid: Grid, anatomy: Anatomy, severity: Severity
) -> tuple[Anatomy, Lesion]:
    """Ovals in white matter, most of them at the ventricles and pointing away."""
    near = np.exp(-(((anatomy.ventricle - 5) / 6) ** 2)) + 0.02
    odds = (near * (anatomy.tissues[2] > 0.6)).astype(np.float64).ravel()
    places = rng.choice(odds.size, 8 + int(23 * severity.extent), p=odds / odds.sum())
    voxels = np.unravel_index(places, grid.shape)
    centres = np.stack([a[i] for a, i in zip(grid.axes, voxels, strict=True)], axis=1)
    radii = np.exp(rng.normal(np.log(3.4), 0.35, len(places)))
    rough = 0.8 * smooth_noise(rng, grid, 5)
    weight = np.zeros(grid.shape, np.float32)
    for centre, radius in zip(centres, radii.astype(np.float32), strict=True):
        # The longest half axis is 1.6 radii; the rest is room for rough borders.
        box = grid.box(centre, 1.6 * radius + 8)
        offset = grid.points[(slice(None), *box)] - centre[:, None, None, None]
        outward = centre[:2] * np.array([1, 0.4], np.float32)
        outward /= np.linalg.norm(outward) + 1e-6
        along = np.tensordot(outward, offset[:2], axes=1)
        square = (offset**2).sum(axis=0) - 0.6 * along**2
        oval = ramp(radius + rough[box] - np.sqrt(square), -1.5, 1.5)
        weight[box] = np.maximum(weight[box], oval)
    weight *= anatomy.brain * (1 - anatomy.tissues[0])
    strength = np.float32(severity.visibility**1.2) + 0.15 * smooth_noise(rng, grid, 6)
    return anatomy, Lesion(weight, strength, np.zeros_like(weight))


def _displace(anatomy: Anatomy, push: Floats, grid: Grid) -> Anatomy:
    """Return the anatomy after a mass effect; the brain's outline stays.

    Args:
        anatomy: before it.
        push: mm by which the tissue that now lies here was moved: (3, X, Y, Z).
        grid: of both.
    """
    brain = anatomy.brain
    step = np.array(grid.spacing, np.float32)[:, None]
    voxels = np.argwhere(brain).T - push[:, brain] / step

    def move(volume: Floats) -> Floats:
        moved = np.zeros_like(volume)
        moved[brain] = ndimage.map_coordinates(volume, voxels, order=1, mode="nearest")
        return moved

    csf, grey = move(anatomy.tissues[0]), move(anatomy.tissues[1])
    tissues = np.stack([csf, grey, np.maximum(brain - csf - grey, 0)])
    return replace(anatomy, tissues=tissues, ventricle=move(anatomy.ventricle))


def _middle(grid: Grid) -> NDArray[np.bool_]:
    """Return True in the middle half of the slices, so that a lesion shows."""
    z = np.arange(grid.slices)
    return np.asarray(np.abs(z - (grid.slices - 1) / 2) <= grid.slices / 4)


def _pick(rng: np.random.Generator, grid: Grid, allowed: NDArray[np.bool_]) -> Floats:
    """Return a random allowed point in mm: (3, 1, 1, 1)."""
    place = rng.choice(np.flatnonzero(allowed))
    voxel = np.unravel_index(place, grid.shape)
    point = [axis[i] for axis, i in zip(grid.axes, voxel, strict=True)]
    return np.array(point, np.float32)[:, None, None, None]


_Draw = Callable[[np.random.Generator, Grid, Anatomy, Severity], tuple[Anatomy, Lesion]]
_DRAW: Mapping[Kind, _Draw] = {"glioma": _glioma, "stroke": _stroke, "ms": _ms}
