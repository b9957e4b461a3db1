"""Where a run's numbers come from, in words, and the command that gives them again."""

import shlex
from collections.abc import Mapping
from typing import Any

from uadbench.results import Run

from .grouping import in_words

Facts = list[tuple[str, str]]


def facts(run: Run) -> Facts:
    """Return what shaped a run's numbers as pairs of name and text."""
    record = run.record
    method, dataset = record["method"], record["dataset"]
    found = {
        "method": f"{method['title']} ({method['name']})",
        "reference": method.get("reference"),
        "preset": method.get("preset"),
        "options": _pairs(method["options"]),
        "dataset": f"{dataset['title']} ({dataset['name']})",
        "dataset options": _pairs(dataset["options"]),
        "subjects": _counts(record.get("subjects", {})),
        "modalities": in_words(record.get("modalities", [])),
        "protocol": record["protocol"],
        "limit": record.get("limit"),
        "postprocess": record.get("postprocess"),
        "seed": record["seed"],
        "device": record.get("device"),
        "thresholds": _thresholds(run),
        "data hash": record.get("data_hash"),
        "commit": record.get("git"),
        "versions": _pairs(record.get("versions", {}), " "),
        "hardware": _pairs(record.get("hardware", {}), " "),
        "time in s": _pairs(record.get("timings", {}), " "),
        "peak memory": _memory(record.get("peak_memory_mib")),
    }
    return [
        (name, str(value)) for name, value in found.items() if value not in (None, "")
    ]


def command(run: Run) -> str:
    """Return the command that repeats a run; every option is written out."""
    record = run.record
    method, dataset = record["method"], record["dataset"]
    words = ["uadbench", "run", "--method", method["name"]]
    if method.get("preset"):
        words += ["--preset", method["preset"]]
    words += _settings("--set", method["options"])
    words += ["--dataset", dataset["name"]]
    words += _settings("--set-data", dataset["options"])
    words += ["--protocol", record["protocol"], "--seed", str(record["seed"])]
    for strategy in record.get("thresholds", []):
        words += ["--threshold", strategy]
    if record.get("postprocess"):
        words += ["--postprocess", record["postprocess"]]
    if record.get("limit") is not None:
        words += ["--limit", str(record["limit"])]
    return shlex.join(words)


def _settings(flag: str, options: Mapping[str, Any]) -> list[str]:
    return [
        word
        for name, value in options.items()
        if value is not None
        for word in (flag, f"{name}={in_words(value)}")
    ]


def _pairs(content: Mapping[str, Any], equals: str = "=") -> str:
    return ", ".join(
        f"{name.replace('_', ' ') if equals == ' ' else name}{equals}{in_words(value)}"
        for name, value in content.items()
        if value is not None
    )


def _counts(subjects: Mapping[str, list[str]]) -> str:
    return ", ".join(f"{len(ids)} {part}" for part, ids in subjects.items())


def _thresholds(run: Run) -> str:
    return ", ".join(
        f"{suffix} {cut['value']:.4g} ({cut['supervision']})"
        for suffix, cut in run.thresholds.items()
        if cut["value"] is not None
    )


def _memory(mib: float | None) -> str:
    return "" if mib is None else f"{mib:.0f} MiB"
