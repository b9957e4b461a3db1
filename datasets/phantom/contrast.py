"""From anatomy to the image of a scanner: contrast, healthy findings, artefacts, noise.

Intensities are in units in which a scanner's grey and white matter lie around 0.5.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .anatomy import Anatomy
from .fields import FIELD, Floats, Grid, ramp, smooth_noise

Modality = Literal["FLAIR", "T1", "T2"]


@dataclass(frozen=True)
class Contrast:
    """How bright things are in one modality.

    Attributes:
        tissues: CSF, grey and white matter.
        caps: white matter at the ventricles, as it ages.
        flow: CSF that moves.
        rim: dura and fat that skull-stripping left behind.
        lesion: mild and strong lesions.
        core: a glioma's cyst or necrosis.
    """

    tissues: tuple[float, float, float]
    caps: float
    flow: float
    rim: float
    lesion: tuple[float, float]
    core: float


CONTRASTS: Mapping[Modality, Contrast] = {
    "FLAIR": Contrast((0.17, 0.64, 0.52), 0.90, 0.62, 1.5, (0.60, 0.99), 0.38),
    "T1": Contrast((0.18, 0.50, 0.74), 0.62, 0.26, 0.70, (0.48, 0.32), 0.22),
    "T2": Contrast((0.95, 0.55, 0.40), 0.64, 0.55, 0.45, (0.67, 0.96), 0.97),
}


def draw_signal(
    rng: np.random.Generator, grid: Grid, anatomy: Anatomy, contrast: Contrast
) -> Floats:
    """Return what a healthy subject emits, before any scanner: (X, Y, Z)."""
    csf, grey, white = anatomy.tissues
    means = np.array(contrast.tissues) * rng.normal(1, 0.04, 3)
    flow = ramp(smooth_noise(rng, grid, 14), 0.8, 2.0)
    fluid = means[0] + np.float32(contrast.flow - means[0]) * flow
    cortex = means[1] * (
        1 + 0.09 * _limbic(anatomy) + 0.07 * smooth_noise(rng, grid, 22)
    )
    fibres = means[2] * (1 + 0.03 * smooth_noise(rng, grid, 26))
    signal = csf * fluid + grey * cortex + white * fibres
    age = rng.beta(1.2, 2.5)
    signal += _caps(rng, grid, anatomy, age) * (contrast.caps - signal)
    rim = contrast.rim * (1 + 0.25 * smooth_noise(rng, grid, 6))
    signal += _rim(rng, grid, anatomy) * (rim - signal)
    return np.asarray(signal * (1 + 0.03 * smooth_noise(rng, grid, 4)), np.float32)


def draw_image(
    rng: np.random.Generator, grid: Grid, signal: Floats, brain: NDArray[np.bool_]
) -> Floats:
    """Return the scan of a signal on the fine grid: point spread, coil, Rician noise.

    Args:
        rng: of this scan.
        grid: of the scan; the signal lies on `grid.fine`.
        signal: (X, Y, Z) on the fine grid, 0 outside the brain.
        brain: bool (X, Y, Z) on the scan's grid; the image is 0 outside.
    """
    spread = rng.uniform(0.8, 1.2) / grid.fine.spacing[0]
    blurred = ndimage.gaussian_filter(signal, (spread, spread, 0), truncate=3)
    image = pool(blurred, grid) * _coil(rng, grid)
    sigma = rng.uniform(0.012, 0.03)
    noise = sigma * rng.standard_normal((2, *grid.shape), dtype=np.float32)
    return np.where(brain, np.hypot(image + noise[0], noise[1]), 0).astype(np.float32)


def pool(fine: Floats, grid: Grid) -> Floats:
    """Return the mean of the fine pixels in each pixel of the grid."""
    factor = grid.fine.size // grid.size
    blocks = fine.reshape(grid.size, factor, grid.size, factor, grid.slices)
    return np.asarray(blocks.mean(axis=(1, 3)), np.float32)


def _limbic(anatomy: Anatomy) -> Floats:
    """Return 1 in insula and cingulate, which are bright on FLAIR, fading to 0."""
    x, y, z = anatomy.place
    insula = ((np.abs(x) - 38) / 8) ** 2 + ((y - 4) / 20) ** 2 + ((z - 3) / 14) ** 2
    cingulum = (x / 9) ** 2 + ((np.abs(y + 8) - 35) / 22) ** 2 + ((z - 25) / 22) ** 2
    return np.asarray(np.exp(-insula) + np.exp(-cingulum), np.float32)


def _caps(rng: np.random.Generator, grid: Grid, anatomy: Anatomy, age: float) -> Floats:
    """Return the weight of ageing white matter at the ventricles, and in spots."""
    width = np.float32(1.0 + 4.5 * age)
    halo = np.exp(-((anatomy.ventricle / width) ** 2))
    patchy = ramp(smooth_noise(rng, grid, 12), -1.2, 1.0)
    spots = ramp(smooth_noise(rng, grid, 6), 3.2 - 1.4 * age, 4.0 - 1.4 * age)
    return np.asarray(anatomy.tissues[2] * np.maximum(halo * patchy, spots), np.float32)


def _rim(rng: np.random.Generator, grid: Grid, anatomy: Anatomy) -> Floats:
    """Return the weight of what skull-stripping left on patches of the surface."""
    shell = 1 - ramp(anatomy.depth + smooth_noise(rng, grid, 7), 1.0, 4.5)
    start = rng.uniform(-0.8, 1.3)
    patches = ramp(smooth_noise(rng, grid, 16), start, start + 0.8)
    return np.asarray(anatomy.brain * shell * patches, np.float32)


def _coil(rng: np.random.Generator, grid: Grid) -> Floats:
    """Return the receive field: coils are near the surface, so the middle is darker."""
    x, y, _ = grid.axes
    radius2 = (x[:, None, None] ** 2 + y[None, :, None] ** 2) / (FIELD / 2) ** 2
    shading = 1 + np.float32(rng.uniform(0.0, 0.5)) * radius2
    slope = np.exp(0.07 * smooth_noise(rng, grid, 75))
    return np.asarray(shading * slope, np.float32)
