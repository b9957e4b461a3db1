"""Pure functions of arrays, one definition of each metric.

Arrays may have any shape; `scores` are real numbers where larger is more abnormal,
`labels`, `pred` and `ref` are bool. A metric that its input does not define is NaN: the
docstring says when, and whoever averages counts it. Wrong input is a `DataError`.
"""

from .catalogue import METRICS, Metric
from .curves import PrecisionRecallCurve, RocCurve, precision_recall_curve, roc_curve
from .overlap import OVERLAP, dice, false_positive_rate, precision, recall
from .ranking import (
    Ranking,
    RankSummary,
    auroc,
    average_precision,
    best_dice,
    fpr_at_tpr,
    rank_summary,
    ranking,
)
from .streaming import Estimate, ScoreCurve

__all__ = [
    "METRICS",
    "OVERLAP",
    "Estimate",
    "Metric",
    "PrecisionRecallCurve",
    "RankSummary",
    "Ranking",
    "RocCurve",
    "ScoreCurve",
    "auroc",
    "average_precision",
    "best_dice",
    "dice",
    "false_positive_rate",
    "fpr_at_tpr",
    "precision",
    "precision_recall_curve",
    "rank_summary",
    "ranking",
    "recall",
    "roc_curve",
]
