"""The contracts between the core and its plugins.

Arrays at the border are numpy; a volume is (X, Y, Z) with axes towards right, anterior
and superior, so that axis 2 counts axial slices. Labels live in `Case`, images in
`Scan`: a method never receives a `Case`, so that leaking a label is a type error.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import (
    Any,
    ClassVar,
    Protocol,
    TypeVar,
    overload,
    runtime_checkable,
)

import numpy as np
from numpy.typing import NDArray

from uadbench.acceleration import Acceleration
from uadbench.results import Run

Item = TypeVar("Item", covariant=True)
Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Card:
    """What a reader of a table wants to know of a plugin.

    Attributes:
        title: its name in tables and figures.
        reference: paper or origin.
        licence: of the original code or of the data.
        presets: options by preset name; every preset starts from the defaults.
        modalities: of a method, how many its scans need to have.
    """

    title: str
    reference: str = ""
    licence: str = ""
    presets: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    modalities: int = 1


@dataclass(frozen=True, eq=False)
class Scan:
    """One examination of one brain, without any label.

    Attributes:
        id: unique in its dataset; names files.
        image: float32 (C, X, Y, Z), one channel for each modality.
        brain: bool (X, Y, Z).
        spacing: voxel size in mm.
        affine: (4, 4), voxel to RAS+ mm, of the array as it is here.
        modalities: names of the channels.
        slices: the axial slices that count: a method learns from these and predicts
            these; no other slice is scored.
        axes: orientation on disk, such as "LPS", for maps written on the input's grid.
        xform: NIfTI code of the affine (1 scanner, 2 aligned, 3 Talairach, 4 MNI).
    """

    id: str
    image: NDArray[np.float32]
    brain: NDArray[np.bool_]
    spacing: tuple[float, float, float]
    affine: NDArray[np.float64]
    modalities: tuple[str, ...]
    slices: tuple[int, ...]
    axes: str = "RAS"
    xform: int = 1

    @cached_property
    def scored(self) -> NDArray[np.bool_]:
        """Brain voxels in the slices that count: bool (X, Y, Z), read-only."""
        inside = np.zeros_like(self.brain)
        chosen = list(self.slices)
        inside[..., chosen] = self.brain[..., chosen]
        # Every metric asks for it, and nobody may change what the others get.
        inside.flags.writeable = False
        return inside


@dataclass(frozen=True, eq=False)
class Case:
    """A scan of the test set with its reference; never handed to a method.

    Attributes:
        scan: the input.
        lesion: bool (X, Y, Z).
        ignore: bool (X, Y, Z), voxels that no metric counts, or None.
        strata: groups of the case for stratified tables, such as {"site": "A"}.
    """

    scan: Scan
    lesion: NDArray[np.bool_]
    ignore: NDArray[np.bool_] | None = None
    strata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a method says of one scan.

    Attributes:
        score: float32 (X, Y, Z), larger is more abnormal; 0 outside `scan.scored`.
        mask: the method's own segmentation, bool (X, Y, Z) in `scan.scored`, or None.
        extras: further arrays for figures, each (..., X, Y, Z). Known to the figures:
            "input" and "reconstruction" on one intensity scale, "condition", "trace"
            (K, X, Y, Z) of masks.
    """

    score: NDArray[np.float32]
    mask: NDArray[np.bool_] | None = None
    extras: Arrays = field(default_factory=dict)


class Lazy(Sequence[Item]):
    """A sequence that knows its ids and loads an item when it is indexed.

    Args:
        ids: one for each item, unique.
        load: returns the item of an id; called in threads, several at once.
        subjects: the person behind each id, where one person gives several items.
        fingerprint: returns, faster than `load`, what is another word whenever the item
            of an id is another one, such as a hash of its files; "" where unknown.
    """

    def __init__(
        self,
        ids: Iterable[str],
        load: Callable[[str], Item],
        subjects: Iterable[str] | None = None,
        fingerprint: Callable[[str], str] = lambda _: "",
    ) -> None:
        self.ids = tuple(ids)
        self.subjects = self.ids if subjects is None else tuple(subjects)
        self.fingerprint = fingerprint
        self._load = load

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> "Lazy[Item]": ...
    def __getitem__(self, index: int | slice) -> "Item | Lazy[Item]":
        if isinstance(index, slice):
            chosen, people = self.ids[index], self.subjects[index]
            return Lazy(chosen, self._load, people, self.fingerprint)
        return self._load(self.ids[index])

    def __iter__(self) -> Iterator[Item]:
        # Sequence would take an IndexError of a loader for the end.
        return map(self._load, self.ids)

    def __repr__(self) -> str:
        more = ", ..." if len(self) > 3 else ""
        return f"Lazy({len(self)} items: {', '.join(self.ids[:3])}{more})"


class Checkpoint(Protocol):
    """Where a long fit keeps its state, so that a killed run goes on."""

    def load(self) -> Arrays | None:
        """Return what was saved last, or None."""

    def save(self, arrays: Arrays) -> None:
        """Replace what was saved, all or nothing."""

    def child(self, name: str) -> "Checkpoint":
        """Return the place of a part of the work."""


