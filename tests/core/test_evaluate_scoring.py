"""One case from its files: grids, labels, masks and scores, and what can be wrong."""

# nibabel annotates only some of its functions.
# mypy: allow-untyped-calls

import gzip
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

from uadbench import metrics
from uadbench.errors import DataError
from uadbench.evaluate.aligning import resample
from uadbench.evaluate.names import Source
from uadbench.evaluate.pairs import Pair
from uadbench.evaluate.reading import Settings, is_mask, load
from uadbench.evaluate.request import Request, labels, thresholds
from uadbench.evaluate.scoring import Outcome, count, score
from uadbench.postprocess import Pipeline
from uadbench.variants import Variant
from uadbench.volumes import open_volume, read_grid, read_volume

SHAPE = (6, 5, 4)
SPACING = (1.0, 2.0, 5.0)
AFFINE = np.diag([*SPACING, 1.0])
HERE = Source(Path(), "*", "--pattern")


def save(path: Path, voxels: ArrayLike, affine: NDArray[np.float64] = AFFINE) -> Path:
    array = np.asarray(voxels)
    kept = array if array.dtype.kind == "f" else array.astype(np.uint8)
    nib.loadsave.save(nib.nifti1.Nifti1Image(kept, affine), path)
    return path


def box(*corners: tuple[int, int]) -> NDArray[np.bool_]:
    mask = np.zeros(SHAPE, bool)
    mask[tuple(slice(*corner) for corner in corners)] = True
    return mask


LESION = box((1, 4), (1, 4), (1, 3))
FOUND = box((2, 5), (1, 4), (1, 3))


def scores() -> NDArray[np.float32]:
    noise = np.random.default_rng(0).random(SHAPE, np.float32)
    return np.asarray(noise + 0.7 * LESION, np.float32)


def settings(**options: Any) -> Settings:
    return Request(HERE, HERE, **options).settings(options.get("kind", "mask"))


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    """A lesion of 18 voxels of 10 mm3, of which 12 are found, and 6 beside it."""
    return Pair(
        case="sub-1_ses-2",
        subject="sub-1",
        reference=save(tmp_path / "ref.nii.gz", LESION),
        prediction=save(tmp_path / "pred.nii.gz", FOUND),
    )


def with_file(pair: Pair, part: str, voxels: ArrayLike, **options: Any) -> Pair:
    path = save(pair.reference.with_name(f"{part}2.nii.gz"), voxels, **options)
    changes: dict[str, Any] = {part: path}
    return replace(pair, **changes)


def error(outcome: Outcome) -> str:
    assert outcome.row["status"] == "failed"
    return str(outcome.row["error"])


def numbers(outcome: Outcome) -> dict[str, float]:
    assert outcome.row["status"] == "ok", outcome.row
    return {key: v for key, v in outcome.row.items() if isinstance(v, float)}


def test_mask_by_hand(pair: Pair) -> None:
    row = score(pair, settings()).row

    assert row["case"] == "sub-1_ses-2"
    assert row["subject"] == "sub-1"
    assert row["lesion_ml"] == pytest.approx(0.18)
    assert row["brain_ml"] == pytest.approx(1.2)
    assert row["dice_mask"] == pytest.approx(2 * 12 / (18 + 18))
    assert row["precision_mask"] == row["recall_mask"] == pytest.approx(12 / 18)
    assert row["fpr_mask"] == pytest.approx(6 / (120 - 18))
    assert row["hd95_mask"] == 1.0
    assert row["lesion_f1_mask"] == 1.0


def test_mask_has_no_metric_of_a_ranking(pair: Pair) -> None:
    row = score(pair, settings()).row

    assert not {"auprc", "auroc", "dice_oracle_case", "brain_max"} & set(row)


def test_score_map_has_the_metrics_of_the_arrays(pair: Pair) -> None:
    ours = with_file(pair, "prediction", scores())
    cut = thresholds(["fixed:0.75"])

    row = score(ours, settings(kind="score", thresholds=cut)).row

    expected = metrics.rank_summary(scores(), LESION)
    assert row["auprc"] == expected.average_precision
    assert row["auroc"] == expected.auroc
    assert row["dice_oracle_case"] == expected.best_dice
    assert row["dice_fixed0p75"] == metrics.dice(scores() >= 0.75, LESION)
    assert "dice_mask" not in row


