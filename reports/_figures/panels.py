"""Small pictures of one slice: anterior up, left of the image = left of the patient."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from .style import FALSE_ALARM, HIT, LESION, MISS, MM_PER_INCH

ORIENTATION = "Anterior is up; left of the image is left of the patient."
MARGIN = 2
SCORE_COLOURS = "inferno"
Slice = Mapping[str, NDArray[Any]]
Range = tuple[float, float]


@dataclass(frozen=True)
class Frame:
    """The part of a slice that is shown: the brain with a margin.

    Attributes:
        window: in voxels.
        extent: left, right, bottom, top in mm.
    """

    window: tuple[slice, slice]
    extent: tuple[float, float, float, float]

    @classmethod
    def around(cls, arrays: Slice) -> Self:
        """Return the frame of the brain, or of the whole slice if there is none."""
        brain = arrays["brain"].astype(bool)
        window = []
        for axis in (0, 1):
            inside = np.flatnonzero(brain.any(axis=1 - axis))
            first, last = (inside[0], inside[-1]) if len(inside) else (0, np.inf)
            stop = min(last + 1 + MARGIN, brain.shape[axis])
            window.append(slice(max(0, int(first) - MARGIN), int(stop)))
        edges = [
            float(edge * spacing)
            for part, spacing in zip(window, arrays["spacing"], strict=True)
            for edge in (part.start, part.stop)
        ]
        return cls((window[0], window[1]), (edges[0], edges[1], edges[2], edges[3]))

    @property
    def aspect(self) -> float:
        """Height over width."""
        left, right, bottom, top = self.extent
        return (top - bottom) / (right - left)

    def cut(self, array: NDArray[Any]) -> NDArray[np.float32]:
        """Return the part as rows from posterior to anterior: float32 (Y, X)."""
        return array[self.window].T.astype(np.float32)

    def outline(self, axes: Axes, mask: NDArray[Any], colour: str = LESION) -> None:
        """Draw the border of a mask; nothing where it has none."""
        part = self.cut(mask)
        if part.min() == part.max():
            return
        left, right, bottom, top = self.extent
        x, y = (
            np.linspace(start, stop, 2 * count + 1)[1::2]
            for start, stop, count in (
                (left, right, part.shape[1]),
                (bottom, top, part.shape[0]),
            )
        )
        axes.contour(x, y, part, levels=[0.5], colors=[colour], linewidths=0.7)

    def show(
        self,
        axes: Axes,
        array: NDArray[Any],
        limits: Range,
        cmap: str = "gray",
    ) -> None:
        """Draw an image on a scale."""
        axes.imshow(
            self.cut(array),
            cmap=cmap,
            vmin=limits[0],
            vmax=limits[1],
            origin="lower",
            extent=self.extent,
            interpolation="nearest",
        )

    def paint(
        self, axes: Axes, mask: NDArray[Any], colour: str, alpha: float = 0.65
    ) -> None:
        """Draw a mask as a flat colour over what is there."""
        from matplotlib.colors import to_rgba

        colours = np.zeros((*self.cut(mask).shape, 4), np.float32)
        colours[self.cut(mask) > 0] = to_rgba(colour, alpha)
        axes.imshow(
            colours, origin="lower", extent=self.extent, interpolation="nearest"
        )


def place(figure: Figure, x: float, y: float, width: float, height: float) -> Axes:
    """Return axes without frame; `x` and `y` in mm from the figure's upper left."""
    across, down = figure.get_size_inches() * MM_PER_INCH
    axes = figure.add_axes(
        (x / across, 1 - (y + height) / down, width / across, height / down)
    )
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    return axes


def write(figure: Figure, x: float, y: float, text: str, **font: Any) -> None:
    """Write text with its top at `y`; both in mm from the figure's upper left."""
    across, down = figure.get_size_inches() * MM_PER_INCH
    figure.text(x / across, 1 - y / down, text, va="top", **font)


def window_of(images: Sequence[tuple[NDArray[Any], NDArray[Any]]]) -> Range:
    """Return limits that show the brains of (image, brain) pairs: 0.5 to 99.5 %."""
    inside = [image[brain.astype(bool)].astype(np.float32) for image, brain in images]
    values = np.concatenate([np.zeros(0, np.float32), *inside])
    if not len(values):
        return 0.0, 1.0
    low, high = (float(edge) for edge in np.percentile(values, (0.5, 99.5)))
    return (low, high) if high > low else (low, low + 1)


def show_overlap(axes: Axes, frame: Frame, arrays: Slice, name: str) -> None:
    """Draw what a mask found, missed and found in vain, over the image."""
    mask, lesion = arrays[name].astype(bool), arrays["lesion"].astype(bool)
    frame.show(axes, arrays["image"], window_of([(arrays["image"], arrays["brain"])]))
    frame.paint(axes, mask & lesion, HIT)
    frame.paint(axes, mask & ~lesion, FALSE_ALARM)
    frame.paint(axes, ~mask & lesion, MISS)


def show_score(axes: Axes, frame: Frame, arrays: Slice, limits: Range) -> None:
    """Draw the score inside the brain, with the lesion's border."""
    inside = np.where(arrays["brain"].astype(bool), arrays["score"], np.nan)
    axes.set_facecolor("black")
    frame.show(axes, inside, limits, SCORE_COLOURS)
    frame.outline(axes, arrays["lesion"])