class Monitor(Protocol):
    """Where progress and logged numbers go."""

    def track(
        self, steps: Iterable[Item], label: str, total: int, done: int = 0
    ) -> Iterator[Item]:
        """Yield the steps while showing how many of `total` are done.

        `done` of these were done before, by a run that was killed.
        """

    def log(self, name: str, value: float, step: int) -> None:
        """Record one number of a training curve."""

    def say(self, message: str) -> None:
        """Show one line to the user."""

    def warn(self, message: str) -> None:
        """Show one line that a user must not miss, even one who asked for quiet."""


class Forgetful:
    """A checkpoint that keeps nothing."""

    def load(self) -> Arrays | None:
        """Return None."""
        return None

    def save(self, arrays: Arrays) -> None:
        """Keep nothing."""

    def child(self, name: str) -> "Forgetful":
        """Return itself."""
        return self


class Silent:
    """A monitor that shows nothing."""

    def track(
        self, steps: Iterable[Item], label: str, total: int, done: int = 0
    ) -> Iterator[Item]:
        """Yield the steps."""
        yield from steps

    def log(self, name: str, value: float, step: int) -> None:
        """Record nothing."""

    def say(self, message: str) -> None:
        """Show nothing."""

    def warn(self, message: str) -> None:
        """Show nothing."""


@dataclass(frozen=True)
class Context:
    """What a method may use besides its data.

    Attributes:
        seed: of this piece of work; a child has its own, derived from its name.
        device: "cpu" or a CUDA device such as "cuda:0".
        acceleration: how much of the hardware is used, and how.
        cache: a folder for what is made of scans before the first number is drawn, so
            that it need not be made again; None for none.
    """

    seed: int = 0
    device: str = "cpu"
    checkpoint: Checkpoint = field(default_factory=Forgetful)
    monitor: Monitor = field(default_factory=Silent)
    acceleration: Acceleration = field(default_factory=Acceleration)
    cache: Path | None = None

    def child(self, name: str) -> "Context":
        """Return the context of a part of the work, such as one scan.

        Its seed depends on this seed and the name alone, so that order and batching
        change nothing.
        """
        digest = hashlib.sha256(f"{self.seed}/{name}".encode()).digest()
        seed = int.from_bytes(digest[:8], "big") >> 1
        return replace(self, seed=seed, checkpoint=self.checkpoint.child(name))

    def rng(self) -> np.random.Generator:
        """Return a new generator that starts from the seed."""
        return np.random.default_rng(self.seed)


@runtime_checkable
class Method(Protocol):
    """Learns what is healthy, then says where a scan is not.

    A method is a pydantic dataclass; its fields are its options.

    One that builds on others has an option `runs`, the folders of their finished runs
    (see `uadbench.members`). These are checked before it is fitted; `compare` runs it
    last and gives it those of the same dataset and seed.
    """

    card: ClassVar[Card]

    def fit(self, train: Lazy[Scan], val: Lazy[Scan], ctx: Context) -> None:
        """Learn from healthy scans."""

    def predict(self, scans: Iterable[Scan], ctx: Context) -> Iterator[Prediction]:
        """Yield one prediction for each scan, in order.

        Randomness of a scan comes from `ctx.child(scan.id)`, so that neither batching
        nor order changes a prediction. Global generators are left as they are, in a fit
        as well.
        """

    def state(self) -> Arrays:
        """Return what was learned as plain arrays.

        A name that begins with "_" is no parameter of a model (a running mean, a
        threshold) and is not counted as one.
        """

    def restore(self, state: Arrays) -> None:
        """Take back what `state` gave, on any device."""


@runtime_checkable
class Dataset(Protocol):
    """Healthy scans to learn from and cases to be judged on, disjoint by subject.

    A dataset is a pydantic dataclass; its fields are its options.
    """

    card: ClassVar[Card]

    def train(self) -> Lazy[Scan]:
        """Return healthy scans to learn from."""

    def val(self) -> Lazy[Scan]:
        """Return healthy scans of other subjects, to calibrate on."""

    def test(self) -> Lazy[Case]:
        """Return the cases to be judged on, of further subjects."""

    def labelled(self) -> Lazy[Case]:
        """Return validation cases with their lesions; empty where there are none.

        Subjects of `val` or of no other part. Only a threshold of the supervision level
        "lesion-val" is chosen on them, never a method.
        """

    def caveats(self) -> Sequence[str]:
        """Return what forbids or weakens a conclusion from a table of this dataset.

        Whole sentences, printed with every result: lesions are simulated, healthy
        material comes from patients ...
        """


@runtime_checkable
class Report(Protocol):
    """Makes files from finished run folders, without images, methods or a GPU.

    Attributes:
        gathers: True for a report that embeds the files of the others in `out` and is
            therefore rendered after them.
    """

    card: ClassVar[Card]
    gathers: ClassVar[bool]

    def render(self, runs: Sequence[Run], out: Path) -> list[Path]:
        """Write the report's files into `out` and return them; [] if it has none."""
