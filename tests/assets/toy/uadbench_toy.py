"""A third party's package: small plugins that can be told to misbehave."""

import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from uadbench.errors import DataError
from uadbench.protocols import (
    Arrays,
    Card,
    Case,
    Context,
    Lazy,
    Prediction,
    Scan,
)
from uadbench.results import Run

SHAPE = (12, 10, 5)


def make_scan(name: str, seed: int = 0) -> Scan:
    """Return a brain of grey noise: a box that leaves a margin."""
    rng = np.random.default_rng([seed, *name.encode()])
    brain = np.zeros(SHAPE, bool)
    brain[2:-2, 2:-2, 1:] = True
    image = (1 + 0.1 * rng.standard_normal(SHAPE)) * brain
    return Scan(
        id=name,
        image=image[None].astype(np.float32),
        brain=brain,
        spacing=(2.0, 2.0, 5.0),
        affine=np.diag([2.0, 2.0, 5.0, 1.0]),
        modalities=("T2",),
        slices=(1, 2, 3, 4),
    )


def make_case(name: str, seed: int = 0) -> Case:
    """Return a scan with a bright box in it."""
    scan = make_scan(name, seed)
    lesion = np.zeros(SHAPE, bool)
    lesion[4:7, 4:6, 2:4] = True
    scan.image[0][lesion] += 0.25
    return Case(scan, lesion, strata={"site": "north"})


@dataclass
class ToyDataset:
    """Six healthy brains, three more, and some with a bright box."""

    card: ClassVar[Card] = Card("Toy data", "made up", "none")

    seed: int = Field(0, ge=0)
    cases: int = Field(4, ge=0)
    unreadable: str = Field("", description="id of a case that does not load")
    leak: bool = Field(default=False, description="put a training subject into test")

    def train(self) -> Lazy[Scan]:
        """Six."""
        return self._scans("train", 6)

    def val(self) -> Lazy[Scan]:
        """Three."""
        return self._scans("val", 3)

    def test(self) -> Lazy[Case]:
        """As many as asked for."""
        ids = [f"sub-test{i}" for i in range(self.cases)]
        if self.leak:
            ids[0] = "sub-train0"
        return Lazy(ids, self._case)

    def labelled(self) -> Lazy[Case]:
        """Two of the subjects of val, with a lesion."""
        return Lazy(["sub-val0", "sub-val1"], self._case)

    def caveats(self) -> Sequence[str]:
        """None."""
        return ()

    def _scans(self, part: str, count: int) -> Lazy[Scan]:
        ids = [f"sub-{part}{i}" for i in range(count)]
        return Lazy(ids, lambda name: make_scan(name, self.seed))

    def _case(self, name: str) -> Case:
        if name == self.unreadable:
            msg = f"{name}.nii.gz: cannot be read."
            raise DataError(msg)
        return make_case(name, self.seed)


@dataclass
class ToyMethod:
    """The score is the distance to the mean training brain, plus a little noise."""

    card: ClassVar[Card] = Card("Toy", presets={"demo": {"steps": 4}, "paper": {}})

    steps: int = Field(8, gt=0, description="of the fit")
    seconds: float = Field(0.0, ge=0, description="that each step and scan takes")
    batch: int = Field(2, gt=0, description="scans read at once")
    fault: Literal[
        "none", "raise", "nan", "shape", "fewer", "more", "no-mask", "extra", "fit"
    ] = "none"
    faulty: str = Field("sub-test1", description="the scan that the fault hits")

    def fit(self, train: Lazy[Scan], val: Lazy[Scan], ctx: Context) -> None:
        """Average the training brains as often as asked, and remember how far it is."""
        if self.fault == "fit":
            msg = "out of memory"
            raise RuntimeError(msg)
        saved = ctx.checkpoint.load() or {"step": np.array(0), "mean": np.zeros(SHAPE)}
        mean, first = saved["mean"], int(saved["step"])
        steps = range(first, self.steps)
        for step in ctx.monitor.track(steps, "fit", len(steps)):
            noise = ctx.child(f"step{step}").rng().standard_normal(SHAPE)
            mean = (
                mean + (train[step % len(train)].image[0] + 0.01 * noise) / self.steps
            )
            time.sleep(self.seconds)
            ctx.monitor.log("fit/level", float(mean.mean()), step)
            ctx.checkpoint.save({"step": np.array(step + 1), "mean": mean})
        self._mean = mean.astype(np.float32)

    def predict(self, scans: Iterable[Scan], ctx: Context) -> Iterator[Prediction]:
        """Read scans in batches and yield them one by one."""
        batch: list[Scan] = []
        for scan in scans:
            batch.append(scan)
            if len(batch) == self.batch:
                yield from self._batch(batch, ctx)
                batch = []
        yield from self._batch(batch, ctx)

    def state(self) -> Arrays:
        """The mean brain."""
        return {"mean": self._mean}

    def restore(self, state: Arrays) -> None:
        """The mean brain."""
        self._mean = state["mean"]

    def _batch(self, scans: Sequence[Scan], ctx: Context) -> Iterator[Prediction]:
        hit = any(scan.id == self.faulty for scan in scans)
        if hit and self.fault == "raise":
            msg = f"cannot stand {self.faulty}"
            raise ValueError(msg)
        for scan in scans:
            time.sleep(self.seconds)
            yield from self._predict(scan, ctx.child(scan.id))

    def _predict(self, scan: Scan, ctx: Context) -> Iterator[Prediction]:
        noise = 0.01 * ctx.rng().standard_normal(SHAPE)
        score = (np.abs(scan.image[0] - self._mean) + noise).astype(np.float32)
        prediction = Prediction(score, score > 0.2, {"input": scan.image[0]})
        fault = self.fault if scan.id == self.faulty else "none"
        faults = {
            "none": [prediction],
            "nan": [Prediction(np.full(SHAPE, np.nan, np.float32), score > 0.2)],
            "shape": [Prediction(score[:3])],
            "fewer": [],
            "more": [prediction, prediction, prediction],
            "no-mask": [Prediction(score)],
            "extra": [Prediction(score, score > 0.2, {"flat": np.zeros((2, 2))})],
        }
        yield from faults[fault]


class ToyReport:
    """Writes one line for each run, or fails."""

    card: ClassVar[Card] = Card("Toy report")
    gathers: ClassVar[bool] = False

    def render(self, runs: Sequence[Run], out: Path) -> list[Path]:
        """Write toy.txt."""
        if any(run.record["seed"] == 13 for run in runs):
            msg = "thirteen is too much"
            raise ValueError(msg)
        path = out / "toy.txt"
        path.write_text("".join(f"{run.method}\n" for run in runs))
        return [path]
