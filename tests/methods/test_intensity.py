from collections.abc import Callable
from dataclasses import replace

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


@pytest.mark.parametrize(("hypo", "order"), [("no", 1), ("yes", -1)])
@pytest.mark.parametrize("modality", ["T1w", "FLAIR"])
def test_lesions_are_dark_where_it_is_said(
    hypo: str, order: int, modality: str, scan: Callable[..., Scan]
) -> None:
    brain = replace(scan("a"), modalities=(modality,))

    (prediction,) = predict(build(hypo=hypo), brain)

    inside = brain.brain
    assert (np.sign(prediction.score[inside]) == order).all()


def test_equalised_score_is_the_part_of_the_brain_that_is_no_brighter(
    scan: Callable[..., Scan],
) -> None:
    brain = scan("a")
    levels = np.random.default_rng(0).integers(0, 256, brain.image.shape)
    brain = replace(brain, image=levels.astype(np.float32))

    (prediction,) = predict(build(equalize="yes", hypo="no"), brain)

    inside = levels[0][brain.brain]
    ranks = np.searchsorted(np.sort(inside), inside, side="right") / inside.size
    expected = np.zeros(brain.brain.shape)
    expected[brain.brain] = ranks
    np.testing.assert_allclose(prediction.score, expected, rtol=1e-6)
    assert prediction.score.dtype == np.float32


def test_equalised_score_ignores_a_monotone_map(scan: Callable[..., Scan]) -> None:
    brain = scan("a")
    # Powers of two and their squares: a map by which float32 loses nothing.
    levels = np.exp2(np.round(20 * brain.image)).astype(np.float32)

    one, other = predict(
        build(equalize="yes"),
        replace(brain, image=levels),
        replace(brain, image=levels**2),
    )

    np.testing.assert_array_equal(one.score, other.score)


def test_equalised_score_is_not_moved_by_one_hot_voxel(
    scan: Callable[..., Scan],
) -> None:
    brain = scan("a")
    image = brain.image.copy()
    image[0, 15, 20, 1] *= 100
    hot = replace(brain, image=image)

    one, other = predict(build(equalize="yes"), brain, hot)

    difference = np.abs(one.score - other.score)
    difference[15, 20, 1] = 0
    assert difference.max() <= 1.01 / brain.brain.sum()


def test_equalised_dark_lesions_score_highest(scan: Callable[..., Scan]) -> None:
    bright, dark = (
        predict(build(equalize="yes", hypo=hypo), scan("a"))[0].score
        for hypo in ("no", "yes")
    )

    np.testing.assert_array_equal(dark, -bright)


@pytest.mark.parametrize(
    ("modality", "order"),
    [
        ("T1", -1),
        ("t1", -1),
        ("T1w", -1),
        ("T1W", -1),
        ("t1n", -1),
        ("T2", 1),
        ("FLAIR", 1),
        ("T1ce", 1),
    ],
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


def test_of_several_modalities_the_first_is_taken_or_the_one_that_is_named(
    scan: Callable[..., Scan],
) -> None:
    two = scan("a", channels=2)
    flair, t1w = (
        replace(two, image=two.image[[i]], modalities=(two.modalities[i],))
        for i in (0, 1)
    )

    first, named = predict(build(), two) + predict(build(modality="T1w"), two)

    np.testing.assert_array_equal(first.score, predict(build(), flair)[0].score)
    np.testing.assert_array_equal(named.score, predict(build(), t1w)[0].score)
    # As T1w is, without being told.
    assert (named.score[two.scored] < 0).all()


def test_a_modality_that_is_not_there_is_an_error(scan: Callable[..., Scan]) -> None:
    with pytest.raises(DataError, match=r"intensity: no 'T2' in a. There are: FLAIR."):
        predict(build(modality="T2"), scan("a"))
