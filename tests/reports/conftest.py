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
SUFFIXES = ("fpr5", "fpr1", "fpr0p5", "own", "oracle")
# What a threshold makes of the Dice at 5 % FPR.
FACTORS = {"fpr5": 1.0, "fpr1": 0.8, "fpr0p5": 0.7, "own": 0.9, "oracle": 1.1}
OVERLAPS = ("dice", "precision", "recall", "fpr")
# Post-processing gives this much more than the raw maps.
GAIN = 0.01


@dataclass
class Fake:
    """What a test wants to say about a run; the rest is filled in.

    `dice` are the cases' Dice at 5 % FPR (None: a failed case), from which every other
    metric follows; NaN is an undefined case. `subjects` are of the cases, each its own
    if there are none; `missed` and `healthy` are names of cases.
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
    subjects: Sequence[str] = ()
    missed: Sequence[str] = ()
    healthy: Sequence[str] = ()
    postprocess: str = ""
    validation: int = 30


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
    people = fake.subjects or names
    rows = [
        _row(n, d, p, fake) for n, d, p in zip(names, fake.dice, people, strict=True)
    ]
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
            "options": {"modality": ["T2"], "size": 64},
        },
        "protocol": "volume",
        "seed": fake.seed,
        "device": "cpu",
        "acceleration": {"devices": 1, "precision": "auto", "compile": "auto"},
        "limit": None,
        "thresholds": ["fpr@healthy:0.05", "fpr@healthy:0.01", "fpr@healthy:0.005"],
        "postprocess": fake.postprocess,
        "expected": len(names),
        "parameters": 220_000,
        "versions": {"uadbench": "0.1.0", "python": "3.11.7", "numpy": "2.4.6"},
        "git": None,
        "hardware": {"cpu": "Xeon", "cores": 2, "memory_gib": 23.4, "gpu": None},
        "timings": {"fit": 95.1, "calibrate": 3.0, "predict": 4.2, "score": 1.0},
        "peak_memory_mib": 900,
        "data_hash": f"{fake.content}-{len(fake.dice) - list(fake.dice).count(None)}",
        "subjects": {
            "train": ["t1"],
            "val": [f"v{i}" for i in range(fake.validation)],
            "test": list(names),
        },
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
            "subjects": len(known),
        }
    pooled = {metric: part["mean"] for metric, part in subject.items()}
    prevalence = 0.02 if scored else float("nan")
    return {
        "cases": {
            "expected": len(rows),
            "scored": len(scored),
            "failed": len(rows) - len(scored),
            "without_lesion": sum(row["lesion_ml"] == 0 for row in scored),
            "subjects": len({row["subject"] for row in scored}),
        },
        "subject": subject,
        "pooled": pooled | {"prevalence": prevalence, "threshold_oracle": 0.5},
        "image": _image(scored),
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


def _image(scored: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    known = {row["lesion_ml"] > 0 for row in scored} == {True, False}
    values = {"brain_mean": 0.9, "brain_max": 0.7, "brain_top": 0.8}
    return {name: v if known else float("nan") for name, v in values.items()}


def _row(name: str, dice: float | None, subject: str, fake: Fake) -> dict[str, Any]:
    names = {"case": name, "subject": subject}
    if dice is None:
        return {**names, "status": "failed", "error": "ValueError: too small"}
    row: dict[str, Any] = {
        **names,
        "status": "ok",
        "error": "",
        "stratum_kind": "ms",
        "lesion_ml": 0.0 if name in fake.healthy else 4.0,
        "prevalence": 0.02,
        **_read(dice, fake, name, ""),
        "content": f"{fake.content}-{name}",
    }
    if fake.postprocess:
        row |= _read(dice + GAIN, fake, name, "_post")
        row["lost_ml_post"] = 0.25
    return row


def _read(dice: float, fake: Fake, name: str, end: str) -> dict[str, Any]:
    """Return the metrics of raw or of processed maps."""
    row = {
        f"auprc{end}": 0.9 * dice,
        f"auroc{end}": 0.5 + dice / 2,
        f"dice_oracle_case{end}": 1.2 * dice,
    }
    for suffix in SUFFIXES:
        if suffix == "own" and not fake.own_mask:
            continue
        value = FACTORS[suffix] * dice
        row |= {f"{metric}_{suffix}{end}": value for metric in OVERLAPS}
        if suffix != "oracle":
            row |= {
                f"hd95_{suffix}{end}": 50 * (1 - value),
                f"nsd_{suffix}{end}": value,
                f"missed_{suffix}{end}": float(name in fake.missed),
                f"lesion_precision_{suffix}{end}": value,
                f"lesion_recall_{suffix}{end}": value,
                f"lesion_f1_{suffix}{end}": value / 2,
                f"lesion_fp_{suffix}{end}": 2.0,
                f"lesion_fp_ml_{suffix}{end}": 1.5,
            }
    return row


def _thresholds(fake: Fake) -> dict[str, Any]:
    supervision = {"oracle": "test-oracle", "own": fake.own_supervision}
    variants = {"": "", **({"_post": fake.postprocess} if fake.postprocess else {})}
    return {
        suffix + end: {
            "value": None if suffix == "own" else 0.6,
            "strategy": suffix,
            "supervision": supervision.get(suffix, "healthy-val"),
            "pipeline": "hash",
            "postprocess": steps,
        }
        for end, steps in variants.items()
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
