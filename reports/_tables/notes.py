"""The sentences around a table: what the numbers are, and what they don't allow."""

import math
from collections.abc import Sequence

from uadbench.inference import few_subjects
from uadbench.modalities import OPTIONS, scored_modality
from uadbench.results import Run

from .comparison import BASELINE, HEADLINE, Comparison
from .entry import Entry
from .formats import p_value

UNRANKED = "†"
# Rates differ from scan to scan by more than the voxels of each suggest.
FEW_SCANS = 30
INTENSITY = "the intensity threshold"
SUPERVISION = {
    "none": "no threshold is chosen",
    "healthy-val": (
        "chosen on healthy validation scans, in which nothing is labelled; a warning "
        "says so where these are slices of patients, which labels have told apart"
    ),
    "lesion-val": "chosen on validation scans with their lesion labels",
    "test-oracle": "chosen on the test labels themselves: an upper bound, never ranked",
}


def statement(comparison: Comparison, entry: Entry) -> str:
    """Return one sentence with the headline of a row."""
    found = entry.subject(comparison.column(HEADLINE))
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
    return sentence + _against(comparison, entry) + "."


def reference_name(comparison: Comparison) -> str:
    """Return what the reference method is called within a sentence."""
    if comparison.reference == BASELINE or comparison.baseline is None:
        return INTENSITY
    return comparison.against


def caption(comparison: Comparison) -> str:
    """Return what the numbers of the first table are."""
    maps = (
        f" Read from maps and masks after {comparison.steps}, the same steps for all; "
        "thresholds are chosen anew after them, so that fewer false positives allow a "
        "lower threshold and not a lower FPR. AUPRC and AUROC do not see what steps do "
        "to masks, nor own masks what steps do to scores. Lost lesion: what erosion "
        "puts beyond reach, in a mean case."
        if comparison.steps
        else ""
    )
    text = (
        f"{comparison.title}, {_sample(comparison)}.{maps} Means over subjects [95 % "
        "bootstrap interval], unless pooled. 5 % and 1 % FPR: at the smallest "
        "threshold that at most this fraction of healthy validation voxels reaches; "
        "test FPR: the fraction of healthy test voxels that reach the first."
    )
    if math.isnan(comparison.prevalence):
        return text
    return (
        f"{text} The pooled AUPRC of chance is the prevalence, "
        f"{comparison.prevalence:.3f}."
    )


def lesion_caption(comparison: Comparison) -> str:
    """Return what the numbers of the second table are."""
    maps = f", after {comparison.steps}" if comparison.steps else ""
    column = comparison.column("dice_own")
    masks = any(entry.subject(column) for entry in comparison.entries)
    own = ", and of the methods' own masks" if masks else ""
    return (
        f"{comparison.title}{maps}: the same methods and subjects at the threshold of "
        f"5 % FPR{own}. A lesion is found if 10 % of it is; "
        "a finding of which less than 10 % is lesion is a false one; components under "
        "3 mm³ don't count."
    )


def notes(comparison: Comparison) -> list[str]:
    """Return how to read the marks of the first table."""
    lines = [
        "Bold: the best of the ranked methods whose thresholds have seen the same."
    ]
    lines += _modalities(comparison)
    if any(
        entry.subject(comparison.column("dice_oracle")) for entry in comparison.entries
    ):
        lines.append(
            "⌈Dice⌉: an upper bound; its threshold is chosen on test labels; never "
            "ranked."
        )
    if any(
        entry.total(comparison.column("missed_fpr5")) for entry in comparison.entries
    ):
        lines.append(
            "HD95: a case with nothing predicted (missed) counts the diagonal of its "
            "image."
        )
    lines += _tests(comparison)
    if any(len(entry.runs) > 1 for entry in comparison.entries):
        lines.append(
            "Several seeds: mean over seeds ± standard deviation over seeds; the "
            "interval is over subjects, of their means over seeds."
        )
    if not comparison.steps:
        lines.append(
            "s / case: what the run waited for a prediction. Reading and scoring of "
            "other cases go on beside it, and slow it down where cores are few."
        )
    return lines + unranked(comparison)


