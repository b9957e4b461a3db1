from collections.abc import Callable
from types import ModuleType
from typing import ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from uadbench.errors import UsageError
from uadbench.protocols import Card, Case, Lazy, Scan
from uadbench.views import PAPER_SIZE, coarsen_scan, view

Mask = NDArray[np.bool_]


class Cohort:
    """A dataset of one scan in each part."""

    card: ClassVar[Card] = Card("Cohort")

    def __init__(self, case: Case) -> None:
        self._case = case

    def train(self) -> Lazy[Scan]:
        return Lazy(["sub-1_ses-a"], lambda _: self._case.scan, ["sub-1"])

    def val(self) -> Lazy[Scan]:
        return Lazy(["sub-2"], lambda _: self._case.scan)

    def test(self) -> Lazy[Case]:
        return Lazy(["sub-3"], lambda _: self._case)

    def labelled(self) -> Lazy[Case]:
        return Lazy(["sub-2"], lambda _: self._case)

    def caveats(self) -> tuple[str, ...]:
        return ("made up",)


def make_scan(
    shape: tuple[int, int, int] = (128, 128, 4),
    spacing: tuple[float, float, float] = (1.0, 1.0, 5.0),
    slices: tuple[int, ...] = (0, 1, 2, 3),
) -> Scan:
    """A brain that fills the field, turned and shifted in space."""
    turn = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = turn * spacing
    affine[:3, 3] = (-20, 35, 7)
    return Scan(
        id="sub-3",
        image=np.ones((1, *shape), np.float32),
        brain=np.ones(shape, bool),
        spacing=spacing,
        affine=affine,
        modalities=("T2",),
        slices=slices,
    )


def judged(case: Case) -> Case:
    return view(Cohort(case), "itermask2-2d").test[0]


def lesion_of(pixels: dict[int, int]) -> Mask:
    """So many lesion pixels by slice, at 128 px."""
    lesion = np.zeros((128 * 128, 4), bool)
    for z, count in pixels.items():
        lesion[:count, z] = True
    return lesion.reshape(128, 128, 4)


def centre_mm(volume: NDArray[np.float32], affine: NDArray[np.float64]) -> list[float]:
    """Return the centre of mass of (X, Y, Z) in mm."""
    index = np.indices(volume.shape).reshape(3, -1)
    mean = index @ volume.ravel() / volume.sum()
    return list((affine @ [*mean, 1])[:3])


def test_volume_is_the_dataset_as_it_is(toy: ModuleType) -> None:
    dataset = toy.ToyDataset()

    seen = view(dataset, "volume")

    assert seen.train.ids == dataset.train().ids
    assert seen.val.ids == dataset.val().ids
    np.testing.assert_array_equal(seen.test[2].lesion, dataset.test()[2].lesion)


def test_unknown_protocol_is_named_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="Did you mean 'itermask2-2d'"):
        view(Cohort(Case(make_scan(), lesion_of({}))), "itermask2")


def test_paper_protocol_keeps_ids_and_subjects_and_resizes_healthy_scans() -> None:
    case = Case(make_scan((96, 64, 4), (2.0, 2.0, 5.0)), np.zeros((96, 64, 4), bool))

    seen = view(Cohort(case), "itermask2-2d")

    assert seen.train.ids == ("sub-1_ses-a",)
    assert seen.train.subjects == ("sub-1",)
    assert seen.train[0].image.shape == (1, PAPER_SIZE, PAPER_SIZE, 4)
    assert seen.val[0].slices == (0, 1, 2, 3)
    # The longer side, 96 * 2 mm, fills 128 px.
    assert seen.val[0].spacing == (1.5, 1.5, 5.0)


def test_protocol_of_the_paper_adds_its_own_caveat() -> None:
    cohort = Cohort(Case(make_scan(), lesion_of({0: 1})))

    assert view(cohort, "volume").caveats == ("made up",)
    first, second = view(cohort, "itermask2-2d").caveats
    assert first == "made up"
    assert "chosen by its lesion label" in second


def test_slice_with_the_most_lesion_is_chosen_among_those_that_count() -> None:
    lesion = lesion_of({0: 900, 1: 50, 2: 300, 3: 299})

    case = judged(Case(make_scan(slices=(1, 2, 3)), lesion, strata={"site": "a"}))

    assert case.scan.slices == (2,)
    assert case.lesion[..., 2].sum() == 300
    assert case.strata == {"site": "a", "size": "medium (200-799 px)"}


@pytest.mark.parametrize(
    ("pixels", "size"),
    [
        (1, "small (< 200 px)"),
        (199, "small (< 200 px)"),
        (200, "medium (200-799 px)"),
        (799, "medium (200-799 px)"),
        (800, "large (>= 800 px)"),
        (9000, "large (>= 800 px)"),
    ],
)
def test_size_strata_of_the_paper(pixels: int, size: str) -> None:
    case = judged(Case(make_scan(), lesion_of({1: pixels})))

    assert case.strata["size"] == size


