import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from uadbench import options, registry
from uadbench.checkpoints import save_arrays
from uadbench.errors import DataError, UsageError
from uadbench.files import write_json
from uadbench.methods.ensemble import BEYOND, LEVELS, Ensemble, Ranks
from uadbench.protocols import Context, Lazy, Method, Prediction, Scan
from uadbench.results import FORMAT

Scans = Callable[..., Lazy[Scan]]
MakeScan = Callable[..., Scan]
LeaveRun = Callable[..., Path]
TINY = {"size": 32, "latent": 2, "batch": 2, "steps": 1}


def floats(*values: float) -> NDArray[np.float32]:
    return np.array(values, np.float32)


def predict(method: Method, *scans: Scan, seed: int = 0) -> list[Prediction]:
    return list(method.predict(scans, Context(seed)))


@pytest.fixture
def leave_run(tmp_path: Path, scans: Scans) -> LeaveRun:
    """Fit a method and write the parts of a run folder that a member is made from."""

    def leave(label: str, name: str, **given: object) -> Path:
        method = options.build(registry.load("methods", name), name, given)
        method.fit(scans("a", "b"), scans("c"), Context(0))
        described = {"name": name, "options": options.values(method)}
        record = {"format": FORMAT, "status": "done", "method": described}
        write_json(tmp_path / label / "run.json", record)
        save_arrays(tmp_path / label / "model.safetensors", method.state())
        return tmp_path / label

    return leave


@pytest.fixture
def ensemble(leave_run: LeaveRun, scans: Scans) -> Ensemble:
    """Bright voxels and dark ones, of which neither outvotes the other."""
    bright = leave_run("bright", "intensity", hypo=False)
    dark = leave_run("dark", "intensity", hypo=True)
    method = Ensemble(runs=(bright, dark))
    method.fit(scans("a", "b"), scans("c", "d"), Context(0))
    return method


def test_rank_is_the_fraction_of_healthy_scores_below_and_half_of_those_equal() -> None:
    ranks = Ranks.of(floats(4, 2, 1, 2))

    # Of four scores, 1 has none below, 2 has one below and two equal, 4 has three.
    by_hand = np.array([0.5, 2.0, 3.5]) / 4
    np.testing.assert_allclose(ranks(floats(1, 2, 4)), (1 - BEYOND) * by_hand)
    # Half-way between two scores lies half-way between their ranks.
    assert ranks(floats(3))[0] == pytest.approx((1 - BEYOND) * 2.75 / 4)


def test_what_no_healthy_voxel_reaches_keeps_its_order_and_stays_below_1() -> None:
    ranks = Ranks.of(floats(0, 1, 2))

    highest, twice, far = ranks(floats(2, 4, 1e6))

    assert highest < twice < far < 1
    # As far above the highest as the healthy scores reach: half of what is beyond.
    assert twice - highest == pytest.approx(BEYOND / 2)


def test_ranks_of_one_score_alone_are_defined() -> None:
    below, equal, above = Ranks.of(floats(3, 3, 3))(floats(2, 3, 4))

    assert below == equal == pytest.approx((1 - BEYOND) / 2)
    assert equal < above < 1


@given(
    st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=30),
    st.lists(st.floats(-200, 200, width=32), min_size=2, max_size=30),
)
def test_a_higher_score_never_has_a_lower_rank(
    healthy: list[float], scores: list[float]
) -> None:
    ranked = Ranks.of(floats(*healthy))(floats(*sorted(scores)))

    assert (np.diff(ranked) >= 0).all()
    assert (ranked >= 0).all()
    assert (ranked < 1).all()


def test_a_method_on_another_scale_has_the_same_ranks() -> None:
    healthy = np.random.default_rng(0).normal(size=500).astype(np.float32)
    scores = healthy[:50]

    plain, scaled = Ranks.of(healthy)(scores), Ranks.of(np.exp(healthy))(np.exp(scores))

    np.testing.assert_allclose(plain, scaled, atol=1e-6)


def test_ranks_among_very_many_scores_are_near_the_exact_ones() -> None:
    healthy = np.random.default_rng(0).gamma(0.5, size=300_000).astype(np.float32)

    ranks = Ranks.of(healthy)

    assert len(ranks.levels) == LEVELS
    scores = np.quantile(healthy, [0.001, 0.1, 0.5, 0.95, 0.999]).astype(np.float32)
    exact = (1 - BEYOND) * np.array([(healthy < s).mean() for s in scores])
    np.testing.assert_allclose(ranks(scores), exact, atol=1 / LEVELS)


def test_score_is_the_mean_of_the_members_ranks(
    ensemble: Ensemble, scan: MakeScan, scans: Scans
) -> None:
    (prediction,) = predict(ensemble, scan("x"))

    healthy = np.concatenate(
        [s.image[0][s.scored] / _median(s) for s in scans("c", "d")]
    )
    level = scan("x").image[0] / _median(scan("x"))
    mean = (Ranks.of(healthy)(level) + Ranks.of(-healthy)(-level)) / 2
    inside = scan("x").scored
    np.testing.assert_allclose(prediction.score[inside], mean[inside], atol=1e-6)
    assert prediction.mask is None
    assert not prediction.score[~inside].any()