def test_only_the_brain_is_scored_and_lesion_outside_is_told(pair: Pair) -> None:
    brain = box((0, 3), (0, 5), (0, 3))

    outcome = score(with_file(pair, "brain", brain), settings(brains=HERE))

    # Of 18 lesion voxels 12 lie inside; of these 6 are found, and nothing else.
    assert outcome.row["dice_mask"] == pytest.approx(2 * 6 / (12 + 6))
    assert outcome.row["brain_ml"] == pytest.approx(0.45)
    assert outcome.outside_ml == pytest.approx(0.06)


def test_reference_without_lesion_leaves_dice_undefined(pair: Pair) -> None:
    row = score(with_file(pair, "reference", np.zeros(SHAPE)), settings()).row

    assert row["lesion_ml"] == 0
    assert math.isnan(float(str(row["dice_mask"])))
    assert row["fpr_mask"] == pytest.approx(18 / 120)


def test_labels_choose_what_is_lesion_and_what_is_ignored(pair: Pair) -> None:
    reference = 1 * LESION + 2 * box((4, 6), (0, 5), (0, 4)) + 3 * box(*((0, 1),) * 3)
    labelled = with_file(pair, "reference", reference)

    row = score(labelled, settings(labels=(1, 3), ignore=(2,))).row

    assert row["lesion_ml"] == pytest.approx(0.19)
    assert row["brain_ml"] == pytest.approx(0.8)
    assert row["dice_mask"] == pytest.approx(2 * 12 / (19 + 12))


def test_ignored_label_is_no_lesion_where_none_is_named(pair: Pair) -> None:
    labelled = with_file(pair, "reference", LESION + 1 * FOUND)

    row = score(labelled, settings(ignore=(2,))).row

    # Where both overlap the label is 2: 6 voxels of each are left.
    assert row["lesion_ml"] == pytest.approx(0.12)
    assert row["brain_ml"] == pytest.approx(1.08)


def test_labels_of_predictions_make_masks(pair: Pair) -> None:
    ours = with_file(pair, "prediction", 2 * FOUND + 3 * box((0, 1), (0, 1), (0, 1)))

    row = score(ours, settings(prediction_labels=(2,))).row

    assert numbers(Outcome(row)) == numbers(score(pair, settings()))


@pytest.mark.parametrize("top", [1, 255])
def test_binary_masks_of_either_kind_are_the_same(pair: Pair, top: int) -> None:
    ours = with_file(pair, "prediction", top * FOUND.astype(np.uint8))

    assert numbers(score(ours, settings())) == numbers(score(pair, settings()))


@pytest.mark.parametrize(
    ("voxels", "expected"),
    [
        (FOUND, True),
        (FOUND.astype(np.float32), True),
        (255 * FOUND.astype(np.uint8), True),
        (np.zeros(SHAPE), True),
        (np.ones(SHAPE), True),
        (2 * FOUND.astype(np.uint8), False),
        (0.5 * FOUND, False),
        (-1.0 * FOUND, False),
        (FOUND + 254 * LESION.astype(np.uint8), False),
        (np.full(SHAPE, np.nan, np.float32), None),
    ],
)
def test_mask_is_told_from_its_values(
    tmp_path: Path, voxels: NDArray[Any], expected: bool | None
) -> None:
    assert is_mask(save(tmp_path / "a.nii.gz", voxels)) is expected


@pytest.mark.parametrize(
    ("part", "voxels", "options", "message"),
    [
        ("prediction", 0.25 * FOUND, {}, "not a binary mask, it holds 0.25"),
        ("prediction", 2 * FOUND, {}, "holds 2. A mask has 0 and 1 alone, or"),
        (
            "prediction",
            np.where(FOUND, 1, 255 * LESION),
            {},
            "it holds both 1 and 255. A mask has 0 and 1 alone, or 0 and 255",
        ),
        ("prediction", np.where(FOUND, np.nan, 0), {}, "18 voxels are NaN"),
        ("reference", scores(), {}, "Make a mask of it (0 and 1), or resample it by"),
        ("reference", -1.0 * LESION, {}, "-1, which is neither lesion nor background"),
        ("brain", 0.5 * FOUND, {"brains": HERE}, "whole numbers, but it holds 0.5"),
        ("prediction", np.where(FOUND, np.inf, 0), {"kind": "score"}, "18 voxels are"),
        ("reference", np.where(FOUND, np.nan, 0), {}, "18 voxels are NaN"),
        (
            "reference",
            0.5 * LESION,
            {"labels": (1,)},
            "whole numbers, but it holds 0.5",
        ),
        (
            "reference",
            0.5 * LESION,
            {"ignore": (2,)},
            "whole numbers, but it holds 0.5",
        ),
        (
            "prediction",
            0.5 * FOUND,
            {"prediction_labels": (2,)},
            "whole numbers, but it holds 0.5",
        ),
        ("brain", np.zeros(SHAPE), {"brains": HERE}, "an empty brain mask"),
        ("prediction", np.zeros((6, 5, 3)), {}, "shape (6, 5, 3), but ref.nii.gz has"),
    ],
)
def test_unfit_file_fails_its_case_and_says_why(
    pair: Pair,
    part: str,
    voxels: NDArray[Any],
    options: dict[str, Any],
    message: str,
) -> None:
    outcome = score(with_file(pair, part, voxels), settings(**options))

    assert message in error(outcome)
    assert f"{part}2.nii.gz" in error(outcome)
    assert outcome.pools == {}


