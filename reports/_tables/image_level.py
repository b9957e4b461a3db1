"""Whole subjects, healthy or ill: can a map's summary tell them apart?"""

import math

from .comparison import Comparison

# How a map becomes a number, in words.
SCORES = {
    "brain_mean": "brain mean",
    "brain_max": "brain maximum",
    "brain_top": "mean of the top 1 %",
}


def image_level(comparison: Comparison) -> str:
    """Return the image-level AUROC of each method in one sentence.

    "" where the test has no case without lesion, or no other: nothing to tell apart.
    """
    parts = []
    for entry in comparison.ordered:
        found = {words: entry.image(name) for name, words in SCORES.items()}
        shown = [
            f"{value:.3f} ({words})"
            for words, value in found.items()
            if not math.isnan(value)
        ]
        if shown:
            parts.append(f"{entry.title} {', '.join(shown)}")
    if not parts:
        return ""
    counts = comparison.ordered[0].runs[0].summary["cases"]
    healthy = counts["without_lesion"]
    return (
        f"Image-level AUROC of {counts['scored'] - healthy} cases with a lesion "
        f"against {healthy} without, by how a map becomes one number: "
        f"{'; '.join(parts)}."
    )
