"""The columns of the tables: what each reads and what it is called."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from uadbench.metrics.catalogue import find_metric

from .comparison import HEADLINE, Comparison
from .entry import Entry
from .formats import Shown, count, difference, fixed, seconds, with_interval
from .seeds import Estimate

DICE, FREE, COST = "Dice", "Threshold-free", "Cost"
AT_5 = "At 5 % FPR"
UPPER_BOUND = "Upper bound"

Read = Callable[[Comparison, Entry], Shown | None]
Format = Callable[[Estimate], Shown]


@dataclass(frozen=True)
class Column:
    """One number of each row.

    Attributes:
        group: heading above the title; "" for none.
        title: short heading.
        long: heading where no group stands above it.
        read: returns the number of a row, or None if it has none.
        suffix: whose threshold the number stands on; "" for none.
        metric: by which the best of a supervision level is marked; "" for no mark.
    """

    group: str
    title: str
    long: str
    read: Read
    suffix: str = ""
    metric: str = ""

    @property
    def bound(self) -> bool:
        """Whether the number is an upper bound, to be set apart from results."""
        return self.group == UPPER_BOUND

    @property
    def higher(self) -> bool | None:
        """True if the largest number is the best, False the smallest, None neither."""
        known = find_metric(self.metric)
        return None if known is None else known.higher


def main_columns(comparison: Comparison) -> tuple[Column, ...]:
    """Return the columns of the first table: the headline and what it is judged by."""
    against = comparison.against
    return (
        Column("", "Seeds", "Seeds", _of_row(lambda e: Estimate(len(e.seeds)), count)),
        _at("fpr5", HEADLINE, DICE, "at 5 % FPR", "Dice at 5 % FPR [95 % CI]"),
        Column(DICE, f"Δ {against}", f"Δ to {against}", _difference),
        _at("fpr1", "dice_fpr1", DICE, "at 1 % FPR", "Dice at 1 % FPR", fixed),
        _at("own", "dice_own", DICE, "own mask", "Dice of own mask", fixed),
        _plain("fpr_fpr5", AT_5, "test FPR", "FPR on test"),
        _at(
            "fpr5",
            "lesion_f1_fpr5",
            AT_5,
            "lesion F1",
            "Lesion-wise F1 at 5 % FPR [95 % CI]",
        ),
        Column(
            AT_5,
            "HD95, mm",
            "HD95 at 5 % FPR, mm [95 % CI]",
            partial(_distance, "fpr5"),
            suffix="fpr5",
            metric="hd95_fpr5",
        ),
        Column(FREE, "AUPRC pooled", "AUPRC pooled", _pooled("auprc"), metric="auprc"),
        _at("", "auprc", FREE, "AUPRC", "AUPRC", fixed),
        Column(
            UPPER_BOUND,
            "⌈Dice⌉ oracle",
            "⌈Dice⌉ oracle (upper bound)",
            _subject("dice_oracle", fixed),
            suffix="oracle",
        ),
        *(_lost() if comparison.steps else _cost()),
    )


def lesion_columns(comparison: Comparison) -> tuple[Column, ...]:
    """Return the columns of the second table: whole lesions, surfaces, voxels."""
    wise, surface, voxels = "Lesion-wise", "Surface", "Voxels"
    own, healthy = "Own mask", "Healthy brain"
    amount = partial(fixed, digits=2)
    columns = (
        _plain("lesion_precision_fpr5", wise, "precision", "Lesion-wise precision"),
        _plain("lesion_recall_fpr5", wise, "recall", "Lesion-wise recall"),
        _plain("lesion_fp_fpr5", wise, "false / case", "False findings a case", amount),
        _plain("lesion_fp_ml_fpr5", wise, "false, mL", "False findings, mL", amount),
        _at("fpr5", "nsd_fpr5", surface, "Dice, 2 mm", "Surface Dice, 2 mm [95 % CI]"),
        _plain("precision_fpr5", voxels, "precision", "Precision"),
        _plain("recall_fpr5", voxels, "recall", "Recall"),
        _at("", "auroc", voxels, "AUROC", "AUROC", fixed),
        _at("own", "lesion_f1_own", own, "lesion F1", "Lesion-wise F1 of own mask"),
        Column(
            own,
            "HD95, mm",
            "HD95 of own mask, mm",
            partial(_distance, "own"),
            suffix="own",
            metric="hd95_own",
        ),
    )
    if comparison.steps:
        return columns
    # A reconstruction is compared before any post-processing.
    return (
        *columns,
        _at("", "ssim", healthy, "SSIM", "SSIM of healthy brain", fixed),
        _at("", "psnr", healthy, "PSNR, dB", "PSNR of healthy brain, dB", amount),
    )


def _cost() -> tuple[Column, ...]:
    return (
        Column(COST, "s / case", "s / case", _of_row(lambda e: e.seconds, seconds)),
        Column(
            COST, "parameters", "Parameters", _of_row(lambda e: e.parameters, count)
        ),
    )


def _lost() -> tuple[Column, ...]:
    read = _subject("lost_ml", partial(fixed, digits=2))
    return (Column("", "lost lesion, mL", "Lost lesion, mL", read),)


def _at(
    suffix: str,
    metric: str,
    group: str,
    title: str,
    long: str,
    show: Format = with_interval,
) -> Column:
    """Return a column of a mean over subjects whose best is marked."""
    return Column(group, title, long, _subject(metric, show), suffix, metric)


def _plain(
    metric: str, group: str, title: str, long: str, show: Format = fixed
) -> Column:
    """Return a column at 5 % FPR without a best: one side of a trade-off."""
    return Column(group, title, long, _subject(metric, show), "fpr5")


def _subject(metric: str, show: Format) -> Read:
    return lambda comparison, entry: _shown(
        entry.subject(comparison.column(metric)), show
    )


def _pooled(metric: str) -> Read:
    return lambda comparison, entry: _shown(
        entry.pooled(comparison.column(metric)), fixed
    )


def _of_row(read: Callable[[Entry], Estimate | None], show: Format) -> Read:
    return lambda _, entry: _shown(read(entry), show)


def _difference(comparison: Comparison, entry: Entry) -> Shown | None:
    paired = comparison.paired.get(entry.title)
    return None if paired is None else difference(paired)


def _distance(suffix: str, comparison: Comparison, entry: Entry) -> Shown | None:
    """Return HD95 in mm with the number of cases in which nothing was predicted."""
    found = entry.subject(comparison.column(f"hd95_{suffix}"))
    missed = entry.total(comparison.column(f"missed_{suffix}"))
    return _shown(found, partial(with_interval, digits=1, missed=missed))


def _shown(estimate: Estimate | None, show: Format) -> Shown | None:
    return None if estimate is None else show(estimate)
