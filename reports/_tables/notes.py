"""The sentences around a table: what the numbers are, and what they don't allow."""

import math
from collections.abc import Sequence

from uadbench.results import Run

from .comparison import BASELINE, HEADLINE, Comparison
from .entry import Entry

UNRANKED = "†"
# Below this an interval is so wide that most differences between methods lie within it.
FEW_SUBJECTS = 50
SUPERVISION = {
    "none": "no threshold is chosen: the metric ranks voxels",
    "healthy-val": (
        "chosen on healthy validation scans, in which nothing is labelled; a warning "
        "says so where these are slices of patients, which labels have told apart"
    ),
    "lesion-val": "chosen on validation scans with their lesion labels",
    "test-oracle": "chosen on the test labels themselves: an upper bound, never ranked",
}


def statement(comparison: Comparison, entry: Entry) -> str:
    """Return one sentence with the headline of a row."""
    found = entry.subject(HEADLINE)
    if found is None or math.isnan(found.value):
        return f"{entry.title} has no defined Dice on {comparison.title}."
    interval = (
        f" [95 % CI {found.low:.3f}, {found.high:.3f}]"
        if not math.isnan(found.low)
        else ""
    )
    sentence = (
        f"{entry.title} on {comparison.title}: Dice {found.value:.3f}{interval} at 5 % "
        "false positives on healthy validation brains"
    )
    auprc = entry.pooled("auprc")
    if auprc is not None and not math.isnan(auprc.value):
        sentence += (
            f"; pooled AUPRC {auprc.value:.3f}, where chance is "
            f"{comparison.prevalence:.3f}"
        )
    difference = comparison.difference(entry)
    if not math.isnan(difference):
        side = "above" if difference >= 0 else "below"
        sentence += f"; Dice {abs(difference):.3f} {side} the plain intensity threshold"
    return sentence + "."


def caption(comparison: Comparison) -> str:
    """Return what the numbers of a table are."""
    text = (
        f"{comparison.title}, {_subjects(comparison)} test subjects. Means over "
        "subjects [95 % bootstrap interval], unless pooled. 5 % and 1 % FPR: at the "
        "threshold that this fraction of healthy validation voxels reaches."
    )
    if math.isnan(comparison.prevalence):
        return text
    return f"{text} The AUPRC of chance is the prevalence, {comparison.prevalence:.3f}."


def notes(comparison: Comparison) -> list[str]:
    """Return how to read the marks of a table."""
    lines = [
        "Bold: the best of the ranked methods whose thresholds have seen the same.",
        "⌈Dice⌉: an upper bound; its threshold is chosen on test labels; never ranked.",
    ]
    if comparison.baseline is not None:
        lines.append(
            "Δ intensity: mean difference of Dice at 5 % FPR to the plain intensity "
            "threshold, over the subjects that both have."
        )
    if any(len(entry.runs) > 1 for entry in comparison.entries):
        lines.append(
            "Several seeds: mean over seeds ± standard deviation over seeds; the "
            "interval is over subjects, its ends averaged over seeds."
        )
    lines += [
        f"{UNRANKED} {entry.title} is not ranked: {entry.unranked}."
        for entry in comparison.ordered
        if entry.unranked
    ]
    return lines


def warnings(comparison: Comparison) -> list[str]:
    """Return what forbids or weakens a conclusion from a table."""
    runs = [run for entry in comparison.entries for run in entry.runs]
    lines = _recorded(runs)
    subjects = _subjects(comparison)
    if subjects < FEW_SUBJECTS:
        lines.append(
            f"Only {subjects} test subjects: intervals are wide, and a small "
            "difference between methods may be chance."
        )
    demo = [entry.title for entry in comparison.entries if _preset(entry) == "demo"]
    if demo:
        lines.append(
            f"Preset 'demo' ({', '.join(demo)}): made to run in minutes on a laptop, "
            "not the published configuration."
        )
    if comparison.baseline is None:
        lines.append(
            f"No run of '{BASELINE}' is among these: whether a plain intensity "
            "threshold does as well is unknown."
        )
    return lines + [
        f"{entry.title}: seed {seed} occurs more than once."
        for entry in comparison.entries
        for seed in _repeated(entry.seeds)
    ]


def _recorded(runs: Sequence[Run]) -> list[str]:
    """Return the warnings in run.json, with the runs that have it unless all have."""
    found: dict[str, list[str]] = {}
    for run in runs:
        for text in run.record.get("warnings", []):
            found.setdefault(str(text), []).append(run.name)
    return [
        text if len(names) == len(runs) else f"{', '.join(names)}: {text}"
        for text, names in found.items()
    ]


def _repeated(seeds: tuple[int, ...]) -> list[int]:
    return sorted({seed for seed in seeds if seeds.count(seed) > 1})


def _preset(entry: Entry) -> str | None:
    preset = entry.runs[0].record["method"].get("preset")
    return None if preset is None else str(preset)


def _subjects(comparison: Comparison) -> int:
    """Return the number of test subjects; of cases where subjects are not recorded."""
    record = comparison.entries[0].runs[0]
    test = record.record.get("subjects", {}).get("test")
    if test is None:
        return int(record.summary["cases"]["expected"])
    return len(set(test))
