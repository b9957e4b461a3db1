"""Every check of the contract fails where its promise is broken."""

import copy
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from uadbench.contract import Check, Finding, checks, examine
from uadbench.contract.check import explain
from uadbench.contract.learning import kills
from uadbench.contract.paperwork import paperwork
from uadbench.contract.randomness import disturbed_by
from uadbench.contract.specimens import make_scan
from uadbench.contract.subject import Subject, difference
from uadbench.protocols import Prediction
from uadbench.registry import Kind

pytestmark = pytest.mark.usefixtures("faulty")
SOURCE = Path(__file__).parents[1] / "assets" / "faulty" / "uadbench_faulty.py"


def found(every: list[Check], title: str) -> Finding:
    """Return what comes of the check whose title begins so, and of no needless one."""
    needed = [c for c in every if c.vital or c.title.startswith(title)]
    (finding,) = [f for f in examine(needed, SOURCE) if f.title.startswith(title)]
    return finding


@pytest.mark.parametrize(
    ("kind", "name"),
    [("methods", "faulty"), ("methods", "batched"), ("datasets", "faulty")],
)
def test_plugin_without_fault_passes_every_check(kind: Kind, name: str) -> None:
    findings = list(examine(checks(kind, name), SOURCE))

    assert len(findings) > 7
    assert [finding for finding in findings if finding.status != "ok"] == []


@pytest.mark.parametrize(
    ("name", "title", "message"),
    [
        ("untitled", "has a title", "the card has no title"),
        ("undocumented", "has a title", "class Undocumented has no docstring."),
        ("silent", "has a title", "module uadbench_silent has no docstring"),
        ("unexplained", "gives every option", "size: without a meaning. Write"),
        ("unexplained", "refuses an unknown", "it has an option 'nonsense'"),
        ("unexplained", "has presets", "the card's presets lack demo, paper:"),
        ("bare", "gives every option", "size: without a default."),
    ],
)
def test_what_a_plugin_says_of_itself_is_checked(
    name: str, title: str, message: str
) -> None:
    finding = found(paperwork("methods", name), title)

    assert finding.status == "FAILED"
    assert finding.message.startswith(message)


@pytest.mark.parametrize(
    ("fault", "title", "message"),
    [
        ("fewer", "yields one valid", "1 predictions for 3 scans: yield one each."),
        ("type", "yields one valid", "scan 'x': score must be float32"),
        ("nan", "yields one valid", "scan 'x': 1 scores are NaN or infinite."),
        ("more", "yields nothing", "1 predictions for no scan"),
        ("outside", "scores and masks the", "the score is not 0 outside the brain:"),
        ("mask", "scores and masks the", "the mask is not 0 outside the brain: mu"),
        ("zero", "scores and masks the", "every score is 0: give one to each voxel"),
        ("slices", "scores and masks only", "the score is not 0 in slices that do"),
        ("mask of slices", "scores and masks only", "the mask is not 0 in slices t"),
        ("write", "leaves the scans", "predict writes into a scan"),
        ("write in fit", "leaves the scans", "fit writes into a scan"),
        ("peek", "asks a scan", "it asks a scan for lesion, which no Scan has"),
        ("numpy", "leaves global", "fit changes the global generator of numpy: draw"),
        ("torch", "leaves global", "fit changes the global generator of torch: draw"),
        ("random", "leaves global", "predict changes the global generator of random"),
        ("order", "predicts a scan", "scan 'y' predicted alone has another score (by"),
        ("extra", "predicts a scan", "scan 'y' predicted alone has another extra 'lev"),
        ("grid", "yields one valid", "ValueError: operands could not be broadcast"),
        ("same", "predicts a scan", "two scans have one and the same scores."),
        ("forget", "keeps in its state", "a restored method predicts another score"),
        ("list", "keeps in its state", "state: mean must be numpy arrays"),
        ("seed", "learns the same", "a second fit of the same seed differs in mean:"),
        ("resume", "goes on after", "a fit that was killed after checkpoint 1 of 4 di"),
        ("resume late", "goes on after", "a fit that was killed after checkpoint 3 of"),
    ],
)
def test_method_that_breaks_a_promise_is_told(
    fault: str, title: str, message: str
) -> None:
    finding = found(checks("methods", "faulty", {"fault": fault}), title)

    assert finding.status == "FAILED"
    assert finding.message.startswith(message)


def test_method_whose_score_depends_on_its_batch_is_told() -> None:
    every = checks("methods", "batched", {"fault": "batch"})

    finding = found(every, "predicts the same with batch=1")

    assert finding.status == "FAILED"
    assert finding.message.startswith("batch=1 gives another score (by up to ")


@pytest.mark.parametrize("module", ["random", "numpy"])
def test_the_same_seed_again_is_a_change_of_a_global_generator(module: str) -> None:
    seeds: dict[str, Callable[[], None]] = {
        "random": lambda: random.seed(0),
        "numpy": lambda: np.random.seed(0),  # noqa: NPY002 - what is watched
    }

    changed = [disturbed_by(seeds[module]) for _ in range(2)]

    assert changed == [[module], [module]]


def test_generators_are_watched_without_torch_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)

    assert disturbed_by(lambda: random.seed(0)) == ["random"]


def test_method_gets_as_many_modalities_as_its_card_says() -> None:
    (scan,) = Subject("pair").scans("x")

    assert len(scan.image) == 2


