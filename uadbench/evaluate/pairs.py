"""The cases of an evaluation: each reference with its prediction and its brain."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from uadbench.errors import DataError

from .assign import assign, cases
from .names import Name, Source, shown


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
    """All cases that are expected, by name, and files of no case.

    Attributes:
        pairs: the cases.
        extra: predictions of no case.
        images: files among predictions that are named as nnU-Net's images.
        spare: brain masks of no case, where a case has none; else ().
    """

    pairs: tuple[Pair, ...]
    extra: tuple[Path, ...]
    images: tuple[Path, ...] = ()
    spare: tuple[Path, ...] = ()


def match(predictions: Source, references: Source, brains: Source | None) -> Pairs:
    """Return a pair for each reference.

    No file has two parts: a reference is no brain mask, neither is a prediction.

    Raises:
        DataError: a folder holds no file, a file fits several others, or nothing fits.
    """
    truth, _ = _without_images(references.names(), set())
    keys = cases(truth, references)
    masks = _own_files(brains, truth, "references") if brains else []
    others = "references or brain masks" if brains else "references"
    found, images = _without_images(
        _own_files(predictions, [*truth, *masks], others), set(keys.values())
    )
    chosen = assign(truth, found, predictions, references)
    if not chosen:
        advice = "Give both the same names."
        if images:
            advice = (
                f"{shown(images)}: named as nnU-Net's images (CASE_0000); a prediction "
                "is named CASE.nii.gz."
            )
        told = _holdings(predictions, [*found, *images], references, truth)
        msg = f"no prediction fits any reference: {told}. {advice}"
        raise DataError(msg)
    inside = assign(truth, masks, brains, references, shared=True) if brains else {}
    if brains and not inside:
        told = _holdings(brains, masks, references, truth)
        msg = f"no brain mask fits any reference: {told}. Give both the same names."
        raise DataError(msg)
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
    spare = set(masks) - set(inside.values()) if len(inside) < len(truth) else set()
    return Pairs(
        tuple(sorted(pairs, key=lambda pair: pair.case)),
        extra=_paths(set(found) - set(chosen.values())),
        images=_paths(images),
        spare=_paths(spare),
    )


def _own_files(source: Source, taken: Sequence[Name], what: str) -> list[Name]:
    """Return the files of a folder without those that are something else already.

    Args:
        source: of the files.
        taken: what they must not be.
        what: these are, for the message.

    Raises:
        DataError: none is left.
    """
    used = {name.location for name in taken}
    names = source.names()
    left = [name for name in names if name.location not in used]
    if not left:
        msg = (
            f"{source.path}: all that is chosen here is chosen as {what} too: "
            f"{shown(names)}. Give another folder, or choose by {source.option}."
        )
        raise DataError(msg)
    return left


def _without_images(
    names: Sequence[Name], known: Collection[str]
) -> tuple[list[Name], list[Name]]:
    """Return names without and with those of nnU-Net's channels of a known case."""
    stems = {name.stem for name in names} | set(known)
    images = {n for n in names if n.stem not in known and n.imaged in stems}
    return [n for n in names if n not in images], [n for n in names if n in images]


def _holdings(
    source: Source, names: Sequence[Name], references: Source, truth: Sequence[Name]
) -> str:
    """Return what two folders hold, where they don't fit."""
    return f"{source.path} holds {shown(names)}; {references.path} holds {shown(truth)}"


def _paths(names: Iterable[Name]) -> tuple[Path, ...]:
    return tuple(sorted(name.path for name in names))
