"""What each metric is called, and which way is better."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """How a metric is named and read.

    Attributes:
        name: in cases.csv and summary.json, before a threshold's suffix.
        title: in tables.
        higher: True if larger is better, False if smaller, None if neither.
    """

    name: str
    title: str
    higher: bool | None


METRICS = (
    Metric("dice", "Dice", higher=True),
    Metric("precision", "Precision", higher=True),
    Metric("recall", "Recall", higher=True),
    Metric("fpr", "FPR", higher=False),
    Metric("auprc", "AUPRC", higher=True),
    Metric("auroc", "AUROC", higher=True),
    Metric("prevalence", "Prevalence", higher=None),
)
