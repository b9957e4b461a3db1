import errno
import math
import os
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uadbench.errors import OutputError, UsageError
from uadbench.files import (
    GrowingRows,
    Row,
    append_text,
    read_json,
    read_rows,
    write_atomically,
    write_json,
    write_rows,
)

NAN = float("nan")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def tear(file: Path) -> None:
    """Write half of a file, then fail."""
    file.write_text("half")
    msg = "torn"
    raise ValueError(msg)


def test_json_comes_back(tmp_path: Path) -> None:
    content = {"name": "é", "sizes": [1, 2], "rate": 0.1, "inner": {"none": None}}
    path = tmp_path / "new" / "run.json"

    write_json(path, content)

    assert read_json(path) == content


def test_numbers_that_are_not_finite_become_null(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    content = {"a": NAN, "b": [math.inf, 1.5], "c": (np.float32("nan"), np.int64(3))}

    write_json(path, content)

    assert read_json(path) == {"a": None, "b": [None, 1.5], "c": [None, 3]}


def test_other_values_become_words(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"root": Path("data"), 7: True})

    assert read_json(tmp_path / "a.json") == {"root": "data", "7": True}


@pytest.mark.parametrize("text", ["", "{", "\x00\xff"])
def test_damaged_json_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "run.json"
    path.write_text(text, encoding="latin-1")

    with pytest.raises(UsageError, match=r"run\.json: not readable as JSON .*overwrit"):
        read_json(path)


def test_missing_json_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"run\.json: not readable"):
        read_json(tmp_path / "run.json")


def test_json_that_is_no_object_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[1]")

    with pytest.raises(UsageError, match="expected a JSON object, got list"):
        read_json(tmp_path / "a.json")


def test_words_that_look_like_numbers_stay_words(tmp_path: Path) -> None:
    path = tmp_path / "cases.csv"
    row = {
        "case": "007",
        "status": "ok",
        "error": "",
        "content": "12345678",
        "stratum_site": "3",
        "dice_own": 0.5,
    }

    write_rows(path, [row])

    assert read_rows(path) == [row]


def test_rows_have_the_columns_of_all_and_gaps_are_undefined(tmp_path: Path) -> None:
    path = tmp_path / "cases.csv"

    write_rows(path, [{"case": "a", "dice": 0.5}, {"case": "b", "error": "too, big"}])

    assert path.read_text() == 'case,dice,error\na,0.5,\nb,,"too, big"\n'
    assert read_rows(path) == [
        {"case": "a", "dice": 0.5, "error": ""},
        {"case": "b", "dice": pytest.approx(NAN, nan_ok=True), "error": "too, big"},
    ]


ROWS: tuple[Row, ...] = (
    {"case": "a", "dice": 0.5},
    {"case": "b", "dice": 0.25},
    {"case": "c", "error": "too, big"},
    {"case": "d"},
)


def test_rows_that_come_one_by_one_are_those_of_a_file_written_whole(
    tmp_path: Path,
) -> None:
    grown, whole = tmp_path / "grown.csv", tmp_path / "whole.csv"
    table = GrowingRows(grown, ROWS[:1])

    for count, row in enumerate(ROWS[1:], start=2):
        table.add(row)

        write_rows(whole, ROWS[:count])
        assert grown.read_text() == whole.read_text()


def test_rows_are_added_without_touching_those_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = GrowingRows(tmp_path / "cases.csv", [])
    table.add(ROWS[0])
    monkeypatch.setattr("uadbench.files.write_rows", None)

    table.add(ROWS[1])

    assert read_rows(tmp_path / "cases.csv") == list(ROWS[:2])


@pytest.mark.parametrize("bytes_left", [1, 3, 6])
def test_part_of_a_row_is_no_row(tmp_path: Path, bytes_left: int) -> None:
    path = tmp_path / "cases.csv"
    write_rows(path, ROWS[:2])
    lines = path.read_text().splitlines(keepends=True)

    path.write_text("".join(lines[:2]) + lines[2][:bytes_left])

    assert read_rows(path) == [ROWS[0]]


def test_row_that_does_not_fit_onto_the_disk_is_an_output_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = GrowingRows(tmp_path / "cases.csv", [])
    table.add(ROWS[0])

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("uadbench.files._table", full)
    with pytest.raises(OutputError, match=r"cases.csv: cannot be written"):
        table.add(ROWS[1])