@pytest.mark.parametrize("kind", ["mask", "score"])
def test_header_without_orientation_fails_its_case(pair: Pair, kind: str) -> None:
    path = save(pair.reference.with_name("turned.nii"), scores())
    content = bytearray(path.read_bytes())
    content[287] = 255
    path.write_bytes(content)

    outcome = score(replace(pair, prediction=path), settings(kind=kind))

    assert "turned.nii: its affine" in error(outcome)
    assert "header is damaged" in error(outcome)
    assert is_mask(path) is None


def test_header_of_a_giant_fails_its_case(pair: Pair) -> None:
    path = save(pair.reference.with_name("giant.nii"), scores())
    content = bytearray(path.read_bytes())
    content[42:48] = (32767).to_bytes(2, "little") * 3
    path.write_bytes(gzip.compress(content))
    giant = path.rename(path.with_name("giant.nii.gz"))

    apart = score(replace(pair, prediction=giant), settings())
    own = score(replace(pair, reference=giant), settings())

    assert "giant.nii.gz: shape (32767, 32767, 32767), but ref" in error(apart)
    assert "giant.nii.gz: no memory for shape (32767, 32767, 32767)" in error(own)
    assert is_mask(giant) is None


def test_truncated_file_fails_its_case(pair: Pair) -> None:
    path = save(pair.reference.with_name("cut.nii"), scores())
    path.write_bytes(path.read_bytes()[:-60])

    outcome = score(replace(pair, prediction=path), settings())

    assert "cut.nii: cannot be read to its end" in error(outcome)


def test_missing_prediction_is_a_row(pair: Pair) -> None:
    row = score(replace(pair, prediction=None), settings()).row

    assert row == {
        "case": "sub-1_ses-2",
        "subject": "sub-1",
        "status": "missing",
        "error": "no prediction for ref.nii.gz",
    }


def test_case_without_brain_mask_fails_where_others_have_one(pair: Pair) -> None:
    outcome = score(pair, settings(brains=HERE))

    assert "no brain mask for ref.nii.gz: add one to the folder" in error(outcome)


def test_negative_label_can_be_named_or_ignored(pair: Pair) -> None:
    signed = with_file(pair, "reference", 1.0 * LESION - 1.0 * box(*((0, 1),) * 3))

    named = score(signed, settings(labels=(-1,))).row
    ignored = score(signed, settings(ignore=(-1,))).row

    assert named["lesion_ml"] == pytest.approx(0.01)
    assert (ignored["lesion_ml"], ignored["brain_ml"]) == pytest.approx((0.18, 1.19))


def test_traces_of_rounding_are_no_lesion_and_no_brain(pair: Pair) -> None:
    traces = np.where(LESION, 0.9999, 1e-7).astype(np.float32)
    ours = with_file(pair, "reference", traces)
    ours = with_file(ours, "brain", traces)

    row = score(ours, settings(brains=HERE)).row

    assert (row["lesion_ml"], row["brain_ml"]) == pytest.approx((0.18, 0.18))


def test_missed_lesion_counts_the_diagonal_of_the_image_whatever_the_brain(
    pair: Pair,
) -> None:
    missed = with_file(pair, "prediction", np.zeros(SHAPE))
    slab = with_file(missed, "brain", box((0, 6), (0, 5), (1, 3)))

    whole = score(missed, settings()).row
    inside = score(slab, settings(brains=HERE)).row

    diagonal = math.hypot(6 * 1.0, 5 * 2.0, 4 * 5.0)
    assert whole["hd95_mask"] == inside["hd95_mask"] == pytest.approx(diagonal)


def test_brain_in_one_slice_is_measured_in_its_plane(pair: Pair) -> None:
    missed = with_file(pair, "prediction", np.zeros(SHAPE))
    planar = with_file(missed, "brain", box((0, 6), (0, 5), (1, 2)))

    row = score(planar, settings(brains=HERE)).row

    assert row["hd95_mask"] == pytest.approx(math.hypot(6 * 1.0, 5 * 2.0))


