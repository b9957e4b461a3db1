import os
import sys

import pytest

from uadbench import console


def test_table_folds_what_is_too_long() -> None:
    table = console.table_of("metric", "mean", "n", right=1)

    assert [column.overflow for column in table.columns] == ["fold"] * 3
    assert [column.justify for column in table.columns] == ["left", "left", "right"]


def test_text_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    console.tell("[b]1\n")

    assert capsys.readouterr().out == "[b]1\n"


def test_text_that_nobody_reads_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    os.close(read)
    silenced: list[int] = []
    monkeypatch.setattr(os, "dup2", lambda _, number: silenced.append(number))

    with os.fdopen(write, "w", buffering=1) as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        console.tell("nobody\n")
        # What is still in the buffer must not fail when the file is closed.
        monkeypatch.undo()
        os.dup2(os.open(os.devnull, os.O_WRONLY), pipe.fileno())

    assert silenced == [1]
