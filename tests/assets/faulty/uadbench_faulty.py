"""Plugins that keep their contract but for the one fault that they are told."""

import importlib
import itertools
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from uadbench.contract import make_scan
from uadbench.protocols import Arrays, Card, Case, Context, Lazy, Prediction, Scan
from uadbench.results import Run

CALLS = itertools.count(1)
PRESETS = {"demo": {"steps": 4}, "paper": {}}


@dataclass
class Faulty:
    """The score is the distance to the mean intensity, with noise; the mask a cut."""

    card: ClassVar[Card] = Card("Faulty", presets=PRESETS)

    steps: int = Field(5, gt=0, description="of the fit")
    fault: str = Field("none", description="what is wrong")

    def fit(self, train: Lazy[Scan], val: Lazy[Scan], ctx: Context) -> None:
        """Average noisy intensities, one a step, with a checkpoint after each."""
        if self.fault == "fit":
            msg = "no brain\nof mine"
            raise ValueError(msg)
        if self.fault == "numpy":
            np.random.seed(0)  # noqa: NPY002 - the fault
        if self.fault == "torch":
            importlib.import_module("torch").manual_seed(0)
        saved = ctx.checkpoint.load() or {"step": np.array(0), "mean": np.zeros(1)}
        mean, first = saved["mean"], int(saved["step"])
        stream = ctx.rng()
        for step in range(first, self.steps):
            rng = ctx.child(f"step{step}").rng()
            if self.fault == "seed":
                rng = np.random.default_rng()
            late = 2 * step >= self.steps
            if self.fault == "resume" or (self.fault == "resume late" and late):
                rng = stream
            scan = train[step % len(train)]
            mean = mean + (scan.image[0].mean() + 0.1 * rng.standard_normal(1)) / 3
            if self.fault == "write in fit":
                scan.image[:] = 0
            ctx.checkpoint.save({"step": np.array(step + 1), "mean": mean})
        self._mean, self._seen = mean, itertools.count()
        if self.fault == "grid":
            self._mean = np.broadcast_to(mean, train[0].brain.shape)

    def predict(self, scans: Iterable[Scan], ctx: Context) -> Iterator[Prediction]:
        """Yield the distance."""
        read = 0
        for scan in scans:
            read += 1
            if self.fault == "fewer" and read == 2:
                return
            if self.fault == "peek":
                getattr(scan, "lesion", None)
            if self.fault == "random":
                random.seed(scan.id)
            yield self._predict(scan, ctx.child(scan.id).rng())
        if self.fault == "more" and not read:
            yield Prediction(np.zeros((2, 2, 2), np.float32))

    def state(self) -> Arrays:
        """Return the mean."""
        faults = {
            "forget": {},
            "list": {"mean": self._mean.tolist()},
        }
        return faults.get(self.fault, {"mean": self._mean})

    def restore(self, state: Arrays) -> None:
        """Take it back."""
        self._mean = state.get("mean", np.zeros(1))
        self._seen = itertools.count()

    def _predict(self, scan: Scan, rng: np.random.Generator) -> Prediction:
        noise = 0.01 * rng.standard_normal(scan.brain.shape)
        if self.fault == "order":
            noise += next(self._seen)
        score = np.abs(scan.image[0] - self._mean) + noise
        where = {"outside": 1, "slices": scan.brain, "zero": 0}
        score = score * where.get(self.fault, scan.scored)
        masked = {"mask": ~scan.brain, "mask of slices": scan.brain & ~scan.scored}
        mask = (score > 0.2) | masked.get(self.fault, False)
        if self.fault == "same":
            score = 1.0 * scan.scored
        if self.fault == "nan":
            score[0, 0, 0] = np.nan
        if self.fault == "write":
            scan.image[:] = 0
        kind = np.float64 if self.fault == "type" else np.float32
        level = next(CALLS) if self.fault == "extra" else 0
        extras = {"level": np.full(scan.brain.shape, level)}
        return Prediction(score.astype(kind), mask, extras)


@dataclass
class Untitled(Faulty):
    """A method without a title."""

    card: ClassVar[Card] = Card("", presets=PRESETS)


@dataclass
class Undocumented(Faulty):
    card: ClassVar[Card] = Card("Undocumented", presets=PRESETS)


@dataclass
class Unexplained(Faulty):
    """A method with options that nobody explains, and without presets."""

    card: ClassVar[Card] = Card("Unexplained")

    size: int = 64
    nonsense: int = Field(1, description="an option")