def test_processed_masks_stand_beside_raw_ones(pair: Pair) -> None:
    ours = with_file(pair, "prediction", FOUND | box((0, 1), (0, 1), (0, 1)))

    row = score(ours, settings(pipeline=Pipeline.parse("min-volume:100"))).row

    assert row["dice_mask"] == pytest.approx(2 * 12 / (18 + 19))
    assert row["dice_mask_post"] == pytest.approx(2 * 12 / (18 + 18))


# Grids.

LPS = np.diag([-1.0, -2.0, 5.0, 1.0])
LPS[:3, 3] = (5.0, 8.0, 0.0)


def test_other_orientation_of_the_same_grid_is_no_mismatch(pair: Pair) -> None:
    flipped = with_file(pair, "prediction", FOUND[::-1, ::-1], affine=LPS)

    outcome = score(flipped, settings())

    assert numbers(outcome) == numbers(score(pair, settings()))
    assert not outcome.resampled


@pytest.mark.parametrize(
    ("kind", "voxels"), [("mask", 1.0 * FOUND), ("score", scores())]
)
def test_larger_field_of_view_scores_the_same_after_resampling(
    pair: Pair, kind: str, voxels: NDArray[Any]
) -> None:
    padded = np.pad(voxels, ((1, 2), (2, 0), (3, 1)))[::-1, ::-1]
    affine = LPS.copy()
    affine[:3, 3] += (2.0, 0.0, -15.0)
    plain = with_file(pair, "prediction", voxels)
    expected = numbers(score(plain, settings(kind=kind)))
    moved = with_file(pair, "prediction", padded, affine=affine)

    outcome = score(moved, settings(kind=kind, resample=True))

    assert numbers(outcome) == pytest.approx(expected, rel=1e-6)
    assert outcome.resampled
    assert "--on-geometry-mismatch resample does" in error(
        score(moved, settings(kind=kind))
    )


def test_shifted_affine_is_a_mismatch_beyond_the_tolerance(pair: Pair) -> None:
    near, far = AFFINE.copy(), AFFINE.copy()
    near[0, 3], far[0, 3] = 9e-4, 2e-3

    accepted = score(with_file(pair, "prediction", FOUND, affine=near), settings())
    refused = score(with_file(pair, "prediction", FOUND, affine=far), settings())

    assert accepted.row["status"] == "ok"
    assert "its affine differs from that of ref.nii.gz by up to 0.002" in error(refused)


def test_brain_is_resampled_too(pair: Pair) -> None:
    brain = np.ones((6, 5, 4))
    brain[:, :, 3] = 0
    moved = AFFINE.copy()
    moved[2, 3] = 5.0
    ours = with_file(pair, "brain", brain, affine=moved)

    outcome = score(ours, settings(brains=HERE, resample=True))

    # Its slices 0 to 2 are slices 1 to 3 of the reference, which begins one lower.
    assert outcome.row["brain_ml"] == pytest.approx(0.9)
    assert outcome.resampled


def test_resampling_is_linear_for_scores_and_nearest_for_masks(
    tmp_path: Path,
) -> None:
    ramp = np.arange(6, dtype=np.float32)[:, None, None] * np.ones((1, 5, 4))
    path = save(tmp_path / "a.nii.gz", ramp.astype(np.float32))
    shifted = AFFINE.copy()
    shifted[0, 3] = 0.25
    grid = read_grid(save(tmp_path / "b.nii.gz", ramp, shifted))

    linear = resample(open_volume(path), grid, nearest=False)[:, 0, 0]
    nearest = resample(open_volume(path), grid, nearest=True)[:, 0, 0]

    # Beyond the last voxel is the lowest value of the map, 0.
    np.testing.assert_allclose(linear, [0.25, 1.25, 2.25, 3.25, 4.25, 5 * 0.75])
    np.testing.assert_array_equal(nearest, [0, 1, 2, 3, 4, 5])


def test_what_a_mask_does_not_cover_is_background(pair: Pair) -> None:
    corner = AFFINE.copy()
    corner[:3, 3] = (1.0, 2.0, 5.0)
    cropped = with_file(pair, "prediction", np.ones((3, 3, 2)), affine=corner)
    cropped = with_file(cropped, "brain", np.ones((3, 3, 2)), affine=corner)

    whole = score(cropped, settings(resample=True)).row
    inside = score(cropped, settings(resample=True, brains=HERE)).row

    assert (whole["dice_mask"], whole["fpr_mask"]) == (1.0, 0.0)
    assert inside["brain_ml"] == pytest.approx(0.18)


