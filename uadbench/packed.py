"""NIfTI files that gzip packed, read and written by igzip.

One thread of igzip unpacks two to three times as fast as zlib and packs eight times as
fast. nibabel takes zlib, or indexed_gzip where that is installed, which indexes a file
before it reads a byte.
"""

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from isal.igzip import IGzipFile
from nibabel.filebasedimages import ImageFileError
from nibabel.nifti1 import Nifti1Image, Nifti1Pair
from nibabel.nifti2 import Nifti2Image

KINDS = (Nifti1Image, Nifti2Image)
# Enough bytes of a file to tell NIfTI-1 and NIfTI-2 from others.
HEADER = 540
# Of 0 to 3: level 3 saves 0.2 % of a score map's size in four times the time.
LEVEL = 2


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


@contextmanager
def unpacking(image: Nifti1Pair, path: Path) -> Iterator[Nifti1Pair]:
    """Yield an image of which the voxels can be read until the end of the context.

    Args:
        image: its header, read before.
        path: of a packed file; another is left to nibabel.

    Raises:
        OSError, EOFError: at the end, the file has not the checksum that it names.
    """
    if not isinstance(image, KINDS) or not is_packed(path):
        yield image
        return
    with IGzipFile(path, "rb") as stream:
        yield type(image).from_stream(stream)
        # The checksum stands after the last voxel and is compared by who reads on.
        stream.read(1)


def write_packed(image: Nifti1Image, path: Path) -> None:
    """Write an image; the same image gives the same bytes, since no time is in them."""
    with path.open("wb") as file, IGzipFile("", "wb", LEVEL, file, mtime=0) as stream:
        image.to_stream(stream)
