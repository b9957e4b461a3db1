"""What the name of a NIfTI file says: which case it is of, and what it shows of it."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from unicodedata import normalize

from uadbench.errors import DataError

ENDINGS = (".nii.gz", ".nii")
# Entities that say what a file shows; all others say of which examination it is.
SHOWN = ("desc", "label")
# Entities whose values are numbers: run-1 and run-01 are the same run.
INDEXES = ("chunk", "echo", "flip", "inv", "run", "split")
# nnU-Net numbers the channels of an image: CASE_0000.nii.gz is an image of CASE.
CHANNEL = re.compile(r"(.+)_\d{4}")


@dataclass(frozen=True)
class Name:
    """The name of a file.

    Attributes:
        path: where it is.
        place: its path in the folder that is looked through, without ending; letters
            with accents are one character each, as few file systems keep them.
    """

    path: Path
    place: str

    @property
    def stem(self) -> str:
        """The file's name without ending."""
        return self.place.rpartition("/")[2]

    @property
    def file(self) -> str:
        """Its path in the folder that is looked through."""
        return self.place + _ending(self.path)

    @property
    def location(self) -> Path:
        """The one path of the file, by whatever folder it is reached.

        A file that is a link is one of its own: git-annex links all files of the same
        content, such as empty masks, to one.
        """
        return self.path.parent.resolve() / self.path.name

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
    def marks(self) -> Mapping[str, str]:
        """The entities as they are compared: numbers without zeros before them."""
        return {
            key: value.lstrip("0") if key in INDEXES else value
            for key, value in self.entities.items()
        }

    @property
    def examination(self) -> str:
        """The entities in one word, such as "sub-1_ses-2"; "" without any."""
        return "_".join(f"{key}-{value}" for key, value in self.entities.items())

    @property
    def imaged(self) -> str:
        """The case that nnU-Net would take this for a channel of; "" if for none."""
        found = CHANNEL.fullmatch(self.stem)
        return found[1] if found else ""

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


@dataclass(frozen=True)
class Source:
    """A folder of files to match.

    Attributes:
        path: where it is.
        pattern: for the names of those that are meant.
        option: of the command line that sets the pattern.
    """

    path: Path
    pattern: str
    option: str

    def names(self) -> list[Name]:
        """Return the NIfTI files in the folder and its subfolders, by path.

        Links are followed; what begins with a dot is left out. The pattern is one of a
        shell, for the file's name or for its path in the folder.

        Raises:
            DataError: there is none, or a folder cannot be looked into.
        """
        names = [
            Name(path, normalize("NFC", place.removesuffix(_ending(path))))
            for path in _files(self.path)
            for place in [path.relative_to(self.path).as_posix()]
            if _ending(path)
        ]
        chosen = [name for name in names if self._means(name)]
        if not names:
            msg = f"{self.path}: holds no NIfTI file (.nii or .nii.gz)."
            raise DataError(msg)
        if not chosen:
            msg = (
                f"{self.path}: none of its {len(names)} NIfTI files fits "
                f"{self.option} '{self.pattern}'; there is {shown(names)}."
            )
            raise DataError(msg)
        return chosen

    def _means(self, name: Name) -> bool:
        pattern = normalize("NFC", self.pattern)
        words = (name.file, name.file.rpartition("/")[2])
        return any(fnmatchcase(word, pattern) for word in words)


def shown(names: Sequence[Name]) -> str:
    """Return the first file names; the paths in the folder where these are the same."""
    words = [name.path.name for name in names]
    alike = len(set(words)) < len(words)
    return listing(name.file for name in names) if alike else listing(words)


def listing(words: Iterable[str], most: int = 3) -> str:
    """Return the first words, and how many more there are."""
    every = list(words)
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(every[:most]) + more


def _files(folder: Path, above: frozenset[Path] = frozenset()) -> Iterator[Path]:
    """Yield what is no folder in a folder, by name; a circle of links is left."""
    real = folder.resolve()
    if real in above:
        return
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        msg = f"{folder}: cannot be looked into ({error.strerror}). Mend or move it."
        raise DataError(msg) from None
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _files(entry, above | {real})
        else:
            yield entry


def _ending(path: Path) -> str:
    return next((e for e in ENDINGS if path.name.endswith(e)), "")
