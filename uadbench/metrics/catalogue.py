"""What each metric is called, in which unit it is, and which way is better."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """How a metric is named and read.

    Attributes:
        name: in cases.csv and summary.json, before a threshold's suffix.
        title: in tables.
        higher: True if larger is better, False if smaller, None if neither.
        unit: "mm", "mL" or "dB"; "" for fractions and counts.
    """

    name: str
    title: str
    higher: bool | None
    unit: str = ""


METRICS = (
    Metric("dice", "Dice", higher=True),
    Metric("precision", "Precision", higher=True),
    Metric("recall", "Recall", higher=True),
    Metric("fpr", "FPR", higher=False),
    Metric("hd95", "HD95", higher=False, unit="mm"),
    Metric("nsd", "Surface Dice, 2 mm", higher=True),
    Metric("missed", "Missed", higher=False),
    Metric("lesion_precision", "Lesion-wise precision", higher=True),
    Metric("lesion_recall", "Lesion-wise recall", higher=True),
    Metric("lesion_f1", "Lesion-wise F1", higher=True),
    Metric("lesion_fp", "False findings", higher=False),
    Metric("lesion_fp_ml", "Volume of false findings", higher=False, unit="mL"),
    Metric("auprc", "AUPRC", higher=True),
    Metric("auroc", "AUROC", higher=True),
    Metric("fpr_at_tpr95", "FPR at 95 % recall", higher=False),
    Metric("dice_oracle_case", "⌈Dice⌉ of each case", higher=True),
    Metric("threshold_oracle", "Oracle threshold", higher=None),
    Metric("brain_mean", "Mean score", higher=None),
    Metric("brain_max", "Largest score", higher=None),
    Metric("brain_top", "Mean of the top 1 % of scores", higher=None),
    Metric("ssim", "SSIM of healthy brain", higher=True),
    Metric("psnr", "PSNR of healthy brain", higher=True, unit="dB"),
    Metric("prevalence", "Prevalence", higher=None),
    Metric("lesion_ml", "Lesion volume", higher=None, unit="mL"),
    Metric("brain_ml", "Brain volume", higher=None, unit="mL"),
    Metric("lost_ml", "Lost lesion volume", higher=False, unit="mL"),
)


def find_metric(column: str) -> Metric | None:
    """Return the metric of a column such as "hd95_fpr5_post"; None if it is unknown.

    Of several names that a column begins with, the longest is meant: "lesion_fp_ml" of
    "lesion_fp_ml_own", not "lesion_fp".
    """
    fits = [m for m in METRICS if f"{column}_".startswith(f"{m.name}_")]
    return max(fits, key=lambda metric: len(metric.name), default=None)
