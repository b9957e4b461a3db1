import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from uadbench.metrics import (
    auroc,
    average_precision,
    best_dice,
    dice,
    false_positive_rate,
    precision,
    ranking,
    recall,
)
from uadbench.oracle import counts_at
from uadbench.postprocess import Pipeline
from uadbench.summary import (
    CURVE_COLUMNS,
    Pool,
    curve_rows,
    image_level,
    oracle_grids,
    summarise,
)
from uadbench.thresholds import Threshold
from uadbench.variants import Reading, Variant

NAN = float("nan")
RAW = Variant("", Pipeline())


def make_row(name: str, value: float, subject: str = "", **more: Any) -> dict[str, Any]:
    subject_scores = dict.fromkeys(("brain_mean", "brain_max", "brain_top"), value)
    return {
        "case": name,
        "subject": subject or name,
        "status": "ok",
        "lesion_ml": 1.0,
        "dice_own": value,
        **subject_scores,
        **more,
    }


def reading(scores: NDArray[np.float32], mask: NDArray[np.bool_]) -> Reading:
    return Reading(RAW, scores, {"fpr5": mask}, np.ones_like(mask), ranked=True)


def test_summary_counts_cases_and_averages_what_is_defined() -> None:
    rows = [
        make_row("1", 0.2),
        make_row("2", NAN, lesion_ml=0.0),
        make_row("3", 0.6),
        {"case": "4", "subject": "4", "status": "failed", "dice_own": NAN},
    ]
    rows[1] |= {"brain_mean": 0.1, "brain_max": 0.1, "brain_top": 0.1}

    found = summarise(rows, {"auprc": 0.5})

    assert found["cases"] == {
        "expected": 4,
        "scored": 3,
        "failed": 1,
        "without_lesion": 1,
        "subjects": 3,
    }
    assert found["pooled"] == {"auprc": 0.5}
    subject: Any = found["subject"]
    assert subject["dice_own"] == {
        "mean": pytest.approx(0.4),
        "low": pytest.approx(NAN, nan_ok=True),
        "high": pytest.approx(NAN, nan_ok=True),
        "n": 2,
        "undefined": 1,
        "subjects": 2,
    }
    assert found["image"] == dict.fromkeys(("brain_mean", "brain_max", "brain_top"), 1)


def test_scans_of_one_person_are_one_subject() -> None:
    twice = [make_row("1a", 0.2, "1"), make_row("1b", 0.4, "1"), make_row("2", 0.9)]

    found: Any = summarise(twice, {})

    assert found["subject"]["dice_own"]["mean"] == pytest.approx((0.3 + 0.9) / 2)
    assert found["subject"]["dice_own"]["subjects"] == 2
    assert found["cases"]["subjects"] == 2


def test_summary_of_failures_alone_has_no_metric() -> None:
    rows = [{"case": "1", "subject": "1", "status": "failed", "error": "too small"}]

    found: Any = summarise(rows, {})

    assert found["subject"] == {}
    assert all(math.isnan(value) for value in found["image"].values())


def test_image_level_needs_a_healthy_case() -> None:
    found = image_level([make_row("1", 0.2), make_row("2", 0.3)])

    assert all(math.isnan(float(str(value))) for value in found.values())


def test_image_level_counts_subjects_and_not_scans() -> None:
    rows = [make_row(str(i), 0.9, "ill and scanned often") for i in range(9)]
    rows += [make_row("b", 0.1, "ill"), make_row("c", 0.5, "healthy", lesion_ml=0.0)]

    assert image_level(rows) == {
        "brain_mean": 0.5,
        "brain_max": 0.5,
        "brain_top": 0.5,
    }


def test_no_case_has_no_image_level() -> None:
    assert all(math.isnan(float(str(v))) for v in image_level([]).values())


def test_no_threshold_of_the_results_is_better_than_the_oracle() -> None:
    rng = np.random.default_rng(0)
    labels = rng.random(5000) < 0.1
    scores = (rng.normal(0, 1, 5000) + 2 * labels - 5000).astype(np.float32)
    pool = Pool()
    pool.add(reading(scores, labels), np.ones(5000, bool), labels)
    cuts = {
        f"fixed{i}": Threshold(value, "fixed", "none", "hash")
        for i, value in enumerate(np.linspace(-5003, -4996, 9).tolist())
    }

    grid = oracle_grids({RAW: pool}, cuts)[RAW]

    found = counts_at(grid, scores, labels).dice.max()
    assert (np.diff(grid) < 0).all()
    masks = [cut.apply(scores, None) for cut in cuts.values()]
    assert all(dice(mask, labels) <= found for mask in masks)


def test_pooled_metrics_count_voxels_not_cases() -> None:
    rng = np.random.default_rng(0)
    labels = rng.random((3, 400)) < 0.2
    # What a float16 holds lies alone in its bin: nothing is approximate then.
    scores = (rng.normal(0, 1, (3, 400)) + labels).astype(np.float16)
    scores = scores.astype(np.float32)
    inside = np.ones(400, bool)
    pool = Pool()

    for of_case, truth in zip(scores, labels, strict=True):
        pool.add(reading(of_case, of_case >= 0.5), inside, truth)
    pooled = pool.metrics(RAW)

    flat, truth = scores.ravel(), labels.ravel()
    value, threshold = best_dice(flat, truth)
    exact = {
        "auprc": average_precision(flat, truth),
        "auroc": auroc(flat, truth),
        "dice_oracle": value,
    }
    masks = flat >= 0.5
    assert pooled == pytest.approx(
        {
            **exact,
            **{f"{name}_low": number for name, number in exact.items()},
            **{f"{name}_high": number for name, number in exact.items()},
            "prevalence": truth.mean(),
            "threshold_oracle": threshold,
            "dice_fpr5": dice(masks, truth),
            "precision_fpr5": precision(masks, truth),
            "recall_fpr5": recall(masks, truth),
            "fpr_fpr5": false_positive_rate(masks, truth),
        }
    )


def test_pool_of_no_case_is_undefined() -> None:
    pooled = Pool().metrics(Variant("_post", Pipeline.parse("median:3")))

    assert set(pooled) >= {"auprc_post", "auprc_post_low", "threshold_oracle_post"}
    assert all(math.isnan(float(str(value))) for value in pooled.values())


def test_upper_bound_is_left_out_where_masks_are_cleaned_up() -> None:
    both = Pool().metrics(Variant("_post", Pipeline.parse("median:3,min-volume:2")))
    masks_alone = Pool().metrics(Variant("_post", Pipeline.parse("min-volume:2")))

    assert "auprc_post" in both
    assert not [name for name in both if "oracle" in name]
    assert masks_alone == {}


def test_curve_has_a_row_for_each_threshold_asked_for() -> None:
    labels = np.array([1, 1, 0, 0, 0], bool)
    ranks = ranking(np.array([0.9, 0.3, 0.6, 0.1, 0.2]), labels)

    rows = curve_rows(ranks, np.array([0.9, 0.3]))

    assert [tuple(row) for row in rows] == [CURVE_COLUMNS] * 2
    assert [tuple(row.values()) for row in rows] == [
        (0.9, 1.0, 0.5, 0.0),
        (0.3, 2 / 3, 1.0, 1 / 3),
    ]
