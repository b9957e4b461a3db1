"""Surface metrics beside MONAI and DeepMind's surface-distance.

Where they agree they agree to 1e-6, MONAI's float32. Where they do not, the test says
which of them is of no use for a benchmark, and why.
"""

import warnings
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from uadbench.metrics import assd, hausdorff95, surface_dice

torch = pytest.importorskip("torch")
monai = pytest.importorskip("monai.metrics")
deepmind = pytest.importorskip("surface_distance.metrics")

# Their own use of what is deprecated.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*always_return_as_numpy:FutureWarning"),
    pytest.mark.filterwarnings(
        "ignore:Please import .*scipy.ndimage:DeprecationWarning"
    ),
]

Mask = NDArray[np.bool_]
Spacing = tuple[float, ...]

EMPTY = np.zeros((12, 14, 10), bool)
ONE = EMPTY.copy()
ONE[3, 4, 5] = True
FAR = EMPTY.copy()
FAR[-1, -1, -1] = True
CORNER = EMPTY.copy()
CORNER[:4, :3, :5] = True


def blobs(seed: int, shape: tuple[int, ...] = (24, 30, 18)) -> Mask:
    """Lesions of smoothed noise, some at the border."""
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=shape), 2)
    return np.asarray(noise > np.quantile(noise, 0.93))


PAIRS = {
    "blobs": (blobs(0), blobs(1)),
    "blob and its neighbour": (blobs(2), np.roll(blobs(2), 1, axis=0)),
    "slices": (blobs(3, (40, 30)), blobs(4, (40, 30))),
    "one voxel": (ONE, ONE),
    "one voxel and another far apart": (ONE, FAR),
    "at the border": (CORNER, ONE),
    "full": (~EMPTY, ONE),
    "full and full": (~EMPTY, ~EMPTY),
    "all but one voxel": (~ONE, FAR),
}


def by_monai(pred: Mask, ref: Mask, spacing: Spacing) -> tuple[float, float, float]:
    """HD95, ASSD and surface Dice at 2 mm."""
    given, wanted = (torch.from_numpy(mask.copy())[None, None] for mask in (pred, ref))
    options: dict[str, Any] = {"include_background": True, "spacing": spacing}
    return (
        float(
            monai.compute_hausdorff_distance(given, wanted, percentile=95, **options)
        ),
        float(
            monai.compute_average_surface_distance(
                given, wanted, symmetric=True, **options
            )
        ),
        float(
            monai.compute_surface_dice(given, wanted, class_thresholds=[2.0], **options)
        ),
    )


def ours(pred: Mask, ref: Mask, spacing: Spacing) -> tuple[float, float, float]:
    return (
        hausdorff95(pred, ref, spacing),
        assd(pred, ref, spacing),
        surface_dice(pred, ref, spacing, 2.0),
    )


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.94, 0.94, 6.3)])
def test_monai_agrees(pair: str, spacing: Spacing) -> None:
    pred, ref = PAIRS[pair]
    sizes = spacing[: pred.ndim]

    assert ours(pred, ref, sizes) == pytest.approx(
        by_monai(pred, ref, sizes), rel=1e-6, abs=1e-6
    )


@pytest.mark.parametrize("seed", range(10))
def test_monai_agrees_on_random_masks(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pred, ref = rng.random((2, 9, 8, 7)) < rng.uniform(0.02, 0.9)
    spacing = tuple(rng.uniform(0.5, 5, 3).tolist())

    assert ours(pred, ref, spacing) == pytest.approx(
        by_monai(pred, ref, spacing), rel=1e-6, abs=1e-6
    )


def test_monai_has_no_finite_distance_for_a_miss_and_drops_it_from_the_mean() -> None:
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        missed = by_monai(EMPTY, ONE, (1.0, 1.0, 1.0))
        metric = monai.HausdorffDistanceMetric(include_background=True, percentile=95)
        cases = [torch.from_numpy(mask.copy())[None, None] for mask in (ONE, EMPTY)]
        for given in cases:
            metric(given, cases[0])
        mean = float(metric.aggregate())

    # One lesion found, one missed: MONAI's mean is that of the perfect case alone.
    assert not np.isfinite(missed[0])
    assert mean == 0
    assert ours(EMPTY, ONE, (1.0, 1.0, 1.0)) == pytest.approx(
        (np.sqrt(12**2 + 14**2 + 10**2),) * 2 + (0.0,)
    )


def test_monai_scores_a_false_alarm_where_no_lesion_is_to_be_found() -> None:
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        alarm = by_monai(ONE, EMPTY, (1.0, 1.0, 1.0))

    # Surface Dice of a healthy brain is 0 there: undefined here, as every other metric.
    assert alarm[2] == 0
    assert np.isnan(ours(ONE, EMPTY, (1.0, 1.0, 1.0))).all()


@pytest.mark.parametrize("pair", ["blobs", "blob and its neighbour", "at the border"])
def test_deepmind_differs_by_less_than_a_voxel(pair: str) -> None:
    pred, ref = PAIRS[pair]
    spacing = (0.94, 0.94, 3.0)
    theirs = deepmind.compute_surface_distances(ref, pred, spacing)

    hd95 = deepmind.compute_robust_hausdorff(theirs, 95)

    # Its surface runs between voxels and is weighted by area.
    assert hausdorff95(pred, ref, spacing) != hd95
    assert abs(hausdorff95(pred, ref, spacing) - hd95) < np.linalg.norm(spacing)


def test_deepmind_cannot_score_a_miss() -> None:
    # Written for numpy 1: it stops on `np.Inf` where it means an infinite distance.
    with pytest.raises(AttributeError, match=r"np\.Inf"):
        deepmind.compute_surface_distances(ONE, EMPTY, (1.0, 1.0, 1.0))
