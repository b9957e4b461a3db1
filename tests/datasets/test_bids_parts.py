import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uadbench.datasets.bids.layout import File, Name, find, find_visits
from uadbench.datasets.bids.participants import Participants
from uadbench.datasets.bids.split import split
from uadbench.errors import DataError

SUBJECTS = [f"sub-{number:02}" for number in range(20)]
SHARES = {"val": 0.15, "test": 0.25}


def files(*names: str) -> list[File]:
    return [File(Path(f"{name}.nii.gz"), Name.parse(name)) for name in names]


def table(folder: Path, text: str) -> Participants:
    (folder / "participants.tsv").write_text(text, encoding="utf-8")
    return Participants.read(folder)


def test_split_gives_each_subject_to_one_part() -> None:
    parts = split(SUBJECTS, 0, SHARES)

    assert sorted(s for part in parts.values() for s in part) == SUBJECTS
    # 20 subjects: 0.15 are 3, 0.25 are 5.
    assert {part: len(members) for part, members in parts.items()} == {
        "train": 12,
        "val": 3,
        "test": 5,
    }


def test_split_does_not_depend_on_the_order_of_the_subjects() -> None:
    shuffled = random.Random(1).sample(SUBJECTS, len(SUBJECTS))

    assert split(shuffled, 3, SHARES) == split(SUBJECTS, 3, SHARES)


def test_split_is_the_same_on_every_machine() -> None:
    parts = split(["a", "b", "c"], 0, SHARES)

    # printf 0/c | sha256sum: 2881..., 0/b: 7d9a..., 0/a: d321...; val is dealt first.
    assert parts == {"train": ("a",), "val": ("c",), "test": ("b",)}


def test_another_seed_is_another_split() -> None:
    tests = {split(SUBJECTS, seed, SHARES)["test"] for seed in range(10)}

    assert len(tests) == 10


def test_a_subject_that_joins_moves_few_others() -> None:
    before = set(split(SUBJECTS, 0, SHARES)["train"])

    after = set(split([*SUBJECTS, "sub-new"], 0, SHARES)["train"])

    assert len(before - after) <= 2


@settings(deadline=None)
@given(
    count=st.integers(3, 200),
    seed=st.integers(0, 1000),
    val=st.floats(0.01, 0.3),
    test=st.floats(0.01, 0.3),
)
def test_split_is_disjoint_and_fills_each_part(
    count: int, seed: int, val: float, test: float
) -> None:
    subjects = [f"sub-{number}" for number in range(count)]

    parts = split(subjects, seed, {"val": val, "test": test})

    assert sorted(s for part in parts.values() for s in part) == sorted(subjects)
    assert all(parts.values())


@pytest.mark.parametrize("count", [1, 2])
def test_split_tells_when_subjects_are_too_few(count: int) -> None:
    with pytest.raises(DataError, match=rf"\({count}\): val takes 1 and test takes 1"):
        split(SUBJECTS[:count], 0, SHARES)


def test_a_name_has_entities_and_a_suffix() -> None:
    name = Name.parse("sub-r001s001_ses-1_space-MNI_label-L_desc-T1lesion_mask.nii.gz")

    assert name.suffix == "mask"
    assert name.entities == {
        "sub": "r001s001",
        "ses": "1",
        "space": "MNI",
        "label": "L",
        "desc": "T1lesion",
    }


def test_one_of_several_wanted_names_is_found() -> None:
    choice = files("sub-1_desc-brain_mask", "sub-1_label-L_desc-T1lesion_mask")

    found = find(choice, ["label-lesion_mask", "label-L_desc-T1lesion_mask"], [])

    assert found == choice[1].path


def test_nothing_is_found_where_suffix_or_entities_differ() -> None:
    choice = files("sub-1_label-lesion_roi", "sub-1_label-vessel_mask", "sub-1_mask")

    assert find(choice, ["label-lesion_mask"], []) is None


def test_several_files_are_named_with_an_option_that_chooses() -> None:
    choice = files("sub-1_run-1_FLAIR", "sub-1_run-2_FLAIR")

    with pytest.raises(DataError, match=r"--set-data entities=run-1\.") as caught:
        find(choice, ["FLAIR"], [])

    assert "2 files for one FLAIR: sub-1_run-1_FLAIR.nii.gz, " in str(caught.value)


def test_several_files_of_one_name_are_told_apart_by_folder() -> None:
    choice = files("sub-1_desc-brain_mask", "sub-1_desc-brain_mask")

    with pytest.raises(DataError, match="--set-data pipelines=NAME"):
        find(choice, ["desc-brain_mask"], [])