@given(st.floats() | st.floats(width=32).map(np.float32))
def test_numbers_come_back_to_the_last_digit(
    tmp_path_factory: pytest.TempPathFactory, value: float
) -> None:
    path = tmp_path_factory.getbasetemp() / "numbers.csv"

    write_rows(path, [{"dice": value}])

    np.testing.assert_equal(read_rows(path), [{"dice": float(value)}])


def test_no_file_has_no_row(tmp_path: Path) -> None:
    assert read_rows(tmp_path / "cases.csv") == []


def test_rows_keep_their_letters_whatever_the_locale(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from uadbench.files import *;"
        "write_rows(Path('a.csv'), [{'error': chr(233)}]);"
        "append_text(Path('a.log'), chr(233));"
        "sys.exit(read_rows(Path('a.csv')) != [{'error': chr(233)}])"
    )
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=os.environ | plain, check=False
    )

    assert done.returncode == 0
    assert (tmp_path / "a.log").read_bytes() == b"\xc3\xa9"


def test_writer_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")

    with pytest.raises(ValueError, match="torn"):
        write_atomically(path, tear)

    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.json"]


def test_temporary_file_stands_beside_with_the_same_ending(tmp_path: Path) -> None:
    seen = []

    def write(file: Path) -> None:
        seen.append(file)
        file.write_text("new")

    write_atomically(tmp_path / "map.nii.gz", write)
    write_atomically(tmp_path / "LOCK", write)

    assert [file.parent for file in seen] == [tmp_path, tmp_path]
    assert seen[0].name.endswith(".nii.gz")
    assert seen[1].suffix == ".tmp"
    assert names(tmp_path) == ["LOCK", "map.nii.gz"]


def test_files_get_the_permissions_of_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_json(tmp_path / "a.json", {})
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / "a.json").stat().st_mode) == 0o640


def test_folder_that_cannot_be_made_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(OutputError, match=r"file/a\.json: cannot be written"):
        write_json(tmp_path / "file" / "a.json", {})


def test_full_disk_is_an_output_error_that_says_what_to_do() -> None:
    with pytest.raises(OutputError) as caught:
        append_text(Path("/dev/full"), "more")

    assert str(caught.value) == (
        "/dev/full: cannot be written (No space left on device). Make room or give "
        "write permission, then repeat the same command; run and compare go on."
    )


def test_failure_without_a_number_keeps_its_words(tmp_path: Path) -> None:
    def write(file: Path) -> None:
        msg = "no idea"
        raise OSError(msg)

    with pytest.raises(
        OutputError, match=r"cannot be written \(no idea\)\. Choose another --output"
    ):
        write_atomically(tmp_path / "a", write)


def test_name_that_is_not_utf8_comes_back_as_it_is(tmp_path: Path) -> None:
    case = os.fsdecode(b"caf\xe9")

    write_rows(tmp_path / "cases.csv", [{"case": case}])

    assert read_rows(tmp_path / "cases.csv") == [{"case": case}]


def test_text_is_added_at_the_end(tmp_path: Path) -> None:
    append_text(tmp_path / "a.log", "one\n")
    append_text(tmp_path / "a.log", "two\n")

    assert (tmp_path / "a.log").read_text() == "one\ntwo\n"


def test_interrupt_that_a_library_covers_up_is_one(tmp_path: Path) -> None:
    def write(_: Path) -> None:
        try:
            raise KeyboardInterrupt
        finally:
            msg = "there is an open writing handle"
            raise ValueError(msg)

    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "a", write)

    assert list(tmp_path.iterdir()) == []


def test_full_disk_that_a_library_covers_up_is_one(tmp_path: Path) -> None:
    def write(_: Path) -> None:
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        finally:
            msg = "there is an open writing handle"
            raise ValueError(msg)

    with pytest.raises(OutputError, match="No space left on device"):
        write_atomically(tmp_path / "a", write)


def test_mistake_of_a_writer_stays_what_it_is(tmp_path: Path) -> None:
    def write(_: Path) -> None:
        msg = "a mistake"
        raise ValueError(msg)

    with pytest.raises(ValueError, match="a mistake"):
        write_atomically(tmp_path / "a", write)
