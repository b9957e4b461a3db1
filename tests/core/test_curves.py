import numpy as np
import pytest
import sklearn.metrics

from uadbench.metrics import precision_recall_curve, roc_curve

# Falling scores with a tie between a lesion and a healthy voxel.
SCORES = np.array([0.9, 0.8, 0.5, 0.5, 0.2], np.float32)
LABELS = np.array([1, 0, 1, 0, 0], bool)


def drawn(digits: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(digits)
    labels = rng.random(2000) < 0.05
    return np.round(rng.normal(labels, 1.0), digits), labels


def test_precision_and_recall_by_hand_from_the_highest_score_down() -> None:
    curve = precision_recall_curve(SCORES, LABELS)

    np.testing.assert_array_equal(curve.thresholds, SCORES[[0, 1, 2, 4]])
    assert curve.precision.tolist() == [1, 1 / 2, 2 / 4, 2 / 5]
    assert curve.recall.tolist() == [1 / 2, 1 / 2, 1, 1]


def test_roc_by_hand_from_nothing_predicted_to_everything() -> None:
    curve = roc_curve(SCORES, LABELS)

    np.testing.assert_array_equal(curve.thresholds, [np.inf, *SCORES[[0, 1, 2, 4]]])
    assert curve.false_positive_rate.tolist() == [0, 0, 1 / 3, 2 / 3, 1]
    assert curve.recall.tolist() == [0, 1 / 2, 1 / 2, 1, 1]


@pytest.mark.parametrize("digits", [1, 2, 8])
def test_scikit_learn_agrees_but_for_order_and_its_point_without_a_threshold(
    digits: int,
) -> None:
    scores, labels = drawn(digits)
    precision, recall, thresholds = sklearn.metrics.precision_recall_curve(
        labels, scores
    )
    curve = precision_recall_curve(scores, labels)

    np.testing.assert_array_equal(curve.thresholds, thresholds[::-1])
    np.testing.assert_allclose(curve.precision, precision[-2::-1], rtol=1e-12)
    np.testing.assert_allclose(curve.recall, recall[-2::-1], rtol=1e-12)


@pytest.mark.parametrize("digits", [1, 2, 8])
def test_scikit_learn_has_the_same_roc_curve(digits: int) -> None:
    scores, labels = drawn(digits)
    rate, recall, thresholds = sklearn.metrics.roc_curve(
        labels, scores, drop_intermediate=False
    )
    curve = roc_curve(scores, labels)

    np.testing.assert_array_equal(curve.thresholds, thresholds)
    np.testing.assert_allclose(curve.false_positive_rate, rate, rtol=1e-12)
    np.testing.assert_allclose(curve.recall, recall, rtol=1e-12)


def test_without_lesion_recall_is_undefined() -> None:
    none = np.zeros(5, bool)

    assert np.isnan(precision_recall_curve(SCORES, none).recall).all()
    assert np.isnan(roc_curve(SCORES, none).recall).all()
    assert precision_recall_curve(SCORES, none).precision.tolist() == [0, 0, 0, 0]


def test_without_healthy_voxel_the_false_positive_rate_is_undefined() -> None:
    curve = roc_curve(SCORES, np.ones(5, bool))

    assert np.isnan(curve.false_positive_rate).all()
    assert curve.recall.tolist() == [0, 1 / 5, 2 / 5, 4 / 5, 1]


def test_without_a_voxel_only_infinity_is_a_threshold() -> None:
    nothing = np.zeros(0), np.zeros(0, bool)

    assert len(precision_recall_curve(*nothing).thresholds) == 0
    assert roc_curve(*nothing).thresholds.tolist() == [np.inf]