def _median(scan: Scan) -> np.float32:
    return np.float32(np.median(scan.image[0][scan.brain]))


def test_bright_and_dark_are_equally_abnormal_to_both_together(
    ensemble: Ensemble, scan: MakeScan
) -> None:
    brain = scan("x")
    image = brain.image.copy()
    image[0, 15, 20, 1], image[0, 20, 20, 1] = 3.0, 0.01

    (prediction,) = predict(ensemble, replace(brain, image=image))

    bright, dark = prediction.score[15, 20, 1], prediction.score[20, 20, 1]
    assert bright == pytest.approx(dark, abs=2 * BEYOND)


def test_state_needs_no_run_folder_and_counts_the_members_parameters(
    leave_run: LeaveRun, scan: MakeScan, scans: Scans
) -> None:
    folders = tuple(leave_run(f"ae{base}", "ae", **TINY, base=base) for base in (2, 3))
    fitted, restored = Ensemble(runs=folders), Ensemble()
    fitted.fit(scans("a", "b"), scans("c"), Context(0))
    state = fitted.state()
    for folder in folders:
        shutil.rmtree(folder)

    restored.restore(state)

    expected, got = (predict(m, scan("z"))[0].score for m in (fitted, restored))
    np.testing.assert_array_equal(got, expected)
    counted = {name for name in state if not name.startswith("_")}
    assert {name.partition("/")[0] for name in counted} == {"member0", "member1"}
    # The buffers of batch normalisation are no parameters of the members either.
    assert not [name for name in counted if "running" in name]


def seeds_of(method: Ensemble, scan: Scan) -> list[int]:
    """Return the seeds of the members' own randomness, in order."""
    seen: list[int] = []

    class Listening(Context):
        def child(self, name: str) -> Context:
            child = super().child(name)
            seen.append(child.seed)
            return Context(child.seed)

    list(method.predict([scan], Listening(0)))
    return seen


@pytest.mark.parametrize(
    ("name", "differing", "values"),
    [("intensity", "hypo", (True, False)), ("ae", "learning_rate", (1e-3, 1e-2))],
)
def test_members_have_randomness_of_their_own_in_any_order_and_restored(
    name: str,
    differing: str,
    values: tuple[object, object],
    leave_run: LeaveRun,
    scan: MakeScan,
    scans: Scans,
) -> None:
    quick = TINY if name == "ae" else {}
    folders = [leave_run(str(v), name, **quick, **{differing: v}) for v in values]
    one, other = Ensemble(tuple(folders)), Ensemble(tuple(reversed(folders)))
    restored = Ensemble()
    for method in (one, other):
        method.fit(scans("a"), scans("c"), Context(0))
    restored.restore(one.state())

    first, second = seeds_of(one, scan("x"))

    assert first != second
    assert seeds_of(other, scan("x")) == [second, first]
    assert seeds_of(restored, scan("x")) == [first, second]


def test_the_order_of_stochastic_members_changes_no_score(
    leave_run: LeaveRun, scan: MakeScan, scans: Scans
) -> None:
    tiny = {"size": 16, "base": 8, "multipliers": (1,), "blocks": 1, "steps": 1}
    few = {"noise": "gaussian", "batch": 2, "sampling_steps": 1}
    folders = tuple(
        leave_run(f"ddpm{p}", "ddpm", **tiny, **few, peak=p) for p in (2.5, 3.0)
    )
    one, other = Ensemble(folders), Ensemble(folders[::-1])
    for method in (one, other):
        method.fit(scans("a"), scans("c"), Context(0))

    expected, got = (predict(method, scan("x"))[0].score for method in (one, other))

    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_runs_are_refused(
    leave_run: LeaveRun, scans: Scans, count: int
) -> None:
    folders = tuple(leave_run(str(i), "intensity") for i in range(count))

    with pytest.raises(UsageError, match=f"at least 2 finished runs, got {count}"):
        Ensemble(runs=folders).fit(scans("a"), scans("c"), Context(0))


def test_predicting_before_learning_is_refused(scan: MakeScan) -> None:
    with pytest.raises(UsageError, match="ensemble has learned nothing yet"):
        predict(Ensemble(), scan("x"))


def test_validation_scans_without_brain_are_refused(
    leave_run: LeaveRun, scan: MakeScan, scans: Scans
) -> None:
    folders = (leave_run("x", "intensity"), leave_run("y", "intensity"))
    hollow = Lazy(["v"], lambda _: scan("v", slices=()))

    with pytest.raises(DataError, match="no brain in the healthy validation scans"):
        Ensemble(runs=folders).fit(scans("a"), hollow, Context(0))
