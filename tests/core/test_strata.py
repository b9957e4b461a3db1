from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uadbench.errors import DataError
from uadbench.metrics import (
    NO_LESION,
    PIXEL_STRATA,
    VOLUME_STRATA,
    size_stratum_ml,
    size_stratum_px,
)

Stratum = Callable[[float], str]


@pytest.mark.parametrize(
    ("pixels", "name"),
    [
        (0, "no lesion"),
        (0.5, "small (< 200 px)"),
        (1, "small (< 200 px)"),
        (199, "small (< 200 px)"),
        (200, "medium (200-799 px)"),
        (799, "medium (200-799 px)"),
        (800, "large (>= 800 px)"),
        (128 * 128, "large (>= 800 px)"),
    ],
)
def test_areas_are_grouped_as_in_the_paper(pixels: float, name: str) -> None:
    assert size_stratum_px(pixels) == name


@pytest.mark.parametrize(
    ("volume", "name"),
    [
        (0.0, "no lesion"),
        (1e-9, "small (< 1 mL)"),
        (0.001, "small (< 1 mL)"),
        (0.999, "small (< 1 mL)"),
        (1.0, "medium (1-10 mL)"),
        (9.99, "medium (1-10 mL)"),
        (10.0, "large (10-100 mL)"),
        (99.9, "large (10-100 mL)"),
        (100.0, "very large (>= 100 mL)"),
        (1500.0, "very large (>= 100 mL)"),
    ],
)
def test_volumes_are_grouped_by_powers_of_ten(volume: float, name: str) -> None:
    assert size_stratum_ml(volume) == name


@given(st.floats(0, 1e4), st.floats(0, 1e4))
def test_a_larger_lesion_is_in_no_smaller_group(one: float, other: float) -> None:
    order = [NO_LESION, *(name for _, name in VOLUME_STRATA)]
    small, large = sorted((one, other))

    assert order.index(size_stratum_ml(small)) <= order.index(size_stratum_ml(large))


@pytest.mark.parametrize("strata", [PIXEL_STRATA, VOLUME_STRATA])
def test_limits_rise_to_infinity(strata: tuple[tuple[float, str], ...]) -> None:
    limits = [limit for limit, _ in strata]

    assert limits == sorted(set(limits))
    assert limits[-1] == np.inf
    assert NO_LESION not in dict(strata).values()


@pytest.mark.parametrize("stratum", [size_stratum_px, size_stratum_ml])
@pytest.mark.parametrize("size", [-1, np.nan, np.inf])
def test_sizes_that_are_none_are_refused(stratum: Stratum, size: float) -> None:
    with pytest.raises(DataError, match="lesion size: expected 0"):
        stratum(size)