def test_bug_is_one_line_with_its_place_and_ends_what_rests_on_it() -> None:
    every = checks("methods", "faulty", {"fault": "fit"})
    findings = {f.title: f for f in examine(every, SOURCE)}

    line = findings["fits healthy scans"].message
    assert line.startswith("ValueError: no brain of mine (uadbench_faulty.py, line ")
    skipped = findings["yields nothing for no scan"]
    assert skipped.status == "skipped"
    assert skipped.message == "for want of 'fits healthy scans'"


def test_bug_outside_the_plugin_has_no_place() -> None:
    try:
        int("x")
    except ValueError as error:
        line = explain(error, Path("/elsewhere/plugin.py"))

    assert line == "ValueError: invalid literal for int() with base 10: 'x'"


@pytest.mark.parametrize(
    ("fault", "title", "message"),
    [
        ("eager", "gives lazy parts", "train() must return a Lazy, got list."),
        ("caveats", "gives lazy parts", "caveats() must return a sequence of sent"),
        ("overlap", "has no subject", "faulty: 1 subjects are both in train and val"),
        ("random", "gives the same", "b: its image is another one when loaded again"),
        ("random val", "gives the same", "c: its image is another one"),
        ("random brain", "gives the same", "b: its brain is another one"),
        ("random lesion", "gives the same", "f: its lesion is another one"),
        ("type", "gives scans that a method can rely on (vol", "a: image must be floa"),
        ("id", "gives scans that a method can rely on (vol", "the item 'a' of a part"),
        (
            "labels",
            "gives scans that a method can rely on (vol",
            "c: expected a Scan",
        ),
        ("lesion", "gives cases that can be scored (vol", "d: lesion must be bool of"),
        ("labelled", "gives cases that can be scored (vol", "g: lesion must be bool"),
        ("ignore", "gives cases that can be scored (vol", "d: ignore must be bool of"),
        ("healthy", "gives cases that can be scored (vol", "no test case has a les"),
    ],
)
def test_dataset_that_breaks_a_promise_is_told(
    fault: str, title: str, message: str
) -> None:
    finding = found(checks("datasets", "faulty", {"fault": fault}), title)

    assert finding.status == "FAILED"
    assert finding.message.startswith(message)


def test_lesion_is_looked_for_past_the_limit_and_no_scan_is_checked_there() -> None:
    every = checks("datasets", "faulty", limit=1)

    assert [f for f in examine(every, SOURCE) if f.status != "ok"] == []


@pytest.mark.parametrize(
    ("name", "title", "message"),
    [
        ("elsewhere", "renders a run", "render returns "),
        ("meddling", "renders a run", "it changes the run folder"),
        ("demanding", "is built", "TypeError: Demanding.__init__() missing 1 required"),
    ],
)
def test_report_that_breaks_a_promise_is_told(
    name: str, title: str, message: str
) -> None:
    finding = found(checks("reports", name), title)

    assert finding.status == "FAILED"
    assert finding.message.startswith(message)


def test_modalities_are_the_channels_of_a_made_up_scan() -> None:
    one, two = make_scan("x"), make_scan("x", 2)

    assert two.modalities == ("T2", "FLAIR")
    assert two.image.shape == (2, *two.brain.shape)
    np.testing.assert_array_equal(two.image[0], one.image[0])
    assert not np.array_equal(two.image[0], two.image[1])


def test_a_scan_notes_what_it_is_asked_for_but_not_what_python_asks() -> None:
    scan = copy.copy(make_scan("x"))

    assert not hasattr(scan, "lesion")
    assert scan.asked == {"lesion"}


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        (None, None, ""),
        ([True], [True], ""),
        ([True], [False], "mask"),
        ([True], None, "mask, or none"),
    ],
)
def test_masks_are_compared_as_well(
    one: list[bool] | None, other: list[bool] | None, words: str
) -> None:
    score = np.zeros(1, np.float32)
    first, second = (
        Prediction(score, None if mask is None else np.array(mask))
        for mask in (one, other)
    )

    assert difference(first, second) == words


def test_extras_of_other_names_are_a_difference() -> None:
    score = np.zeros(1, np.float32)

    found = difference(Prediction(score), Prediction(score, extras={"input": score}))

    assert found == "set of extras"


@pytest.mark.parametrize(
    ("score", "extra", "words"),
    [
        (1e-6, 1e-6, ""),
        (1e-4, 0.0, "score (by up to 0.0001)"),
        (0.0, 1e-4, "extra 'input'"),
    ],
)
def test_rounding_is_no_difference_where_it_is_allowed(
    score: float, extra: float, words: str
) -> None:
    def prediction(score: float, extra: float) -> Prediction:
        made = [np.full(2, value, np.float32) for value in (score, extra)]
        return Prediction(made[0], extras={"input": made[1]})

    pair = prediction(0.0, 0.0), prediction(score, extra)

    assert difference(*pair, within=1e-5) == words
    assert bool(difference(*pair)) == (score != 0 or extra != 0)


def test_extras_of_other_shapes_are_a_difference() -> None:
    score = np.zeros(1, np.float32)
    pair = [Prediction(score, extras={"input": np.zeros(n)}) for n in (1, 2)]

    assert difference(pair[0], pair[1], within=1e-5) == "extra 'input'"


@pytest.mark.parametrize(
    ("saves", "expected"),
    [
        (0, []),
        (1, [1]),
        (2, [1, 2]),
        (4, [1, 2, 3, 4]),
        (8, [1, 2, 4, 6, 8]),
        (100, [1, 25, 50, 75, 100]),
    ],
)
def test_a_fit_is_killed_in_all_its_quarters(saves: int, expected: list[int]) -> None:
    assert kills(saves) == expected


def test_contract_of_a_method_needs_no_torch() -> None:
    script = "import sys, uadbench.contract; sys.exit('torch' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
