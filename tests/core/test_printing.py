from pathlib import Path

import pytest

from uadbench.printing import json_text, wrap

LONG = """Net: one
sentence.

Differs from the paper in:

- The scale is another one,
  as for all.
- Short.

Origin: a template
    of a brain.
Licence: none.

    kept/as
    it/is"""


def test_docstring_fills_wider_lines_item_by_item() -> None:
    assert wrap(LONG, 80) == (
        "Net: one sentence.\n\n"
        "Differs from the paper in:\n\n"
        "- The scale is another one, as for all.\n"
        "- Short.\n\n"
        "Origin: a template of a brain.\n"
        "Licence: none.\n\n"
        "    kept/as\n"
        "    it/is"
    )


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("plain words of a text", ["plain words", "of a text"]),
        ("- one short\n  item of a list", ["- one short", "  item of a", "  list"]),
        ("- one long item", ["- one long", "  item"]),
        ("Origin: one\n    short line", ["Origin: one", "    short", "    line"]),
        ("Origin: one line", ["Origin: one", "    line"]),
        ("`uadbench-very-long-name`", ["`uadbench-very-long-name`"]),
    ],
)
def test_docstring_fills_narrow_lines_with_the_margin_of_its_item(
    text: str, lines: list[str]
) -> None:
    assert wrap(text, 12).split("\n") == lines


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ([1, 2.5, None], "[1, 2.5, null]"),
        ({}, "{}"),
        ([], "[]"),
        (Path("a/b"), '"a/b"'),
        (
            {"a": (1, 2), "b": {"c": 0}},
            '{\n  "a": [1, 2],\n  "b": {\n    "c": 0\n  }\n}',
        ),
        ([{"a": 1}, {}], '[\n  {\n    "a": 1\n  },\n  {}\n]'),
    ],
)
def test_json_has_a_line_for_each_name_and_none_for_each_number(
    content: object, text: str
) -> None:
    assert json_text(content) == text
