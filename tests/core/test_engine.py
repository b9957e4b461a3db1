import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import nibabel as nib
import numpy as np
import pytest

from uadbench import engine
from uadbench.acceleration import Acceleration
from uadbench.errors import ContractError, DataError, UsageError
from uadbench.files import GrowingRows, read_json, read_rows, write_json, write_rows
from uadbench.metrics import auroc, average_precision, dice, false_positive_rate
from uadbench.plans import Plan
from uadbench.postprocess import Pipeline
from uadbench.protocols import Context, Lazy, Prediction, Scan, Silent
from uadbench.results import Run

pytestmark = pytest.mark.usefixtures("toy")
Item = TypeVar("Item")
TOY = Plan("toy", "toy")


class PowerCut(BaseException):
    """What nothing may catch."""


class Fuse(Silent):
    """A monitor that cuts the power at the n-th sign of life."""

    def __init__(self, signs: int) -> None:
        self.left = signs

    def _burn(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise PowerCut

    def track(
        self, steps: Iterable[Item], label: str, total: int, done: int = 0
    ) -> Iterator[Item]:
        for step in steps:
            self._burn()
            yield step
            self._burn()

    def log(self, name: str, value: float, step: int) -> None:
        self._burn()


class Ear(Silent):
    """A monitor that remembers what was said."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def say(self, message: str) -> None:
        self.heard.append(message)

    warn = say


def plan(**options: object) -> Plan:
    return Plan("toy", "toy", options=options)


def results_of(folder: Path) -> dict[str, str]:
    names = ("cases.csv", "summary.json", "thresholds.json", "curve.csv")
    return {name: (folder / name).read_text() for name in names}


@pytest.fixture
def glow(toy: ModuleType, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The toy method scores the intensity, and 9 wherever nothing is scored."""

    def predict(_: object, scans: Iterable[Scan], ctx: Context) -> Iterator[Prediction]:
        for scan in scans:
            score = np.where(scan.scored, scan.image[0], 9)
            yield Prediction(score.astype(np.float32))

    monkeypatch.setattr(toy.ToyMethod, "predict", predict)
    return toy


def set_record(folder: Path, **changes: object) -> None:
    """Change run.json."""
    record = read_json(folder / "run.json")
    write_json(folder / "run.json", record | changes)


def test_run_leaves_every_file_of_the_run_folder(tmp_path: Path) -> None:
    run = engine.run(TOY, tmp_path / "a", Silent())

    assert {path.name for path in run.folder.iterdir()} == {
        ".lock",
        "cases.csv",
        "curve.csv",
        "maps",
        "model.safetensors",
        "run.json",
        "shown",
        "summary.json",
        "thresholds.json",
        "training.csv",
    }
    assert run.done
    assert run.summary["cases"] == {
        "expected": 4,
        "scored": 4,
        "failed": 0,
        "without_lesion": 0,
        "subjects": 4,
    }
    assert run.record["subjects"]["val"] == ["sub-val0", "sub-val1", "sub-val2"]
    assert run.record["parameters"] == 12 * 10 * 5
    assert run.record["modalities"] == ["T2"]


def test_same_seed_gives_same_numbers_and_another_seed_others(tmp_path: Path) -> None:
    runs = [
        engine.run(Plan("toy", "toy", seed=seed), tmp_path / name, Silent())
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    ]

    a, b, c = (results_of(run.folder) for run in runs)
    assert a["cases.csv"] == b["cases.csv"]
    assert a["cases.csv"] != c["cases.csv"]


def test_numbers_do_not_depend_on_how_many_scans_travel_together(
    tmp_path: Path,
) -> None:
    one = engine.run(plan(batch=1), tmp_path / "one", Silent())
    all_at_once = engine.run(plan(batch=9), tmp_path / "nine", Silent())

    assert one.cases.equals(all_at_once.cases)


def test_a_run_cut_at_any_moment_goes_on_to_the_same_numbers(tmp_path: Path) -> None:
    whole = results_of(engine.run(TOY, tmp_path / "whole", Silent()).folder)

    # 4 steps with a log each, 3 validation scans and 4 cases, each at two moments.
    for moment in range(1, 4 * 3 + 3 * 2 + 4 * 2 + 1):
        folder = tmp_path / f"cut{moment}"
        with pytest.raises(PowerCut):
            engine.run(TOY, folder, Fuse(moment))
        engine.run(TOY, folder, Silent())
        assert results_of(folder) == whole


def test_finished_run_is_returned_untouched(tmp_path: Path) -> None:
    first = engine.run(TOY, tmp_path, Silent())
    before = (tmp_path / "run.json").stat().st_mtime_ns

    again = engine.run(TOY, tmp_path, Fuse(1))

    assert again.record == first.record
    assert (tmp_path / "run.json").stat().st_mtime_ns == before


def test_run_that_goes_on_with_other_versions_says_so(tmp_path: Path) -> None:
    engine.run(TOY, tmp_path, Silent())
    path = tmp_path / "run.json"
    record = json.loads(path.read_text())
    record |= {"status": "running", "versions": record["versions"] | {"numpy": "1.0"}}
    path.write_text(json.dumps(record))
    ear = Ear()

    again = engine.run(TOY, tmp_path, ear)

    (text,) = again.record["warnings"]
    now = np.__version__
    assert text.startswith(f"The run went on with another numpy: {now}, before 1.0.")
    assert f"warning: {text}" in ear.heard


def test_run_that_goes_on_with_another_precision_says_so(tmp_path: Path) -> None:
    first = engine.run(TOY, tmp_path, Silent())
    set_record(tmp_path, status="running")
    quick = replace(TOY, acceleration=Acceleration(precision="bf16"))

    again = engine.run(quick, tmp_path, Silent())

    asked = {"devices": 1, "precision": "auto", "compile": "auto"}
    assert first.record["acceleration"] == asked
    (text,) = again.record["warnings"]
    assert text.startswith("The run went on with another precision: bf16, before auto.")


def test_a_method_is_told_how_to_use_the_hardware(
    tmp_path: Path, toy: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Acceleration(precision="bf16", compile="no")
    told = []
    for name in ("fit", "predict"):
        original = getattr(toy.ToyMethod, name)

        def spying(*given: Any, original: Any = original) -> Any:
            told.append(given[-1].acceleration)
            return original(*given)

        monkeypatch.setattr(toy.ToyMethod, name, spying)

    engine.run(replace(TOY, acceleration=asked), tmp_path, Silent())

    # Learning, calibration, prediction.
    assert told == [asked] * 3


def test_data_that_changed_before_the_run_went_on_are_an_error(
    tmp_path: Path,
) -> None:
    engine.run(TOY, tmp_path, Silent())
    rows = read_rows(tmp_path / "cases.csv")
    rows[1]["content"] = "another"
    write_rows(tmp_path / "cases.csv", rows)
    set_record(tmp_path, status="running")

    with pytest.raises(DataError, match=r"sub-test1: its image or lesion changed"):
        engine.run(TOY, tmp_path, Silent())


def test_stored_thresholds_of_another_pipeline_are_refused(tmp_path: Path) -> None:
    engine.run(TOY, tmp_path, Silent())
    stored = read_json(tmp_path / "thresholds.json")
    stored["fpr5"]["pipeline"] = "another"
    write_json(tmp_path / "thresholds.json", stored)
    set_record(tmp_path, status="running")

    with pytest.raises(DataError, match=r"'fpr@healthy:0\.05' belongs to pipeline"):
        engine.run(TOY, tmp_path, Silent())


@pytest.mark.parametrize(
    ("part", "thresholds"),
    [("val", ()), ("val", ("dice@lesion-val",)), ("labelled", ("dice@lesion-val",))],
)
def test_validation_scan_that_changed_before_the_run_went_on_is_an_error(
    part: str,
    thresholds: tuple[str, ...],
    tmp_path: Path,
    toy: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plan = Plan("toy", "toy", thresholds=thresholds)
    engine.run(plan, tmp_path, Silent())
    before = results_of(tmp_path)
    set_record(tmp_path, status="running")
    other = getattr(toy.ToyDataset(seed=1), part)()
    monkeypatch.setattr(toy.ToyDataset, part, lambda _: other)

    with pytest.raises(DataError, match="a validation scan changed"):
        engine.run(plan, tmp_path, Silent())

    assert results_of(tmp_path) == before


def test_labelled_case_that_no_threshold_needs_may_change(
    tmp_path: Path, toy: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = engine.run(TOY, tmp_path, Silent())
    set_record(tmp_path, status="running")
    monkeypatch.setattr(toy.ToyDataset, "labelled", toy.ToyDataset(seed=1).labelled)

    again = engine.run(TOY, tmp_path, Silent())

    assert again.record["validation_hash"] == first.record["validation_hash"]


def test_killed_run_keeps_the_seconds_it_had_spent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("uadbench.timing.SAVE_EVERY", 0.0)
    # Each step gives three signs: the third step is begun, two are saved.
    with pytest.raises(PowerCut):
        engine.run(plan(seconds=0.02), tmp_path, Fuse(8))

    spent = json.loads((tmp_path / "run.json").read_text())["timings"]
    assert list(spent) == ["fit"]
    assert spent["fit"] >= 0.04


def test_seconds_of_cases_without_a_row_are_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("uadbench.timing.SAVE_EVERY", 0.0)
    save, kept = GrowingRows.add, []

    def cut(table: GrowingRows, row: dict[str, object]) -> None:
        record = json.loads((tmp_path / "run.json").read_text())
        kept.append(record["timings"].get("predict", 0.0))
        if row["case"] == "sub-test2":
            raise PowerCut
        save(table, row)

    monkeypatch.setattr("uadbench.files.GrowingRows.add", cut)
    with pytest.raises(PowerCut):
        engine.run(plan(seconds=0.05, batch=1), tmp_path, Silent())

    none, one, two = kept
    # A case takes 0.05 s at least; the third has passed, and its row is not there.
    assert none == 0.0
    assert one >= 0.04
    assert two >= one + 0.04
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["timings"]["predict"] == two


def test_folder_of_another_run_is_refused_with_what_differs(tmp_path: Path) -> None:
    engine.run(TOY, tmp_path, Silent())
    before = results_of(tmp_path)

    with pytest.raises(UsageError, match=r"method\.options\.steps \(4, now 5\)"):
        engine.run(plan(steps=5), tmp_path, Silent())

    assert results_of(tmp_path) == before


def test_overwrite_replaces_the_run_and_nothing_else(tmp_path: Path) -> None:
    engine.run(TOY, tmp_path, Silent())
    (tmp_path / "notes.txt").write_text("mine")

    run = engine.run(plan(steps=5), tmp_path, Silent(), overwrite=True)

    assert run.record["method"]["options"]["steps"] == 5
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_folder_of_another_format_is_refused(tmp_path: Path) -> None:
    engine.run(TOY, tmp_path, Silent())
    record = json.loads((tmp_path / "run.json").read_text())
    (tmp_path / "run.json").write_text(json.dumps({**record, "format": 99}))

    with pytest.raises(UsageError, match="format 99, but this uadbench reads format 2"):
        engine.run(TOY, tmp_path, Silent())


@pytest.mark.parametrize(
    ("fault", "words"),
    [("raise", "cannot stand sub-test1"), ("nan", "NaN or infinite")],
)
def test_failed_case_keeps_its_row_and_the_others_theirs(
    tmp_path: Path, fault: str, words: str
) -> None:
    ear = Ear()

    run = engine.run(plan(fault=fault), tmp_path, ear)

    status = dict(zip(run.cases["case"], run.cases["status"], strict=True))
    assert status == {
        "sub-test0": "ok",
        "sub-test1": "failed",
        "sub-test2": "ok",
        "sub-test3": "ok",
    }
    assert words in run.cases["error"][1]
    assert any(words in line for line in ear.heard)
    assert "Traceback" in (tmp_path / "failures.log").read_text()
    assert not run.whole
    assert run.summary["cases"]["scored"] == 3
    assert run.summary["cases"]["failed"] == 1


def test_unreadable_case_fails_alone(tmp_path: Path) -> None:
    run = engine.run(
        Plan("toy", "toy", data_options={"unreadable": "sub-test0"}), tmp_path, Silent()
    )

    assert list(run.cases["status"]) == ["failed", "ok", "ok", "ok"]
    assert run.cases["error"][0] == "sub-test0.nii.gz: cannot be read."


def test_all_cases_failed_leaves_a_summary_of_nothing(tmp_path: Path) -> None:
    run = engine.run(
        Plan("toy", "toy", data_options={"unreadable": "sub-test0", "cases": 1}),
        tmp_path,
        Silent(),
    )

    assert run.summary["cases"]["scored"] == 0
    assert run.summary["pooled"]["auprc"] is None


def test_failed_case_is_tried_again_when_the_command_is_repeated(
    tmp_path: Path,
) -> None:
    whole = results_of(engine.run(TOY, tmp_path, Silent()).folder)
    rows = read_rows(tmp_path / "cases.csv")
    failed = {"case": "sub-test2", "status": "failed", "error": "disk was away"}
    write_rows(tmp_path / "cases.csv", [*rows[:2], failed, rows[3]])

    engine.run(TOY, tmp_path, Silent())

    assert results_of(tmp_path) == whole


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("shape", r"score must be float32 of shape \(12, 10, 5\), got"),
        ("fewer", "yields fewer predictions than scans"),
        ("more", "yields more predictions than scans"),
        ("no-mask", "has to give it for every scan"),
        ("extra", "extra 'flat' has shape"),
    ],
)
def test_broken_contract_ends_the_run(tmp_path: Path, fault: str, words: str) -> None:
    # The last case, after which no other prediction can fill the gap.
    broken = plan(fault=fault, faulty="sub-test3")

    with pytest.raises(ContractError, match=words):
        engine.run(broken, tmp_path, Silent())


def test_method_that_miscounts_leaves_no_row(tmp_path: Path) -> None:
    with pytest.raises(ContractError):
        engine.run(plan(fault="fewer", faulty="sub-test1"), tmp_path, Silent())

    assert not (tmp_path / "cases.csv").exists()


@pytest.mark.parametrize("overwrite", [False, True])
def test_folder_with_somebodys_report_is_left_alone(
    tmp_path: Path, overwrite: bool
) -> None:
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "thesis.txt").write_text("mine")

    with pytest.raises(UsageError, match="holds report but no run"):
        engine.run(TOY, tmp_path, Silent(), overwrite=overwrite)

    assert (tmp_path / "report" / "thesis.txt").read_text() == "mine"


def test_failure_on_a_validation_scan_ends_the_run(tmp_path: Path) -> None:
    broken = plan(fault="nan", faulty="sub-val1")

    with pytest.raises(DataError, match="NaN or infinite"):
        engine.run(broken, tmp_path, Silent())


def test_subject_in_two_parts_ends_the_run_before_anything_is_written(
    tmp_path: Path,
) -> None:
    leaky = Plan("toy", "toy", data_options={"leak": True})

    with pytest.raises(DataError, match="both in train and test: sub-train0"):
        engine.run(leaky, tmp_path / "a", Silent())

    assert not (tmp_path / "a").exists()


def test_limit_scores_the_first_cases_and_says_so(tmp_path: Path) -> None:
    run = engine.run(Plan("toy", "toy", limit=2), tmp_path, Silent())

    assert list(run.cases["case"]) == ["sub-test0", "sub-test1"]
    assert run.record["limit"] == 2


def test_maps_hold_the_scores_and_masks_that_were_judged(
    tmp_path: Path, toy: ModuleType
) -> None:
    run = engine.run(TOY, tmp_path, Silent())

    anat = tmp_path / "maps" / "sub-test0" / "anat"
    score = nib.nifti1.Nifti1Image.from_filename(
        anat / "sub-test0_desc-toy_score.nii.gz"
    )
    mask = nib.nifti1.Nifti1Image.from_filename(
        anat / "sub-test0_label-lesion_desc-toyfpr5_mask.nii.gz"
    )
    case = toy.make_case("sub-test0")
    inside = case.scan.scored
    found = score.get_fdata() >= run.thresholds["fpr5"]["value"]
    assert np.allclose(score.affine, case.scan.affine)
    assert np.array_equal(mask.get_fdata() > 0, found & inside)
    # Dice by hand, of what a user finds on disk.
    hits = (found & case.lesion & inside).sum()
    dice = 2 * hits / ((found & inside).sum() + (case.lesion & inside).sum())
    assert run.cases["dice_fpr5"][0] == pytest.approx(dice)


def test_thresholds_give_the_rate_they_promise_on_healthy_brains(
    tmp_path: Path, toy: ModuleType
) -> None:
    run = engine.run(TOY, tmp_path, Silent())

    # The same predictions as the calibration's, by hand.
    from uadbench.checkpoints import load_arrays
    from uadbench.protocols import Context

    method = toy.ToyMethod(steps=4)
    method.restore(load_arrays(tmp_path / "model.safetensors"))
    scans = list(toy.ToyDataset().val())
    predictions = method.predict(scans, Context(0).child("calibrate"))
    scores = np.concatenate(
        [p.score[s.scored] for s, p in zip(scans, predictions, strict=True)]
    )
    for suffix, rate in (("fpr5", 0.05), ("fpr1", 0.01)):
        reached = (scores >= run.thresholds[suffix]["value"]).mean()
        assert rate - 1 / scores.size < reached <= rate


def test_pooled_oracle_is_at_least_the_dice_at_every_other_threshold(
    tmp_path: Path,
) -> None:
    pooled = engine.run(TOY, tmp_path, Silent()).summary["pooled"]

    assert pooled["dice_oracle"] >= max(pooled["dice_fpr5"], pooled["dice_fpr1"])


def test_pooled_metrics_and_the_oracle_count_scored_voxels_alone(
    tmp_path: Path, glow: ModuleType
) -> None:
    run = engine.run(TOY, tmp_path, Silent())

    cases = [glow.make_case(name) for name in run.cases["case"]]
    voxels = [(c.scan.image[0][c.scan.scored], c.lesion[c.scan.scored]) for c in cases]
    scores, labels = map(np.concatenate, zip(*voxels, strict=True))
    best = max(
        np.mean([dice(of_case >= cut, lesion) for of_case, lesion in voxels])
        for cut in scores
    )
    pooled = run.summary["pooled"]
    assert pooled["prevalence"] == labels.mean()
    for name, metric in (("auprc", average_precision), ("auroc", auroc)):
        exact = metric(scores, labels)
        assert pooled[f"{name}_low"] <= exact <= pooled[f"{name}_high"]
    assert run.cases["dice_oracle"].mean() == pytest.approx(best)
    cut = run.thresholds["oracle"]["value"]
    assert list(run.cases["fpr_oracle"]) == pytest.approx(
        [false_positive_rate(of_case >= cut, lesion) for of_case, lesion in voxels]
    )


def test_rate_holds_after_steps_on_validation_scans_with_blanked_slices(
    tmp_path: Path, glow: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def blanked(name: str) -> Scan:
        scan: Scan = glow.make_scan(name)
        scan.image[..., 3] = 0
        scan.brain[..., 3] = False
        return replace(scan, slices=(1, 2, 4))

    val = Lazy(["sub-val0", "sub-val1"], blanked)
    monkeypatch.setattr(glow.ToyDataset, "val", lambda _: val)
    words = "erode:5,median:3"

    run = engine.run(Plan("toy", "toy", postprocess=words), tmp_path, Silent())

    scores = np.concatenate(
        [
            Pipeline.parse(words).on(scan).score(scan.image[0])[scan.scored]
            for scan in val
        ]
    )
    cut = run.thresholds["fpr5_post"]
    reached = float(np.mean(scores >= cut["value"]))
    assert 0.05 - 1 / scores.size < reached <= 0.05
    assert cut["healthy_rate"] == reached
    assert list(run.cases["status"]) == ["ok"] * 4


def test_processed_results_stand_beside_the_raw_ones(tmp_path: Path) -> None:
    raw = engine.run(TOY, tmp_path / "raw", Silent())

    both = engine.run(
        Plan("toy", "toy", postprocess="median:3", thresholds=("dice@lesion-val",)),
        tmp_path / "both",
        Silent(),
    )

    for name in ("dice_fpr5", "hd95_own", "lesion_f1_fpr1", "dice_oracle"):
        assert list(both.cases[name]) == list(raw.cases[name])
        assert f"{name}_post" in both.cases
    assert both.thresholds["lesionval"]["supervision"] == "lesion-val"
    assert both.thresholds["oracle_post"]["postprocess"] == "median:3"
    assert "auprc_post_low" in both.summary["pooled"]
    maps = [path.name for path in (tmp_path / "both").glob("maps/sub-test0/anat/*")]
    assert "sub-test0_label-lesion_desc-toyfpr5post_mask.nii.gz" in maps


def test_steps_on_masks_leave_no_oracle(tmp_path: Path) -> None:
    plan = Plan("toy", "toy", postprocess="largest:1")

    run = engine.run(plan, tmp_path, Silent())

    assert "dice_fpr5_post" in run.cases
    assert "dice_oracle_post" not in run.cases
    assert "oracle_post" not in run.thresholds


def test_lesion_threshold_without_labelled_cases_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, toy: ModuleType
) -> None:
    monkeypatch.setattr(toy.ToyDataset, "labelled", lambda _: Lazy((), toy.make_case))

    with pytest.raises(DataError, match="no labelled validation case"):
        engine.run(
            Plan("toy", "toy", thresholds=("dice@lesion-val",)), tmp_path, Silent()
        )


def test_failed_labelled_case_ends_the_calibration(tmp_path: Path) -> None:
    plan = Plan(
        "toy",
        "toy",
        thresholds=("dice@lesion-val",),
        data_options={"unreadable": "sub-val1"},
    )

    with pytest.raises(DataError, match=r"sub-val1\.nii\.gz: cannot be read"):
        engine.run(plan, tmp_path, Silent())


def test_protocol_of_the_paper_scores_one_slice_of_128_px(tmp_path: Path) -> None:
    run = engine.run(
        Plan("intensity", "toy", protocol="itermask2-2d"), tmp_path, Silent()
    )

    # The box covers 3 x 2 of 12 voxels a side: 3 * 2 * (128 / 12) ** 2 = 683 px.
    assert set(run.cases["stratum_size"]) == {"medium (200-799 px)"}
    assert run.shown("sub-test0")["image"].shape == (128, 128)
    assert Run.load(tmp_path).record["protocol"] == "itermask2-2d"


def test_run_whose_removal_was_killed_begins_anew(tmp_path: Path) -> None:
    engine.run(TOY, tmp_path, Silent())
    record = read_json(tmp_path / "run.json")
    half = {"format": record["format"], "status": "removed"}
    write_json(tmp_path / "run.json", half)

    run = engine.run(replace(TOY, seed=1), tmp_path, Silent())

    assert (run.done, run.record["seed"]) == (True, 1)
