import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from uadbench.datasets.phantom import Phantom
from uadbench.datasets.phantom.anatomy import load_map, load_map_by_nilearn
from uadbench.errors import UsageError
from uadbench.options import build
from uadbench.protocols import Case, Dataset

KINDS = ("glioma", "stroke", "ms")


def oracle_dice(cases: list[Case]) -> float:
    """Return the Dice of the best single threshold on x / median of the brain."""
    brains = [case.scan.brain for case in cases]
    images = [
        case.scan.image[0][brain] for case, brain in zip(cases, brains, strict=True)
    ]
    score = np.concatenate([image / np.median(image) for image in images])
    lesion = np.concatenate([c.lesion[b] for c, b in zip(cases, brains, strict=True)])
    hits = np.cumsum(lesion[np.argsort(-score)])
    return float(np.max(2 * hits / (np.arange(1, hits.size + 1) + lesion.sum())))


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return list(Phantom().test())


def test_oracle_dice_of_the_tests_equals_a_hand_calculation(cases: list[Case]) -> None:
    # Brain values 1 2 3 4 (median 2.5), lesion at 4 and 2. Thresholds from above:
    # 4: 2*1/(1+2) = 2/3; 3: 2*1/(2+2) = 1/2; 2: 2*2/(3+2) = 4/5; 1: 2*2/(4+2) = 2/3.
    image = np.arange(1, 5, dtype=np.float32).reshape(1, 4, 1, 1)
    brain = np.ones((4, 1, 1), bool)
    lesion = np.array([False, True, False, True]).reshape(4, 1, 1)

    scan = replace(cases[0].scan, image=image, brain=brain)

    assert oracle_dice([Case(scan, lesion)]) == pytest.approx(0.8)


@pytest.mark.parametrize("modality", ["T2", "FLAIR"])
@pytest.mark.parametrize("seed", [0, 1])
def test_plain_intensity_reaches_what_it_reaches_on_real_scans(
    modality: str, seed: int
) -> None:
    dataset = build(Phantom, "phantom", {"modality": modality, "seed": seed})

    dice = oracle_dice(list(dataset.test()))

    assert 0.25 <= dice <= 0.40


def test_it_is_a_dataset_with_disjoint_subjects() -> None:
    dataset = Phantom(n_train=3, n_val=2, n_test=4)

    parts = [dataset.train().ids, dataset.val().ids, dataset.test().ids]

    assert isinstance(dataset, Dataset)
    assert [len(ids) for ids in parts] == [3, 2, 4]
    assert len({name for ids in parts for name in ids}) == 9


def test_a_subject_depends_on_seed_and_id_alone() -> None:
    few, many = Phantom(n_test=4), Phantom(n_train=1, n_test=9)

    last_first = [many.test()[index] for index in (3, 1)]
    in_order = [few.test()[index] for index in (1, 3)]

    for there, here in zip(reversed(last_first), in_order, strict=True):
        assert there.scan.id == here.scan.id
        assert np.array_equal(there.scan.image, here.scan.image)
        assert np.array_equal(there.lesion, here.lesion)


def test_another_seed_gives_another_person() -> None:
    one, other = Phantom(seed=1).train()[0], Phantom(seed=2).train()[0]

    assert not np.array_equal(one.brain, other.brain)
    assert not np.array_equal(one.image, other.image)


def test_subjects_of_one_seed_differ() -> None:
    dataset = Phantom()

    brains = [dataset.train()[0], dataset.train()[1], dataset.val()[0]]

    assert not np.array_equal(brains[0].brain, brains[1].brain)
    assert not np.array_equal(brains[0].brain, brains[2].brain)


def test_modalities_show_the_same_anatomy_and_the_same_lesion() -> None:
    flair, t2 = (
        build(Phantom, "phantom", {"modality": m}).test()[0] for m in ("FLAIR", "T2")
    )

    assert np.array_equal(flair.scan.brain, t2.scan.brain)
    assert np.array_equal(flair.lesion, t2.lesion)
    assert (flair.scan.modalities, t2.scan.modalities) == (("FLAIR",), ("T2",))


def test_several_modalities_are_channels_of_one_person() -> None:
    alone, other, both = (
        build(Phantom, "phantom", {"modality": words}).test()[0]
        for words in ("T1", "FLAIR", "T1,FLAIR")
    )

    assert both.scan.modalities == ("T1", "FLAIR")
    assert both.scan.image.shape == (2, *both.scan.brain.shape)
    assert np.array_equal(both.scan.image[:1], alone.scan.image)
    assert np.array_equal(both.scan.brain, other.scan.brain)
    assert np.array_equal(both.lesion, other.lesion)
    inside = both.scan.brain
    again, once = both.scan.image[1][inside], other.scan.image[0][inside]
    assert np.corrcoef(again, once)[0, 1] > 0.9
    # The noise of a channel must not tell that of another.
    assert not np.array_equal(again, once)


@pytest.mark.parametrize("size", [64, 96, 128])
def test_geometry_is_that_of_axial_slices_over_192_mm(size: int) -> None:
    scan = Phantom(size=size, slices=6).val()[0]

    step = 192 / size
    corner = scan.affine @ [-0.5, -0.5, -0.5, 1]
    end = scan.affine @ [size - 0.5, size - 0.5, 5.5, 1]

    assert scan.image.shape == (1, size, size, 6)
    assert scan.image.dtype == np.float32
    assert scan.brain.shape == (size, size, 6)
    assert scan.spacing == (step, step, 5.5)
    assert scan.axes == "RAS"
    assert np.allclose(scan.affine[:3, :3], np.diag(scan.spacing))
    assert np.allclose((end - corner)[:3], [192, 192, 33])
    assert np.allclose((end + corner)[:3] / 2, [0, -17, 17])


