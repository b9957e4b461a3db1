"""The main numbers of an evaluation as a person reads them in a terminal."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from uadbench.console import table_console, table_of
from uadbench.kinds import ORACLE

from .request import MASK
from .run import Evaluation

# Titles in order; cases.csv and summary.json have all metrics.
RANKED = {
    "auprc": "AUPRC",
    "prevalence": "prevalence (chance AUPRC)",
    "auroc": "AUROC",
    "fpr_at_tpr95": "FPR at 95 % recall",
    "dice_oracle_case": "⌈Dice⌉ oracle of each case",
    f"dice_{ORACLE}": "⌈Dice⌉ oracle",
}
CUT = {
    "dice": "Dice",
    "precision": "precision",
    "recall": "recall",
    "fpr": "FPR",
    "hd95": "HD95 (mm)",
    "nsd": "surface Dice at 2 mm",
    "missed": "missed lesions",
    "lesion_precision": "lesion-wise precision",
    "lesion_recall": "lesion-wise recall",
    "lesion_f1": "lesion-wise F1",
}


def text(found: Evaluation, summary: Mapping[str, Any], folder: Path) -> str:
    """Return the means of the main metrics over subjects, and where all others are."""
    console = table_console()
    cases = summary["cases"]
    counts = ("n", "undefined", "not scored")
    table = table_of("metric", "mean [95 % interval]", *counts, right=len(counts))
    for name, title in _titles(found):
        of = summary["subject"].get(name)
        if of:
            absent = cases["expected"] - cases["scored"]
            numbers = (str(count) for count in (of["n"], of["undefined"], absent))
            table.add_row(title, _estimate(of), *numbers)
    lines = [
        f"{cases['scored']} of {cases['expected']} cases scored "
        f"({100 * cases['coverage']:.4g} %), {cases['missing']} missing, "
        f"{cases['failed']} failed; {cases['subjects']} subjects, "
        f"{cases['without_lesion']} cases without lesion",
        f"all metrics: {folder / 'summary.json'}",
    ]
    with console.capture() as shown:
        console.print(table, markup=False)
        for line in lines:
            console.print(line, markup=False, soft_wrap=True)
    return shown.get()


def _titles(found: Evaluation) -> Iterator[tuple[str, str]]:
    """Yield the column and the title of each metric that may be there."""
    for variant, pool in found.pools.items():
        way = ", post-processed" if variant.suffix else ""
        for name, title in RANKED.items() if found.kind == "score" else ():
            yield name + variant.suffix, title + way
        for cut in pool.masks:
            threshold = cut.removesuffix(variant.suffix)
            where = "" if threshold == MASK else f" at {threshold}"
            for name, title in CUT.items():
                yield f"{name}_{cut}", title + where + way


def _estimate(interval: Mapping[str, float]) -> str:
    mean, low, high = (_number(interval[end]) for end in ("mean", "low", "high"))
    return mean if low == "-" else f"{mean} [{low}, {high}]"


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"
