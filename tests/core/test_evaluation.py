import math

import numpy as np
import pytest
from numpy.typing import NDArray

from uadbench.evaluation import (
    content_hash,
    failed_case,
    overlap,
    score_case,
    scored_voxels,
    shapes,
)
from uadbench.metrics import confusion, psnr, ssim
from uadbench.postprocess import Pipeline
from uadbench.protocols import Case, Prediction, Scan
from uadbench.thresholds import Threshold
from uadbench.variants import Reading, read, variants

NAN = float("nan")
RAW = variants(Pipeline())
CUTS = {
    "fpr5": Threshold(0.5, "fpr@healthy:0.05", "healthy-val", "hash"),
    "own": Threshold(None, "own", "healthy-val", "hash"),
}


def make_case(ignore: NDArray[np.bool_] | None = None) -> Case:
    """A row of five voxels of 10 mm3 in slice 1, all brain but the last."""
    brain = np.ones((5, 1, 2), bool)
    brain[4] = False
    lesion = np.zeros_like(brain)
    lesion[[0, 1], 0, 1] = True
    scan = Scan(
        id="sub-1",
        image=np.zeros((1, 5, 1, 2), np.float32),
        brain=brain,
        spacing=(1.0, 2.0, 5.0),
        affine=np.eye(4),
        modalities=("T2",),
        slices=(1,),
    )
    return Case(scan, lesion, ignore, {"site": "north"})


def make_prediction(values: list[float]) -> Prediction:
    score = np.full((5, 1, 2), 9, np.float32)
    score[:, 0, 1] = values
    return Prediction(score, score > 0.8)


def test_only_brain_in_slices_that_count_is_scored() -> None:
    inside = scored_voxels(make_case())

    assert np.argwhere(inside).tolist() == [[0, 0, 1], [1, 0, 1], [2, 0, 1], [3, 0, 1]]


def test_ignored_voxels_are_not_scored() -> None:
    ignore = np.zeros((5, 1, 2), bool)
    ignore[1:3] = True

    inside = scored_voxels(make_case(ignore))

    assert np.argwhere(inside).tolist() == [[0, 0, 1], [3, 0, 1]]


def readings(case: Case, prediction: Prediction) -> list[Reading]:
    return [read(case.scan, prediction, variant, CUTS) for variant in RAW]


def test_row_of_a_case_by_hand() -> None:
    case = make_case()
    # Lesion 0.9 and 0.3, healthy 0.6 and 0.1; outside the brain everything is 9.
    prediction = make_prediction([0.9, 0.3, 0.6, 0.1, 9])

    row = score_case(case, "sub-1", readings(case, prediction), {})

    assert row | {"content": ""} == {
        "case": "sub-1",
        "subject": "sub-1",
        "status": "ok",
        "error": "",
        "stratum_size": "small (< 1 mL)",
        "stratum_site": "north",
        "lesion_ml": 0.02,
        "brain_ml": 0.04,
        "prevalence": 0.5,
        "auprc": pytest.approx(1 / 2 * 1 + 1 / 2 * 2 / 3),
        "auroc": 3 / 4,
        "fpr_at_tpr95": 1 / 2,
        "dice_oracle_case": 2 * 2 / (3 + 2),
        "brain_mean": pytest.approx(1.9 / 4),
        "brain_max": pytest.approx(0.9),
        "brain_top": pytest.approx(0.9),
        "content": "",
        "dice_fpr5": 2 * 1 / (2 + 2),
        "precision_fpr5": 1 / 2,
        "recall_fpr5": 1 / 2,
        "fpr_fpr5": 1 / 2,
        "dice_own": 2 * 1 / (1 + 2),
        "precision_own": 1.0,
        "recall_own": 1 / 2,
        "fpr_own": 0.0,
        # Voxels 0 and 2 of a row of 1 mm against lesion voxels 0 and 1: 0, 1; 0, 1.
        "hd95_fpr5": pytest.approx(0.95),
        "nsd_fpr5": 1.0,
        "missed_fpr5": 0.0,
        # A component of one voxel of 10 mm3 on the lesion, one of another beside it.
        "lesion_precision_fpr5": 1 / 2,
        "lesion_recall_fpr5": 1.0,
        "lesion_f1_fpr5": 2 / 3,
        "lesion_fp_fpr5": 1.0,
        "lesion_fp_ml_fpr5": 0.01,
        "hd95_own": pytest.approx(0.95),
        "nsd_own": 1.0,
        "missed_own": 0.0,
        "lesion_precision_own": 1.0,
        "lesion_recall_own": 1.0,
        "lesion_f1_own": 1.0,
        "lesion_fp_own": 0.0,
        "lesion_fp_ml_own": 0.0,
    }


def test_missed_lesion_is_counted_and_is_as_far_as_the_image_is_long() -> None:
    case = make_case()
    nothing = np.zeros((5, 1, 2), bool)

    row = shapes(nothing, case, "own")

    # One slice is measured in its plane: 5 x 1 voxels of 1 x 2 mm.
    assert row["hd95_own"] == pytest.approx(math.hypot(5, 2))
    assert row["missed_own"] == 1.0
    assert row["lesion_f1_own"] == 0.0


