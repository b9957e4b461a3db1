"""Evaluation protocols: what of a dataset is learned from and judged.

volume        every subject's whole volume on its own grid (the default).
itermask2-2d  the protocol of Liang et al., MICCAI 2024: one slice a subject, the one
              with the most lesion, on 128 x 128 px. Choosing it needs the labels and
              leaves out every healthy slice, so that its numbers are never shown beside
              those of `volume`.

Differs from the paper's code in:

- Slices come from the whole volume; there, from axial slices 70 to 89 of BraTS.
- Masks stay binary: a pixel is lesion if at least half of it is; there, if any part is.
- Brain masks are the dataset's; there, what is above 0 in the first modality.
- The headline's threshold comes from healthy validation scans. What the paper reports,
  the best threshold on the test labels, is the column "oracle".
- A case without lesion keeps its row, with its fullest slice; there, it is dropped.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from uadbench import slices
from uadbench.errors import check_known
from uadbench.fingerprints import fingerprint, of_code
from uadbench.metrics.strata import size_stratum_px
from uadbench.protocols import Case, Dataset, Lazy, Scan
from uadbench.slices import resample, weights

Old = TypeVar("Old")
New = TypeVar("New")

PAPER_SIZE = 128
SLICE_MAX = "itermask2-2d"
CHOSEN_BY_LABEL = (
    "Protocol itermask2-2d: the slice of each subject is chosen by its lesion label, "
    "and no healthy slice is scored. Not comparable with whole volumes."
)

no_case = dict[str, Case]().__getitem__


@dataclass(frozen=True)
class View:
    """A dataset as a protocol shows it.

    Attributes:
        labelled: validation cases with their lesions, for thresholds of the level
            "lesion-val" alone; often none.
        caveats: what forbids or weakens a conclusion from it.
    """

    train: Lazy[Scan]
    val: Lazy[Scan]
    test: Lazy[Case]
    labelled: Lazy[Case] = field(default_factory=lambda: Lazy((), no_case))
    caveats: tuple[str, ...] = ()


def volume(dataset: Dataset) -> View:
    """Return the dataset as it is."""
    return View(
        dataset.train(),
        dataset.val(),
        dataset.test(),
        dataset.labelled(),
        tuple(dataset.caveats()),
    )


def largest_lesion_slice(dataset: Dataset) -> View:
    """Return the dataset at 128 px with one slice for each test case."""
    return View(
        _map(coarsen_scan, dataset.train()),
        _map(coarsen_scan, dataset.val()),
        _map(_largest_slice, dataset.test()),
        _map(_largest_slice, dataset.labelled()),
        (*dataset.caveats(), CHOSEN_BY_LABEL),
    )


PROTOCOLS: dict[str, Callable[[Dataset], View]] = {
    "volume": volume,
    SLICE_MAX: largest_lesion_slice,
}


def view(dataset: Dataset, protocol: str) -> View:
    """Return a dataset under a protocol.

    Raises:
        UsageError: there is no such protocol.
    """
    check_known("protocols", protocol, PROTOCOLS)
    return PROTOCOLS[protocol](dataset)


def coarsen_scan(scan: Scan, size: int = PAPER_SIZE) -> Scan:
    """Return a scan whose slices have `size` x `size` px over their whole field."""
    coarsen, step, shift = _square(scan, size)
    affine = scan.affine.copy()
    scale = np.array([step / scan.spacing[0], step / scan.spacing[1], 1.0])
    affine[:3, 3] += affine[:3, :3] @ shift
    affine[:3, :3] *= scale
    return replace(
        scan,
        image=np.stack([coarsen(channel) for channel in scan.image]),
        brain=coarsen(scan.brain) >= 0.5,
        spacing=(step, step, scan.spacing[2]),
        affine=affine,
    )


def _largest_slice(case: Case) -> Case:
    coarsen, _, _ = _square(case.scan, PAPER_SIZE)
    scan = coarsen_scan(case.scan)
    # A voxel belongs to the lesion if at least half of it does: masks stay binary.
    lesion = coarsen(case.lesion) >= 0.5
    ignore = None if case.ignore is None else coarsen(case.ignore) >= 0.5
    inside = scan.brain if ignore is None else scan.brain & ~ignore
    counted = list(scan.slices)
    area = (lesion & inside).sum(axis=(0, 1))[counted]
    # A case without lesion keeps its row: its fullest slice stands for it.
    fullest = inside.sum(axis=(0, 1))[counted]
    index = int(np.argmax(area if area.any() else fullest))
    chosen, pixels = counted[index], int(area[index])
    return Case(
        scan=replace(scan, slices=(chosen,)),
        lesion=lesion,
        ignore=ignore,
        strata={**case.strata, "size": size_stratum_px(pixels)},
    )


Resample = Callable[[NDArray[np.generic]], NDArray[np.float32]]


def _square(scan: Scan, size: int) -> tuple[Resample, float, NDArray[np.float64]]:
    """Return a resampler of (X, Y, Z), the new pixel in mm, and the shift in voxels."""
    shape, spacing = np.array(scan.brain.shape[:2]), np.array(scan.spacing[:2])
    field = float((shape * spacing).max())
    step = field / size / spacing
    corner = (shape - field / spacing) / 2
    rows, columns = (
        weights(int(shape[axis]), size, float(corner[axis]), float(step[axis]))
        for axis in (0, 1)
    )
    # From the centre of the first old pixel to that of the first new one.
    shift = corner + step / 2 - 0.5

    def coarsen(volume: NDArray[np.generic]) -> NDArray[np.float32]:
        return resample(volume, rows, columns)

    return coarsen, field / size, np.append(shift, 0.0)


def _map(change: Callable[[Old], New], items: Lazy[Old]) -> Lazy[New]:
    position = {name: i for i, name in enumerate(items.ids)}

    def renamed(name: str) -> str:
        before = items.fingerprint(name)
        code = of_code(slices, sys.modules[__name__])
        return before and fingerprint(before, change.__name__, code)

    return Lazy(
        items.ids,
        lambda name: change(items[position[name]]),
        items.subjects,
        renamed,
    )
