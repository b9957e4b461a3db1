"""From scans to the slices that a network learns from."""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass as record
from dataclasses import replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass

from uadbench import slices as core_slices
from uadbench.ahead import loaded
from uadbench.cache import Pair, cached
from uadbench.errors import DataError
from uadbench.fingerprints import fingerprint, of_code
from uadbench.protocols import Context, Lazy, Scan
from uadbench.slices import Normalisation, Slices, cut


@record(frozen=True)
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

    @property
    def relative(self) -> bool:
        """Whether the intensity is relative to the brain's own."""
        return self.normalisation != "none"


@dataclass
class SliceOptions:
    """Options of every method that works on slices."""

    size: int = Field(128, ge=16, le=1024, description="side of a slice, px")
    field: float = Field(240.0, gt=0, description="side of a slice, mm")
    normalisation: Normalisation = Field("median", description="scale of the intensity")

    @property
    def grid(self) -> Grid:
        """The grid of the slices."""
        return Grid(self.size, self.field, self.normalisation)


@dataclass
class OneModality:
    """The option of every method that takes one modality."""

    name: ClassVar[str]

    modality: str = Field("", description="which one, where scans have several")

    def scored(self, scan: Scan) -> Scan:
        """Return the scan with the modality that the option names, or its only one."""
        return one_modality(scan, self.name, self.modality)


@record(frozen=True, eq=False)
class Healthy:
    """All healthy slices of some scans that hold brain, in memory or in mapped files.

    Attributes:
        images: of each scan, float32 (N, C, S, S).
        brain: of each scan, bool (N, 1, S, S).
        relative: the intensity is relative to the brain's own, not in units unknown.
    """

    images: Sequence[NDArray[np.float32]]
    brain: Sequence[NDArray[np.bool_]]
    relative: bool = False

    def __len__(self) -> int:
        return sum(map(len, self.images))


def cuts(
    scans: Sequence[Scan],
    choose: Callable[[Scan], Scan],
    grid: Grid,
    ctx: Context,
    method: str,
    role: str,
) -> Iterator[tuple[str, Slices]]:
    """Yield the id and the slices of each scan that has some.

    Args:
        scans: healthy in the slices that count.
        choose: returns a scan with the modalities to learn from alone.
        grid: of the slices.
        ctx: shows the progress.
        method: its name in messages.
        role: what the scans are for, such as "training", for messages.

    Raises:
        DataError: at the end, no slice held brain; and as `choose`.
    """

    def take(scan: Scan) -> tuple[str, Slices] | None:
        chosen = choose(scan)
        return (scan.id, grid.cut(chosen)) if chosen.slices else None

    filled = False
    taken = loaded(scans, take)
    for found in ctx.monitor.track(taken, f"reading {role} scans", len(scans)):
        if found:
            filled = filled or bool(found[1].brain.any())
            yield found
    if not filled:
        msg = (
            f"{method}: no healthy slice with brain in {len(scans)} {role} scans. "
            "Give scans with lesion-free slices."
        )
        raise DataError(msg)


def filled(
    scans: Sequence[Scan],
    choose: Callable[[Scan], Scan],
    grid: Grid,
    ctx: Context,
    method: str,
    role: str,
) -> Sequence[Pair]:
    """Return images and brain of each scan's slices that hold brain.

    They come from `ctx.cache` where scans, choice, grid and code are those of an
    earlier call. The arguments and errors are those of `cuts`.
    """

    def make() -> list[Pair]:
        return [
            _with_brain(slices)
            for _, slices in cuts(scans, choose, grid, ctx, method, role)
        ]

    name = _name(scans, choose, grid) if ctx.cache else ""
    if not (ctx.cache and name):
        return make()
    return cached(ctx.cache / "slices" / name, make, ctx.monitor)


def _with_brain(slices: Slices) -> Pair:
    holds = slices.brain.any(axis=(1, 2))
    return slices.images[holds], slices.brain[holds, None]


def _name(scans: Sequence[Scan], choose: Callable[[Scan], Scan], grid: Grid) -> str:
    """Return what tells the slices of some scans from others; "" where unknown."""
    if not isinstance(scans, Lazy) or not scans:
        return ""
    prints = [*loaded(scans.ids, scans.fingerprint)]
    if not all(prints):
        return ""
    # What is chosen of the first is chosen of all: a dataset has the same modalities.
    modalities = choose(scans[0]).modalities
    code = of_code(core_slices, sys.modules[__name__])
    return fingerprint(code, prints, modalities, grid)


def gather(
    scans: Sequence[Scan],
    choose: Callable[[Scan], Scan],
    grid: Grid,
    ctx: Context,
    method: str,
    role: str,
) -> Healthy:
    """Return the slices that `filled` returns, of the same arguments, together."""
    pairs = filled(scans, choose, grid, ctx, method, role)
    images, brain = zip(*pairs, strict=True)
    return Healthy(images, brain, grid.relative)


def one_modality(scan: Scan, method: str, modality: str = "") -> Scan:
    """Return the scan with one modality alone.

    Args:
        scan: with one modality or several.
        method: its name in messages.
        modality: its name; "" is enough where the scan has no other.

    Raises:
        DataError: there is no such modality, or several and none is named.
    """
    if not modality and len(scan.modalities) > 1:
        msg = (
            f"{method} takes one modality, got {', '.join(scan.modalities)} in "
            f"{scan.id}: choose one of them, by --set modality={scan.modalities[0]} or "
            f"--set-data modality={scan.modalities[0]}."
        )
        raise DataError(msg)
    return with_modalities(scan, method, [modality or scan.modalities[0]])


def with_modalities(scan: Scan, method: str, wanted: Sequence[str]) -> Scan:
    """Return the scan with some of its modalities alone, in the order asked for.

    Raises:
        DataError: one of them is not there.
    """
    for name in wanted:
        if name not in scan.modalities:
            msg = (
                f"{method}: no '{name}' in {scan.id}. There are: "
                f"{', '.join(scan.modalities)}."
            )
            raise DataError(msg)
    places = [scan.modalities.index(name) for name in wanted]
    return replace(scan, image=scan.image[places], modalities=tuple(wanted))
