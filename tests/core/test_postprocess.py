from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from uadbench.errors import UsageError
from uadbench.postprocess import (
    Pipeline,
    erode,
    keep_largest,
    median,
    remove_small,
)
from uadbench.protocols import Scan

SPACING = (1.0, 1.0, 2.0)


def make_scan(brain: NDArray[np.bool_]) -> Scan:
    return Scan(
        id="a",
        image=np.zeros((1, *brain.shape), np.float32),
        brain=brain,
        spacing=SPACING,
        affine=np.eye(4),
        modalities=("T2",),
        slices=tuple(range(brain.shape[2])),
    )


@pytest.fixture
def box() -> Scan:
    """A brain of 7 x 7 x 5 voxels in an image of 9 x 9 x 7."""
    brain = np.zeros((9, 9, 7), bool)
    brain[1:-1, 1:-1, 1:-1] = True
    return make_scan(brain)


def test_pipeline_without_steps_leaves_everything(box: Scan) -> None:
    score = np.random.default_rng(0).random(box.brain.shape, np.float32)
    mask = (score > 0.5) & box.brain

    pipeline = Pipeline.parse("")

    assert not pipeline
    assert str(pipeline) == ""
    assert pipeline.on(box).score(score) is score
    np.testing.assert_array_equal(pipeline.on(box).mask(mask), mask)


def test_order_of_the_words_means_nothing() -> None:
    swapped = Pipeline.parse("largest:1,min-volume:2,median:3,erode:1,median:5")

    assert str(swapped) == "erode:1,median:3,median:5,min-volume:2,largest:1"


