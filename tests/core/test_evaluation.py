import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import bootstrap

from uadbench.evaluation import (
    CURVE_COLUMNS,
    content_hash,
    curve,
    failed_case,
    interval,
    overlap,
    pool,
    score_case,
    scored_voxels,
    summarise,
)
from uadbench.metrics import OVERLAP, ranking
from uadbench.protocols import Case, Prediction, Scan
from uadbench.thresholds import Threshold

NAN = float("nan")
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


def test_row_of_a_case_by_hand() -> None:
    # Lesion 0.9 and 0.3, healthy 0.6 and 0.1; outside the brain everything is 9.
    prediction = make_prediction([0.9, 0.3, 0.6, 0.1, 9])

    row = score_case(make_case(), prediction, CUTS)

    assert row | {"content": ""} == {
        "case": "sub-1",
        "status": "ok",
        "error": "",
        "stratum_site": "north",
        "lesion_ml": 0.02,
        "brain_ml": 0.04,
        "prevalence": 0.5,
        "auprc": pytest.approx(1 / 2 * 1 + 1 / 2 * 2 / 3),
        "auroc": 3 / 4,
        "dice_oracle_case": 2 * 2 / (3 + 2),
        "content": "",
        "dice_fpr5": 2 * 1 / (2 + 2),
        "precision_fpr5": 1 / 2,
        "recall_fpr5": 1 / 2,
        "fpr_fpr5": 1 / 2,
        "dice_own": 2 * 1 / (1 + 2),
        "precision_own": 1.0,
        "recall_own": 1 / 2,
        "fpr_own": 0.0,
    }


def test_case_whose_voxels_are_all_ignored_has_a_row_of_undefined_numbers() -> None:
    case = make_case(np.ones((5, 1, 2), bool))
    cuts = {"fpr5": CUTS["fpr5"]}

    row = score_case(case, Prediction(np.zeros((5, 1, 2), np.float32)), cuts)

    numbers = {name: v for name, v in row.items() if isinstance(v, float)}
    assert numbers.pop("lesion_ml") == numbers.pop("brain_ml") == 0
    assert all(math.isnan(value) for value in numbers.values())


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
    assert failed_case("sub-1", ValueError("too\n  small")) == {
        "case": "sub-1",
        "status": "failed",
        "error": "too small",
    }
    assert failed_case("sub-1", MemoryError())["error"] == "MemoryError"


def test_overlap_names_every_metric_by_its_suffix() -> None:
    mask = np.array([True, False])

    assert overlap(mask, mask, "own") == {
        "dice_own": 1.0,
        "precision_own": 1.0,
        "recall_own": 1.0,
        "fpr_own": 0.0,
    }


def test_summary_counts_cases_and_averages_what_is_defined() -> None:
    rows = [
        {"case": "1", "status": "ok", "stratum_site": "a", "dice_own": 0.2},
        {"case": "2", "status": "ok", "stratum_site": "b", "dice_own": NAN},
        {"case": "3", "status": "ok", "stratum_site": "b", "dice_own": 0.6},
        {"case": "4", "status": "failed", "stratum_site": NAN, "dice_own": NAN},
    ]

    summary = summarise(rows, {"auprc": 0.5})

    assert summary["cases"] == {"expected": 4, "scored": 3, "failed": 1}
    assert summary["pooled"] == {"auprc": 0.5}
    assert summary["subject"] == {
        "dice_own": {
            "mean": pytest.approx(0.4),
            "low": pytest.approx(NAN, nan_ok=True),
            "high": pytest.approx(NAN, nan_ok=True),
            "n": 2,
            "undefined": 1,
        }
    }


def test_summary_of_failures_alone_has_no_metric() -> None:
    rows = [{"case": "1", "status": "failed", "error": "too small"}]

    assert summarise(rows, {})["subject"] == {}


def test_interval_is_scipys_bca() -> None:
    values = np.random.default_rng(1).beta(1, 3, 30)
    rng = np.random.default_rng(0)
    expected = bootstrap(
        (values,),
        np.mean,
        confidence_level=0.95,
        n_resamples=10_000,
        method="BCa",
        rng=rng,
    ).confidence_interval

    found = interval([*values, NAN])

    assert (found["low"], found["high"]) == (expected.low, expected.high)
    assert found["mean"] == pytest.approx(values.sum() / 30)
    assert (found["n"], found["undefined"]) == (30, 1)


def test_interval_of_many_values_is_close_to_the_normal_one() -> None:
    values = np.random.default_rng(1).normal(0.5, 0.1, 400)
    width = 1.96 * values.std() / np.sqrt(400)

    found = interval(values)

    assert found["low"] == pytest.approx(values.mean() - width, abs=0.001)
    assert found["high"] == pytest.approx(values.mean() + width, abs=0.001)


@pytest.mark.parametrize(
    ("values", "mean"),
    [([], NAN), ([NAN], NAN), ([0.2, 0.4, NAN], 0.3), ([0.3] * 5, 0.3)],
)
def test_interval_of_too_few_or_equal_values_is_undefined(
    values: list[float], mean: float
) -> None:
    found = interval(values)

    assert found["mean"] == pytest.approx(mean, nan_ok=True)
    assert math.isnan(found["low"])
    assert math.isnan(found["high"])


@settings(max_examples=20)
@given(st.lists(st.floats(0, 1), min_size=3, max_size=12))
def test_interval_holds_the_mean_if_it_is_defined(values: list[float]) -> None:
    found = interval(values)

    assert math.isnan(found["low"]) == math.isnan(found["high"])
    if not math.isnan(found["low"]):
        assert found["low"] <= found["mean"] <= found["high"]


def test_values_that_differ_by_rounding_alone_count_as_equal() -> None:
    found = interval([0.3, 0.1 + 0.2, 0.3, 0.3])

    assert math.isnan(found["low"])


def test_pooled_metrics_count_voxels_not_cases() -> None:
    labels = np.array([1, 1, 0, 0, 0], bool)
    scores = np.array([0.9, 0.3, 0.6, 0.1, 0.2])
    masks = {"fpr5": scores >= 0.5}

    pooled = pool(labels, ranking(scores, labels), masks)

    assert pooled == {
        "auprc": pytest.approx(1 / 2 * 1 + 1 / 2 * 2 / 3),
        "auroc": 5 / 6,
        "prevalence": 2 / 5,
        "dice_oracle": 2 * 2 / (3 + 2),
        "threshold_oracle": 0.3,
        **{f"{name}_fpr5": m(masks["fpr5"], labels) for name, m in OVERLAP.items()},
    }


def test_pool_of_no_case_is_undefined() -> None:
    none = np.zeros(0, bool)

    pooled = pool(none, ranking(np.zeros(0), none), {"own": none})

    assert all(math.isnan(value) for value in pooled.values())  # type: ignore[arg-type]  # all floats


def test_curve_has_a_row_for_each_threshold_asked_for() -> None:
    labels = np.array([1, 1, 0, 0, 0], bool)
    ranks = ranking(np.array([0.9, 0.3, 0.6, 0.1, 0.2]), labels)

    rows = curve(ranks, np.array([0.9, 0.3]))

    assert [tuple(row) for row in rows] == [CURVE_COLUMNS] * 2
    assert [tuple(row.values()) for row in rows] == [
        (0.9, 1.0, 0.5, 0.0),
        (0.3, 2 / 3, 1.0, 1 / 3),
    ]