def unranked(comparison: Comparison) -> list[str]:
    """Return why rows are not ranked."""
    return [
        f"{UNRANKED} {entry.title} is not ranked: {entry.unranked}."
        for entry in comparison.ordered
        if entry.unranked
    ]


def _modalities(comparison: Comparison) -> list[str]:
    """Return which of several modalities each row scores."""
    rows: dict[str, list[str]] = {}
    for entry in comparison.ordered:
        record = entry.runs[0].record
        names = record.get("modalities", [])
        options = record["method"]["options"]
        if len(names) > 1 and not set(OPTIONS).isdisjoint(options):
            chosen = scored_modality(options, names)
            rows.setdefault(chosen, []).append(entry.title)
    if not rows:
        return []
    scored = "; ".join(f"{name} by {', '.join(who)}" for name, who in rows.items())
    return [f"Scans have several modalities; the one that is scored: {scored}."]


def _tests(comparison: Comparison) -> list[str]:
    """Return what the difference to the reference is, and where it is not tested."""
    if not comparison.paired:
        return []
    found = comparison.paired.values()
    lines = [
        f"Δ {comparison.against}: mean difference of Dice at 5 % FPR to "
        f"{reference_name(comparison)}, over the subjects that both have"
    ]
    if any(not paired.reason for paired in found):
        lines[0] += (
            "; p of Wilcoxon's signed-rank test with Holm's correction over the "
            "methods; r: rank-biserial correlation, 1 if each subject is better"
        )
    lines[0] += "."
    reasons: dict[str, list[str]] = {}
    for paired in found:
        if paired.reason:
            reasons.setdefault(paired.reason, []).append(paired.name)
    return lines + [
        f"No test of {', '.join(names)}: {reason}." for reason, names in reasons.items()
    ]


def _against(comparison: Comparison, entry: Entry) -> str:
    """Return how a row's headline differs from the reference's; "" if unknown."""
    paired = comparison.paired.get(entry.title)
    if paired is None or math.isnan(paired.difference.mean):
        return ""
    found = paired.difference
    side = "above" if found.mean >= 0 else "below"
    test = "" if paired.reason else f" ({p_value(paired.p_holm)})"
    return f"; Dice {abs(found.mean):.3f} {side} {reference_name(comparison)}{test}"


def warnings(comparison: Comparison) -> list[str]:
    """Return what forbids or weakens a conclusion from a table."""
    runs = [run for entry in comparison.entries for run in entry.runs]
    lines = _recorded(runs)
    if few := few_subjects(comparison.sample[0]):
        lines.append(few)
    if few := _few_scans(runs):
        lines.append(few)
    # Intensity has nothing to be made quicker.
    demo = [
        entry.title
        for entry in comparison.entries
        if _preset(entry) == "demo" and entry.method != BASELINE
    ]
    if demo:
        lines.append(
            f"Preset 'demo' ({', '.join(demo)}): made to run in minutes on a laptop, "
            "not the published configuration."
        )
    if not any(entry.method == BASELINE for entry in comparison.entries):
        lines.append(
            f"No run of '{BASELINE}' is among these: whether a plain intensity "
            "threshold does as well is unknown."
        )
    if comparison.reference != BASELINE and comparison.baseline is None:
        lines.append(
            f"No run of the reference '{comparison.reference}' is among these: "
            "nothing is compared with it here."
        )
    return lines


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


def _few_scans(runs: Sequence[Run]) -> str:
    """Return a warning if thresholds rest on few scans; "" if not."""
    counts = [len(run.record.get("subjects", {}).get("val", ())) for run in runs]
    fewest = min((count for count in counts if count), default=FEW_SCANS)
    if fewest >= FEW_SCANS:
        return ""
    return (
        f"Thresholds rest on few healthy validation scans ({fewest}): what they let "
        "through on test may be far from 5 % (see test FPR), which no interval here "
        "accounts for."
    )


def _preset(entry: Entry) -> str | None:
    preset = entry.runs[0].record["method"].get("preset")
    return None if preset is None else str(preset)


def _sample(comparison: Comparison) -> str:
    """Return the number of test subjects, and of their scans where these are more."""
    subjects, cases = comparison.sample
    scans = f" with {cases} scans" if cases > subjects else ""
    return f"{subjects} test subjects{scans}"