def test_words_of_a_pipeline_come_back() -> None:
    pipeline = Pipeline.parse("erode:3, median:3,min-volume:20.5,largest:1")

    assert str(pipeline) == "erode:3,median:3,min-volume:20.5,largest:1"
    assert pipeline.cuts_masks
    assert not Pipeline.parse("erode:3,median:3").cuts_masks


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("erodes:3", "Did you mean 'erode'"),
        ("erode", "expected 'erode:MM'"),
        ("erode:-1", "takes a number above 0"),
        ("median:4", "takes an odd whole number above 2 and below 100, got '4'"),
        ("median:3.5", "odd whole number"),
        ("largest:0", "takes a whole number above 0"),
        ("min-volume:x", "takes a number above 0, got 'x'"),
    ],
)
def test_step_that_cannot_be_is_explained(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Pipeline.parse(text)


def test_erosion_is_in_mm(box: Scan) -> None:
    # A voxel in the first layer is 1 mm from the outside along x and y, 2 along z.
    deep = erode(box.brain, 1.0, SPACING)

    expected = np.zeros_like(deep)
    expected[2:-2, 2:-2, 1:-1] = True
    np.testing.assert_array_equal(deep, expected)


def test_brain_that_is_cut_off_has_no_surface_there() -> None:
    everything = np.ones((4, 4, 4), bool)
    half = everything.copy()
    half[:, :, 0] = False

    assert erode(everything, 5.0, SPACING).all()
    np.testing.assert_array_equal(
        erode(half, 2.0, SPACING).any(axis=(0, 1)), [False, False, True, True]
    )


def test_what_is_eroded_ranks_last_and_is_never_abnormal(box: Scan) -> None:
    score = np.random.default_rng(0).random(box.brain.shape, np.float32)
    steps = Pipeline.parse("erode:1").on(box)

    processed, kept = steps.score(score), steps.kept

    rim = box.brain & ~kept
    assert rim.any()
    assert (processed[rim] == score[box.brain].min()).all()
    np.testing.assert_array_equal(processed[kept], score[kept])
    assert not steps.mask(box.brain)[rim].any()


def test_slice_that_was_left_out_is_no_surface() -> None:
    brain = np.ones((9, 9, 7), bool)
    brain[0] = False
    blanked = brain.copy()
    blanked[..., 3] = False

    deep = erode(blanked, 2.0, SPACING)

    expected = erode(brain, 2.0, SPACING)
    expected[..., 3] = False
    np.testing.assert_array_equal(deep, expected)


@pytest.mark.parametrize("voxels", [3, 5])
def test_median_is_that_of_the_voxels_inside(voxels: int) -> None:
    rng = np.random.default_rng(0)
    score = rng.random((7, 6, 5)).astype(np.float32)
    inside = rng.random(score.shape) < 0.6

    smooth = median(score, inside, voxels)

    reach = voxels // 2
    for place in np.argwhere(inside):
        cube = tuple(slice(max(0, i - reach), i + reach + 1) for i in place)
        assert smooth[tuple(place)] == np.median(score[cube][inside[cube]])
    np.testing.assert_array_equal(smooth[~inside], score[~inside])


def test_median_is_that_of_scipy_where_the_cube_lies_inside(box: Scan) -> None:
    score = np.random.default_rng(0).random(box.brain.shape, np.float32)
    inside = np.ones_like(box.brain)

    smooth = median(score, inside, 3)[1:-1, 1:-1, 1:-1]

    np.testing.assert_array_equal(smooth, median_filter(score, 3)[1:-1, 1:-1, 1:-1])


def test_median_in_parts_is_the_same(
    box: Scan, monkeypatch: pytest.MonkeyPatch
) -> None:
    score = np.random.default_rng(0).random(box.brain.shape, np.float32)
    whole = median(score, box.brain, 3)

    monkeypatch.setattr("uadbench.postprocess.AT_ONCE", 100)

    np.testing.assert_array_equal(median(score, box.brain, 3), whole)


def test_median_does_not_press_the_rim_down(box: Scan) -> None:
    score = np.where(box.brain, np.float32(1), np.float32(0))

    smooth = Pipeline.parse("median:3").on(box).score(score)

    np.testing.assert_array_equal(smooth, score)


def test_median_of_single_slices_is_in_their_plane(box: Scan) -> None:
    score = np.random.default_rng(0).random(box.brain.shape, np.float32)
    alone = replace(box, slices=(3,))

    smooth = Pipeline.parse("median:3").on(alone).score(score)[..., 3]

    flat = median(score[..., 3], box.brain[..., 3], 3)
    np.testing.assert_array_equal(smooth, flat)


def test_steps_of_an_empty_brain_leave_the_score() -> None:
    scan = make_scan(np.zeros((5, 5, 5), bool))
    score = np.ones((5, 5, 5), np.float32)

    processed = Pipeline.parse("erode:1,median:3").on(scan).score(score)

    np.testing.assert_array_equal(processed, score)


def blobs() -> NDArray[np.bool_]:
    """Components of 1, 2 and 3 voxels of 2 mm3; the last is joined at a corner."""
    mask = np.zeros((9, 9, 3), bool)
    mask[0, 0, 0] = True
    mask[4, 0:2, 0] = True
    mask[7, 7, 1:3] = mask[8, 8, 0] = True
    return mask


def test_small_components_are_removed_by_volume() -> None:
    left = remove_small(blobs(), 4.0, SPACING)

    assert left.sum() == 5
    assert not left[0, 0, 0]
    # 4 mm3 are two voxels: what equals the volume stays.
    assert left[4, 0, 0]


@pytest.mark.parametrize(("count", "voxels"), [(1, 3), (2, 5), (3, 6), (9, 6)])
def test_largest_components_are_kept(count: int, voxels: int) -> None:
    assert keep_largest(blobs(), count, SPACING).sum() == voxels


def test_empty_mask_stays_empty(box: Scan) -> None:
    nothing = np.zeros_like(box.brain)

    assert not Pipeline.parse("min-volume:1,largest:2").on(box).mask(nothing).any()


def test_steps_on_masks_follow_each_other(box: Scan) -> None:
    mask = np.zeros_like(box.brain)
    mask[1:3, 1, 1] = mask[5:8, 5, 3] = True

    left = Pipeline.parse("min-volume:5,largest:1").on(box).mask(mask)

    assert left.sum() == 3
