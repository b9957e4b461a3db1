"""Run folders as the engine leaves them, with numbers that are made up."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from uadbench.files import write_json, write_rows
from uadbench.results import Run

SIZE = 32
SUFFIXES = ("fpr5", "fpr1", "own", "oracle")
OVERLAPS = ("dice", "precision", "recall", "fpr")


@dataclass
class Fake:
    """What a test wants to say about a run; the rest is filled in.

    `dice` are the cases' Dice at 5 % FPR (None: a failed case), from which every other
    metric follows; NaN is an undefined case.
    """

    method: str = "itermask2"
    title: str = "IterMask2"
    dice: Sequence[float | None] = (0.2, 0.4, 0.6)
    seed: int = 0
    record: Mapping[str, Any] = field(default_factory=dict)
    own_mask: bool = True
    trace: int = 0
    reconstruction: bool = False
    names: Sequence[str] = ()
    content: str = "d3adb33f"
    own_supervision: str = "healthy-val"
    without: Sequence[str] = ()


MakeRun = Callable[..., Run]


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Return a function that writes a run folder and reads it back."""

    def make(**wishes: Any) -> Run:
        folder = tmp_path / "runs" / f"run{len(list(tmp_path.glob('runs/*')))}"
        write_run(folder, Fake(**wishes))
        return Run.load(folder)

    return make


def write_run(folder: Path, fake: Fake) -> None:
    """Write the files of a finished run."""
    names = fake.names or [f"case{i}" for i in range(len(fake.dice))]
    rows = [_row(n, d, fake) for n, d in zip(names, fake.dice, strict=True)]
    write_rows(folder / "cases.csv", rows)
    write_json(folder / "run.json", record(fake, names))
    write_json(folder / "summary.json", summary(rows))
    write_json(folder / "thresholds.json", _thresholds(fake))
    write_rows(folder / "curve.csv", _curve())
    for i, (name, dice) in enumerate(zip(names, fake.dice, strict=True)):
        if dice is not None:
            (folder / "shown").mkdir(exist_ok=True)
            # numpy's stubs don't know that any keyword names an array.
            np.savez(folder / "shown" / f"{name}.npz", **slices(fake, i))  # type: ignore[arg-type]


def record(fake: Fake, names: Sequence[str]) -> dict[str, Any]:
    """Return run.json."""
    defaults: dict[str, Any] = {
        "format": 2,
        "status": "done",
        "method": {
            "name": fake.method,
            "title": fake.title,
            "reference": "Liang et al., MICCAI 2024",
            "preset": "demo",
            "options": {"size": 64},
        },
        "dataset": {
            "name": "phantom",
            "title": "Phantom",
            "options": {"modality": "T2", "size": 64},
        },
        "protocol": "volume",
        "seed": fake.seed,
        "device": "cpu",
        "limit": None,
        "expected": len(names),
        "parameters": 220_000,
        "versions": {"uadbench": "0.1.0", "python": "3.11.7", "numpy": "2.4.6"},
        "git": None,
        "hardware": {"cpu": "Xeon", "cores": 2, "memory_gib": 23.4, "gpu": None},
        "timings": {"fit": 95.1, "calibrate": 3.0, "predict": 4.2, "score": 1.0},
        "peak_memory_mib": 900,
        "data_hash": f"{fake.content}-{len(fake.dice) - list(fake.dice).count(None)}",
        "subjects": {"train": ["t1"], "val": ["v1"], "test": list(names)},
        "warnings": [],
    }
    filled = defaults | dict(fake.record)
    return {name: value for name, value in filled.items() if name not in fake.without}


def summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return summary.json: means over the defined cases."""
    scored = [row for row in rows if row["status"] == "ok"]
    metrics = [n for row in scored[:1] for n, v in row.items() if isinstance(v, float)]
    subject = {}
    for metric in metrics:
        every = np.array([row[metric] for row in scored], float)
        known = every[~np.isnan(every)]
        middle = float(known.mean()) if len(known) else float("nan")
        subject[metric] = {
            "mean": middle,
            "low": middle - 0.05,
            "high": middle + 0.05,
            "n": len(known),
            "undefined": len(every) - len(known),
        }
    pooled = {metric: part["mean"] for metric, part in subject.items()}
    prevalence = 0.02 if scored else float("nan")
    return {
        "cases": {
            "expected": len(rows),
            "scored": len(scored),
            "failed": len(rows) - len(scored),
        },
        "subject": subject,
        "pooled": pooled | {"prevalence": prevalence, "threshold_oracle": 0.5},
    }


def slices(fake: Fake, index: int) -> dict[str, NDArray[Any]]:
    """Return the arrays of one shown slice: an elliptic brain with a round lesion."""
    rng = np.random.default_rng(index)
    x, y = np.mgrid[:SIZE, :SIZE]
    brain = (x - 16) ** 2 / 12**2 + (y - 16) ** 2 / 14**2 < 1
    lesion = (x - 20) ** 2 + (y - 18 - index) ** 2 < 9
    image = np.where(brain, 0.5 + 0.4 * lesion + rng.normal(0, 0.1, brain.shape), 0)
    score = np.where(brain, lesion + rng.normal(0, 0.3, brain.shape), 0)
    arrays: dict[str, NDArray[Any]] = {
        "image": image.astype(np.float32),
        "brain": brain,
        "lesion": lesion,
        "score": score.astype(np.float32),
        "spacing": np.array([3.0, 3.0]),
    }
    arrays["mask"] = brain & (score > 0.6)
    if fake.own_mask:
        arrays["own"] = brain & (score > 0.5)
    if fake.reconstruction:
        arrays["input"] = image
        arrays["reconstruction"] = np.where(brain, 0.5, 0.0)
    if fake.trace:
        levels = np.linspace(-1, 0.6, fake.trace)
        arrays["condition"] = rng.normal(0, 1, brain.shape)
        arrays["trace"] = np.stack([brain & (score > level) for level in levels])
    return arrays


def _row(name: str, dice: float | None, fake: Fake) -> dict[str, Any]:
    if dice is None:
        return {"case": name, "status": "failed", "error": "ValueError: too small"}
    row: dict[str, Any] = {
        "case": name,
        "status": "ok",
        "error": "",
        "stratum_kind": "ms",
        "lesion_ml": 4.0,
        "prevalence": 0.02,
        "auprc": 0.9 * dice,
        "auroc": 0.5 + dice / 2,
        "dice_oracle_case": 1.2 * dice,
        "content": f"{fake.content}-{name}",
    }
    for suffix in SUFFIXES if fake.own_mask else ("fpr5", "fpr1", "oracle"):
        factor = {"fpr5": 1.0, "fpr1": 0.8, "own": 0.9, "oracle": 1.1}[suffix]
        row |= {f"{metric}_{suffix}": factor * dice for metric in OVERLAPS}
    return row


def _thresholds(fake: Fake) -> dict[str, Any]:
    supervision = {"oracle": "test-oracle", "own": fake.own_supervision}
    return {
        suffix: {
            "value": None if suffix == "own" else 0.6,
            "strategy": suffix,
            "supervision": supervision.get(suffix, "healthy-val"),
            "pipeline": "hash",
        }
        for suffix in SUFFIXES
        if fake.own_mask or suffix != "own"
    }


def _curve() -> list[Mapping[str, object]]:
    recall = np.linspace(0.01, 1, 50)
    return [
        {
            "threshold": float(1 - r),
            "precision": float(0.02 + 0.8 * (1 - r)),
            "recall": float(r),
            "fpr": float(r**4),
        }
        for r in recall
    ]
