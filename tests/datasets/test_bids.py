from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import nibabel as nib
import numpy as np
import pytest

from uadbench.datasets.bids import Bids
from uadbench.datasets.bids.sources import Source
from uadbench.errors import DataError
from uadbench.options import build, values
from uadbench.protocols import Dataset
from uadbench.volumes import write_volume

# The class of conftest.py, from which tests cannot import.
Folder: TypeAlias = Any
SHAPE = (10, 12, 6)
LESION = "label-lesion_mask"
BRAIN = "desc-brain_mask"


def subjects(dataset: Bids) -> dict[str, set[str]]:
    return {
        "train": set(dataset.train().subjects),
        "val": set(dataset.val().subjects),
        "test": set(dataset.test().subjects),
    }


def all_ids(dataset: Bids) -> set[str]:
    return {*dataset.train().ids, *dataset.val().ids, *dataset.test().ids}


def test_bids_is_a_dataset_whose_options_come_from_words(ten: Folder) -> None:
    words = {"root": str(ten.root), "modality": "FLAIR", "seed": "3"}

    dataset = build(Bids, "bids", words)

    assert isinstance(dataset, Dataset)
    assert len(dataset.train()) == 6
    assert values(dataset)["root"] == str(ten.root)
    assert values(dataset)["modality"] == ["FLAIR"]


def test_parts_share_no_subject_and_use_all(ten: Folder) -> None:
    parts = subjects(Bids(root=ten.root))

    # 10 subjects: 0.15 are 2 (rounded to even), 0.25 are 2 (rounded to even).
    assert [len(parts[part]) for part in ("train", "val", "test")] == [6, 2, 2]
    assert set.union(*parts.values()) == {f"sub-{number}" for number in range(10)}


def test_split_depends_on_the_names_not_on_the_disk(
    ten: Folder, folder: Folder
) -> None:
    for number in (7, 3, 9, 0, 1, 8, 2, 6, 4, 5):
        folder.add(f"sub-{number}")

    assert subjects(Bids(root=folder.root)) == subjects(Bids(root=ten.root))


def test_another_seed_splits_otherwise(ten: Folder) -> None:
    tests = {Bids(root=ten.root, seed=seed).test().ids for seed in range(4)}

    assert len(tests) > 1


def test_no_lesion_slice_reaches_a_method(ten: Folder) -> None:
    dataset = Bids(root=ten.root)

    for scan in (*dataset.train(), *dataset.val()):
        # Brain in slices 1 to 4, lesion in 2.
        assert scan.slices == (1, 3, 4)
        assert not scan.image[..., [0, 2, 5]].any()
        assert not scan.brain[..., [0, 2, 5]].any()
        assert scan.brain[..., 3].any()
        assert scan.image[0, ..., 3][scan.brain[..., 3]].min() > 0


def test_a_patient_without_healthy_slice_is_left_out(four: Folder) -> None:
    full = subjects(Bids(root=four.root))
    sick = sorted(full["train"])[0]
    four.add(sick, lesion=(1, 2, 3, 4))

    left = subjects(Bids(root=four.root))

    assert left == {**full, "train": full["train"] - {sick}}


def test_a_test_case_is_whole_and_has_its_lesion(ten: Folder) -> None:
    case = Bids(root=ten.root).test()[0]

    assert case.scan.slices == (1, 2, 3, 4)
    assert case.scan.axes == "LPS"
    assert case.scan.spacing == (2, 2, 6)
    assert case.scan.modalities == ("FLAIR",)
    # Disk (4, 5, 2) counted from the other side of 10 x 12 voxels.
    assert np.argwhere(case.lesion).tolist() == [[5, 6, 2]]
    assert case.scan.image[0, 5, 6, 2] == 100 + 4 + 3 * 5 + 7 * 2