def test_a_finer_scan_shows_the_same_person() -> None:
    coarse, fine = (Phantom(size=size).test()[0] for size in (64, 128))

    def volume(mask: NDArray[np.bool_], case: Case) -> float:
        return float(mask.sum() * np.prod(case.scan.spacing))

    assert volume(fine.scan.brain, fine) == pytest.approx(
        volume(coarse.scan.brain, coarse), rel=0.02
    )
    assert volume(fine.lesion, fine) == pytest.approx(
        volume(coarse.lesion, coarse), rel=0.1
    )


def test_image_is_zero_outside_the_brain_and_positive_inside(cases: list[Case]) -> None:
    for case in cases:
        image = case.scan.image[0]
        assert not image[~case.scan.brain].any()
        assert (image[case.scan.brain] > 0).all()


def test_slices_are_all_that_hold_brain(cases: list[Case]) -> None:
    for case in cases:
        occupied = np.flatnonzero(case.scan.brain.any(axis=(0, 1)))
        assert case.scan.slices == tuple(occupied)


def test_every_kind_has_its_share_and_lies_inside_the_brain(cases: list[Case]) -> None:
    kinds = [case.strata["kind"] for case in cases]

    assert kinds == list(KINDS) * 6
    for case in cases:
        assert case.lesion.dtype == np.bool_
        assert case.lesion.any()
        assert not (case.lesion & ~case.scan.brain).any()


def test_only_the_chosen_kinds_come_in_their_order() -> None:
    dataset = build(Phantom, "phantom", {"kinds": "ms,stroke", "n_test": "3"})

    assert [case.strata["kind"] for case in dataset.test()] == ["ms", "stroke", "ms"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_single_slice_still_shows_the_lesion(kind: str) -> None:
    options = {"kinds": [kind], "slices": 1, "n_test": 6}
    dataset = build(Phantom, "phantom", options)

    assert all(case.lesion.any() for case in dataset.test())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("modality", "PD"),
        ("modality", ""),
        ("size", "31"),
        ("size", "257"),
        ("slices", "0"),
        ("slices", "21"),
        ("n_train", "0"),
        ("n_val", "0"),
        ("n_test", "0"),
        ("kinds", "tumour"),
        ("kinds", ""),
        ("contrast", "-0.1"),
        ("contrast", "3.1"),
        ("contrast", "nan"),
        ("seed", "-1"),
    ],
)
def test_a_value_out_of_range_is_a_usage_error(name: str, value: str) -> None:
    with pytest.raises(UsageError, match=f"phantom: option '{name}"):
        build(Phantom, "phantom", {name: value})


def test_a_modality_that_comes_twice_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="phantom: modality names one contrast twice"):
        build(Phantom, "phantom", {"modality": "T2,T2"})


def test_a_scan_is_drawn_without_the_functions_of_nilearn(tmp_path: Path) -> None:
    script = (
        "import sys; from uadbench.datasets.phantom import Phantom; "
        "Phantom().train()[0]; sys.exit('nilearn.datasets' in sys.modules)"
    )

    # Elsewhere: the checkout has a uadbench/ without plugins.
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=False)

    assert done.returncode == 0


def test_fingerprint_tells_healthy_subjects_apart() -> None:
    dataset = Phantom(n_train=3, n_val=2)
    train, val = dataset.train(), dataset.val()

    found = [*map(train.fingerprint, train.ids), *map(val.fingerprint, val.ids)]

    assert len(set(found)) == 5
    assert [*map(Phantom(n_train=9).train().fingerprint, train.ids)] == found[:3]


@pytest.mark.parametrize(
    "other",
    [
        Phantom(seed=1),
        Phantom(size=32),
        Phantom(slices=3),
        Phantom(modality=("FLAIR",)),
        Phantom(modality=("T2", "FLAIR")),
    ],
)
def test_fingerprint_follows_every_option_that_shapes_a_healthy_scan(
    other: Phantom,
) -> None:
    one = Phantom().train()

    assert other.train().fingerprint(one.ids[0]) != one.fingerprint(one.ids[0])


@pytest.mark.parametrize(
    "module",
    [
        "uadbench.datasets.phantom.anatomy",
        "uadbench.datasets.phantom.dataset",
        "nilearn",
        "numpy",
        "scipy",
    ],
)
def test_fingerprint_follows_the_code_that_draws(
    edit: Callable[[str], None], module: str
) -> None:
    train = Phantom().train()
    before = train.fingerprint(train.ids[0])

    edit(module)

    assert train.fingerprint(train.ids[0]) != before


@pytest.mark.parametrize("name", ["t1", "gm", "wm"])
def test_maps_are_those_that_nilearn_gives(name: str) -> None:
    ours, affine = load_map(name)

    values, place = load_map_by_nilearn(name)
    np.testing.assert_array_equal(ours, values)
    np.testing.assert_array_equal(affine, place)


def test_a_map_that_is_not_in_its_place_is_asked_of_nilearn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("uadbench.datasets.phantom.anatomy.MAP", "moved_{}.nii.gz")

    assert load_map("gm")[0].max() == 1
