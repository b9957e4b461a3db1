import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from uadbench.calibration import CUTS, Healthy, Labelled, calibrate, own_mask
from uadbench.errors import DataError
from uadbench.metrics import dice
from uadbench.postprocess import Pipeline
from uadbench.protocols import Case, Scan
from uadbench.specs import Spec
from uadbench.thresholds import DEFAULTS, healthy_threshold
from uadbench.variants import Variant

SHAPE = (6, 6, 3)


def make_scan() -> Scan:
    brain = np.zeros(SHAPE, bool)
    brain[1:, 1:] = True
    return Scan(
        id="a",
        image=np.zeros((1, *SHAPE), np.float32),
        brain=brain,
        spacing=(1.0, 1.0, 1.0),
        affine=np.eye(4),
        modalities=("T2",),
        slices=(0, 2),
    )


def healthy_of(pipeline: str, *scores: NDArray[np.float32]) -> Healthy:
    healthy = Healthy(Pipeline.parse(pipeline))
    for score in scores:
        healthy.add(make_scan(), score)
    return healthy


def draw(seed: int, levels: int = 1000) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, levels, SHAPE).astype(np.float32)


def test_only_voxels_that_count_calibrate() -> None:
    scores = draw(0)

    healthy = healthy_of("", scores)

    assert healthy.threshold(0.1) == healthy_threshold(scores[make_scan().scored], 0.1)
    assert healthy.maps == []


@pytest.mark.parametrize("pipeline", ["median:3", "erode:1", "erode:1,median:3"])
def test_threshold_is_chosen_on_scores_after_the_steps(pipeline: str) -> None:
    scan, raw = make_scan(), draw(0)
    processed = Pipeline.parse(pipeline).on(scan).score(raw)

    threshold = healthy_of(pipeline, raw).threshold(0.1)

    assert threshold == healthy_threshold(processed[scan.scored], 0.1)
    assert threshold != healthy_threshold(raw[scan.scored], 0.1)


@settings(max_examples=25)
@given(st.integers(0, 50), st.integers(2, 60), st.sampled_from([0.02, 0.1, 0.3]))
@pytest.mark.parametrize("pipeline", ["min-volume:3", "largest:1", "min-volume:2"])
def test_threshold_before_steps_on_masks_is_the_smallest_that_keeps_the_rate(
    pipeline: str, seed: int, levels: int, rate: float
) -> None:
    maps = [draw(seed, levels), draw(seed + 1, levels)]
    healthy = healthy_of(pipeline, *maps)
    scan = make_scan()
    steps = Pipeline.parse(pipeline).on(scan)

    def left(threshold: float) -> float:
        masks = [steps.mask((m >= threshold) & scan.scored) for m in maps]
        return float(np.sum(masks)) / (2 * int(scan.scored.sum()))

    threshold = healthy.threshold(rate)

    assert left(threshold) <= rate
    # One float lower is one level more, and too many.
    lower = np.nextafter(np.float32(threshold), np.float32(-np.inf))
    below = np.unique([m[scan.scored] for m in maps]) <= lower
    assert not below.any() or left(lower) > rate


def test_constant_scores_leave_nothing_above_the_threshold() -> None:
    healthy = healthy_of("largest:1", np.ones(SHAPE, np.float32))

    assert healthy.threshold(0.05) > 1


def test_thresholds_carry_what_they_have_seen_and_went_through() -> None:
    variant = Variant("_post", Pipeline.parse("median:3"))
    specs = (*DEFAULTS, Spec("quantile@healthy", 0.5), Spec("fixed", 7.0))

    healthy, nobody = healthy_of("median:3", draw(0)), Labelled(variant.pipeline)

    found = calibrate(specs, variant, healthy, nobody, "hash")

    assert list(found) == [
        "fpr5_post",
        "fpr1_post",
        "fpr0p5_post",
        "q50_post",
        "fixed7_post",
    ]
    assert found["fixed7_post"].value == 7.0
    assert found["fixed7_post"].supervision == "none"
    assert {t.postprocess for t in found.values()} == {"median:3"}
    assert {t.pipeline for t in found.values()} == {"hash"}
    reached = {name: threshold.healthy_rate for name, threshold in found.items()}
    assert reached["fpr5_post"] == pytest.approx(0.05, abs=1 / 50)
    assert reached["fixed7_post"] == pytest.approx(1.0, abs=0.1)


def test_healthy_rate_is_that_after_steps_on_masks() -> None:
    healthy = healthy_of("largest:1", draw(0, 4))
    steps = Pipeline.parse("largest:1").on(make_scan())
    inside = make_scan().scored

    mask = steps.mask((draw(0, 4) >= 2) & inside)

    assert healthy.rate(2.0) == mask.sum() / inside.sum()


def labelled_of(pipeline: str, *subjects: str) -> tuple[Labelled, list[Case]]:
    """Cases with a compact lesion and specks of the same scores elsewhere."""
    labelled = Labelled(Pipeline.parse(pipeline))
    cases = []
    for seed, subject in enumerate(subjects):
        lesion = np.zeros(SHAPE, bool)
        lesion[2:5, 2 : 4 + seed % 2, :] = True
        case = Case(make_scan(), lesion)
        labelled.add(case, subject, score_of(lesion, seed))
        cases.append(case)
    return labelled, cases


def score_of(lesion: NDArray[np.bool_], seed: int) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    return (lesion + rng.normal(0.2 * seed, 0.4, SHAPE)).astype(np.float32)


@pytest.mark.parametrize(
    "pipeline", ["", "min-volume:4", "largest:1", "median:3", "erode:1"]
)
def test_lesion_threshold_has_the_best_mean_dice_after_the_steps(pipeline: str) -> None:
    subjects = ("one", "one", "two")
    labelled, cases = labelled_of(pipeline, *subjects)
    steps = Pipeline.parse(pipeline).on(make_scan())
    inside = make_scan().scored

    def processed(case: Case, seed: int) -> NDArray[np.float32]:
        return steps.score(score_of(case.lesion, seed))

    def mean_dice(cut: float) -> float:
        of = [
            dice(
                steps.mask((processed(case, seed) >= cut) & inside)[inside],
                case.lesion[inside],
            )
            for seed, case in enumerate(cases)
        ]
        return float(np.mean([np.mean(of[:2]), of[2]]))

    found = calibrate(
        [Spec("dice@lesion-val")],
        Variant("_post", Pipeline.parse(pipeline)),
        healthy_of(pipeline, draw(0)),
        labelled,
        "hash",
    )["lesionval_post"]

    assert found.supervision == "lesion-val"
    assert found.value is not None
    every = np.concatenate(
        [processed(case, seed)[inside] for seed, case in enumerate(cases)]
    )
    # So few voxels that every score is tried.
    assert len(every) < CUTS
    assert mean_dice(found.value) == pytest.approx(max(map(mean_dice, every)))


def test_lesion_threshold_without_a_lesion_is_refused() -> None:
    labelled = Labelled(Pipeline())
    labelled.add(Case(make_scan(), np.zeros(SHAPE, bool)), "one", draw(0))

    with pytest.raises(DataError, match="none of 1 labelled validation cases"):
        labelled.threshold()


def test_own_mask_is_a_threshold_without_value() -> None:
    (own,) = own_mask(Variant("_post", Pipeline.parse("largest:1")), "hash").items()

    assert own[0] == "own_post"
    assert own[1].value is None
    assert own[1].postprocess == "largest:1"
