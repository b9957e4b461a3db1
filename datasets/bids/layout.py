"""Files of a BIDS folder, found by the entities in their names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from uadbench.errors import DataError, check_known

# Entities that tell what a derivative shows, not from which image it was made.
DESCRIPTIVE = frozenset({"desc", "label"})
DERIVED = frozenset({"mask", "dseg", "probseg", "roi"})


@dataclass(frozen=True)
class Name:
    """What a BIDS name says: sub-1_run-2_FLAIR has {sub: 1, run: 2} and FLAIR."""

    entities: Mapping[str, str]
    suffix: str

    @classmethod
    def parse(cls, text: str) -> "Name":
        """Return the name in a file's name, or in a part of it; extensions are lost."""
        *pairs, suffix = text.partition(".")[0].split("_")
        keys = (pair.partition("-") for pair in pairs if "-" in pair)
        return cls({key: value for key, _, value in keys}, suffix)

    def covers(self, other: "Name") -> bool:
        """Return whether the other has this suffix and all these entities."""
        same_suffix = self.suffix == other.suffix
        return same_suffix and self.entities.items() <= other.entities.items()

    def distance(self, other: "Name") -> int:
        """Return how many entities, apart from desc and label, differ."""
        keys = (self.entities.keys() | other.entities.keys()) - DESCRIPTIVE
        return sum(self.entities.get(k) != other.entities.get(k) for k in keys)


@dataclass(frozen=True)
class File:
    """A NIfTI file and what its name says."""

    path: Path
    name: Name


@dataclass(frozen=True)
class Visit:
    """One examination of one person.

    Attributes:
        subject: such as "sub-1".
        session: such as "ses-2", or "" where the dataset has none.
        images: the NIfTI files of the raw folder.
        masks: those of the raw folder and of the derivatives.
    """

    subject: str
    session: str
    images: tuple[File, ...] = field(repr=False)
    masks: tuple[File, ...] = field(repr=False)

    @property
    def id(self) -> str:
        """The beginning of all its file names."""
        return _id(self.subject, self.session)

    @property
    def folder(self) -> Path:
        """Where its files lie, below the root or a derivative."""
        return Path(self.subject, self.session)

    @property
    def suffixes(self) -> set[str]:
        """The kinds of images that it has, such as FLAIR."""
        return {file.name.suffix for file in self.images} - DERIVED


def find_visits(root: Path, pipelines: Sequence[str]) -> list[Visit]:
    """Return all examinations below a BIDS root, sorted by subject and session.

    Args:
        root: the folder that holds sub-* folders.
        pipelines: folders of derivatives/ to take masks from; empty for all, and for
            the raw folder.

    Raises:
        UsageError: there is no such pipeline.
        DataError: a subject's folder is a link that points to nothing.
    """
    for path in sorted(root.glob("sub-*")):
        if path.is_symlink() and not path.exists():
            msg = (
                f"{path}: the link points to nothing. Fetch the subject, or remove it."
            )
            raise DataError(msg)
    sources = _mask_roots(root, pipelines)
    visits = []
    for folder in _folders(root, "sub-*"):
        subject = folder.name
        sessions = [session.name for session in _folders(folder, "ses-*")]
        if not sessions or _files(folder, subject, ""):
            sessions.append("")
        for session in sorted(sessions):
            visits.append(
                Visit(
                    subject=subject,
                    session=session,
                    images=_files(folder / session, subject, session),
                    masks=tuple(
                        file
                        for source in sources
                        for file in _files(source / subject / session, subject, session)
                    ),
                )
            )
    return visits


def find(
    files: Sequence[File],
    wanted: Sequence[str],
    entities: Sequence[str],
    like: Name | None = None,
) -> Path | None:
    """Return the one file that has a wanted name, or None.

    Args:
        files: to choose from.
        wanted: parts of names, such as "label-lesion_mask"; any of them will do.
        entities: such as "run-1"; files with another value are passed over.
        like: of several files, those nearest to this name are taken.

    Raises:
        DataError: several files are left; it names them and an option that chooses.
    """
    names = [Name.parse(text) for text in wanted]
    left = [file for file in files if any(name.covers(file.name) for name in names)]
    for key, _, value in (entity.partition("-") for entity in entities):
        exact = [file for file in left if file.name.entities.get(key) == value]
        left = exact or [file for file in left if key not in file.name.entities]
    if like and left:
        least = min(like.distance(file.name) for file in left)
        left = [file for file in left if like.distance(file.name) == least]
    if len(left) > 1:
        listing = ", ".join(str(file.path) for file in left)
        msg = f"{len(left)} files for one {wanted[0]}: {listing}. {_choice(left)}"
        raise DataError(msg)
    return left[0].path if left else None


def _choice(files: Sequence[File]) -> str:
    """Return the advice that tells such files apart."""
    entities = [set(file.name.entities.items()) for file in files]
    common = set.intersection(*entities)
    special = sorted(pair for pairs in entities for pair in pairs - common)
    if special:
        return f"Choose one by --set-data entities={'-'.join(special[0])}."
    return "Keep one, or choose a folder by --set-data pipelines=NAME."


def _mask_roots(root: Path, pipelines: Sequence[str]) -> list[Path]:
    derivatives = root / "derivatives"
    known = {folder.name: folder for folder in _folders(derivatives, "*")}
    for pipeline in pipelines:
        check_known(f"bids: {derivatives}", pipeline, known)
    if pipelines:
        return [known[pipeline] for pipeline in pipelines]
    return [root, derivatives, *known.values()]


def _folders(root: Path, pattern: str) -> list[Path]:
    return sorted(path for path in root.glob(pattern) if path.is_dir())


def _files(folder: Path, subject: str, session: str) -> tuple[File, ...]:
    """Return the NIfTI files of a folder and of its anat, dwi ... named after a visit.

    A file with the name of another subject or session does not belong here.
    """
    start = _id(subject, session) + "_"
    files = []
    for path in sorted([*folder.glob("*.nii*"), *folder.glob("*/*.nii*")]):
        stem, _, extension = path.name.partition(".")
        name = Name.parse(stem)
        ours = stem.startswith(start) and (session or "ses" not in name.entities)
        if ours and extension in ("nii", "nii.gz"):
            files.append(File(path, name))
    return tuple(files)


def _id(subject: str, session: str) -> str:
    return f"{subject}_{session}" if session else subject
