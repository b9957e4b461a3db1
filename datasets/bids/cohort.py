"""From a folder to a checked cohort: what is learned from, and what is the test."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from uadbench.ahead import ahead
from uadbench.errors import DataError, check_known
from uadbench.volumes import check_on_grid, read_grid

from .layout import Name, Visit
from .sources import Query, Source, mask_place
from .split import split

Result = TypeVar("Result")
MOST_LINES = 20


@dataclass(frozen=True)
class Cohort:
    """What a folder gives, checked.

    Attributes:
        train: to learn from.
        val: to calibrate on.
        test: to be judged on.
        healthy: lesion-free slices of the patients in train and val, by id.
    """

    train: tuple[Source, ...]
    val: tuple[Source, ...]
    test: tuple[Source, ...]
    healthy: Mapping[str, tuple[int, ...]]


@dataclass
class Problems:
    """What is wrong in a folder, gathered so that a user learns all of it at once."""

    root: Path
    lines: list[str] = field(default_factory=list)

    def attempt(self, action: Callable[..., Result], *args: object) -> Result | None:
        """Return what the action returns, or None after a DataError, which is kept."""
        try:
            return action(*args)
        except DataError as error:
            self.lines.append(str(error))
            return None

    def stop(self) -> None:
        """Raise one DataError if anything was kept."""
        count = len(self.lines)
        if count == 0:
            return
        advice = "leave subjects out by --set-data exclude=sub-A,sub-B"
        if count == 1:
            msg = f"bids: {self.lines[0]} Mend the file, or {advice}."
            raise DataError(msg)
        head = f"bids: {count} problems under {self.root}. Mend the files, or {advice}:"
        lines = [head, *self.lines[:MOST_LINES]]
        if count > MOST_LINES:
            lines.append(f"... and {count - MOST_LINES} more")
        raise DataError("\n  ".join(lines))


def gather(
    query: Query,
    visits: Sequence[Visit],
    controls: Collection[str],
    seed: int,
    shares: Mapping[str, float],
) -> Cohort:
    """Return the cohort after a check of every file's presence and header.

    Args:
        query: which files are wanted.
        visits: the examinations to take.
        controls: healthy subjects; without any, lesion-free slices of patients serve.
        seed: of the split by subject.
        shares: fractions of the subjects for "val" and "test"; controls have no share
            in the test, which is all patients.

    Raises:
        UsageError: no image has the wanted modality.
        DataError: lists all that is missing or unfit.
    """
    _check_modalities(query, visits)
    _check_masks(query, visits, controls)
    problems = Problems(query.root)
    sources = [
        _source(query, visit, visit.subject in controls, problems)
        for visit in _with_images(query, visits)
    ]
    problems.stop()
    parts = _parts({source.subject for source in sources}, controls, seed, shares)
    members = {
        part: tuple(source for source in sources if source.subject in subjects)
        for part, subjects in parts.items()
    }
    sick = [source for source in members["train"] + members["val"] if source.lesion]
    found = ahead(sick, Source.healthy_slices)
    healthy = {
        source.id: problems.attempt(slices) or ()
        for source, slices in zip(sick, found, strict=True)
    }
    problems.stop()
    for part in ("train", "val"):
        left = tuple(s for s in members[part] if not s.lesion or healthy[s.id])
        if not left:
            msg = (
                f"bids: no healthy slice in {part}: each slice of its "
                f"{len(members[part])} scans holds lesion or no brain. Add subjects, "
                "or take another seed."
            )
            raise DataError(msg)
        members[part] = left
    return Cohort(members["train"], members["val"], members["test"], healthy)


def _check_modalities(query: Query, visits: Sequence[Visit]) -> None:
    known = {suffix for visit in visits for suffix in visit.suffixes}
    for modality in query.modality:
        check_known(f"bids: images under {query.root}", modality, known)


def _check_masks(
    query: Query, visits: Sequence[Visit], controls: Collection[str]
) -> None:
    """Raise one DataError instead of hundreds where no subject has a mask."""
    patients = [visit for visit in visits if visit.subject not in controls]
    if query.brain and not _any_mask(visits, [query.brain]):
        place = mask_place(visits[0], query.brain)
        msg = (
            f"bids: no brain mask under {query.root}. Expected were files such as "
            f"{place}; for skull-stripped images, --set-data brain=nonzero takes "
            "every voxel that is not 0."
        )
        raise DataError(msg)
    if patients and not _any_mask(patients, query.lesion):
        place = mask_place(patients[0], query.lesion[0])
        msg = (
            f"bids: no lesion mask under {query.root}. Expected were files such as "
            f"{place}; --set-data lesion=NAME takes another name than "
            f"{' or '.join(query.lesion)}."
        )
        raise DataError(msg)


def _any_mask(visits: Sequence[Visit], names: Sequence[str]) -> bool:
    wanted = [Name.parse(text) for text in names]
    return any(
        name.covers(file.name)
        for visit in visits
        for file in visit.masks
        for name in wanted
    )


def _with_images(query: Query, visits: Sequence[Visit]) -> list[Visit]:
    """Return the visits without those that have no modality, if another visit has.

    People come for a second session without all of the first one's images.
    """
    wanted = set(query.modality)
    imaged = {visit.subject for visit in visits if visit.suffixes & wanted}
    return [v for v in visits if v.suffixes & wanted or v.subject not in imaged]


def _source(query: Query, visit: Visit, healthy: bool, problems: Problems) -> Source:
    """Return the files of a visit; what is missing or unfit goes to the problems."""
    first = problems.attempt(query.image, visit, query.modality[0], None)
    like = Name.parse(first.name) if first else None
    paths = [first]
    paths += [problems.attempt(query.image, visit, m, like) for m in query.modality[1:]]
    masks = [[query.brain] if query.brain else [], [] if healthy else query.lesion]
    brain, lesion = (
        problems.attempt(query.mask, visit, names, like) if names else None
        for names in masks
    )
    found = [path for path in (*paths, brain, lesion) if path]
    # Without a sound first file, the others are checked on their own.
    grid = problems.attempt(read_grid, found[0]) if found else None
    for path in found[1:]:
        if grid:
            problems.attempt(check_on_grid, path, grid, found[0].name)
        else:
            problems.attempt(read_grid, path)
    images = tuple(path for path in paths if path)
    return Source(visit.id, visit.subject, images, brain, lesion)


def _parts(
    subjects: Collection[str],
    controls: Collection[str],
    seed: int,
    shares: Mapping[str, float],
) -> Mapping[str, Collection[str]]:
    healthy = [subject for subject in subjects if subject in controls]
    if not healthy:
        return split(subjects, seed, shares)
    patients = [subject for subject in subjects if subject not in controls]
    if not patients:
        msg = (
            f"bids: all {len(healthy)} subjects are healthy controls; patients with "
            "lesion masks are needed for the test."
        )
        raise DataError(msg)
    parts = split(healthy, seed, {"val": shares["val"]})
    return {**parts, "test": patients}
