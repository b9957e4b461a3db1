"""Is a method better than a reference on the same subjects?

Wilcoxon's signed-rank test of each method against the reference, Holm's correction over
the methods, and the size of the effect beside it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .bootstrap import Interval, intervals
from .subjects import Floats, as_values
from .ties import without_rounding

# The smallest p of n pairs is 2 / 2**n: five cannot get below 0.05.
FEWEST_PAIRS = 6
# Differing pairs to which the distribution is exact, in a second; beyond, the normal
# one is within a thousandth of it.
EXACT_PAIRS = 500


@dataclass(frozen=True)
class Paired:
    """A method against the reference, over the subjects that both define.

    Attributes:
        name: the method's.
        difference: the mean difference, method minus reference, in the metric's unit
            and with its sign as it is, with its 95 % bootstrap interval.
        effect: matched-pairs rank-biserial correlation in [-1, 1]: positive if the
            method is better (larger, where no side is better); NaN without a pair.
        p: two-sided p of Wilcoxon's test; NaN if there is a `reason`.
        p_holm: p with Holm's correction over the methods that were tested.
        reason: why there is no test; "" if there is.
    """

    name: str
    difference: Interval
    effect: float
    p: float
    p_holm: float
    reason: str

    @property
    def n(self) -> int:
        """Pairs that were used."""
        return self.difference.n

    @property
    def dropped(self) -> int:
        """Subjects that one of the two, or both, leave undefined."""
        return self.difference.undefined


def compare_to(
    reference: Mapping[str, float],
    others: Mapping[str, Mapping[str, float]],
    higher: bool | None,
) -> list[Paired]:
    """Return each method's comparison with the reference, in their order.

    One value a subject: average a subject's scans, and a method's seeds, before.

    Pairs without a difference are ranked with the others, then left out of the test's
    sums (Pratt 1959). The test is exact, ties and zeros or not, if at most 500 pairs
    differ; beyond, it takes the normal distribution with its variance corrected for
    both. p is 1 if all pairs are equal, and NaN for fewer than six pairs.
    The effect is the share of the rank sum that speaks for the method minus the share
    that speaks against it (Kerby 2014); pairs without a difference speak for neither.

    Args:
        reference: a metric by subject; NaN, or absent, where it is undefined.
        others: the same by the name of the method.
        higher: True if larger is better, False if smaller, None if neither.

    Raises:
        DataError: a value is infinite or no number.
    """
    methods = [reference, *others.values()]
    subjects = sorted({subject for values in methods for subject in values})
    table = as_values(
        [[values.get(name, np.nan) for name in subjects] for values in methods],
        "(methods, subjects)",
        2,
    )
    apart = table[1:] - table[0]
    tests = [_test(_clean(row, table[0], higher)) for row in apart]
    corrected = _holm([p for _, p in tests])
    return [
        Paired(name, difference, effect, p, p_holm, _reason(difference.n))
        for name, difference, (effect, p), p_holm in zip(
            others, intervals(apart), tests, corrected, strict=True
        )
    ]


def _clean(apart: Floats, reference: Floats, higher: bool | None) -> Floats:
    """Return the defined differences without rounding, positive where better."""
    known = ~np.isnan(apart)
    size = max(
        np.abs(reference[known]).max(initial=0.0), np.abs(apart[known]).max(initial=0.0)
    )
    better = without_rounding(apart[known], size)
    return -better if higher is False else better


def _test(better: Floats) -> tuple[float, float]:
    """Return effect and p of differences that are positive where a method is better."""
    from scipy.stats import rankdata, wilcoxon

    if not len(better):
        return float("nan"), float("nan")
    ranks = rankdata(np.abs(better))
    effect = float(np.sign(better) @ ranks / ranks.sum())
    if len(better) < FEWEST_PAIRS:
        return effect, float("nan")
    if np.count_nonzero(better) <= EXACT_PAIRS:
        return effect, _exact_p(better, ranks)
    found = wilcoxon(better, zero_method="pratt")
    return effect, float(found.pvalue)


def _exact_p(better: Floats, ranks: Floats) -> float:
    """Return the two-sided p where each rank is as likely for as against.

    Without ties scipy gives the same; with ties it tries every choice of signs, of 13
    pairs at most, in seconds. Here the rank sums are counted, one rank after the other.
    """
    # Ranks that are shared are whole numbers or halves.
    doubled = np.rint(2 * ranks).astype(int)
    signed = doubled[better != 0]
    # By rank sum: sums of more ranks than were added yet have no chance.
    chance = np.zeros(signed.sum() + 1)
    chance[0], highest = 1, 0
    for rank in np.sort(signed):
        highest += rank
        for_it = chance[: highest + 1 - rank] / 2
        chance[: highest + 1] /= 2
        chance[rank : highest + 1] += for_it
    smaller = min(doubled[better > 0].sum(), doubled[better < 0].sum())
    return min(1.0, 2 * float(chance[: smaller + 1].sum()))


def _holm(values: Sequence[float]) -> list[float]:
    """Return p values with Holm's correction over those that are not NaN."""
    from statsmodels.stats.multitest import multipletests

    found = np.array(values, np.float64)
    tested = ~np.isnan(found)
    if tested.any():
        found[tested] = multipletests(found[tested], method="holm")[1]
    return [float(p) for p in found]


def _reason(pairs: int) -> str:
    if pairs >= FEWEST_PAIRS:
        return ""
    return (
        f"too few pairs ({pairs}; at least {FEWEST_PAIRS} needed): "
        "no result could have p < 0.05"
    )
