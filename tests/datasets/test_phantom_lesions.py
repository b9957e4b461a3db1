import numpy as np
import pytest
from numpy.typing import NDArray

from uadbench.datasets.phantom import Phantom
from uadbench.datasets.phantom.anatomy import Anatomy, draw_anatomy
from uadbench.datasets.phantom.contrast import CONTRASTS, draw_signal, pool
from uadbench.datasets.phantom.fields import Grid, ramp, smooth_noise
from uadbench.datasets.phantom.lesions import (
    Kind,
    Lesion,
    Severity,
    add_lesion,
    draw_lesion,
    draw_severities,
)
from uadbench.options import build
from uadbench.protocols import Case

GRID = Grid(64, 8).fine
KINDS: tuple[Kind, ...] = ("glioma", "stroke", "ms")


@pytest.fixture(scope="module")
def anatomy() -> Anatomy:
    return draw_anatomy(np.random.default_rng(0), GRID)


def draw(kind: Kind, anatomy: Anatomy, severity: Severity) -> tuple[Anatomy, Lesion]:
    return draw_lesion(np.random.default_rng(1), kind, GRID, anatomy, severity)


def patient(kind: str, contrast: float) -> Case:
    options = {"kinds": [kind], "contrast": contrast, "modality": "FLAIR"}
    return build(Phantom, "phantom", options).test()[0]


def test_tissue_fractions_sum_to_one_in_the_brain(anatomy: Anatomy) -> None:
    total = anatomy.tissues.sum(axis=0)

    assert (anatomy.tissues >= 0).all()
    assert np.allclose(total, anatomy.brain, atol=1e-5)


def test_every_tissue_is_common(anatomy: Anatomy) -> None:
    csf, grey, white = (
        float(tissue[anatomy.brain].mean()) for tissue in anatomy.tissues
    )

    assert 0.03 < csf < 0.3
    assert 0.3 < grey < 0.65
    assert 0.25 < white < 0.6


@pytest.mark.parametrize("kind", KINDS)
def test_without_contrast_the_lesion_leaves_the_signal_as_it_was(
    kind: Kind, anatomy: Anatomy
) -> None:
    after, lesion = draw(kind, anatomy, Severity(0.5, 0.9))
    flair = CONTRASTS["FLAIR"]
    signal = draw_signal(np.random.default_rng(2), GRID, after, flair)

    assert np.array_equal(add_lesion(signal, lesion, flair, 0.0), signal)
    assert not np.array_equal(add_lesion(signal, lesion, flair, 1.0), signal)


@pytest.mark.parametrize("kind", KINDS)
def test_contrast_scales_how_visible_a_lesion_is(kind: Kind) -> None:
    hidden, plain, strong = (patient(kind, contrast) for contrast in (0.0, 1.0, 2.0))

    def change(case: Case) -> float:
        difference = case.scan.image[0] - hidden.scan.image[0]
        return float(np.abs(difference[case.lesion]).mean())

    assert np.array_equal(hidden.lesion, strong.lesion)
    assert change(strong) == pytest.approx(2 * change(plain), rel=0.05)
    assert change(plain) > 0.05


@pytest.mark.parametrize("kind", KINDS)
def test_contrast_changes_nothing_far_from_the_lesion(kind: Kind) -> None:
    hidden, plain = (patient(kind, contrast) for contrast in (0.0, 1.0))

    changed = np.abs(plain.scan.image - hidden.scan.image)[0] > 1e-3

    assert changed[plain.lesion].mean() > 0.9
    assert changed.sum() < 4 * plain.lesion.sum()


@pytest.mark.parametrize("kind", ["stroke", "ms"])
def test_strokes_and_ms_lesions_push_nothing(kind: Kind, anatomy: Anatomy) -> None:
    after, _ = draw(kind, anatomy, Severity(0.5, 0.5))

    assert after is anatomy


def test_a_glioma_pushes_tissue_away_but_not_the_skull(anatomy: Anatomy) -> None:
    after, lesion = draw("glioma", anatomy, Severity(0.5, 0.5))
    outside = anatomy.brain & (lesion.weight < 0.05)

    moved = np.abs(after.tissues - anatomy.tissues)[:, outside].max(axis=0) > 0.2

    assert np.array_equal(after.brain, anatomy.brain)
    assert 0.02 < moved.mean() < 0.6


def test_ms_lesions_lie_nearer_to_the_ventricles_than_white_matter(
    anatomy: Anatomy,
) -> None:
    _, lesion = draw("ms", anatomy, Severity(0.9, 0.5))

    distance = anatomy.ventricle[lesion.weight > 0.5]
    white = anatomy.ventricle[anatomy.tissues[2] > 0.6]

    assert np.median(distance) < 0.7 * np.median(white)


def test_a_stroke_is_wider_at_the_surface_than_at_its_tip(anatomy: Anatomy) -> None:
    _, lesion = draw("stroke", anatomy, Severity(0.9, 0.5))
    inside = lesion.weight > 0.5
    depth = anatomy.depth[inside]

    assert depth.min() < 3
    assert (depth < 12).sum() > 2 * (depth > 18).sum()


@pytest.mark.parametrize("kind", KINDS)
def test_borders_are_soft(kind: Kind, anatomy: Anatomy) -> None:
    _, lesion = draw(kind, anatomy, Severity(0.5, 0.5))

    between = (lesion.weight > 0.05) & (lesion.weight < 0.95)

    assert lesion.weight.min() >= 0
    assert lesion.weight.max() <= 1
    assert between.sum() > 0.1 * (lesion.weight > 0.5).sum()


@pytest.mark.parametrize("kind", KINDS)
def test_a_larger_extent_gives_a_larger_lesion(kind: Kind, anatomy: Anatomy) -> None:
    small, large = (
        draw(kind, anatomy, Severity(extent, 0.5))[1].weight.sum()
        for extent in (0.0, 0.99)
    )

    assert large > 1.2 * small


def test_severities_cover_the_range_evenly() -> None:
    drawn = draw_severities(np.random.default_rng(0), 12)

    for values in (
        [severity.extent for severity in drawn],
        [severity.visibility for severity in drawn],
    ):
        gaps = np.diff([0.0, *sorted(values), 1.0])
        assert gaps.max() < 0.25


def test_the_first_severities_do_not_depend_on_the_count() -> None:
    few, many = (draw_severities(np.random.default_rng(0), count) for count in (2, 9))

    assert few == many[:2]


def test_smooth_noise_is_the_same_field_on_a_finer_grid() -> None:
    coarse, fine = (
        smooth_noise(np.random.default_rng(0), Grid(size, 4), 30) for size in (64, 128)
    )

    assert np.abs(pool(fine, Grid(64, 4)) - coarse).max() < 0.02


def test_smooth_noise_has_mean_zero_and_variance_one() -> None:
    noise = smooth_noise(np.random.default_rng(0), Grid(64, 20), 4)

    assert noise.mean() == pytest.approx(0, abs=0.02)
    assert noise.std() == pytest.approx(1, abs=0.02)


def test_ramp_rises_from_zero_to_one() -> None:
    # t = 1/4: t^2 (3 - 2t) = 1/16 * 5/2 = 0.15625
    values: NDArray[np.float32] = np.array([-1, 0, 1, 2, 4, 9], np.float32)

    assert ramp(values, 0, 4) == pytest.approx([0, 0, 0.15625, 0.5, 1, 1])
