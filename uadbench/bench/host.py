"""What no method has a part in: metrics of a case, and reading of volumes."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from uadbench.evaluation import score_case
from uadbench.kinds import FIXED
from uadbench.postprocess import Pipeline
from uadbench.protocols import Case, Prediction, Scan
from uadbench.thresholds import Threshold
from uadbench.variants import Variant, read
from uadbench.volumes import read_volume, write_volume

from .figures import Figure, limits
from .machine import per_second

SHAPE = (240, 240, 155)  # of BraTS, at 1 mm
# Bytes of a voxel that are read: its score, and whether it is found, lesion and brain.
SCORED = 4 + 1 + 1 + 1
# Bytes of a voxel: read as int16, written as float32.
READ = 2 + 4


def metrics(shape: tuple[int, int, int], copied: float, seconds: float) -> Figure:
    """Return the brain voxels that a second of scoring takes: a row of cases.csv.

    Args:
        shape: of the made-up case.
        copied: bytes that memory reads and writes in a second.
        seconds: how long it is timed.
    """
    case, prediction = _case(shape)
    cut = Threshold(1.0, f"{FIXED}:1", "none", "")

    def score() -> None:
        reading = read(case.scan, prediction, Variant("", Pipeline()), {"cut": cut})
        score_case(case, "made-up", [reading], {})

    done = per_second(score, seconds, _at_once)
    voxels = int(case.scan.scored.sum())
    bounds = limits({"memory": copied}, SCORED)
    return Figure("metrics of a case", "voxels/s", done * voxels, bounds)


def reading(shape: tuple[int, int, int], copied: float, seconds: float) -> Figure:
    """Return the compressed NIfTI volumes that are read in a second.

    Args:
        shape: of the made-up volume.
        copied: bytes that memory reads and writes in a second.
        seconds: how long it is timed.
    """
    scan = _scan(shape)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "volume.nii.gz"
        write_volume(path, 1000 * scan.image[0], scan, np.int16)
        done = per_second(lambda: read_volume(path), seconds, _at_once)
    bounds = limits({"memory": copied}, READ * scan.brain.size)
    return Figure(f"reading {words(shape)} .nii.gz", "volumes/s", done, bounds)


def words(shape: tuple[int, int, int]) -> str:
    """Return a shape as "240 x 240 x 155"."""
    return " x ".join(map(str, shape))


def _at_once() -> None:
    """Wait for nothing: the CPU has done its work when it returns."""


def _case(shape: tuple[int, int, int]) -> tuple[Case, Prediction]:
    """Return a brain with a lesion, and a map that finds some of it and more."""
    scan = _scan(shape)
    lesion = _ball(shape, centre=0.2, radius=0.2)
    noise = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    near = _ball(shape, centre=0.25, radius=0.2)
    score = np.where(scan.scored, near + 0.25 * noise, np.float32(0))
    return Case(scan, lesion), Prediction(score.astype(np.float32))


def _scan(shape: tuple[int, int, int]) -> Scan:
    """Return a head of waves and noise, nothing outside the brain."""
    brain = _ball(shape, centre=0.0, radius=0.75)
    rng = np.random.default_rng(0)
    image = (1 + 0.1 * rng.standard_normal(shape)).astype(np.float32) * brain
    return Scan(
        id="made-up",
        image=image[None],
        brain=brain,
        spacing=(1.0, 1.0, 1.0),
        affine=np.eye(4),
        modalities=("FLAIR",),
        slices=tuple(np.flatnonzero(brain.any(axis=(0, 1))).tolist()),
    )


def _ball(
    shape: tuple[int, int, int], centre: float, radius: float
) -> NDArray[np.bool_]:
    """Return an ellipsoid; centre and radius in halves of each side."""
    x, y, z = np.ogrid[tuple(slice(-1, 1, n * 1j) for n in shape)]
    inside: NDArray[np.bool_] = (x - centre) ** 2 + (y - centre) ** 2 + (
        z - centre
    ) ** 2 < radius**2
    return inside
