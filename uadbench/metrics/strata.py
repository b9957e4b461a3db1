"""Groups of cases by the size of their lesion, for tables that keep them apart."""

from uadbench.errors import DataError

Strata = tuple[tuple[float, str], ...]

# Of size 0, whatever the unit.
NO_LESION = "no lesion"
# Liang et al., MICCAI 2024, on a slice of 128 x 128 px: (upper limit, name).
PIXEL_STRATA: Strata = (
    (200, "small (< 200 px)"),
    (800, "medium (200-799 px)"),
    (float("inf"), "large (>= 800 px)"),
)
# One for each power of ten, from lacunes and plaques to gliomas: balls of these volumes
# are 12, 27 and 58 mm across. No standard is known to us.
VOLUME_STRATA: Strata = (
    (1, "small (< 1 mL)"),
    (10, "medium (1-10 mL)"),
    (100, "large (10-100 mL)"),
    (float("inf"), "very large (>= 100 mL)"),
)


def size_stratum_px(pixels: float) -> str:
    """Return the paper's group of a lesion area in px at 128 x 128 px.

    Limits are 200 and 800 px (Liang et al., MICCAI 2024); a limit belongs to the group
    above it, and what has no area is "no lesion".

    Raises:
        DataError: the area is negative, NaN or infinite.
    """
    return _stratum(PIXEL_STRATA, pixels, "px")


def size_stratum_ml(volume: float) -> str:
    """Return the group of a subject's lesion volume in mL.

    Limits are 1, 10 and 100 mL; a limit belongs to the group above it, and
    what has no volume is "no lesion".

    Raises:
        DataError: the volume is negative, NaN or infinite.
    """
    return _stratum(VOLUME_STRATA, volume, "mL")


def _stratum(strata: Strata, size: float, unit: str) -> str:
    if not 0 <= size < float("inf"):
        msg = f"lesion size: expected 0 {unit} or more, got {size}."
        raise DataError(msg)
    if size == 0:
        return NO_LESION
    return next(name for limit, name in strata if size < limit)
