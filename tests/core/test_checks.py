from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from uadbench.checks import check_prediction, check_scan, check_view
from uadbench.errors import ContractError, DataError
from uadbench.protocols import Lazy, Prediction, Scan
from uadbench.views import View

SHAPE = (4, 3, 2)


@pytest.fixture
def scan() -> Scan:
    """A scan whose lowest row is background."""
    brain = np.ones(SHAPE, bool)
    brain[0] = False
    return Scan(
        id="sub-1",
        image=np.ones((2, *SHAPE), np.float32),
        brain=brain,
        spacing=(1.0, 1.0, 5.0),
        affine=np.eye(4),
        modalities=("T1", "T2"),
        slices=(0, 1),
    )


def make_prediction(**changes: Any) -> Prediction:
    fine = Prediction(
        np.zeros(SHAPE, np.float32),
        np.zeros(SHAPE, bool),
        {"trace": np.zeros((7, *SHAPE), bool), "input": np.zeros(SHAPE)},
    )
    return replace(fine, **changes)


def test_sound_prediction_passes(scan: Scan) -> None:
    check_prediction(make_prediction(), scan, "ae")
    check_prediction(make_prediction(mask=None, extras={}), scan, "ae")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"score": np.zeros(SHAPE)}, "score must be float32 .* got float64"),
        ({"score": np.zeros((4, 3), np.float32)}, r"score .* of shape \(4, 3\)"),
        ({"score": [0.0]}, "score must be a numpy array, got list"),
        ({"mask": np.zeros(SHAPE, np.uint8)}, "mask must be bool .* got uint8"),
        ({"mask": np.zeros((2, 3, 4), bool)}, r"mask .* of shape \(2, 3, 4\)"),
        ({"extras": {"input": np.zeros((3, 2))}}, r"extra 'input' has shape \(3, 2\)"),
        ({"extras": {"trace": np.zeros(SHAPE)}}, r"extra 'trace' .* \(K, X, Y, Z\)"),
    ],
)
def test_wrong_type_or_shape_is_the_methods_mistake(
    scan: Scan, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(ContractError, match=f"ae: {words}"):
        check_prediction(make_prediction(**changes), scan, "ae")


def test_anything_but_a_prediction_is_the_methods_mistake(scan: Scan) -> None:
    score: Any = np.zeros(SHAPE, np.float32)

    with pytest.raises(ContractError, match="must yield Prediction, got ndarray"):
        check_prediction(score, scan, "ae")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("x", [0, 1])
def test_scores_must_be_finite_inside_the_brain_and_outside(
    scan: Scan, bad: float, x: int
) -> None:
    score = np.zeros(SHAPE, np.float32)
    score[x, 0] = bad

    with pytest.raises(DataError, match="ae: 2 scores are NaN or infinite"):
        check_prediction(make_prediction(score=score), scan, "ae")


def test_sound_scan_passes(scan: Scan) -> None:
    check_scan(scan)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"brain": np.ones((4, 3), bool)}, r"brain must be \(X, Y, Z\), got \(4, 3\)"),
        ({"brain": np.array(True)}, r"brain must be \(X, Y, Z\), got \(\)"),
        ({"brain": np.ones(SHAPE, np.uint8)}, "brain must be bool, got uint8"),
        ({"modalities": ("T2",)}, r"image must be \(1, 4, 3, 2\), got \(2, 4, 3, 2\)"),
        ({"image": np.ones((2, *SHAPE))}, "image must be float32, got float64"),
        ({"image": np.full((2, *SHAPE), np.nan, np.float32)}, "image must be finite"),
        ({"affine": np.eye(3)}, r"affine must be 4 x 4, got \(3, 3\)"),
        ({"spacing": (1.0, 0.0, 1.0)}, r"spacing must be positive, got \(1.0, 0.0"),
        ({"slices": ()}, "at least one slice must count"),
        ({"slices": (0, 2)}, r"slices must lie in 0\.\.1, got \(0, 2\)"),
        ({"slices": (-1,)}, r"slices must lie in 0\.\.1"),
        ({"brain": np.zeros(SHAPE, bool)}, "the slices that count must hold brain"),
    ],
)
def test_unfit_scan_is_named_with_what_is_wrong(
    scan: Scan, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(ContractError, match=f"sub-1: {words}"):
        check_scan(replace(scan, **changes))


def absent(name: str) -> Any:
    """A loader that no check of subjects may need."""
    raise AssertionError(name)


def make_view(**parts: Lazy[Any]) -> View:
    train, val, test, labelled = (
        parts.get(part, Lazy([f"{part}-1"], absent))
        for part in ("train", "val", "test", "labelled")
    )
    return View(train, val, test, labelled)


def test_disjoint_view_passes_without_loading_a_scan() -> None:
    check_view(make_view(), "phantom")


@pytest.mark.parametrize("part", ["train", "val", "test"])
def test_empty_part_is_named(part: str) -> None:
    with pytest.raises(DataError, match=f"phantom: no subject in '{part}'"):
        check_view(make_view(**{part: Lazy([], absent)}), "phantom")


@pytest.mark.parametrize("part", ["train", "val", "test"])
def test_id_that_comes_twice_is_named(part: str) -> None:
    twice = Lazy(["a", "b", "a"], absent)

    with pytest.raises(DataError, match=f"phantom: {part}: the id 'a' comes twice"):
        check_view(make_view(**{part: twice}), "phantom")


@pytest.mark.parametrize(
    ("first", "second"), [("train", "val"), ("train", "test"), ("val", "test")]
)
def test_subject_in_two_parts_is_named_though_its_scans_differ(
    first: str, second: str
) -> None:
    parts = {
        part: Lazy([f"sub-7_ses-{part}"], absent, ["sub-7"]) for part in (first, second)
    }

    with pytest.raises(DataError, match=f"1 subjects are both in {first} and {second}"):
        check_view(make_view(**parts), "phantom")


@pytest.mark.parametrize("part", ["train", "test"])
def test_labelled_case_of_a_subject_of_train_or_test_is_refused(part: str) -> None:
    parts = {
        name: Lazy([f"sub-7_ses-{name}"], absent, ["sub-7"])
        for name in (part, "labelled")
    }

    with pytest.raises(
        DataError, match=f"both in {part} and the labelled validation cases: sub-7"
    ):
        check_view(make_view(**parts), "phantom")


def test_labelled_cases_may_be_of_the_subjects_of_val() -> None:
    parts = {name: Lazy(["sub-7"], absent) for name in ("val", "labelled")}

    check_view(make_view(**parts), "phantom")


def test_toy_dataset_that_leaks_is_refused(toy: ModuleType) -> None:
    dataset = toy.ToyDataset(leak=True)
    leaky = View(dataset.train(), dataset.val(), dataset.test())

    with pytest.raises(DataError, match="both in train and test: sub-train0"):
        check_view(leaky, "toy")