def test_what_a_score_map_does_not_cover_gets_its_lowest_score(tmp_path: Path) -> None:
    path = save(tmp_path / "a.nii.gz", scores()[:, :, :2])
    grid = read_grid(save(tmp_path / "b.nii.gz", LESION))

    moved = resample(open_volume(path), grid, nearest=False)

    np.testing.assert_array_equal(moved[..., 2:], scores()[:, :, :2].min())
    np.testing.assert_allclose(moved[..., :2], scores()[..., :2], rtol=1e-6)


def test_rounding_of_an_affine_costs_no_border_voxel(tmp_path: Path) -> None:
    affine = AFFINE.copy()
    affine[:3, 3] = -1e-9
    path = save(tmp_path / "a.nii.gz", scores())
    grid = replace(read_grid(save(tmp_path / "b.nii.gz", LESION)), affine=affine)

    moved = resample(open_volume(path), grid, nearest=False)

    np.testing.assert_allclose(moved, scores(), rtol=1e-6)


@pytest.mark.parametrize("shift", [6.5, -6.5])
def test_volumes_that_lie_apart_are_not_resampled(pair: Pair, shift: float) -> None:
    away = AFFINE.copy()
    away[0, 3] = shift
    apart = with_file(pair, "prediction", FOUND, affine=away)

    outcome = score(apart, settings(resample=True))

    assert "lies apart from its reference" in error(outcome)


# The second pass.


def test_thresholds_are_counted_as_in_the_arrays(pair: Pair) -> None:
    ours = with_file(pair, "prediction", scores())
    chosen = settings(
        kind="score",
        pipeline=Pipeline.parse("median:3,largest:1"),
        thresholds=thresholds(["fixed:0.5"]),
    )
    content = score(ours, chosen).row["content"]

    raw = Variant("", Pipeline())
    counts = count(ours, chosen, content, {raw: np.array([1.0, 0.5])})

    assert set(counts) == {raw}
    assert counts[raw].at(1).dice == metrics.dice(scores() >= 0.5, LESION)


def test_file_that_changed_between_the_passes_is_an_error(pair: Pair) -> None:
    ours = with_file(pair, "prediction", scores())
    chosen = settings(kind="score")
    content = score(ours, chosen).row["content"]
    with_file(ours, "prediction", scores() + 1)

    with pytest.raises(DataError, match=r"sub-1_ses-2: a file of it changed"):
        count(ours, chosen, content, {})


def test_file_that_vanished_between_the_passes_is_an_error(pair: Pair) -> None:
    ours = with_file(pair, "prediction", scores())
    content = score(ours, settings(kind="score")).row["content"]
    assert ours.prediction is not None
    ours.prediction.unlink()

    with pytest.raises(DataError, match="a file of it changed"):
        count(ours, settings(kind="score"), content, {})


def test_pools_of_cases_add_up_to_the_pool_of_both(pair: Pair) -> None:
    ours = with_file(pair, "prediction", scores())
    chosen = settings(kind="score", thresholds=thresholds(["fixed:0.75"]))

    one = score(ours, chosen).pools[""]
    both = one + one

    raw = Variant("", Pipeline())
    assert both.metrics(raw)["auprc"] == pytest.approx(one.metrics(raw)["auprc"])
    assert both.masks["fixed0p75"].positives == 2 * one.masks["fixed0p75"].positives
    assert both.curve.positives == 2 * one.curve.positives


def test_whole_scores_look_like_labels(pair: Pair) -> None:
    looks = [
        score(with_file(pair, "prediction", voxels), settings(kind="score")).like_labels
        for voxels in (3 * FOUND, 30 * FOUND, scores(), -3.0 * FOUND)
    ]

    assert looks == [True, False, False, False]


def test_case_knows_where_its_prediction_lies(pair: Pair) -> None:
    assert pair.prediction is not None
    scan = load(pair, pair.prediction, settings()).case.scan

    voxels, grid = read_volume(pair.prediction)
    np.testing.assert_array_equal(scan.image[0], voxels)
    np.testing.assert_array_equal(scan.affine, grid.affine)
    assert (scan.spacing, scan.slices, scan.axes) == (SPACING, (0, 1, 2, 3), "RAS")


def test_words_become_labels_in_order() -> None:
    assert labels("--label", "3,1,3") == (1, 3)
    assert labels("--label", "") == ()
