# nibabel annotates only some of its functions.
# mypy: allow-untyped-calls

import gzip
import zlib
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray

from uadbench.errors import DataError
from uadbench.volumes import read_volume

# One smaller and one larger than the parts in which files are read.
SHAPES = [(5, 6, 7), (64, 64, 40)]
# Flags of a gzip header, and what each puts behind it.
NAME, COMMENT, EXTRA, SUM = 8, 16, 4, 2
OPTIONAL = {
    "name": (NAME, b"scan.nii\0"),
    "comment": (COMMENT, b"of a scanner\0"),
    "extra": (EXTRA, b"\4\0abcd"),
}
Change = Callable[[bytes], bytes]


def voxels(shape: tuple[int, ...]) -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@pytest.fixture(params=SHAPES, ids=["small", "large"])
def plain(request: pytest.FixtureRequest) -> bytes:
    """What is packed: a NIfTI file."""
    image = nib.nifti1.Nifti1Image(voxels(request.param), np.eye(4))
    return bytes(image.to_bytes())


def member(content: bytes, flags: int = 0, optional: bytes = b"") -> bytes:
    """Return a gzip member as the standard describes it, written out."""
    header = bytes([0x1F, 0x8B, 8, flags]) + bytes(5) + b"\xff" + optional
    if flags & SUM:
        header += (zlib.crc32(header) & 0xFFFF).to_bytes(2, "little")
    body = zlib.compress(content, 1, -15)
    ends = (zlib.crc32(content), len(content))
    return header + body + b"".join(end.to_bytes(4, "little") for end in ends)


def check_read(packed: bytes, plain: bytes, folder: Path) -> None:
    (folder / "a.nii.gz").write_bytes(packed)
    (folder / "b.nii").write_bytes(plain)

    found, _ = read_volume(folder / "a.nii.gz")

    np.testing.assert_array_equal(found, read_volume(folder / "b.nii")[0])


@pytest.mark.parametrize("parts", [1, 2, 5])
def test_members_are_read_as_one_file(plain: bytes, parts: int, tmp_path: Path) -> None:
    size = -(-len(plain) // parts)
    cut = [plain[at : at + size] for at in range(0, len(plain), size)]

    check_read(b"".join(map(member, cut)), plain, tmp_path)


def test_members_without_content_change_nothing(plain: bytes, tmp_path: Path) -> None:
    packed = member(b"") + member(plain[:99]) + member(b"") + member(plain[99:])

    check_read(packed + member(b""), plain, tmp_path)


@pytest.mark.parametrize("summed", [0, SUM])
@pytest.mark.parametrize(("flag", "optional"), OPTIONAL.values(), ids=OPTIONAL)
def test_optional_parts_of_a_header_are_passed_over(
    plain: bytes, flag: int, optional: bytes, summed: int, tmp_path: Path
) -> None:
    check_read(member(plain, flag | summed, optional), plain, tmp_path)


@pytest.mark.parametrize(
    "behind",
    [b"\0", bytes(512), b"g", b"\x1f", b"garbage", bytes(3) + b"garbage" * 99],
    ids=["zero", "zeros", "byte", "half magic", "garbage", "zeros and garbage"],
)
def test_bytes_behind_the_end_are_no_fault(
    plain: bytes, behind: bytes, tmp_path: Path
) -> None:
    check_read(gzip.compress(plain) + behind, plain, tmp_path)


def test_content_behind_the_voxels_is_passed_over(plain: bytes, tmp_path: Path) -> None:
    check_read(gzip.compress(plain + bytes(3 << 20)), plain, tmp_path)


def flip(place: int) -> Change:
    """Return a change of one bit."""

    def flipped(packed: bytes) -> bytes:
        content = bytearray(packed)
        content[place] ^= 1
        return bytes(content)

    return flipped


FAULTS: dict[str, tuple[Change, str]] = {
    "wrong checksum": (flip(-8), "CRC check failed"),
    "wrong size": (flip(-4), "Incorrect length"),
    "cut checksum": (lambda packed: packed[:-5], "ended before the end"),
    "no checksum": (lambda packed: packed[:-8], "ended before the end"),
    "cut voxels": (
        lambda packed: packed[: len(packed) * 3 // 4],
        "ended before the end",
    ),
    "cut member": (lambda packed: packed + packed[:99], "ended before the end"),
}


@pytest.mark.parametrize(("change", "reason"), FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("behind", [b"", b"garbage"], ids=["", "and garbage"])
def test_a_damaged_file_is_not_read(
    plain: bytes, change: Change, reason: str, behind: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "a.nii.gz"
    path.write_bytes(change(gzip.compress(plain)) + behind)

    with pytest.raises(DataError, match="cannot be read to its end") as caught:
        read_volume(path)

    # What follows a cut is taken for its rest.
    assert behind or reason in str(caught.value)


def test_checksum_is_compared_where_content_follows_the_voxels(
    plain: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "a.nii.gz"
    path.write_bytes(flip(-8)(gzip.compress(plain + bytes(3 << 20))))

    with pytest.raises(DataError, match="CRC check failed"):
        read_volume(path)
