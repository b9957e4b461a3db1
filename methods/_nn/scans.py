"""From scans to the slices that a network learns from."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uadbench.errors import DataError
from uadbench.protocols import Context, Scan
from uadbench.slices import Normalisation, Slices, cut


@dataclass(frozen=True)
class Grid:
    """The grid and the scale of a network's slices.

    Attributes:
        size: pixels a side.
        field: side in mm.
        normalisation: of the intensity, see `uadbench.slices.normalise`.
    """

    size: int
    field: float
    normalisation: Normalisation

    def cut(self, scan: Scan) -> Slices:
        """Return the slices of a scan on this grid."""
        return cut(scan, self.size, self.field, self.normalisation)


@dataclass(frozen=True, eq=False)
class Healthy:
    """All healthy slices of some scans that hold brain.

    Attributes:
        images: float32 (N, 1, S, S).
        brain: bool (N, 1, S, S).
    """

    images: NDArray[np.float32]
    brain: NDArray[np.bool_]


def gather(
    scans: Sequence[Scan], grid: Grid, ctx: Context, method: str, role: str
) -> Healthy:
    """Return the slices of all scans.

    Args:
        scans: healthy in the slices that count.
        grid: of the slices.
        ctx: shows the progress.
        method: its name in messages.
        role: what the scans are for, such as "training", for messages.

    Raises:
        DataError: a scan has several modalities, or no slice holds brain.
    """
    images, brain = [], []
    for scan in ctx.monitor.track(scans, f"reading {role} scans", len(scans)):
        require_one_modality(scan, method)
        if not scan.slices:
            continue
        slices = grid.cut(scan)
        filled = slices.brain.any(axis=(1, 2))
        images.append(slices.images[filled])
        brain.append(slices.brain[filled, None])
    if not sum(map(len, images)):
        msg = (
            f"{method}: no healthy slice with brain in {len(scans)} {role} scans. "
            "Give scans with lesion-free slices."
        )
        raise DataError(msg)
    return Healthy(np.concatenate(images), np.concatenate(brain))


def require_one_modality(scan: Scan, method: str) -> None:
    """Raise a DataError if the scan has several modalities."""
    if len(scan.image) != 1:
        msg = (
            f"{method} takes one modality, got {', '.join(scan.modalities)} in "
            f"{scan.id}: choose one of them, such as --set-data "
            f"modality={scan.modalities[0]}."
        )
        raise DataError(msg)
