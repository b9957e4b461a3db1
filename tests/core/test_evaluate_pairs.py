"""Which prediction belongs to which reference, for every naming that is known."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uadbench.errors import DataError
from uadbench.evaluate.names import Name, find, listing
from uadbench.evaluate.pairs import Folder, Pairs, match


def touch(folder: Path, *places: str) -> None:
    for place in places:
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def name(place: str) -> Name:
    return Name(Path(place + ".nii.gz"), place)


def matched(
    root: Path,
    *,
    pattern: str = "*",
    reference_pattern: str = "*",
    brain: bool = False,
) -> Pairs:
    return match(
        Folder(root / "pred", pattern, "--pattern"),
        Folder(root / "ref", reference_pattern, "--reference-pattern"),
        Folder(root / "brain", "*", "--brain-pattern") if brain else None,
    )


def found(pairs: Pairs, root: Path) -> dict[str, str | None]:
    return {
        pair.case: pair.prediction.relative_to(root / "pred").as_posix()
        if pair.prediction
        else None
        for pair in pairs.pairs
    }


@pytest.mark.parametrize(
    ("prediction", "reference", "case"),
    [
        ("a.nii.gz", "a.nii.gz", "a"),
        ("a.nii", "a.nii.gz", "a"),
        ("case_1/a.nii.gz", "a.nii.gz", "a"),
        ("BRATS_001.nii.gz", "BRATS_001.nii.gz", "BRATS_001"),
        ("scan_0001.nii.gz", "scan_0001.nii.gz", "scan_0001"),
        ("sub-1.nii.gz", "sub-1.nii.gz", "sub-1"),
        (
            "sub-1/anat/sub-1_label-lesion_desc-aefpr5_mask.nii.gz",
            "sub-1_label-lesion_mask.nii.gz",
            "sub-1",
        ),
        (
            "sub-1_desc-ae_score.nii.gz",
            "sub-1/anat/sub-1_label-lesion_mask.nii.gz",
            "sub-1",
        ),
        (
            "sub-1/ses-2/anat/sub-1_ses-2_desc-ae_score.nii.gz",
            "sub-1_ses-2_label-lesion_mask.nii.gz",
            "sub-1_ses-2",
        ),
        (
            "sub-1_run-2_desc-ae_score.nii.gz",
            "sub-1_run-2_label-lesion_mask.nii.gz",
            "sub-1_run-2",
        ),
        # One name says more than the other, and nothing else fits.
        ("sub-1_score.nii.gz", "sub-1_ses-2_mask.nii.gz", "sub-1_ses-2"),
        ("sub-1_ses-2_score.nii.gz", "sub-1_mask.nii.gz", "sub-1"),
        # Folders say whose it is.
        ("sub-1/ses-2/score.nii.gz", "sub-1/ses-2/lesion.nii.gz", "sub-1_ses-2"),
        # ATLAS.
        (
            "sub-r1_ses-1_space-MNI_desc-x_score.nii.gz",
            "sub-r1_ses-1_space-MNI_label-L_desc-T1lesion_mask.nii.gz",
            "sub-r1_ses-1_space-MNI",
        ),
    ],
)
def test_prediction_is_found_by_name(
    tmp_path: Path, prediction: str, reference: str, case: str
) -> None:
    touch(tmp_path / "pred", prediction)
    touch(tmp_path / "ref", reference)

    assert found(matched(tmp_path), tmp_path) == {case: prediction}


@pytest.mark.parametrize(
    ("predictions", "reference", "chosen"),
    [
        (
            ("sub-1_mask.nii.gz", "sub-1_desc-x_mask.nii.gz"),
            "sub-1_mask.nii.gz",
            "sub-1_mask.nii.gz",
        ),
        (
            ("sub-1_ses-1_score.nii.gz", "sub-1_score.nii.gz"),
            "sub-1_mask.nii.gz",
            "sub-1_score.nii.gz",
        ),
        (
            ("ses-1/sub-1_mask.nii.gz", "ses-2/sub-1_mask.nii.gz"),
            "sub-1/ses-2/sub-1_mask.nii.gz",
            "ses-2/sub-1_mask.nii.gz",
        ),
    ],
)
def test_nearer_name_is_preferred(
    tmp_path: Path, predictions: tuple[str, ...], reference: str, chosen: str
) -> None:
    touch(tmp_path / "pred", *predictions)
    touch(tmp_path / "ref", reference)

    assert list(found(matched(tmp_path), tmp_path).values()) == [chosen]


def test_same_names_in_many_folders_are_told_apart_by_the_folder(
    tmp_path: Path,
) -> None:
    touch(tmp_path / "pred", "A/mask.nii.gz", "B/mask.nii.gz", "D/mask.nii.gz")
    touch(tmp_path / "ref", "A/mask.nii.gz", "B/mask.nii.gz", "C/mask.nii.gz")

    pairs = matched(tmp_path)

    assert found(pairs, tmp_path) == {
        "A/mask": "A/mask.nii.gz",
        "B/mask": "B/mask.nii.gz",
        "C/mask": None,
    }
    assert [path.parent.name for path in pairs.extra] == ["D"]


def test_reference_without_prediction_is_a_pair_and_the_rest_is_extra(
    tmp_path: Path,
) -> None:
    touch(tmp_path / "pred", "b.nii.gz", "c.nii.gz")
    touch(tmp_path / "ref", "b.nii.gz", "a.nii.gz")

    pairs = matched(tmp_path)

    assert found(pairs, tmp_path) == {"a": None, "b": "b.nii.gz"}
    assert pairs.extra == (tmp_path / "pred" / "c.nii.gz",)


def test_images_of_nnunet_are_no_predictions_nor_references(tmp_path: Path) -> None:
    touch(tmp_path / "pred", "a.nii.gz", "a_0000.nii.gz", "b_0000.nii.gz")
    touch(tmp_path / "ref", "a.nii.gz", "b.nii.gz", "a_0000.nii.gz", "a_0001.nii.gz")

    pairs = matched(tmp_path)

    assert found(pairs, tmp_path) == {"a": "a.nii.gz", "b": None}
    assert pairs.extra == ()


def test_subject_is_the_person_or_else_the_case(tmp_path: Path) -> None:
    names = ("sub-1_ses-1.nii.gz", "sub-1_ses-2.nii.gz", "other.nii.gz")
    touch(tmp_path / "pred", *names)
    touch(tmp_path / "ref", *names)

    pairs = matched(tmp_path).pairs

    assert [(pair.case, pair.subject) for pair in pairs] == [
        ("other", "other"),
        ("sub-1_ses-1", "sub-1"),
        ("sub-1_ses-2", "sub-1"),
    ]


def test_brains_are_matched_alike(tmp_path: Path) -> None:
    touch(tmp_path / "pred", "sub-1.nii.gz", "sub-2.nii.gz")
    touch(tmp_path / "ref", "sub-1.nii.gz", "sub-2.nii.gz")
    touch(tmp_path / "brain", "sub-1/anat/sub-1_desc-brain_mask.nii.gz")

    pairs = matched(tmp_path, brain=True).pairs

    assert [pair.brain and pair.brain.name for pair in pairs] == [
        "sub-1_desc-brain_mask.nii.gz",
        None,
    ]


def test_pattern_chooses_among_the_maps_of_a_run(tmp_path: Path) -> None:
    maps = ("sub-1_desc-ae_score.nii.gz", "sub-1_label-lesion_desc-aeown_mask.nii.gz")
    touch(tmp_path / "pred", *(f"sub-1/anat/{name}" for name in maps))
    touch(tmp_path / "ref", "sub-1_label-lesion_mask.nii.gz")

    chosen = [
        found(matched(tmp_path, pattern=pattern), tmp_path)["sub-1"]
        for pattern in ("*_score.nii.gz", "sub-*/anat/*_mask.nii.gz")
    ]

    assert chosen == [f"sub-1/anat/{name}" for name in maps]


@pytest.mark.parametrize(
    ("predictions", "references", "message"),
    [
        (
            ("sub-1_desc-a_score.nii.gz", "sub-1_label-lesion_desc-afpr5_mask.nii.gz"),
            ("sub-1_label-lesion_mask.nii.gz",),
            "sub-1_label-lesion_mask.nii.gz: 2 files in {root}/pred fit it: "
            "sub-1_desc-a_score.nii.gz, sub-1_label-lesion_desc-afpr5_mask.nii.gz. "
            "Choose by --pattern, such as '*_desc-a_score.nii.gz' or "
            "'*_label-lesion_desc-afpr5_mask.nii.gz'.",
        ),
        (
            ("a.nii", "a.nii.gz"),
            ("a.nii.gz",),
            "a.nii.gz: 2 files in {root}/pred fit it: a.nii, a.nii.gz. "
            "Choose by --pattern, such as '*.nii' or '*.nii.gz'.",
        ),
        (
            ("sub-1_ses-1_score.nii.gz", "sub-1_ses-2_score.nii.gz"),
            ("sub-1_mask.nii.gz",),
            "sub-1_mask.nii.gz: 2 files in {root}/pred fit it: "
            "sub-1_ses-1_score.nii.gz, sub-1_ses-2_score.nii.gz. "
            "Choose by --pattern, or give both folders the same names.",
        ),
        (
            ("sub-1_score.nii.gz",),
            ("sub-1_ses-1_mask.nii.gz", "sub-1_ses-2_mask.nii.gz"),
            "sub-1_score.nii.gz: fits sub-1_ses-1_mask.nii.gz and "
            "sub-1_ses-2_mask.nii.gz. "
            "Choose by --reference-pattern, or give both folders the same names.",
        ),
        (
            ("sub-1_score.nii.gz",),
            ("sub-1_desc-brain_mask.nii.gz", "sub-1_label-lesion_mask.nii.gz"),
            "{root}/ref: 2 references of the case sub-1: "
            "sub-1_desc-brain_mask.nii.gz, sub-1_label-lesion_mask.nii.gz. Choose by "
            "--reference-pattern, such as '*_desc-brain_mask.nii.gz' or "
            "'*_label-lesion_mask.nii.gz'.",
        ),
        (
            ("x.nii.gz",),
            ("a.nii.gz", "b.nii.gz", "c.nii.gz", "d.nii.gz", "e.nii.gz"),
            "no prediction fits any reference: {root}/pred holds x.nii.gz; {root}/ref "
            "holds a.nii.gz, b.nii.gz, c.nii.gz and 2 more. "
            "Give both the same names.",
        ),
    ],
)
def test_names_that_leave_a_choice_or_none_are_an_error(
    tmp_path: Path,
    predictions: tuple[str, ...],
    references: tuple[str, ...],
    message: str,
) -> None:
    touch(tmp_path / "pred", *predictions)
    touch(tmp_path / "ref", *references)

    with pytest.raises(DataError) as error:
        matched(tmp_path)

    assert str(error.value) == message.format(root=tmp_path)


def test_folder_without_nifti_is_an_error(tmp_path: Path) -> None:
    touch(tmp_path, "notes.txt", ".hidden/a.nii.gz", ".b.nii.gz")

    with pytest.raises(DataError, match=r"holds no NIfTI file \(\.nii or \.nii\.gz\)"):
        find(tmp_path, "*", "--pattern")


def test_pattern_that_nothing_fits_is_an_error_that_shows_what_is_there(
    tmp_path: Path,
) -> None:
    touch(tmp_path, "a_mask.nii.gz")

    with pytest.raises(DataError, match=r"fits --pattern '\*_score'; there is a_mask"):
        find(tmp_path, "*_score", "--pattern")


def test_listing_is_cut_after_three() -> None:
    assert listing("abc") == "a, b, c"
    assert listing("abcd") == "a, b, c and 1 more"


@pytest.mark.parametrize(
    ("place", "entities"),
    [
        ("sub-1_ses-2_desc-x_label-y_mask", {"sub": "1", "ses": "2"}),
        ("sub-1/ses-2/anat/sub-1_mask", {"sub": "1", "ses": "2"}),
        ("sub-1/anat/my-file_T1", {"sub": "1"}),
        ("ses-2/mask", {}),
        ("BRATS_001", {}),
        ("a-b_c-d", {}),
    ],
)
def test_entities_tell_the_examination(place: str, entities: dict[str, str]) -> None:
    assert name(place).entities == entities


@given(st.sets(st.from_regex(r"[a-z]{1,3}[0-9]{0,3}", fullmatch=True), min_size=1))
def test_any_set_of_plain_names_matches_itself(stems: set[str]) -> None:
    from uadbench.evaluate.pairs import assign

    names = [name(stem) for stem in sorted(stems)]
    folder = Folder(Path(), "*", "--pattern")

    assert assign(names, names[::-1], folder, folder) == {n: n for n in names}
