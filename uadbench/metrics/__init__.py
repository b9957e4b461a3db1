"""Pure functions of arrays, one definition of each metric.

Arrays may have any shape; `scores` are real numbers where larger is more abnormal,
`labels`, `pred` and `ref` are bool. A metric that its input does not define is NaN: the
docstring says when, and whoever averages counts it. Wrong input is a `DataError`.
"""

from .catalogue import METRICS, Metric
from .overlap import OVERLAP, dice, false_positive_rate, precision, recall
from .ranking import Ranking, auroc, average_precision, best_dice, ranking

__all__ = [
    "METRICS",
    "OVERLAP",
    "Metric",
    "Ranking",
    "auroc",
    "average_precision",
    "best_dice",
    "dice",
    "false_positive_rate",
    "precision",
    "ranking",
    "recall",
]