def test_lesion_outside_the_brain_does_not_choose_a_slice() -> None:
    scan = make_scan()
    scan.brain[:64, :, 0] = False

    case = judged(Case(scan, lesion_of({0: 3000, 1: 10})))

    assert case.scan.slices == (1,)


def test_ignored_lesion_does_not_choose_a_slice() -> None:
    ignore = np.zeros((128, 128, 4), bool)
    ignore[..., 0] = True

    case = judged(Case(make_scan(), lesion_of({0: 900, 1: 10}), ignore))

    assert case.scan.slices == (1,)
    np.testing.assert_array_equal(case.ignore, ignore)


def test_case_without_lesion_keeps_its_fullest_slice() -> None:
    scan = make_scan()
    scan.brain[:100, :, [0, 1, 3]] = False

    case = judged(Case(scan, lesion_of({})))

    assert case.scan.slices == (2,)
    assert not case.lesion.any()
    assert case.ignore is None


def test_scan_that_has_the_size_already_is_not_changed() -> None:
    scan = make_scan()
    scan.image[0] = np.random.default_rng(0).random(scan.brain.shape)

    coarse = coarsen_scan(scan, 128)

    np.testing.assert_allclose(coarse.image, scan.image, rtol=1e-6)
    np.testing.assert_allclose(coarse.affine, scan.affine)


@pytest.mark.parametrize(
    ("shape", "spacing"),
    [
        ((240, 240, 3), (1.0, 1.0, 5.0)),
        ((150, 201, 3), (0.9, 0.7, 3.0)),
        ((60, 44, 3), (3.0, 3.5, 5.0)),
    ],
)
def test_resizing_keeps_places_and_mass(
    shape: tuple[int, int, int], spacing: tuple[float, float, float]
) -> None:
    scan = make_scan(shape, spacing)
    x, y, z = np.indices(shape)
    far = ((x - 0.4 * shape[0]) * spacing[0]) ** 2
    far = far + ((y - 0.6 * shape[1]) * spacing[1]) ** 2
    scan.image[0] = np.exp(-far / 2 / 12**2) * (z == 1)

    coarse = coarsen_scan(scan, 128)

    np.testing.assert_allclose(
        centre_mm(coarse.image[0], coarse.affine),
        centre_mm(scan.image[0], scan.affine),
        atol=0.05,
    )
    mass, kept = scan.image.sum() * np.prod(spacing), coarse.image.sum()
    assert kept * np.prod(coarse.spacing) == pytest.approx(mass, rel=0.005)


def test_affine_of_the_coarse_grid_has_its_spacing_and_the_old_axes() -> None:
    scan = make_scan((240, 160, 3), (0.8, 1.0, 4.0))

    coarse = coarsen_scan(scan, 64)

    columns = np.linalg.norm(coarse.affine[:3, :3], axis=0)
    np.testing.assert_allclose(columns, coarse.spacing)
    np.testing.assert_allclose(
        coarse.affine[:3, :3] / columns, scan.affine[:3, :3] / scan.spacing
    )


def test_corners_of_a_square_field_stay_where_they_are() -> None:
    scan = make_scan((200, 200, 2), (1.0, 1.0, 5.0))

    coarse = coarsen_scan(scan, 50)

    # A corner lies half a pixel before the centre of the first pixel.
    for size, grid in ((200, scan), (50, coarse)):
        first, last = [-0.5, -0.5, 0, 1], [size - 0.5, size - 0.5, 0, 1]
        np.testing.assert_allclose(grid.affine @ first, [-19.5, 34.5, 7, 1])
        np.testing.assert_allclose(grid.affine @ last, [-219.5, 234.5, 7, 1])


class Named(Cohort):
    """A cohort that knows what its scans are made of."""

    def train(self) -> Lazy[Scan]:
        return Lazy("ab", lambda _: self._case.scan, fingerprint=str.upper)


def test_fingerprint_of_a_changed_scan_is_another_one_and_its_own() -> None:
    dataset = Named(Case(make_scan(), np.zeros((128, 128, 4), bool)))

    plain, coarse = view(dataset, "volume"), view(dataset, "itermask2-2d")

    assert plain.train.fingerprint("a") == "A"
    found = {coarse.train.fingerprint(name) for name in "ab"}
    assert len(found - {"A", "B", ""}) == 2
    assert coarse.train.fingerprint("a") == view(
        dataset, "itermask2-2d"
    ).train.fingerprint("a")


@pytest.mark.parametrize("module", ["uadbench.slices", "uadbench.views", "numpy"])
def test_fingerprint_of_a_changed_scan_follows_the_code_that_changes_it(
    edit: Callable[[str], None], module: str
) -> None:
    dataset = Named(Case(make_scan(), np.zeros((128, 128, 4), bool)))
    train = view(dataset, "itermask2-2d").train
    before = train.fingerprint("a")

    edit(module)

    assert train.fingerprint("a") != before


def test_changed_scan_of_unknown_content_stays_unknown() -> None:
    dataset = Cohort(Case(make_scan(), np.zeros((128, 128, 4), bool)))

    assert view(dataset, "itermask2-2d").train.fingerprint("sub-1_ses-a") == ""
