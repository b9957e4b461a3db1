import gzip
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest

from uadbench.datasets.bids import Bids
from uadbench.errors import DataError, UsageError
from uadbench.options import build

# The class of conftest.py, from which tests cannot import.
Folder: TypeAlias = Any
Damage = Callable[[Folder], object]
LESION = "label-lesion_mask"
BRAIN = "desc-brain_mask"
VOXELS = np.arange(1, 721, dtype=np.float32).reshape(10, 12, 6)
MASK = np.ones((10, 12, 6), np.uint8)


def with_voxel(value: float) -> Damage:
    def damage(folder: Folder) -> None:
        voxels = VOXELS.copy()
        voxels[5, 6, 3] = value
        folder.save(folder.image("sub-1"), voxels)

    return damage


def with_image(voxels: Any, **more: Any) -> Damage:
    return lambda folder: folder.save(folder.image("sub-1"), voxels, **more)


def with_mask(name: str, voxels: Any, **more: Any) -> Damage:
    return lambda folder: folder.save(folder.mask("sub-1", name), voxels, **more)


def cut_image(folder: Folder) -> None:
    path = folder.image("sub-1")
    path.write_bytes(path.read_bytes()[:-30])


HEADERS: dict[str, tuple[Damage, str]] = {
    "no modality": (
        lambda f: f.image("sub-1").rename(f.image("sub-1", "T1w")),
        "sub-1/anat/sub-1_FLAIR.nii.gz: there is no such file; sub-1 has: T1w.",
    ),
    "no image": (
        lambda f: f.image("sub-1").unlink(),
        "sub-1/anat/sub-1_FLAIR.nii.gz: there is no such file; sub-1 has: no image.",
    ),
    "another's name": (
        lambda f: f.image("sub-1").rename(f.image("sub-1").parent / "sub-2_FLAIR.nii"),
        "sub-1/anat/sub-1_FLAIR.nii.gz: there is no such file",
    ),
    "no brain": (
        lambda f: f.mask("sub-1", BRAIN).unlink(),
        "derivatives/*/sub-1/anat/sub-1_desc-brain_mask.nii.gz: there is no such file.",
    ),
    "no lesion": (
        lambda f: f.mask("sub-1", LESION).unlink(),
        "derivatives/*/sub-1/anat/sub-1_label-lesion_mask.nii.gz: there is no such",
    ),
    "text": (
        lambda f: f.image("sub-1").write_text("not an image"),
        "sub-1_FLAIR.nii.gz: not a readable NIfTI file",
    ),
    "zip of text": (
        lambda f: f.mask("sub-1", LESION).write_bytes(gzip.compress(b"text " * 200)),
        "sub-1_label-lesion_mask.nii.gz: not a readable NIfTI file",
    ),
    "4D": (
        with_image(np.ones((10, 12, 6, 2))),
        "sub-1_FLAIR.nii.gz: shape (10, 12, 6, 2), but a 3D volume",
    ),
    "other shape": (
        with_mask(BRAIN, MASK[..., 1:]),
        "sub-1_desc-brain_mask.nii.gz: shape (10, 12, 5), but sub-1_FLAIR.nii.gz has",
    ),
    "other affine": (
        with_mask(LESION, MASK, affine=np.diag([-2.0, -2, 6, 1])),
        "sub-1_label-lesion_mask.nii.gz: its affine differs from that of sub-1_FLAIR",
    ),
    "two images": (
        lambda f: f.save(f.image("sub-1", "run-2_FLAIR"), VOXELS),
        "2 files for one FLAIR",
    ),
}
CONTENTS: dict[str, tuple[Damage, str]] = {
    "truncated": (cut_image, "sub-1_FLAIR.nii.gz: cannot be read to its end"),
    "NaN": (with_voxel(np.nan), "sub-1_FLAIR.nii.gz: 1 voxels are NaN or infinite"),
    "all zero": (with_image(0 * VOXELS), "sub-1_FLAIR.nii.gz: all voxels are 0."),
    "constant": (
        with_image(7 + 0 * VOXELS),
        "sub-1_FLAIR.nii.gz: constant inside the brain, each voxel is 7;",
    ),
}


