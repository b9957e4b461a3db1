"""Ensemble: the mean of what other methods say, each on a scale of healthy ranks.

Scores of two methods share no scale. Here each is replaced by its rank among the scores
that the same method gives to healthy validation voxels, and the ranks are averaged.

Reference: none of its own; rank averaging is common practice. On why scores need one
scale: Kriegel et al., "Interpreting and unifying outlier scores", SDM 2011.

What to know:

- Members are finished runs of the same dataset, split and protocol, each with its own
  options. They are restored and predict anew: nothing is trained.
- A rank is among healthy validation voxels, never among those of a test scan: what is
  said of one case must not depend on another, nor on how large its lesion is.
- Above the highest healthy score the order is kept within the last thousandth of the
  scale, so that no member outvotes the others by a score that is merely large. Hundreds
  of healthy ranges above, where float32 cannot tell it any more, scores become equal.
- What is random in a member follows from its options and what it learned: the order of
  the runs changes nothing, and a run that is copied says the same twice.
- The members' own masks are not used: their thresholds are of their own scales.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass as record
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass

from uadbench.errors import DataError, UsageError
from uadbench.members import Member, check_enough
from uadbench.protocols import Arrays, Card, Context, Lazy, Method, Prediction, Scan

Floats = NDArray[np.float32]

# Steps of the scale that are remembered, and the part of it above all healthy scores.
LEVELS = 10_000
BEYOND = 0.001


@record(frozen=True, eq=False)
class Ranks:
    """Where a score stands among healthy ones.

    Attributes:
        levels: float32 (K,), scores that occur, strictly increasing.
        ranks: float64 (K,), fraction of the healthy scores below each level, those that
            equal it counted half; strictly increasing, in (0, 1).
    """

    levels: Floats
    ranks: NDArray[np.float64]

    @classmethod
    def of(cls, healthy: Floats) -> Self:
        """Return the ranks among some scores (N,); of many, `LEVELS` are kept."""
        levels, counts = np.unique(healthy, return_counts=True)
        ranks = (np.cumsum(counts) - counts / 2) / len(healthy)
        kept = np.linspace(0, len(levels) - 1, min(LEVELS, len(levels)))
        chosen = kept.round().astype(int)
        return cls(levels[chosen], ranks[chosen])

    def __call__(self, score: Floats) -> NDArray[np.float64]:
        """Return ranks of the same shape in [0, 1), never lower for a higher score.

        They are equal from the lowest healthy score down.
        """
        low, high = float(self.levels[0]), float(self.levels[-1])
        excess = np.maximum(score.astype(float) - high, 0) / ((high - low) or 1.0)
        within = np.interp(score, self.levels, self.ranks)
        return (1 - BEYOND) * within + BEYOND * excess / (1 + excess)


@record(frozen=True, eq=False)
class Voice:
    """A member that is ready to predict.

    Attributes:
        member: as its run left it.
        method: made from it.
        address: of its randomness, see `_address`.
        ranks: of its scores.
    """

    member: Member
    method: Method
    address: str
    ranks: Ranks


@dataclass
class Ensemble:
    """Averages the healthy ranks of the scores of finished runs."""

    card: ClassVar[Card] = Card(
        title="Ensemble",
        reference="rank averaging, see Kriegel et al., SDM 2011",
        licence="not needed: a mean",
        presets={"paper": {}, "demo": {}},
    )

    fewest: ClassVar[int] = 2

    runs: tuple[Path, ...] = Field(
        default=(),
        description="folders of its members' finished runs, of the same dataset; in "
        "compare, the other methods' of the same dataset and seed",
    )

    def __post_init__(self) -> None:
        """Start without members."""
        self._voices: list[Voice] = []

    def fit(self, train: Lazy[Scan], val: Lazy[Scan], ctx: Context) -> None:
        """Restore the members, and see what each says of healthy validation scans."""
        check_enough(self, "ensemble")
        voices = []
        for folder in self.runs:
            member = Member.read(folder)
            method, address = member.method(), _address(member)
            label = f"ranks of {folder.name}"
            scans = ctx.monitor.track(val, label, len(val))
            healthy = [
                _predicted(method, scan, ctx.child(address))[scan.scored]
                for scan in scans
            ]
            voices.append(Voice(member, method, address, Ranks.of(_joined(healthy))))
        self._voices = voices

    def predict(self, scans: Iterable[Scan], ctx: Context) -> Iterator[Prediction]:
        """Return the mean rank of each voxel."""
        if not self._voices:
            msg = "ensemble has learned nothing yet: fit or restore it first."
            raise UsageError(msg)
        for scan in scans:
            ranks = [
                voice.ranks(_predicted(voice.method, scan, ctx.child(voice.address)))
                for voice in self._voices
            ]
            mean = np.mean(ranks, axis=0).astype(np.float32)
            yield Prediction(np.where(scan.scored, mean, np.float32(0)))

    def state(self) -> Arrays:
        """Return what all members learned, with their names, options and ranks."""
        members = [voice.member for voice in self._voices]
        known = [{"name": m.name, "options": dict(m.options)} for m in members]
        words = json.dumps(known).encode()
        state: dict[str, NDArray[Any]] = {"_members": np.frombuffer(words, np.uint8)}
        for number, voice in enumerate(self._voices):
            state[f"_levels{number}"] = voice.ranks.levels
            state[f"_ranks{number}"] = voice.ranks.ranks
            for name, array in voice.member.state.items():
                state[_prefix(number, name) + name] = array
        return state

    def restore(self, state: Arrays) -> None:
        """Take back what `state` gave; the members' run folders are not needed."""
        self._voices = []
        for number, known in enumerate(json.loads(state["_members"].tobytes())):
            member = Member(known["name"], known["options"], _learned(number, state))
            ranks = Ranks(state[f"_levels{number}"], state[f"_ranks{number}"])
            self._voices.append(Voice(member, member.method(), _address(member), ranks))


def _address(member: Member) -> str:
    """Return where a member's randomness comes from: a hash of all that it is."""
    words = json.dumps([member.name, dict(member.options)], sort_keys=True)
    digest = hashlib.sha256(words.encode())
    for name, array in sorted(member.state.items()):
        digest.update(name.encode() + array.tobytes())
    return digest.hexdigest()


def _predicted(method: Method, scan: Scan, ctx: Context) -> Floats:
    """Return a member's score of one scan."""
    (prediction,) = method.predict([scan], ctx)
    return prediction.score


def _joined(scores: list[Floats]) -> Floats:
    if not sum(map(len, scores)):
        msg = "ensemble: no brain in the healthy validation scans: nothing to rank by."
        raise DataError(msg)
    return np.concatenate(scores)


def _prefix(number: int, name: str) -> str:
    """Return what stands before the name of a member's array in the state.

    What is no parameter of the member is none of the ensemble.
    """
    return f"_member{number}/" if name.startswith("_") else f"member{number}/"


def _learned(number: int, state: Arrays) -> Arrays:
    """Return a member's own state."""
    named = {name.partition("/")[::2]: array for name, array in state.items()}
    owners = (f"member{number}", f"_member{number}")
    return {name: array for (owner, name), array in named.items() if owner in owners}
