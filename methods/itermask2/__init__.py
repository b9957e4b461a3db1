"""IterMask2: iterative anomaly segmentation by spatial and frequency masking.

The algorithm is in three functions of tensors; `iterative` wires them to data, `method`
with the frequency condition and `itermask` without it.
"""

from .frequency import high_frequency
from .masks import random_masks
from .refinement import Refinement, masked_error_threshold, refine

__all__ = [
    "Refinement",
    "high_frequency",
    "masked_error_threshold",
    "random_masks",
    "refine",
]
