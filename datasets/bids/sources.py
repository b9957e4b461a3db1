"""One examination: its files, their checks, and the scan that is made of them."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from uadbench import packed, volumes
from uadbench.errors import DataError
from uadbench.fingerprints import fingerprint, of_code, of_files
from uadbench.protocols import Scan
from uadbench.volumes import read_grid, read_mask, read_volume

from .layout import Name, Visit, find

Images = NDArray[np.float32]
PACKAGES = ("nibabel", "numpy")


@dataclass(frozen=True)
class Query:
    """Which files of a folder are wanted.

    Attributes:
        root: the folder that holds sub-* folders.
        modality: suffixes of the images.
        brain: name of the brain mask, or "" to take where an image is not 0.
        lesion: names of the lesion mask, any of them.
        entities: such as "run-1", to choose among several files.
    """

    root: Path
    modality: Sequence[str]
    brain: str
    lesion: Sequence[str]
    entities: Sequence[str]

    def image(self, visit: Visit, modality: str, like: Name | None) -> Path:
        """Return the path of an image; DataError if there is none or several."""
        path = find(visit.images, [modality], self.entities, like)
        if path is None:
            wanted = self.root / visit.folder / "anat" / f"{visit.id}_{modality}.nii.gz"
            has = ", ".join(sorted(visit.suffixes)) or "no image"
            msg = f"{wanted}: there is no such file; {visit.id} has: {has}."
            raise DataError(msg)
        return path

    def mask(self, visit: Visit, names: Sequence[str], like: Name | None) -> Path:
        """Return the path of a mask; DataError if there is none or several."""
        path = find(visit.masks, names, self.entities, like)
        if path is None:
            msg = f"{self.root / mask_place(visit, names[0])}: there is no such file."
            raise DataError(msg)
        return path


def mask_place(visit: Visit, name: str) -> Path:
    """Return where a mask is expected, below the root."""
    folder = Path("derivatives", "*") / visit.folder / "anat"
    return folder / f"{visit.id}_{name}.nii.gz"


@dataclass(frozen=True)
class Source:
    """The files of one examination.

    Attributes:
        id: unique; the beginning of its file names.
        subject: the person.
        images: one for each modality.
        brain: the mask, or None to take where an image is not 0.
        lesion: the mask, or None of a healthy control.
    """

    id: str
    subject: str
    images: tuple[Path, ...]
    brain: Path | None
    lesion: Path | None

    def healthy_slices(self) -> tuple[int, ...]:
        """Return the axial slices that hold brain and no lesion voxel.

        Raises:
            DataError: a file cannot be read, or the brain is empty.
        """
        keep = self._brain(None).any(axis=(0, 1))
        keep &= ~self.read_lesion().any(axis=(0, 1))
        return tuple(int(z) for z in np.flatnonzero(keep))

    def read_lesion(self) -> NDArray[np.bool_]:
        """Return bool (X, Y, Z), all False of a healthy control."""
        if self.lesion is None:
            return np.zeros(read_grid(self.images[0]).shape, bool)
        return read_mask(self.lesion)[0]

    def scan(
        self, modalities: tuple[str, ...], slices: tuple[int, ...] | None = None
    ) -> Scan:
        """Return the scan; where `slices` are given, all others are blanked.

        Raises:
            DataError: names the file that is unreadable, empty or without contrast.
        """
        image = self._image()
        brain = self._brain(image)
        if slices is None:
            slices = tuple(int(z) for z in np.flatnonzero(brain.any(axis=(0, 1))))
        else:
            hidden = np.setdiff1d(np.arange(brain.shape[-1]), slices)
            image[..., hidden] = 0
            brain[..., hidden] = False
        for path, channel in zip(self.images, image, strict=True):
            inside = channel[brain]
            if inside.min() == inside.max():
                msg = (
                    f"{path}: constant inside the brain, each voxel is "
                    f"{inside[0]:g}; an image with contrast was expected."
                )
                raise DataError(msg)
        grid = read_grid(self.images[0])
        return Scan(
            id=self.id,
            image=image,
            brain=brain,
            spacing=grid.spacing,
            affine=grid.affine,
            modalities=modalities,
            slices=slices,
            axes=grid.axes,
            xform=grid.xform,
        )

    def fingerprint(
        self, modalities: tuple[str, ...], slices: tuple[int, ...] | None = None
    ) -> str:
        """Return what tells the scan of the same arguments from others; "" if unread.

        That of its lesion mask is in `slices`.
        """
        paths = [*self.images, *([self.brain] if self.brain else [])]
        code = of_code(packed, volumes, sys.modules[__name__], packages=PACKAGES)
        try:
            content = of_files(paths)
        except OSError:
            # Loading it will say why.
            return ""
        return fingerprint(code, content, self.id, modalities, slices, len(paths))

    def _image(self) -> Images:
        """Return float32 (C, X, Y, Z)."""
        channels = []
        for path in self.images:
            channel, _ = read_volume(path)
            if not channel.any():
                msg = f"{path}: all voxels are 0. Export the image again."
                raise DataError(msg)
            channels.append(channel)
        return np.stack(channels)

    def _brain(self, image: Images | None) -> NDArray[np.bool_]:
        """Return bool (X, Y, Z); `image` saves reading it where it is the mask."""
        if self.brain is None:
            shown = self._image() if image is None else image
            return np.asarray((shown != 0).any(axis=0))
        brain, _ = read_mask(self.brain)
        if not brain.any():
            msg = f"{self.brain}: the brain mask is empty; all voxels are 0."
            raise DataError(msg)
        return brain
