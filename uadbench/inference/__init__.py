"""What numbers allow to conclude: intervals, paired tests, ranks, comparability.

Pure functions of arrays and of records, one definition each. Subjects are the sample:
neither a second scan nor a second seed makes a second subject. Undefined values are
NaN, left out and counted.
"""

from .bootstrap import (
    FEW_SUBJECTS,
    Interval,
    few_subjects,
    interval,
    intervals,
)
from .comparability import Origin, check_comparable
from .hierarchical import (
    Hierarchical,
    hierarchical_interval,
    hierarchical_intervals,
)
from .paired import Paired, compare_to
from .ranks import Ranks, critical_difference, rank_methods
from .subjects import subject_means

__all__ = [
    "FEW_SUBJECTS",
    "Hierarchical",
    "Interval",
    "Origin",
    "Paired",
    "Ranks",
    "check_comparable",
    "compare_to",
    "critical_difference",
    "few_subjects",
    "hierarchical_interval",
    "hierarchical_intervals",
    "interval",
    "intervals",
    "rank_methods",
    "subject_means",
]
