"""Which file belongs to which reference, told by their names.

The first rule that any file satisfies decides; two files that satisfy it are an error:

1. the same path within the two folders,
2. the same file name (and, of BIDS names, the same examination),
3. the same BIDS examination: entities such as sub, ses, run; not desc, label, suffix,
4. of two BIDS examinations one has all entities of the other (sub-1, sub-1_ses-2).

Names that are not BIDS, such as nnU-Net's, know rules 1 and 2; where several
references have one name (A/mask.nii.gz, B/mask.nii.gz), rule 1 alone.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence

from uadbench.errors import DataError

from .names import Name, Source, shown

RULES: tuple[Callable[[Name, Name], bool], ...] = (
    lambda one, other: one.place == other.place,
    lambda one, other: one.stem == other.stem and one.marks == other.marks,
    lambda one, other: one.marks == other.marks,
    lambda one, other: (
        one.marks.items() <= other.marks.items()
        or other.marks.items() <= one.marks.items()
    ),
)


def cases(references: Sequence[Name], source: Source) -> dict[Name, str]:
    """Return what the case of each reference is called, a name of its own.

    Raises:
        DataError: several references are of one case.
    """
    repeated = _repeated(references)
    owners: dict[str, list[Name]] = {}
    for name in references:
        case = name.examination or _group(name, repeated)
        owners.setdefault(case, []).append(name)
    for case, names in owners.items():
        if len(names) > 1:
            msg = (
                f"{source.path}: {len(names)} references of the case {case}: "
                f"{shown(names)}. {_advice(source, names)}"
            )
            raise DataError(msg)
    return {name: case for case, (name,) in owners.items()}


def assign(
    references: Sequence[Name],
    others: Sequence[Name],
    source: Source,
    origin: Source,
    *,
    shared: bool = False,
) -> dict[Name, Name]:
    """Return the one of the others that fits each reference, where one does.

    Args:
        references: of the cases.
        others: such as predictions.
        source: that the others come from, for messages.
        origin: that the references come from, for messages.
        shared: whether one file may serve several references.

    Raises:
        DataError: several others fit a reference, or one that is not shared several.
    """
    repeated = _repeated(references)
    groups: dict[str, list[Name]] = {}
    for other in others:
        groups.setdefault(_group(other, repeated), []).append(other)
    chosen = {}
    for name in references:
        fitting = _fitting(name, groups.get(_group(name, repeated), []))
        if len(fitting) > 1:
            msg = (
                f"{name.path.name}: {len(fitting)} files in {source.path} fit it: "
                f"{shown(fitting)}. {_advice(source, fitting)}"
            )
            raise DataError(msg)
        if fitting:
            chosen[name] = fitting[0]
    if not shared:
        _check_unshared(chosen, origin)
    return chosen


def _fitting(name: Name, others: Sequence[Name]) -> list[Name]:
    for rule in RULES:
        fitting = [other for other in others if rule(name, other)]
        if fitting:
            return fitting
    return []


def _check_unshared(chosen: Mapping[Name, Name], origin: Source) -> None:
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


def _repeated(names: Sequence[Name]) -> set[str]:
    """Return the file names that are not BIDS and occur more than once."""
    counts = Counter(name.stem for name in names if not name.entities)
    return {stem for stem, count in counts.items() if count > 1}


def _group(name: Name, repeated: Collection[str]) -> str:
    """Return what names that may fit have in common."""
    if name.entities:
        return f"sub-{name.entities['sub']}"
    return name.place if name.stem in repeated else name.stem


def _advice(source: Source, names: Sequence[Name]) -> str:
    """Return how to choose among files, as a command line would have it."""
    patterns = {name.pattern for name in names}
    if len(patterns) == 1:
        folders = (name.place.rpartition("/")[0] for name in names)
        alike = len({name.stem for name in names}) == 1
        patterns = {f"{folder}/*" for folder in folders if folder and alike}
    if not patterns:
        return f"Choose by {source.option}, or give both folders the same names."
    words = " or ".join(f"'{pattern}'" for pattern in sorted(patterns))
    return f"Choose by {source.option}, such as {words}."