@pytest.mark.parametrize(("damage", "message"), HEADERS.values(), ids=HEADERS)
@pytest.mark.parametrize("part", ["train", "val", "test"])
def test_what_is_missing_or_unfit_is_told_before_training(
    four: Folder, damage: Damage, message: str, part: str
) -> None:
    damage(four)

    with pytest.raises(DataError, match=re.escape(message)) as caught:
        getattr(Bids(root=four.root), part)()

    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("damage", "message"), CONTENTS.values(), ids=CONTENTS)
def test_unfit_voxels_are_told_when_a_scan_is_loaded(
    four: Folder, damage: Damage, message: str
) -> None:
    damage(four)
    dataset = Bids(root=four.root)
    parts = (dataset.train(), dataset.val(), dataset.test())
    part = next(part for part in parts if "sub-1" in part.ids)

    with pytest.raises(DataError, match=re.escape(message)):
        part[part.ids.index("sub-1")]


@pytest.mark.parametrize("part", ["train", "test"])
def test_an_empty_brain_mask_is_told(four: Folder, part: str) -> None:
    subject = getattr(Bids(root=four.root), part)().subjects[0]
    four.save(four.mask(subject, BRAIN), 0 * MASK)

    with pytest.raises(DataError, match=rf"{subject}_desc-brain.*mask is empty"):
        getattr(Bids(root=four.root), part)()[0]


def test_each_problem_has_a_line_and_many_are_counted(folder: Folder) -> None:
    folder.add("sub-00")
    for number in range(1, 13):
        folder.add(f"sub-{number:02}", images=("T1w",), lesion=None)

    with pytest.raises(DataError) as caught:
        Bids(root=folder.root).test()

    # 12 subjects lack image and lesion: 24 problems, of which 20 are listed.
    lines = str(caught.value).splitlines()
    assert lines[0].startswith(f"bids: 24 problems under {folder.root}.")
    assert len(lines) == 1 + 20 + 1
    assert lines[-1].strip() == "... and 4 more"


def test_a_file_is_checked_though_its_image_is_unfit(four: Folder) -> None:
    four.image("sub-1").write_text("no image")
    four.mask("sub-1", LESION).write_text("no mask")

    with pytest.raises(DataError) as caught:
        Bids(root=four.root).train()

    assert "sub-1_FLAIR.nii.gz: not a readable" in str(caught.value)
    assert "sub-1_label-lesion_mask.nii.gz: not a readable" in str(caught.value)


def test_a_subject_without_any_file_is_told(four: Folder) -> None:
    (four.root / "sub-empty").mkdir()

    with pytest.raises(DataError, match=r"bids: 3 problems .*\n.*sub-empty has: no im"):
        Bids(root=four.root).train()


def test_a_root_must_be_given() -> None:
    with pytest.raises(UsageError, match=r"option 'root' is needed.*--set-data root="):
        Bids().train()