def test_a_map_written_for_a_case_has_the_grid_of_its_image(
    ten: Folder, tmp_path: Path
) -> None:
    case = Bids(root=ten.root).test()[0]

    write_volume(tmp_path / "map.nii.gz", case.scan.image[0], case.scan)

    source: Any = nib.loadsave.load(ten.image(case.scan.id))
    copy: Any = nib.loadsave.load(tmp_path / "map.nii.gz")
    np.testing.assert_allclose(copy.affine, source.affine, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(copy.get_fdata(), source.get_fdata())


def test_several_modalities_are_channels_in_the_order_asked_for(folder: Folder) -> None:
    for number in range(3):
        folder.add(f"sub-{number}", images=("T1w", "FLAIR"))

    scan = Bids(root=folder.root, modality=("FLAIR", "T1w")).test()[0].scan

    assert scan.modalities == ("FLAIR", "T1w")
    assert scan.image.shape == (2, *SHAPE)
    # The folder's second image is brighter by 1000 inside the brain.
    difference = scan.image[0] - scan.image[1]
    np.testing.assert_array_equal(difference, 1000 * scan.brain)


def test_sessions_of_a_person_stay_together(folder: Folder) -> None:
    for number in range(5):
        folder.add(f"sub-{number}", "ses-a")
        folder.add(f"sub-{number}", "ses-b")
    dataset = Bids(root=folder.root)

    parts = subjects(dataset)

    assert sum(len(members) for members in parts.values()) == 5
    assert len(dataset.train()) == 2 * len(parts["train"])
    assert dataset.test().ids == tuple(
        f"{subject}_{session}"
        for subject in sorted(parts["test"])
        for session in ("ses-a", "ses-b")
    )
    assert dataset.test()[0].scan.id == dataset.test().ids[0]


def test_a_session_without_the_modality_is_passed_over(four: Folder) -> None:
    four.add("sub-many", "ses-1")
    four.add("sub-many", "ses-2", images=("T1w",))

    ids = all_ids(Bids(root=four.root))

    assert "sub-many_ses-1" in ids
    assert "sub-many_ses-2" not in ids


def test_names_of_atlas_are_understood(folder: Folder) -> None:
    space = "space-MNI152NLin2009aSym_"
    for number in range(3):
        folder.add(
            f"sub-r00{number}s001",
            "ses-1",
            images=(f"{space}T1w",),
            lesion_name=f"{space}label-L_desc-T1lesion_mask",
        )

    case = Bids(root=folder.root, modality=("T1w",)).test()[0]

    assert case.lesion.sum() == 1


def test_masks_beside_the_images_are_found(folder: Folder) -> None:
    for number in range(3):
        folder.add(f"sub-{number}")
        for name in (BRAIN, LESION):
            mask = folder.mask(f"sub-{number}", name)
            mask.rename(folder.image(f"sub-{number}", name))

    assert len(Bids(root=folder.root).test()) == 1


def test_pipelines_choose_among_derivatives(four: Folder) -> None:
    manual = four.root / "derivatives" / "manual"
    for mask in sorted(manual.rglob(f"*_{LESION}.nii.gz")):
        copy = four.root / "derivatives" / "uadbench" / mask.relative_to(manual)
        copy.parent.mkdir(parents=True)
        copy.write_bytes(mask.read_bytes())

    with pytest.raises(DataError, match="--set-data pipelines=NAME"):
        Bids(root=four.root).test()

    assert len(Bids(root=four.root, pipelines=("manual",)).test()) == 1


def test_brain_can_be_what_is_not_zero(folder: Folder) -> None:
    for number in range(3):
        folder.add(f"sub-{number}", brain=False)
    dataset = Bids(root=folder.root, brain="nonzero")

    assert dataset.train()[0].slices == (1, 3, 4)
    scan = dataset.test()[0].scan
    np.testing.assert_array_equal(scan.brain, scan.image[0] > 0)


def test_controls_are_learned_from_and_patients_are_the_test(folder: Folder) -> None:
    groups = {f"sub-{number}": "HC" if number < 6 else "MS" for number in range(9)}
    for subject, group in groups.items():
        folder.add(subject, lesion=None if group == "HC" else (2,))
    folder.participants(groups)
    dataset = Bids(root=folder.root)

    parts = subjects(dataset)

    assert parts["test"] == {"sub-6", "sub-7", "sub-8"}
    assert len(parts["train"]) == 5
    assert len(parts["val"]) == 1
    assert dataset.train()[0].slices == (1, 2, 3, 4)
    assert dataset.test()[0].strata == {"group": "MS"}


def test_healthy_slices_of_patients_come_with_a_caveat(ten: Folder) -> None:
    (caveat,) = Bids(root=ten.root).caveats()

    assert caveat.startswith("No healthy person is among these data")


def test_caveat_tells_the_groups_of_which_none_is_healthy(four: Folder) -> None:
    four.participants({f"sub-{n}": "controll" for n in range(4)}, column="group")

    (caveat,) = Bids(root=four.root).caveats()

    assert "Column 'group' of participants.tsv has controll; none of" in caveat


def test_healthy_controls_need_no_caveat(folder: Folder) -> None:
    groups = {f"sub-{number}": "HC" if number < 3 else "MS" for number in range(4)}
    for subject, group in groups.items():
        folder.add(subject, lesion=None if group == "HC" else (2,))
    folder.participants(groups)

    assert Bids(root=folder.root).caveats() == ()


def test_strata_come_from_participants(four: Folder) -> None:
    sites = {f"sub-{number}": "AB"[number % 2] for number in range(4)}
    four.participants(sites, column="site")

    case = Bids(root=four.root).test()[0]

    assert case.strata == {"site": sites[case.scan.id]}


def test_subjects_and_sessions_can_be_left_out(four: Folder) -> None:
    four.add("sub-x", "ses-1")
    four.add("sub-x", "ses-2", lesion=None)

    ids = all_ids(Bids(root=four.root, exclude=("sub-0", "sub-x_ses-2")))

    assert ids == {"sub-1", "sub-2", "sub-3", "sub-x_ses-1"}


def test_a_control_has_no_lesion(ten: Folder) -> None:
    images, brain = (ten.image("sub-0"),), ten.mask("sub-0", BRAIN)
    control = Source("sub-0", "sub-0", images, brain, lesion=None)

    assert control.read_lesion().shape == SHAPE
    assert not control.read_lesion().any()
    assert control.healthy_slices() == (1, 2, 3, 4)


def prints(dataset: Bids) -> dict[str, str]:
    parts = (dataset.train(), dataset.val())
    return {name: part.fingerprint(name) for part in parts for name in part.ids}


def test_each_healthy_scan_has_a_fingerprint_of_its_own(ten: Folder) -> None:
    found = prints(Bids(root=ten.root))

    assert len(set(found.values())) == len(found) == 8
    assert found == prints(Bids(root=ten.root))


@pytest.mark.parametrize("options", [{"modality": ("T1w",)}, {"brain": "nonzero"}])
def test_other_options_give_other_fingerprints(
    folder: Folder, options: dict[str, Any]
) -> None:
    for number in range(4):
        folder.add(f"sub-{number}", images=("FLAIR", "T1w"))

    before, after = (
        prints(Bids(root=folder.root)),
        prints(Bids(root=folder.root, **options)),
    )

    assert before.keys() == after.keys()
    assert set(before.values()).isdisjoint(after.values())


@pytest.mark.parametrize("what", ["image", "brain", "lesion"])
def test_fingerprint_follows_the_files(four: Folder, what: str) -> None:
    before = prints(Bids(root=four.root))
    subject, *others = before
    path = {
        "image": four.image(subject),
        "brain": four.mask(subject, BRAIN),
        "lesion": four.mask(subject),
    }[what]
    voxels = np.asarray(nib.nifti1.Nifti1Image.from_filename(path).dataobj).copy()
    # In the middle of the brain, one slice above the lesion.
    voxels[5, 6, 3] = 1 if what == "lesion" else 0
    four.save(path, voxels)

    after = prints(Bids(root=four.root))

    assert after[subject] != before[subject]
    assert [after[name] for name in others] == [before[name] for name in others]


@pytest.mark.parametrize(
    "module",
    [
        "uadbench.datasets.bids.sources",
        "uadbench.packed",
        "uadbench.volumes",
        "nibabel",
        "numpy",
    ],
)
def test_fingerprint_follows_the_code_that_reads(
    four: Folder, edit: Callable[[str], None], module: str
) -> None:
    before = prints(Bids(root=four.root))

    edit(module)

    assert set(before.values()).isdisjoint(prints(Bids(root=four.root)).values())


def test_file_that_is_gone_has_no_fingerprint(four: Folder) -> None:
    train = Bids(root=four.root).train()
    four.image(train.ids[0]).unlink()

    assert train.fingerprint(train.ids[0]) == ""