def test_volume_is_measured_over_the_slices_that_count() -> None:
    brain = np.ones((4, 4, 3), bool)
    lesion = np.zeros_like(brain)
    lesion[1, 1] = True
    scan = Scan(
        id="sub-1",
        image=np.zeros((1, 4, 4, 3), np.float32),
        brain=brain,
        spacing=(1.0, 1.0, 3.0),
        affine=np.eye(4),
        modalities=("T2",),
        slices=(1, 2),
    )
    nothing = np.zeros_like(brain)

    row = shapes(nothing, Case(scan, lesion), "own")

    assert row["hd95_own"] == pytest.approx(math.sqrt(16 + 16 + 36))


def test_processed_maps_have_columns_of_their_own_and_the_lesion_they_lost() -> None:
    case = make_case()
    both = variants(Pipeline.parse("erode:1"))
    cuts = CUTS | {"fpr5_post": Threshold(0.5, "fpr", "healthy-val", "hash", "erode:1")}
    prediction = make_prediction([0.9, 0.3, 0.6, 0.1, 9])

    found = [read(case.scan, prediction, variant, cuts) for variant in both]
    row = score_case(case, "sub-1", found, {})

    # Voxel 3 is 1 mm from the edge of the brain and lost; 0 to 2 are deeper.
    assert row["lost_ml_post"] == 0.0
    assert row["dice_fpr5_post"] == row["dice_fpr5"]
    assert row["fpr_fpr5_post"] == 1 / 2
    assert row["auprc_post"] == row["auprc"]


def test_lesion_that_erosion_takes_is_lost_and_ranks_last() -> None:
    case = make_case()
    (_, post) = variants(Pipeline.parse("erode:3"))
    prediction = make_prediction([0.1, 0.9, 0.6, 0.3, 9])

    row = score_case(case, "sub-1", [read(case.scan, prediction, post, {})], {})

    # Deeper than 3 mm lies voxel 0 alone, 4 mm from the edge.
    assert row["lost_ml_post"] == pytest.approx(0.01)


def test_reconstruction_is_compared_in_the_healthy_brain() -> None:
    rng = np.random.default_rng(0)
    brain = np.zeros((16, 16, 1), bool)
    brain[2:14, 2:14] = True
    lesion = np.zeros_like(brain)
    lesion[4:6, 4:6] = True
    image, copy = rng.random((2, 16, 16, 1), np.float32)
    scan = Scan(
        "a", image[None], brain, (1.0, 1.0, 1.0), np.eye(4), ("T2",), slices=(0,)
    )

    row = score_case(
        Case(scan, lesion), "a", [], {"input": image, "reconstruction": copy}
    )

    healthy = brain & ~lesion
    assert row["ssim"] == ssim(image, copy, healthy)
    assert row["psnr"] == psnr(image, copy, healthy)


def test_perfect_reconstruction_has_the_best_ratio_and_a_finite_one() -> None:
    image = np.random.default_rng(0).random((16, 16, 1), np.float32)
    brain = np.ones(image.shape, bool)
    scan = Scan(
        "a", image[None], brain, (1.0, 1.0, 1.0), np.eye(4), ("T2",), slices=(0,)
    )

    row = score_case(
        Case(scan, ~brain), "a", [], {"input": image, "reconstruction": image}
    )

    assert row["ssim"] == pytest.approx(1)
    assert row["psnr"] == pytest.approx(144.494, abs=1e-3)


def test_case_whose_voxels_are_all_ignored_has_a_row_of_undefined_numbers() -> None:
    case = make_case(np.ones((5, 1, 2), bool))
    nothing = Prediction(np.zeros((5, 1, 2), np.float32), np.zeros((5, 1, 2), bool))

    row = score_case(case, "sub-1", readings(case, nothing), {})

    numbers = {name: v for name, v in row.items() if isinstance(v, float)}
    counts = {name: v for name, v in numbers.items() if not math.isnan(v)}
    assert counts == dict.fromkeys(
        (
            "lesion_ml",
            "brain_ml",
            *("lesion_fp_fpr5", "lesion_fp_ml_fpr5"),
            *("lesion_fp_own", "lesion_fp_ml_own"),
        ),
        0.0,
    )


def test_content_hash_changes_with_what_is_scored_and_with_nothing_else() -> None:
    def changed(part: str) -> str:
        case = make_case(np.zeros((5, 1, 2), bool))
        arrays = {
            "image": case.scan.image[0],
            "brain": case.scan.brain,
            "lesion": case.lesion,
            "ignore": case.ignore,
        }
        array = arrays.get(part)
        if array is not None:
            array[3, 0, 1] = not array[3, 0, 1]
        return content_hash(case)

    hashes = {part: changed(part) for part in ("image", "brain", "lesion", "ignore")}

    assert content_hash(make_case()) == changed("nothing")
    assert changed("nothing") not in hashes.values()
    assert hashes["brain"] == hashes["ignore"]
    assert len(set(hashes.values())) == 3


def test_failed_case_keeps_its_row_with_one_line_of_words() -> None:
    assert failed_case("sub-1_ses-1", "sub-1", ValueError("too\n  small")) == {
        "case": "sub-1_ses-1",
        "subject": "sub-1",
        "status": "failed",
        "error": "too small",
    }
    assert failed_case("a", "a", MemoryError())["error"] == "MemoryError"


def test_overlap_names_every_metric_by_its_suffix() -> None:
    mask = np.array([True, False])

    assert overlap(confusion(mask, mask), "own") == {
        "dice_own": 1.0,
        "precision_own": 1.0,
        "recall_own": 1.0,
        "fpr_own": 0.0,
    }
