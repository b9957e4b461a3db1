"""The catalogue: every number that a run leaves has a name and a direction."""

from collections.abc import Callable

import pytest

from uadbench.metrics.catalogue import METRICS, find_metric
from uadbench.results import Run

MakeRun = Callable[..., Run]


@pytest.mark.parametrize(
    ("column", "name"),
    [
        ("dice_fpr5", "dice"),
        ("dice_oracle_case_post", "dice_oracle_case"),
        ("fpr_fpr0p5_post", "fpr"),
        ("fpr_at_tpr95", "fpr_at_tpr95"),
        ("hd95_lesionval", "hd95"),
        ("lesion_fp_fixed0p6", "lesion_fp"),
        ("lesion_fp_ml_own_post", "lesion_fp_ml"),
        ("lost_ml_post", "lost_ml"),
        ("auprc_post_low", "auprc"),
        ("psnr", "psnr"),
    ],
)
def test_a_column_is_of_the_longest_metric_it_begins_with(
    column: str, name: str
) -> None:
    found = find_metric(column)

    assert found is not None
    assert found.name == name


@pytest.mark.parametrize("column", ["", "seconds_per_case", "dicey", "hd9"])
def test_a_column_of_no_metric_is_unknown(column: str) -> None:
    assert find_metric(column) is None


def test_every_number_of_a_run_is_in_the_catalogue(make_run: MakeRun) -> None:
    run = make_run(postprocess="erode:3")

    columns = [*run.summary["subject"], *run.summary["pooled"]]

    assert [column for column in columns if find_metric(column) is None] == []


def test_distances_errors_and_losses_are_better_where_smaller() -> None:
    assert {metric.name for metric in METRICS if metric.higher is False} == {
        "fpr",
        "fpr_at_tpr95",
        "hd95",
        "lesion_fp",
        "lesion_fp_ml",
        "lost_ml",
        "missed",
    }


def test_units_are_those_of_distances_volumes_and_levels() -> None:
    units = {metric.name: metric.unit for metric in METRICS if metric.unit}

    assert units == {
        "hd95": "mm",
        "psnr": "dB",
        **dict.fromkeys(("lesion_fp_ml", "lesion_ml", "brain_ml", "lost_ml"), "mL"),
    }
