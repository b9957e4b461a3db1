"""Which subject belongs to train, val and test."""

import hashlib
from collections.abc import Iterable, Mapping

from uadbench.errors import DataError


def split(
    subjects: Iterable[str], seed: int, shares: Mapping[str, float]
) -> dict[str, tuple[str, ...]]:
    """Return the subjects of each part and, as "train", of the rest; each part sorted.

    Subjects are dealt in the order of the SHA-256 of "seed/subject". The outcome
    depends on nothing but these arguments, neither on the order of files nor on the
    machine, and a subject that joins later moves only few others. A part gets its
    share, rounded, but at least one subject.

    Args:
        subjects: unique ids.
        seed: another seed, another order.
        shares: fraction of the subjects, by part.

    Raises:
        DataError: too few subjects for one in each part.
    """
    order = sorted(subjects, key=lambda subject: _digest(seed, subject))
    counts = {part: max(1, round(s * len(order))) for part, s in shares.items()}
    rest = len(order) - sum(counts.values())
    if rest < 1:
        taken = " and ".join(f"{part} takes {n}" for part, n in counts.items())
        msg = (
            f"bids: too few subjects ({len(order)}): {taken}, and none is left for "
            "train. Add subjects, or lower val_share and test_share."
        )
        raise DataError(msg)
    parts = {}
    for part, count in counts.items():
        parts[part], order = tuple(sorted(order[:count])), order[count:]
    return {"train": tuple(sorted(order)), **parts}


def _digest(seed: int, subject: str) -> bytes:
    return hashlib.sha256(f"{seed}/{subject}".encode()).digest()