@dataclass(kw_only=True)
class Bare(Faulty):
    """A method with an option that has to be given."""

    card: ClassVar[Card] = Card("Bare", presets={"demo": {"size": 1}, "paper": {}})

    size: int = Field(description="side of a slice, px")


@dataclass
class Pair(Faulty):
    """A method that needs two modalities."""

    card: ClassVar[Card] = Card("Pair", presets=PRESETS, modalities=2)


@dataclass
class Batched(Faulty):
    """A method that looks at some slices at a time."""

    card: ClassVar[Card] = Card("Batched", presets=PRESETS)

    batch: int = Field(2, ge=1, description="slices at a time")

    def _predict(self, scan: Scan, rng: np.random.Generator) -> Prediction:
        prediction = super()._predict(scan, rng)
        places = range(self.batch, len(scan.slices), self.batch)
        for slices in np.split(prediction.score, places, axis=2):
            if self.fault == "batch":
                slices /= slices.max()
        return prediction


@dataclass
class FaultyData:
    """Brains of the contract's own, with a square lesion."""

    card: ClassVar[Card] = Card("Faulty data")

    fault: str = Field("none", description="what is wrong")

    def train(self) -> Lazy[Scan]:
        """Two."""
        if self.fault == "crash":
            msg = "not today"
            raise RuntimeError(msg)
        scans = Lazy(["a", "b"], self._scan)
        return list(scans) if self.fault == "eager" else scans  # type: ignore[return-value]  # the fault

    def val(self) -> Lazy[Scan]:
        """One."""
        load = self._case if self.fault == "labels" else self._scan
        return Lazy(["a" if self.fault == "overlap" else "c"], load)  # type: ignore[arg-type]  # the fault

    def test(self) -> Lazy[Case]:
        """Three, of whom the first is healthy."""
        return Lazy(["d", "e", "f"], self._case)

    def labelled(self) -> Lazy[Case]:
        """One."""
        return Lazy(["g"], self._cropped if self.fault == "labelled" else self._case)

    def caveats(self) -> Sequence[str]:
        """One sentence."""
        return "Made up." if self.fault == "caveats" else ["Made up."]

    def _scan(self, name: str) -> Scan:
        scan = make_scan(name)
        if self.fault == "random" or (self.fault == "random val" and name == "c"):
            scan.image[:] *= next(CALLS)
        if self.fault == "random brain":
            scan.brain[next(CALLS) % 5 + 15, 18, 1] = False
        if self.fault == "type":
            return replace(scan, image=scan.image.astype(float))  # type: ignore[arg-type]  # the fault
        return replace(scan, id="z") if self.fault == "id" else scan

    def _case(self, name: str) -> Case:
        scan = self._scan(name)
        lesion = np.zeros_like(scan.brain)
        if name != "d" and self.fault != "healthy":
            corner = 18 + next(CALLS) % 7 * (self.fault == "random lesion")
            lesion[corner : corner + 4, 16:20, 2] = True
        kind = np.uint8 if self.fault == "lesion" else np.bool_
        ignore = lesion[:3] if self.fault == "ignore" else np.zeros_like(lesion)
        return Case(scan, lesion.astype(kind), ignore)

    def _cropped(self, name: str) -> Case:
        case = self._case(name)
        return replace(case, lesion=case.lesion[..., :1])


class Elsewhere:
    """A report that returns a file outside its folder."""

    card: ClassVar[Card] = Card("Elsewhere")
    gathers: ClassVar[bool] = False

    def render(self, runs: Sequence[Run], out: Path) -> list[Path]:
        """Return a file of the run."""
        return [runs[0].folder / "run.json"]


class Meddling:
    """A report that writes into the run."""

    card: ClassVar[Card] = Card("Meddling")
    gathers: ClassVar[bool] = False

    def render(self, runs: Sequence[Run], out: Path) -> list[Path]:
        """Write a note into the run."""
        (runs[0].folder / "note.txt").write_text("seen")
        return []


class Demanding:
    """A report that cannot be built without an option."""

    card: ClassVar[Card] = Card("Demanding")
    gathers: ClassVar[bool] = False

    def __init__(self, colour: str) -> None:
        self.colour = colour

    def render(self, runs: Sequence[Run], out: Path) -> list[Path]:
        """Write nothing."""
        return []
