"""What a user may ask for by name: strategies of thresholds, and steps on maps.

They stand apart from what carries them out, which needs numpy: a list of them is
printed at once.
"""

from uadbench.specs import Kind

FPR, QUANTILE, LESION = "fpr@healthy", "quantile@healthy", "dice@lesion-val"
FIXED, OWN, ORACLE, ORACLE_CASE = "fixed", "own", "oracle", "oracle-case"
# Of a float32, as scores are.
LARGEST = (2 - 2**-23) * 2.0**127
THRESHOLDS = {
    kind.name: kind
    for kind in (
        Kind(
            FPR,
            "At most this fraction of healthy validation voxels is abnormal.",
            parameter="RATE",
            low=0,
            high=1,
        ),
        Kind(
            QUANTILE,
            "This quantile of the scores of healthy validation voxels.",
            parameter="Q",
            low=0,
            high=1,
        ),
        Kind(LESION, "The best mean Dice on labelled validation cases."),
        Kind(
            FIXED,
            "This score, whatever the method's scale.",
            parameter="SCORE",
            low=-LARGEST,
            high=LARGEST,
        ),
        Kind(OWN, "The method's own mask; always reported where there is one."),
        Kind(
            ORACLE,
            "The best mean Dice on the test labels: an upper bound, always reported.",
        ),
        Kind(
            ORACLE_CASE,
            "The best Dice of each test case: an upper bound, always reported.",
        ),
    )
}
STEPS = {
    kind.name: kind
    for kind in (
        Kind(
            "erode",
            "Nothing is abnormal within MM of the brain's surface, where residuals of "
            "skull and partial volume lie; the lesion volume lost there is reported.",
            parameter="MM",
            low=0,
        ),
        Kind(
            "median",
            "Median of the brain's scores in a cube of VOXELS a side, an odd number.",
            parameter="VOXELS",
            low=2,
            high=100,
            whole=True,
            odd=True,
        ),
        Kind(
            "min-volume",
            "Components of a mask smaller than MM3 are removed.",
            parameter="MM3",
            low=0,
        ),
        Kind(
            "largest",
            "Only the K largest components of a mask are kept.",
            parameter="K",
            low=0,
            whole=True,
        ),
    )
}
