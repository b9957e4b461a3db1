"""NIfTI files that gzip packed, read and written by igzip.

One thread of igzip unpacks two to three times as fast as zlib and packs eight times as
fast. nibabel takes zlib, or indexed_gzip where that is installed, which indexes a file
before it reads a byte.
"""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from isal.igzip import IGzipFile
from nibabel.filebasedimages import ImageFileError
from nibabel.nifti1 import Nifti1Image, Nifti1Pair
from nibabel.nifti2 import Nifti2Image

Voxels = TypeVar("Voxels")
KINDS = (Nifti1Image, Nifti2Image)
# Enough bytes of a file to tell NIfTI-1 and NIfTI-2 from others.
HEADER = 540
# Of 0 to 3: level 3 saves 0.2 % of a score map's size in four times the time.
LEVEL = 2
PART = 2**20  # bytes
# How gzip names bytes that begin no further member.
BEHIND = "Not a gzipped file"


def is_packed(path: Path) -> bool:
    """Return whether a file is packed, by its name."""
    return path.name.lower().endswith(".nii.gz")


def read_header(path: Path) -> Nifti1Image:
    """Return an image of which the header can be used, and not the voxels.

    Raises:
        OSError, EOFError, zlib.error: it cannot be unpacked.
        ImageFileError: what is in it is not NIfTI.
    """
    # zlib, because igzip fails at the start of a small file that is cut at its end.
    with gzip.open(path) as stream:
        start = stream.read(HEADER)
        stream.seek(0)
        for kind in KINDS:
            if kind.header_class.may_contain_header(start):
                return kind.from_stream(stream)
    msg = "its header is none of NIfTI"
    raise ImageFileError(msg)


def unpacked(
    image: Nifti1Pair, path: Path, read: Callable[[Nifti1Pair], Voxels]
) -> Voxels:
    """Return what is read from an image whose voxels can be had meanwhile.

    Bytes behind the end of what is packed are no fault of it.

    Args:
        image: its header, read before.
        path: of a packed file; another is left to nibabel.
        read: all voxels.

    Raises:
        OSError, EOFError, zlib.error: it is cut, damaged, or has not the checksum that
            it names.
    """
    if not isinstance(image, KINDS) or not is_packed(path):
        return read(image)
    try:
        with IGzipFile(path, "rb") as stream:
            return _to_the_end(stream, type(image), read)
    except (EOFError, gzip.BadGzipFile):
        # igzip may take a few bytes behind the end for a cut file; zlib does not.
        with gzip.open(path) as stream:
            return _to_the_end(stream, type(image), read)


def _to_the_end(
    stream: gzip.GzipFile, kind: type[Nifti1Image], read: Callable[[Nifti1Pair], Voxels]
) -> Voxels:
    found = read(kind.from_stream(stream))
    try:
        # The checksum stands after the last voxel and is compared by who reads on.
        while stream.read(PART):
            pass
    except gzip.BadGzipFile as error:
        if not str(error).startswith(BEHIND):
            raise
    return found


def write_packed(image: Nifti1Image, path: Path) -> None:
    """Write an image; the same image gives the same bytes, since no time is in them."""
    with path.open("wb") as file, IGzipFile("", "wb", LEVEL, file, mtime=0) as stream:
        image.to_stream(stream)
