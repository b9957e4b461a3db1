"""Plugins and results as a person reads them in a terminal."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from uadbench import options, registry
from uadbench.console import table_console, table_of
from uadbench.errors import check_known
from uadbench.printing import wrap
from uadbench.results import Run

# Title and place of each number that a finished run prints; the report has all.
HEADLINES = (
    ("Dice at 5 % FPR", "subject", "dice_fpr5"),
    ("own mask", "subject", "dice_own"),
    ("⌈Dice⌉ oracle", "subject", "dice_oracle"),
    ("pooled AUPRC", "pooled", "auprc"),
    ("(chance)", "pooled", "prevalence"),
)
# Longer lines are hard to read, however wide the terminal is.
WIDEST = 88


def describe(name: str) -> list[dict[str, Any]]:
    """Return what there is to know of the plugins of a name, one of each kind.

    Raises:
        UsageError: there is none of this name.
        ContractError: it cannot be imported.
    """
    found = [(e.name, kind) for kind in registry.KINDS for e in registry.listings(kind)]
    check_known("info", name, {known for known, _ in found})
    return [_describe(name, kind) for known, kind in found if known == name]


def _describe(name: str, kind: registry.Kind) -> dict[str, Any]:
    plugin = registry.load(kind, name)
    card = plugin.card
    return {
        "name": name,
        "kind": kind,
        "title": card.title,
        "reference": card.reference,
        "licence": card.licence,
        "description": _story(kind, name),
        "presets": {key: dict(preset) for key, preset in card.presets.items()},
        "options": [asdict(option) for option in options.table(plugin)],
    }


def _story(kind: registry.Kind, name: str) -> str:
    """Return the docstring of the module that a plugin is registered in."""
    module = sys.modules[registry.find(kind, name).entry.module]
    return (module.__doc__ or "").strip()


def show(described: dict[str, Any]) -> None:
    """Print one plugin of those that `describe` gives."""
    console = Console(highlight=False)
    title = f"{described['title']} ({described['kind']})"
    console.print(title, style="bold", markup=False)
    for key in ("reference", "licence"):
        if described[key]:
            console.print(f"{key}: {described[key]}", markup=False)
    text = wrap(described["description"], min(console.width, WIDEST))
    console.print(f"\n{text}\n", markup=False, soft_wrap=True)
    for preset, chosen in described["presets"].items():
        words = " ".join(f"{name}={value}" for name, value in chosen.items())
        console.print(f"--preset {preset}: {words or 'the defaults'}", markup=False)
    if described["options"]:
        table = table_of("option", "type", "default", "meaning")
        for option in described["options"]:
            table.add_row(*(str(value) for value in option.values()))
        console.print(table, markup=False)


def show_results(runs: Sequence[Run], out: Path) -> None:
    """Print the main numbers of runs and where their report is."""
    console = table_console()
    table = table_of("run", *(title for title, _, _ in HEADLINES), "cases")
    names = [f"{run.title} (seed {run.record['seed']})" for run in runs]
    if len(set(names)) < len(runs):
        # On several datasets; the folder's name has method, dataset and seed.
        names = [run.name for run in runs]
    for name, run in zip(names, runs, strict=True):
        counts = run.summary["cases"]
        numbers = (_number(run.summary[part].get(key)) for _, part, key in HEADLINES)
        cases = f"{counts['scored']}/{counts['expected']}"
        table.add_row(name, *numbers, cases)
    console.print(table, markup=False)
    for text in dict.fromkeys(t for run in runs for t in run.record["warnings"]):
        console.print(f"note: {text}", soft_wrap=True, markup=False)
    console.print(f"report: {out / 'index.html'}", soft_wrap=True, markup=False)


def _number(value: Any) -> str:
    if isinstance(value, dict):
        mean = _number(value["mean"])
        if value["low"] is None:
            return mean
        return f"{mean} ({_number(value['low'])}, {_number(value['high'])})"
    return "-" if value is None else f"{value:.3f}"