def test_a_root_must_exist(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere' is not there.*--set-data root=DIR"):
        Bids(root=tmp_path / "nowhere").test()


def test_a_root_must_be_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(DataError, match="file' is a file, not a folder"):
        Bids(root=tmp_path / "file").val()


def test_a_root_must_hold_subjects(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no sub-\* folder\.$"):
        Bids(root=tmp_path).train()


def test_a_root_one_folder_too_high_is_told(four: Folder) -> None:
    message = f"holds no sub-* folder. Did you mean '{four.root}'?"

    with pytest.raises(DataError, match=re.escape(message)):
        Bids(root=four.root.parent).train()


def test_no_brain_mask_anywhere_is_one_line(folder: Folder) -> None:
    for number in range(3):
        folder.add(f"sub-{number}", brain=False)

    with pytest.raises(DataError) as caught:
        Bids(root=folder.root).train()

    message = str(caught.value)
    assert "derivatives/*/sub-0/anat/sub-0_desc-brain_mask.nii.gz" in message
    assert "--set-data brain=nonzero" in message
    assert "\n" not in message


def test_no_lesion_mask_anywhere_is_one_line(folder: Folder) -> None:
    for number in range(3):
        folder.add(f"sub-{number}", lesion=None)

    with pytest.raises(DataError) as caught:
        Bids(root=folder.root).train()

    message = str(caught.value)
    assert "derivatives/*/sub-0/anat/sub-0_label-lesion_mask.nii.gz" in message
    assert "--set-data lesion=NAME" in message
    assert "\n" not in message


@pytest.mark.parametrize("count", [1, 2])
def test_too_few_subjects_are_counted(folder: Folder, count: int) -> None:
    for number in range(count):
        folder.add(f"sub-{number}")

    with pytest.raises(DataError, match=rf"too few subjects \({count}\): val takes 1"):
        Bids(root=folder.root).train()


def test_three_subjects_are_enough(folder: Folder) -> None:
    for number in range(3):
        folder.add(f"sub-{number}")

    dataset = Bids(root=folder.root)

    assert [len(dataset.train()), len(dataset.val()), len(dataset.test())] == [1, 1, 1]


def test_no_healthy_slice_is_told(folder: Folder) -> None:
    for number in range(4):
        folder.add(f"sub-{number}", lesion=(1, 2, 3, 4))

    with pytest.raises(DataError, match=r"no healthy slice in train: .*2 scans"):
        Bids(root=folder.root).train()


def test_controls_alone_make_no_test(folder: Folder) -> None:
    groups = {f"sub-{number}": "control" for number in range(3)}
    for subject in groups:
        folder.add(subject, lesion=None)
    folder.participants(groups)

    with pytest.raises(DataError, match="all 3 subjects are healthy controls"):
        Bids(root=folder.root).train()


def test_a_single_control_is_too_few(four: Folder) -> None:
    four.participants({"sub-0": "HC"})

    with pytest.raises(DataError, match=r"too few subjects \(1\): val takes 1, and"):
        Bids(root=four.root).train()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"val_share": 0.5, "test_share": 0.5}, "leave nothing for train"),
        ({"modality": ("T1w", "T1w")}, "names one image twice"),
        ({"modality": ()}, "at least 1"),
        ({"entities": ("run2",)}, "expected such as run-1, got 'run2'"),
        ({"brain": "guess"}, "'mask' or 'nonzero'"),
    ],
)
def test_options_are_checked(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=f"bids: .*{message}"):
        build(Bids, "bids", options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"modality": ("flair",)}, "no 'flair'. Did you mean 'FLAIR'? There are: FLAI"),
        ({"modality": ("FLAR",)}, "no 'FLAR'. Did you mean 'FLAIR'? There are: FLAIR"),
        ({"modality": ("T1",)}, "no 'T1'. Did you mean 'T1w'? There are: FLAIR, T1w."),
        ({"pipelines": ("manuel",)}, "no 'manuel'. Did you mean 'manual'?"),
        ({"exclude": ("sub-9",)}, "there is no 'sub-9'. Names look like 'sub-0'."),
        ({"exclude": tuple(f"sub-{n}" for n in range(4))}, "leaves no subject."),
    ],
)
def test_an_option_that_names_what_is_not_there_is_explained(
    four: Folder, options: dict[str, Any], message: str
) -> None:
    four.add("sub-0", images=("FLAIR", "T1w"))

    with pytest.raises(UsageError, match=re.escape(message)):
        Bids(root=four.root, **options).train()


def test_an_empty_root_is_not_the_current_folder() -> None:
    with pytest.raises(UsageError, match="expected a folder, such as root=DIR"):
        build(Bids, "bids", {"root": ""})
