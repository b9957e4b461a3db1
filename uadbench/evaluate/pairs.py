"""Which prediction belongs to which reference, told by their names.

The first rule that any file satisfies decides; two files that satisfy it are an error:

1. the same path within the two folders,
2. the same file name (and, of BIDS names, the same examination),
3. the same BIDS examination: entities such as sub, ses, run; not desc, label, suffix,
4. of two BIDS examinations one has all entities of the other (sub-1, sub-1_ses-2).

Names that are not BIDS, such as nnU-Net's, know rules 1 and 2; where a folder has one
name several times (A/mask.nii.gz, B/mask.nii.gz), rule 1 alone.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from uadbench.errors import DataError

from .names import Name, find, listing

RULES: tuple[Callable[[Name, Name], bool], ...] = (
    lambda one, other: one.place == other.place,
    lambda one, other: one.stem == other.stem and one.entities == other.entities,
    lambda one, other: one.entities == other.entities,
    lambda one, other: (
        one.entities.items() <= other.entities.items()
        or other.entities.items() <= one.entities.items()
    ),
)


@dataclass(frozen=True)
class Folder:
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
        """Return the names of its files; DataError if there is none."""
        return find(self.path, self.pattern, self.option)


@dataclass(frozen=True)
class Pair:
    """A case that is expected.

    Attributes:
        case: its name: the BIDS examination, or else the reference's file name.
        subject: the person; several cases may be of one.
        reference: the file with its lesions.
        prediction: the file to be scored, or None where it is missing.
        brain: the file with its brain, or None.
    """

    case: str
    subject: str
    reference: Path
    prediction: Path | None
    brain: Path | None = None


@dataclass(frozen=True)
class Pairs:
    """All cases that are expected, by name, and predictions of no case."""

    pairs: tuple[Pair, ...]
    extra: tuple[Path, ...]


def match(predictions: Folder, references: Folder, brains: Folder | None) -> Pairs:
    """Return a pair for each reference.

    Raises:
        DataError: a folder holds no file, a file fits several others, or nothing fits.
    """
    truth = _without_images(references.names(), set())
    keys = _keys(truth, nested=_repeated(truth))
    found = _without_images(predictions.names(), set(keys.values()))
    _check_distinct(keys, references)
    chosen = assign(truth, found, predictions, references)
    if not chosen:
        msg = (
            f"no prediction fits any reference: {predictions.path} holds "
            f"{listing(name.path.name for name in found)}; {references.path} holds "
            f"{listing(name.path.name for name in truth)}. Give both the same names."
        )
        raise DataError(msg)
    inside = assign(truth, brains.names(), brains, references) if brains else {}
    pairs = [
        Pair(
            case=case,
            subject=f"sub-{name.entities['sub']}" if name.entities else case,
            reference=name.path,
            prediction=chosen[name].path if name in chosen else None,
            brain=inside[name].path if name in inside else None,
        )
        for name, case in keys.items()
    ]
    extra = set(found) - set(chosen.values())
    return Pairs(
        tuple(sorted(pairs, key=lambda pair: pair.case)),
        tuple(sorted(name.path for name in extra)),
    )


def assign(
    references: Sequence[Name], others: Sequence[Name], place: Folder, origin: Folder
) -> dict[Name, Name]:
    """Return the one of the others that fits each reference, where one does.

    Args:
        references: of the cases.
        others: such as predictions.
        place: that the others come from, for messages.
        origin: that the references come from, for messages.

    Raises:
        DataError: several others fit a reference, or one fits several.
    """
    nested = _repeated(references) or _repeated(others)
    groups: dict[str, list[Name]] = {}
    for other in others:
        groups.setdefault(_group(other, nested), []).append(other)
    chosen = {}
    for name in references:
        fitting = _fitting(name, groups.get(_group(name, nested), []))
        if len(fitting) > 1:
            msg = (
                f"{name.path.name}: {len(fitting)} files in {place.path} fit it: "
                f"{listing(other.path.name for other in fitting)}. "
                f"{_advice(place, fitting)}"
            )
            raise DataError(msg)
        if fitting:
            chosen[name] = fitting[0]
    owners: dict[Name, Name] = {}
    for name, other in chosen.items():
        if other in owners:
            both = [owners[other], name]
            msg = (
                f"{other.path.name}: fits {' and '.join(n.path.name for n in both)}. "
                f"{_advice(origin, both)}"
            )
            raise DataError(msg)
        owners[other] = name
    return chosen


def _fitting(name: Name, others: Sequence[Name]) -> list[Name]:
    for rule in RULES:
        fitting = [other for other in others if rule(name, other)]
        if fitting:
            return fitting
    return []


def _without_images(names: Sequence[Name], cases: Collection[str]) -> list[Name]:
    """Return the names that are no channel of a case here or among `cases`."""
    known = {name.stem for name in names} | set(cases)
    return [name for name in names if name.stem in cases or name.imaged not in known]


def _repeated(names: Iterable[Name]) -> bool:
    """Return whether file names that are not BIDS occur more than once."""
    counts = Counter(name.stem for name in names if not name.entities)
    return any(count > 1 for count in counts.values())


def _group(name: Name, nested: bool) -> str:
    """Return what names that may fit have in common."""
    if name.entities:
        return f"sub-{name.entities['sub']}"
    return name.place if nested else name.stem


def _keys(names: Sequence[Name], nested: bool) -> dict[Name, str]:
    return {name: name.examination or _group(name, nested) for name in names}


def _check_distinct(keys: Mapping[Name, str], references: Folder) -> None:
    owners: dict[str, list[Name]] = {}
    for name, case in keys.items():
        owners.setdefault(case, []).append(name)
    for case, names in owners.items():
        if len(names) > 1:
            msg = (
                f"{references.path}: {len(names)} references of the case {case}: "
                f"{listing(name.path.name for name in names)}. "
                f"{_advice(references, names)}"
            )
            raise DataError(msg)


def _advice(folder: Folder, names: Sequence[Name]) -> str:
    """Return how to choose among files, as a command line would have it."""
    patterns = dict.fromkeys(name.pattern for name in names)
    if len(patterns) == 1:
        return f"Choose by {folder.option}, or give both folders the same names."
    words = " or ".join(f"'{pattern}'" for pattern in patterns)
    return f"Choose by {folder.option}, such as {words}."
