"""participants.tsv: who is healthy, and the groups that tables are stratified by."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from uadbench.errors import DataError

MISSING = "n/a"
# More groups than this make no readable table.
MOST_GROUPS = 12


@dataclass(frozen=True)
class Participants:
    """The table, by subject and column; empty where there is no file."""

    path: Path
    columns: tuple[str, ...]
    rows: Mapping[str, Mapping[str, str]]

    @classmethod
    def read(cls, root: Path) -> "Participants":
        """Return the table of a BIDS root.

        Raises:
            DataError: it has no participant_id, contradicts itself, or is not UTF-8
                text.
        """
        path = root / "participants.tsv"
        if not path.exists():
            return cls(path, (), {})
        if not path.is_file():
            msg = f"{path}: a folder, but a table of the subjects was expected."
            raise DataError(msg)
        try:
            # Spreadsheets write a byte order mark, which "utf-8-sig" drops.
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        except ValueError as error:
            msg = f"{path}: not UTF-8 text ({error}). Save it as UTF-8."
            raise DataError(msg) from None
        table = csv.DictReader(lines, delimiter="\t", restval=MISSING)
        columns = tuple(table.fieldnames or ())
        if "participant_id" not in columns:
            listing = ", ".join(columns) or "none"
            msg = (
                f"{path}: no column 'participant_id'; there are: {listing}. Columns "
                "are separated by tabs."
            )
            raise DataError(msg)
        rows: dict[str, dict[str, str]] = {}
        for line in table:
            row = {column: line[column].strip() or MISSING for column in columns}
            subject = "sub-" + row.pop("participant_id").removeprefix("sub-")
            if rows.setdefault(subject, row) != row:
                pairs = [", ".join(found.values()) for found in (rows[subject], row)]
                msg = (
                    f"{path}: {subject} has two rows that differ: {' | '.join(pairs)}. "
                    "Keep one."
                )
                raise DataError(msg)
        return cls(path, tuple(c for c in columns if c != "participant_id"), rows)

    def groups(self, column: str) -> list[str]:
        """Return the values of a column, the first few of them; [] without it."""
        if column not in self.columns:
            return []
        return sorted({row[column] for row in self.rows.values()})[:MOST_GROUPS]

    def controls(self, column: str, healthy: Sequence[str]) -> set[str]:
        """Return the subjects whose value in a column is one of `healthy`.

        The default column "group" may be absent or name none; case does not matter.

        Raises:
            DataError: another column is absent or names none.
        """
        if column not in self.columns:
            if column == "group":
                return set()
            listing = ", ".join(self.columns) or "none"
            msg = (
                f"bids: option 'group_column': no '{column}' in {self.path}. "
                f"There are: {listing}."
            )
            raise DataError(msg)
        words = {word.casefold() for word in healthy}
        found = {s for s, row in self.rows.items() if row[column].casefold() in words}
        if words and not found and column != "group":
            msg = (
                f"bids: option 'healthy': column '{column}' of {self.path} has none of "
                f"{', '.join(healthy)}. There are: {', '.join(self.groups(column))}."
            )
            raise DataError(msg)
        return found

    def strata(self, subject: str) -> dict[str, str]:
        """Return the subject's value in each column of 2 to 12 different words."""
        if subject not in self.rows:
            return {}
        row = self.rows[subject]
        return {column: row[column] for column in self.columns if self._words(column)}

    def _words(self, column: str) -> bool:
        values = {row[column] for row in self.rows.values()} - {MISSING}
        few = 2 <= len(values) <= MOST_GROUPS and len(values) < len(self.rows)
        return few and not all(_is_number(value) for value in values)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
