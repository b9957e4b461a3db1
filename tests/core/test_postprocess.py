import numpy as np
import pytest
from numpy.typing import NDArray

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
        ("largest:1,median:3", "come before those on masks"),
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


def test_median_takes_the_lowest_score_for_the_outside(box: Scan) -> None:
    score = np.full(box.brain.shape, 100, np.float32)
    score[box.brain] = 1
    score[4, 4, 3] = 50
    score[1, 1, 1] = 0

    smooth = median(score, box.brain, 3)

    assert smooth[4, 4, 3] == 1
    # Of the 27 voxels around a corner of the brain 19 are outside.
    assert smooth[1, 1, 1] == 0
    assert (smooth[~box.brain] == 100).all()


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


def test_steps_on_masks_come_in_their_order(box: Scan) -> None:
    mask = np.zeros_like(box.brain)
    mask[1:3, 1, 1] = mask[5:8, 5, 3] = True

    left = Pipeline.parse("min-volume:5,largest:1").on(box).mask(mask)

    assert left.sum() == 3
