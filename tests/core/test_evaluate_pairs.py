"""Which prediction belongs to which reference, for every naming that is known."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uadbench.errors import DataError
from uadbench.evaluate.assign import assign
from uadbench.evaluate.names import Name, Source, listing
from uadbench.evaluate.pairs import Pairs, match


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
    folders: tuple[str, str, str] = ("pred", "ref", "brain"),
) -> Pairs:
    pred, ref, inside = (root / folder for folder in folders)
    return match(
        Source(pred, pattern, "--pattern"),
        Source(ref, reference_pattern, "--reference-pattern"),
        Source(inside, "*", "--brain-pattern") if brain else None,
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
    assert [path.name for path in pairs.images] == ["a_0000.nii.gz", "b_0000.nii.gz"]


def test_image_of_a_case_with_a_bids_name_is_no_prediction(tmp_path: Path) -> None:
    touch(tmp_path / "pred", "sub-0_0000.nii.gz", "sub-1.nii.gz")
    touch(tmp_path / "ref", "sub-0.nii.gz", "sub-1.nii.gz")

    pairs = matched(tmp_path)

    assert found(pairs, tmp_path) == {"sub-0": None, "sub-1": "sub-1.nii.gz"}


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


def test_reference_is_never_its_own_brain_or_prediction(tmp_path: Path) -> None:
    touch(
        tmp_path / "masks",
        "sub-1/sub-1_label-lesion_mask.nii.gz",
        "sub-1/sub-1_desc-brain_mask.nii.gz",
        "model/sub-1_desc-x_mask.nii.gz",
        "model/sub-2_desc-x_mask.nii.gz",
    )
    folders = (".", "masks", "masks/sub-1")

    (pair,) = matched(
        tmp_path,
        reference_pattern="*_label-lesion_mask.nii.gz",
        brain=True,
        folders=folders,
    ).pairs

    assert pair.reference.name == "sub-1_label-lesion_mask.nii.gz"
    assert pair.prediction
    assert pair.prediction.name == "sub-1_desc-x_mask.nii.gz"
    assert pair.brain
    assert pair.brain.name == "sub-1_desc-brain_mask.nii.gz"


def test_brain_mask_does_not_stand_in_for_a_missing_prediction(tmp_path: Path) -> None:
    touch(tmp_path / "pred", "m/sub-1_mask.nii.gz")
    touch(tmp_path / "pred/brain", *(f"sub-{n}_desc-b_mask.nii.gz" for n in "12"))
    touch(tmp_path / "ref", "sub-1_mask.nii.gz", "sub-2_mask.nii.gz")

    pairs = matched(tmp_path, brain=True, folders=("pred", "ref", "pred/brain"))

    assert found(pairs, tmp_path) == {"sub-1": "m/sub-1_mask.nii.gz", "sub-2": None}


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        (("ref", "ref", "brain"), "chosen as references or brain masks too: a.nii.gz."),
        (("pred", "ref", "ref"), "chosen as references too: a.nii.gz. Give another"),
        (("pred", "ref", "pred"), "folder, or choose by --pattern."),
    ],
)
def test_folder_given_for_two_things_is_an_error(
    tmp_path: Path, folders: tuple[str, str, str], message: str
) -> None:
    for folder in ("pred", "ref", "brain"):
        touch(tmp_path / folder, "a.nii.gz")

    with pytest.raises(DataError, match="all that is chosen here") as error:
        matched(tmp_path, brain=True, folders=folders)

    assert message in str(error.value)


def test_brain_of_a_subject_serves_all_sessions(tmp_path: Path) -> None:
    names = ("sub-1_ses-1_mask.nii.gz", "sub-1_ses-2_mask.nii.gz")
    touch(tmp_path / "pred", *names)
    touch(tmp_path / "ref", *names)
    touch(tmp_path / "brain", "sub-1_desc-brain_mask.nii.gz")

    pairs = matched(tmp_path, brain=True).pairs

    assert {pair.brain and pair.brain.name for pair in pairs} == {
        "sub-1_desc-brain_mask.nii.gz"
    }


def test_brains_of_no_case_are_an_error_and_spare_ones_are_kept_in_mind(
    tmp_path: Path,
) -> None:
    touch(tmp_path / "pred", "a.nii.gz", "b.nii.gz")
    touch(tmp_path / "ref", "a.nii.gz", "b.nii.gz")
    touch(tmp_path / "brain", "x.nii.gz")

    with pytest.raises(DataError, match=r"no brain mask fits any .*holds x\.nii"):
        matched(tmp_path, brain=True)
    touch(tmp_path / "brain", "a.nii.gz")
    lacking = matched(tmp_path, brain=True).spare
    touch(tmp_path / "brain", "b.nii.gz")
    whole = matched(tmp_path, brain=True).spare

    assert [path.name for path in lacking] == ["x.nii.gz"]
    assert whole == ()


def test_one_repeated_name_leaves_the_others_as_they_are(tmp_path: Path) -> None:
    touch(tmp_path / "pred", "f/b.nii.gz", "A/mask.nii.gz", "B/mask.nii.gz")
    touch(tmp_path / "ref", "b.nii.gz", "A/mask.nii.gz", "B/mask.nii.gz")

    assert found(matched(tmp_path), tmp_path) == {
        "A/mask": "A/mask.nii.gz",
        "B/mask": "B/mask.nii.gz",
        "b": "f/b.nii.gz",
    }


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("sub-1_run-01_mask.nii.gz", "sub-1_run-1_mask.nii.gz"),
        # An accent as a letter of its own, as every copy on a Mac has it.
        ("P\u00e4tient 1.nii.gz", "Pa\u0308tient 1.nii.gz"),
        ("sub-P\u00e4_mask.nii.gz", "sub-Pa\u0308_mask.nii.gz"),
    ],
)
def test_two_spellings_of_a_name_are_one(tmp_path: Path, one: str, other: str) -> None:
    touch(tmp_path / "pred", one)
    touch(tmp_path / "ref", other)

    assert list(found(matched(tmp_path, pattern=one), tmp_path).values()) == [one]


def test_links_are_followed_and_circles_of_links_end(tmp_path: Path) -> None:
    touch(tmp_path / "store", "a.nii.gz")
    touch(tmp_path / "pred", "folder.nii.gz/b.nii.gz")
    for link, target in (("one", "store"), ("two", "store"), ("up", "pred")):
        (tmp_path / "pred" / link).symlink_to(tmp_path / target)
    (tmp_path / "pred" / "lost.nii.gz").symlink_to("not-fetched")

    names = Source(tmp_path / "pred", "*", "--pattern").names()

    assert [name.file for name in names] == [
        "folder.nii.gz/b.nii.gz",
        "lost.nii.gz",
        "one/a.nii.gz",
        "two/a.nii.gz",
    ]


def test_folder_that_is_closed_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)

    with pytest.raises(DataError, match=r"cannot be looked into \(Permission denied\)"):
        Source(tmp_path, "*", "--pattern").names()


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
        (
            ("val/a.nii.gz", "val_raw/a.nii.gz"),
            ("a.nii.gz",),
            "a.nii.gz: 2 files in {root}/pred fit it: val/a.nii.gz, "
            "val_raw/a.nii.gz. Choose by --pattern, such as 'val/*' or 'val_raw/*'.",
        ),
        (
            ("a_0000.nii.gz", "b_0000.nii.gz"),
            ("a.nii.gz", "b.nii.gz"),
            "no prediction fits any reference: {root}/pred holds a_0000.nii.gz, "
            "b_0000.nii.gz; {root}/ref holds a.nii.gz, b.nii.gz. a_0000.nii.gz, "
            "b_0000.nii.gz: named as nnU-Net's images (CASE_0000); a prediction is "
            "named CASE.nii.gz.",
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
        Source(tmp_path, "*", "--pattern").names()


def test_pattern_that_nothing_fits_is_an_error_that_shows_what_is_there(
    tmp_path: Path,
) -> None:
    touch(tmp_path, "a_mask.nii.gz")

    with pytest.raises(DataError, match=r"fits --pattern '\*_score'; there is a_mask"):
        Source(tmp_path, "*_score", "--pattern").names()


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
    names = [name(stem) for stem in sorted(stems)]
    folder = Source(Path(), "*", "--pattern")

    assert assign(names, names[::-1], folder, folder) == {n: n for n in names}
