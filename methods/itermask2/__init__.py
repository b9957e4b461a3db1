"""IterMask2: iterative anomaly segmentation by spatial and frequency masking.

The algorithm is in functions of tensors: `first_mask` and `one_pass` are the steps of a
batch, `refine` takes the slices of many scans through them. `iterative` wires it to
data, `method` with the frequency condition and `itermask` without it.
"""

from .frequency import high_frequency
from .masks import random_masks
from .pool import refine
from .refinement import (
    Refinement,
    Refiner,
    first_mask,
    masked_error_threshold,
    one_pass,
)
from .travel import Stack

__all__ = [
    "Refinement",
    "Refiner",
    "Stack",
    "first_mask",
    "high_frequency",
    "masked_error_threshold",
    "one_pass",
    "random_masks",
    "refine",
]
