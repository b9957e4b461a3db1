"""What the name of a NIfTI file says: which case it is of, and what it shows of it."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from uadbench.errors import DataError

ENDINGS = (".nii.gz", ".nii")
# Entities that say what a file shows; all others say of which examination it is.
SHOWN = ("desc", "label")
# nnU-Net numbers the channels of an image: CASE_0000.nii.gz is an image of CASE.
CHANNEL = re.compile(r"(.+)_\d{4}")


@dataclass(frozen=True)
class Name:
    """The name of a file.

    Attributes:
        path: where it is.
        place: its path in the folder that is looked through, without ending.
    """

    path: Path
    place: str

    @property
    def stem(self) -> str:
        """The file's name without ending."""
        return self.place.rpartition("/")[2]

    @property
    def entities(self) -> Mapping[str, str]:
        """BIDS entities of the examination, such as {"sub": "1", "ses": "2"}.

        Folders give "sub" and "ses" where the name does not; {} where there is no
        subject, so that a name of another kind is never half understood.
        """
        *folders, stem = self.place.split("/")
        words = [f for f in folders if f.startswith(("sub-", "ses-"))]
        words += stem.split("_") if stem.startswith("sub-") else []
        found = dict(word.split("-", 1) for word in words if "-" in word)
        found = {key: value for key, value in found.items() if key not in SHOWN}
        return found if "sub" in found else {}

    @property
    def examination(self) -> str:
        """The entities in one word, such as "sub-1_ses-2"; "" without any."""
        return "_".join(f"{key}-{value}" for key, value in self.entities.items())

    @property
    def imaged(self) -> str:
        """The case that nnU-Net would take this for a channel of; "" if for none."""
        found = CHANNEL.fullmatch(self.stem)
        return found[1] if found and not self.entities else ""

    @property
    def pattern(self) -> str:
        """A pattern for all files that show the same of other cases."""
        tail: list[str] = []
        for word in reversed(self.stem.split("_") if self.entities else []):
            if word.partition("-")[0] in self.entities:
                break
            tail.insert(0, word)
        ending = self.path.name.removeprefix(self.stem)
        return "*" + "".join(f"_{word}" for word in tail) + ending


def find(folder: Path, pattern: str, option: str) -> list[Name]:
    """Return the NIfTI files in a folder and its subfolders, by path.

    Args:
        folder: to look through; what begins with a dot is left out.
        pattern: as of a shell, for the file's name or for its path in the folder.
        option: that sets the pattern, for the message.

    Raises:
        DataError: there is none.
    """
    names = [
        Name(path, inside.as_posix().removesuffix(_ending(path)))
        for path in sorted(folder.rglob("*"))
        for inside in [path.relative_to(folder)]
        if _ending(path) and not any(part.startswith(".") for part in inside.parts)
    ]
    chosen = [
        name
        for name in names
        if fnmatchcase(name.path.name, pattern)
        or fnmatchcase(name.path.relative_to(folder).as_posix(), pattern)
    ]
    if not names:
        msg = f"{folder}: holds no NIfTI file (.nii or .nii.gz)."
        raise DataError(msg)
    if not chosen:
        msg = (
            f"{folder}: none of its {len(names)} NIfTI files fits {option} "
            f"'{pattern}'; there is {listing(name.path.name for name in names)}."
        )
        raise DataError(msg)
    return chosen


def listing(words: Iterable[str], most: int = 3) -> str:
    """Return the first words, and how many more there are."""
    every = list(words)
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(every[:most]) + more


def _ending(path: Path) -> str:
    return next((e for e in ENDINGS if path.name.endswith(e)), "")
