"""Numbers that differ by rounding alone are equal, and get equal ranks."""

import numpy as np
from numpy.typing import NDArray

DECIMALS = 12

Floats = NDArray[np.float64]


def without_rounding(values: Floats, size: float) -> Floats:
    """Return values over `size`, the largest number behind them, to 12 decimals.

    0.3 - 0.2 and 0.2 - 0.1 differ in the 17th decimal: compared as they are, they would
    count as two different ranks. The order is kept but for differences below 1e-12 of
    `size`; where that is 0 all values are.
    """
    return np.round(values / (size or 1.0), DECIMALS)
