from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import numpy as np
import pytest

from uadbench import options
from uadbench.errors import DataError
from uadbench.methods.intensity import Intensity
from uadbench.protocols import Context, Lazy, Prediction, Scan


def build(**given: object) -> Intensity:
    return options.build(Intensity, "intensity", given)


def predict(method: Intensity, *scans: Scan) -> list[Prediction]:
    return list(method.predict(scans, Context()))


def test_score_is_the_intensity_in_units_of_the_brains_median(
    scan: Callable[..., Scan],
) -> None:
    brain = scan("a")

    (prediction,) = predict(build(), brain)

    image = brain.image[0]
    expected = np.where(brain.brain, image / np.median(image[brain.brain]), 0)
    np.testing.assert_allclose(prediction.score, expected, rtol=1e-6)
    assert prediction.score.dtype == np.float32
    assert prediction.mask is None


def test_unit_of_the_image_does_not_matter(scan: Callable[..., Scan]) -> None:
    brain = scan("a")

    one, other = predict(build(), brain, replace(brain, image=brain.image * 4))

    np.testing.assert_allclose(one.score, other.score, rtol=1e-6)


@pytest.mark.parametrize(("lesions", "order"), [("bright", 1), ("dark", -1)])
def test_lesions_may_be_bright_or_dark(
    lesions: Literal["bright", "dark"], order: int, scan: Callable[..., Scan]
) -> None:
    brain = scan("a")

    (prediction,) = predict(build(lesions=lesions), brain)

    inside = brain.brain
    correlation = np.corrcoef(prediction.score[inside], brain.image[0][inside])[0, 1]
    assert correlation == pytest.approx(order)


@pytest.mark.parametrize(
    ("modality", "order"),
    [("T1", -1), ("T1w", -1), ("T2", 1), ("FLAIR", 1), ("T1ce", 1)],
)
def test_lesions_are_dark_on_t1_unless_told_otherwise(
    modality: str, order: int, scan: Callable[..., Scan]
) -> None:
    brain = replace(scan("a"), modalities=(modality,))

    (prediction,) = predict(build(), brain)

    inside = brain.brain
    assert (np.sign(prediction.score[inside]) == order).all()


def test_only_brain_in_slices_that_count_is_scored(scan: Callable[..., Scan]) -> None:
    brain = scan("a", slices=(1,))

    (prediction,) = predict(build(normalisation="p90"), brain)

    assert not prediction.score[~brain.scored].any()
    assert prediction.score[brain.scored].any()


def test_nothing_is_learned(scans: Callable[..., Lazy[Scan]]) -> None:
    method = build()

    method.fit(scans("a"), scans("b"), Context())
    method.restore(method.state())

    assert method.state() == {}


def test_an_empty_brain_is_an_error_that_names_the_scan(
    scan: Callable[..., Scan],
) -> None:
    empty = replace(scan("sub-3"), brain=np.zeros((36, 40, 3), bool))

    with pytest.raises(DataError, match="sub-3: the brain mask is empty"):
        predict(build(), empty)


def test_several_modalities_are_an_error(scan: Callable[..., Scan]) -> None:
    with pytest.raises(DataError, match="intensity takes one modality"):
        predict(build(), scan("a", channels=2))
