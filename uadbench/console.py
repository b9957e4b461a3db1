"""Where a person reads results: tables in a terminal, a file or a pipe."""

import os
import sys
from typing import TYPE_CHECKING

import rich_click as click

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

STDOUT = 1  # the operating system's number of it


def table_console() -> "Console":
    """Return where a table of results is printed to."""
    from rich.console import Console

    # A file has no width; rich would fold the table at 80 columns.
    return Console(highlight=False, width=None if sys.stdout.isatty() else 120)


def table_of(*titles: str, right: int = 0) -> "Table":
    """Return a table without rows, the last `right` columns flush right.

    Cells are folded, never cut: a number without its end is another number.
    """
    from rich.table import Column, Table

    left = len(titles) - right
    return Table(
        *(
            Column(title, overflow="fold", justify="left" if i < left else "right")
            for i, title in enumerate(titles)
        ),
        box=None,
    )


def tell(text: str) -> None:
    """Print text; a pager that was left early has read what it wanted."""
    try:
        click.echo(text, nl=False)
    except BrokenPipeError:
        drop_output()


def drop_output() -> None:
    """Let what is left to print go nowhere: it would fail once more at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), STDOUT)
