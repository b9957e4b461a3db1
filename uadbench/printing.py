"""Text for a person at a terminal: docstrings filled anew, JSON that can be read."""

import json
import re
import textwrap
from collections.abc import Mapping

ITEM = re.compile(r"- |[A-Z][A-Za-z ]*: ")


def wrap(text: str, width: int) -> str:
    """Return a docstring, which has lines of its own, in lines of at most `width`.

    Paragraphs are filled anew, and so is each item of a list; an item begins with "- "
    or, in a card of data, with "Origin: " or the like. Indented paragraphs stay.
    """
    paragraphs = text.split("\n\n")
    return "\n\n".join(
        paragraph
        if paragraph.startswith(" ")
        else "\n".join(_fill(item, width) for item in _items(paragraph))
        for paragraph in paragraphs
    )


def _items(paragraph: str) -> list[list[str]]:
    """Return the lines of each item of a list, or of the paragraph that is none."""
    items: list[list[str]] = []
    for line in paragraph.splitlines():
        if items and not ITEM.match(line):
            items[-1].append(line)
        else:
            items.append([line])
    return items


def _fill(lines: list[str], width: int) -> str:
    """Return the lines of an item filled anew, indented as its last line is."""
    last = lines[-1]
    indent = len(last) - len(last.lstrip())
    if len(lines) == 1 and ITEM.match(last):
        indent = 2 if last.startswith("-") else 4
    return textwrap.fill(
        " ".join(" ".join(lines).split()),
        width,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def json_text(content: object, margin: str = "") -> str:
    """Return JSON for people: a line for each name and each record, none for numbers.

    Args:
        content: whatever JSON can hold; other objects become strings.
        margin: that the lines after the first begin with.
    """
    inner = f"{margin}  "
    if isinstance(content, Mapping) and content:
        marks, parts = (
            "{}",
            [
                f"{json.dumps(str(name))}: {json_text(value, inner)}"
                for name, value in content.items()
            ],
        )
    elif isinstance(content, list) and any(isinstance(x, Mapping) for x in content):
        marks, parts = "[]", [json_text(value, inner) for value in content]
    else:
        return json.dumps(content, default=str)
    lines = ",\n".join(f"{inner}{part}" for part in parts)
    return f"{marks[0]}\n{lines}\n{margin}{marks[1]}"