@pytest.mark.parametrize(
    ("entity", "expected"), [("run-2", 1), ("acq-ax", 2), ("space-T1w", None)]
)
def test_an_entity_chooses_among_files(entity: str, expected: int | None) -> None:
    choice = files(
        "sub-1_run-1_space-a_FLAIR",
        "sub-1_run-2_space-a_FLAIR",
        "sub-1_acq-ax_run-3_space-a_FLAIR",
    )

    found = find(choice, ["FLAIR"], [entity])

    assert found == (None if expected is None else choice[expected].path)


def test_a_file_without_the_entity_is_taken_if_none_has_it() -> None:
    choice = files("sub-1_desc-brain_mask")

    assert find(choice, ["desc-brain_mask"], ["run-2"]) == choice[0].path


@pytest.mark.parametrize(
    ("image", "expected"),
    [("sub-1_run-2_FLAIR", 1), ("sub-1_FLAIR", 0), ("sub-1_space-MNI_FLAIR", 2)],
)
def test_of_several_masks_the_nearest_to_the_image_is_taken(
    image: str, expected: int
) -> None:
    masks = files(
        "sub-1_label-lesion_mask",
        "sub-1_run-2_label-lesion_mask",
        "sub-1_space-MNI_label-lesion_mask",
    )

    found = find(masks, ["label-lesion_mask"], [], Name.parse(image))

    assert found == masks[expected].path


def test_strata_are_columns_of_a_few_words(tmp_path: Path) -> None:
    participants = table(
        tmp_path,
        "participant_id\tage\tsite\tscanner\tspecies\tcomment\tsex\n"
        "sub-1\t30\tA\t1\thomo\tx\tF\n"
        "2\t41\tB\t2\thomo\ty\tn/a\n"
        "sub-3\t52\tA\t2\thomo\tz\tM\n",
    )

    assert participants.strata("sub-1") == {"site": "A", "sex": "F"}
    assert participants.strata("sub-2") == {"site": "B", "sex": "n/a"}
    assert participants.strata("sub-9") == {}


def test_a_missing_cell_is_not_available(tmp_path: Path) -> None:
    participants = table(
        tmp_path, "participant_id\tsite\nsub-1\tA\nsub-2\tB\nsub-3\t \nsub-4\n"
    )

    assert participants.strata("sub-3") == {"site": "n/a"}
    assert participants.strata("sub-4") == {"site": "n/a"}


def test_controls_are_named_in_any_case(tmp_path: Path) -> None:
    # Spreadsheets begin a file with a byte order mark.
    participants = table(
        tmp_path, "\ufeffparticipant_id\tdx\nsub-1\tHealthy\nsub-2\tglioma\nsub-3\thc\n"
    )

    assert participants.controls("dx", ("healthy", "HC")) == {"sub-1", "sub-3"}


def test_without_a_group_column_there_are_no_controls(tmp_path: Path) -> None:
    assert Participants.read(tmp_path).controls("group", ("HC",)) == set()


def test_a_column_that_was_asked_for_must_exist(tmp_path: Path) -> None:
    participants = table(tmp_path, "participant_id\tsite\nsub-1\tA\n")

    with pytest.raises(DataError, match=r"no 'dx' in .*\. There are: site\."):
        participants.controls("dx", ("HC",))
    with pytest.raises(DataError, match=r"no 'dx' in .*\. There are: none\."):
        Participants.read(tmp_path / "elsewhere").controls("dx", ("HC",))


def test_a_column_that_was_asked_for_must_name_controls(tmp_path: Path) -> None:
    participants = table(tmp_path, "participant_id\tdx\nsub-1\tCN\nsub-2\tMS\n")

    with pytest.raises(DataError, match=r"'dx' .* none of HC\. There are: CN, MS\."):
        participants.controls("dx", ("HC",))


def test_a_table_without_ids_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'participant_id'; there are: id, site\."):
        table(tmp_path, "id\tsite\nsub-1\tA\n")


def test_a_table_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "participants.tsv").write_bytes(b"\xff\xfe\xc8")

    with pytest.raises(DataError, match=r"participants\.tsv: not UTF-8 text"):
        Participants.read(tmp_path)


def test_rows_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"sub-1 has two rows that differ: HC \| MS"):
        table(tmp_path, "participant_id\tdx\nsub-1\tHC\nsub-1\tMS\n")


def test_a_row_that_comes_twice_is_one(tmp_path: Path) -> None:
    participants = table(tmp_path, "participant_id\tdx\nsub-1\tHC\n1\tHC\n")

    assert participants.controls("dx", ["HC"]) == {"sub-1"}


def test_a_folder_is_no_table(tmp_path: Path) -> None:
    (tmp_path / "participants.tsv").mkdir()

    with pytest.raises(DataError, match="a folder, but a table"):
        Participants.read(tmp_path)


def test_a_link_of_a_subject_that_points_to_nothing_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "sub-1").symlink_to(tmp_path / "gone")

    with pytest.raises(DataError, match="sub-1: the link points to nothing"):
        find_visits(tmp_path, [])
