"""Pure functions of arrays, one definition of each metric.

Arrays may have any shape; `scores` are real numbers where larger is more abnormal,
`labels`, `pred` and `ref` are bool. A metric that its input does not define is NaN: the
docstring says when, and whoever averages counts it. Wrong input is a `DataError`.
"""

from .catalogue import METRICS, Metric
from .curves import PrecisionRecallCurve, RocCurve, precision_recall_curve, roc_curve
from .lesions import LesionDetection, lesion_detection, pro
from .overlap import (
    Confusion,
    confusion,
    dice,
    false_positive_rate,
    jaccard,
    precision,
    recall,
)
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
from .reconstruction import psnr, ssim
from .strata import (
    NO_LESION,
    PIXEL_STRATA,
    VOLUME_STRATA,
    size_stratum_ml,
    size_stratum_px,
)
from .streaming import Estimate, ScoreCurve
from .subjects import SUBJECT_SCORES, brain_max, brain_mean, brain_top
from .surface import (
    SurfaceDistances,
    assd,
    hausdorff95,
    surface_dice,
    surface_distances,
)

__all__ = [
    "METRICS",
    "NO_LESION",
    "PIXEL_STRATA",
    "SUBJECT_SCORES",
    "VOLUME_STRATA",
    "Confusion",
    "Estimate",
    "LesionDetection",
    "Metric",
    "PrecisionRecallCurve",
    "RankSummary",
    "Ranking",
    "RocCurve",
    "ScoreCurve",
    "SurfaceDistances",
    "assd",
    "auroc",
    "average_precision",
    "best_dice",
    "brain_max",
    "brain_mean",
    "brain_top",
    "confusion",
    "dice",
    "false_positive_rate",
    "fpr_at_tpr",
    "hausdorff95",
    "jaccard",
    "lesion_detection",
    "precision",
    "precision_recall_curve",
    "pro",
    "psnr",
    "rank_summary",
    "ranking",
    "recall",
    "roc_curve",
    "size_stratum_ml",
    "size_stratum_px",
    "ssim",
    "surface_dice",
    "surface_distances",
]
