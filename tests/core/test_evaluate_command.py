"""`uadbench evaluate` as a user calls it, on tiny files."""

# nibabel annotates only some of its functions.
# mypy: allow-untyped-calls

import gc
import json
import multiprocessing
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray
from rich.console import Console

from uadbench import cli, metrics
from uadbench.errors import UadbenchError, UsageError
from uadbench.evaluate.request import thresholds
from uadbench.evaluate.workers import Workers, end_with_parent
from uadbench.results import claim

SHAPE = (6, 5, 4)


@dataclass
class Outcome:
    """What a command left in the terminal."""

    status: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """All of stderr in one line, without the frame that click draws."""
        return " ".join(self.err.replace("│", "").split())


Call = Callable[..., Outcome]


@pytest.fixture
def call(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Call]:
    """Evaluate pred/ against ref/ in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("pred", "ref", "brain"):
        Path(name).mkdir()

    def evaluate(*words: str) -> Outcome:
        command = ["uadbench", "evaluate", "pred", "ref", *words]
        monkeypatch.setattr(sys, "argv", command)
        with pytest.raises(SystemExit) as stop:
            cli.main()
        captured = capsys.readouterr()
        return Outcome(int(stop.value.code or 0), captured.out, captured.err)

    before = signal.getsignal(signal.SIGTERM)
    yield evaluate
    signal.signal(signal.SIGTERM, before)


def save(
    place: str, voxels: ArrayLike, affine: NDArray[np.float64] | None = None
) -> None:
    array = np.asarray(voxels)
    kept = array if array.dtype.kind == "f" else array.astype(np.uint8)
    path = Path(place)
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.nifti1.Nifti1Image(kept, np.eye(4) if affine is None else affine)
    nib.loadsave.save(image, path)


def lesion(case: int) -> NDArray[np.bool_]:
    mask = np.zeros(SHAPE, bool)
    mask[1:4, 1:4, : case % 3 + 1] = True
    return mask


def score(case: int) -> NDArray[np.float32]:
    noise = np.random.default_rng(case).random(SHAPE, np.float32)
    return np.asarray(noise + 0.5 * lesion(case), np.float32)


def save_cases(count: int, predicted: Callable[[int], ArrayLike]) -> None:
    for case in range(count):
        save(f"ref/sub-{case}_label-lesion_mask.nii.gz", lesion(case))
        save(f"brain/sub-{case}_desc-brain_mask.nii.gz", np.ones(SHAPE))
        save(f"pred/sub-{case}_desc-x_map.nii.gz", predicted(case))


def summary(folder: str = "evaluation") -> dict[str, Any]:
    content: dict[str, Any] = json.loads(Path(folder, "summary.json").read_text())
    return content


def test_perfect_masks_score_one_and_are_whole(call: Call) -> None:
    save_cases(3, lesion)

    done = call("--brain", "brain", "-q")

    assert (done.status, done.out) == (0, "")
    assert done.said.startswith("warning: Only 3 test subjects")
    content = summary()
    assert content["mean"]["dice_mask"] == 1.0
    assert content["mean"]["hd95_mask"] == 0.0
    assert content["cases"]["coverage"] == 1.0
    assert content["options"]["kind"] == "mask"
    assert content["pooled"]["prevalence"] == pytest.approx(6 * 9 / (3 * 120))


def test_summary_has_what_users_of_nnunet_look_for(call: Call) -> None:
    save_cases(3, lambda case: lesion(case + 1))

    call()

    content = summary()
    listed = content["metric_per_case"]
    assert [of["prediction_file"] for of in listed] == [
        f"pred/sub-{case}_desc-x_map.nii.gz" for case in range(3)
    ]
    assert listed[0]["reference_file"] == "ref/sub-0_label-lesion_mask.nii.gz"
    dice = [of["metrics"]["dice_mask"] for of in listed]
    assert dice == [metrics.dice(lesion(case + 1), lesion(case)) for case in range(3)]
    assert content["mean"]["dice_mask"] == pytest.approx(np.mean(dice))
    assert content["subject"]["dice_mask"]["mean"] == content["mean"]["dice_mask"]
    assert [of["metrics"]["1"]["Dice"] for of in listed] == dice
    overlap = [metrics.jaccard(lesion(case + 1), lesion(case)) for case in range(3)]
    assert [of["metrics"]["1"]["IoU"] for of in listed] == pytest.approx(overlap)
    assert content["mean"]["1"] == {
        "Dice": content["mean"]["dice_mask"],
        "IoU": pytest.approx(np.mean(overlap)),
    }


def test_table_shows_interval_and_counts(call: Call) -> None:
    save_cases(4, lambda case: lesion(case + 1))
    save("ref/sub-9_label-lesion_mask.nii.gz", np.zeros(SHAPE))
    save("pred/sub-9_desc-x_map.nii.gz", np.zeros(SHAPE))

    done = call()

    of = summary()["subject"]["dice_mask"]
    row = next(line for line in done.out.splitlines() if line.startswith(" Dice "))
    interval = f"{of['mean']:.3f} [{of['low']:.3f}, {of['high']:.3f}]"
    assert " ".join(row.split()) == f"Dice {interval} 4 1 0"
    assert "5 of 5 cases scored (100 %), 0 missing, 0 failed; 5 subjects" in done.out
    assert "AUPRC" not in done.out
    assert "all metrics: evaluation/summary.json" in done.out


def test_undefined_mean_is_a_dash_in_the_table_and_null_in_json(call: Call) -> None:
    save("ref/a.nii.gz", np.zeros(SHAPE))
    save("pred/a.nii.gz", np.zeros(SHAPE))

    done = call()

    row = next(line for line in done.out.splitlines() if line.startswith(" Dice "))
    assert row.split() == ["Dice", "-", "0", "1", "0"]
    assert summary()["mean"]["dice_mask"] is None
    assert "warning: No reference holds a lesion." in done.said


def test_label_that_no_reference_holds_is_told(call: Call) -> None:
    save_cases(1, lesion)

    assert "holds a lesion of label 4." in call("--label", "4").said


def test_label_that_no_prediction_holds_is_told(call: Call) -> None:
    save_cases(1, lesion)

    said = call("--prediction-label", "7").said

    assert "No prediction marks a voxel of label 7." in said


def test_reference_without_healthy_voxel_is_told(call: Call) -> None:
    save_cases(2, lesion)
    save("brain/sub-1_desc-brain_mask.nii.gz", lesion(1))

    said = call("--brain", "brain").said

    assert "All that is scored is lesion in sub-1. Is the reference or the" in said


@pytest.mark.parametrize(
    ("predicted", "flattered"),
    [(lesion, "makes FPR look"), (score, "makes AUROC and FPR look")],
)
def test_without_brain_it_is_told_what_looks_better(
    call: Call, predicted: Callable[[int], ArrayLike], flattered: str
) -> None:
    save_cases(1, predicted)

    assert flattered in call().said


def test_thresholds_that_differ_in_the_seventh_digit_have_columns_of_their_own(
    call: Call,
) -> None:
    save_cases(2, score)

    call("--threshold", "fixed:0.8123456", "--threshold", "fixed:0.8123458")

    content = summary()
    assert {"dice_fixed0p8123456", "dice_fixed0p8123458"} <= set(content["mean"])
    assert content["options"]["threshold"] == ["fixed:0.8123456", "fixed:0.8123458"]


def test_missing_prediction_is_a_row_and_status_one(call: Call) -> None:
    save_cases(3, lesion)
    Path("pred/sub-1_desc-x_map.nii.gz").unlink()

    done = call("-q")

    assert done.status == 1
    assert "sub-1 missing: no prediction for sub-1_label-lesion" in done.said
    rows = Path("evaluation/cases.csv").read_text().splitlines()
    assert rows[2].startswith("sub-1,sub-1,missing,no prediction for sub-1_label")
    cases = summary()["cases"]
    assert (cases["missing"], cases["failed"], cases["scored"]) == (1, 0, 2)
    assert cases["coverage"] == pytest.approx(2 / 3)
    assert summary()["metric_per_case"][1]["prediction_file"] is None


def test_failed_case_costs_no_other(call: Call) -> None:
    save_cases(3, lesion)
    save("pred/sub-1_desc-x_map.nii.gz", lesion(1)[:, :, :3])

    done = call()

    assert done.status == 1
    assert "sub-1 failed: pred/sub-1_desc-x_map.nii.gz: shape (6, 5, 3)" in done.said
    assert "2 of 3 cases scored (66.67 %), 0 missing, 1 failed" in done.out


def test_nothing_scored_is_status_three_and_is_written(call: Call) -> None:
    save_cases(2, lambda _: np.full(SHAPE, np.nan))

    done = call("--json")

    assert done.status == 3
    assert json.loads(done.out)["cases"]["coverage"] == 0
    assert Path("evaluation/cases.csv").read_text().count("failed") == 2


def test_table_of_nothing_has_no_row(call: Call) -> None:
    save_cases(2, lambda _: np.full(SHAPE, np.nan))

    done = call()

    assert done.status == 3
    assert "Dice" not in done.out
    assert "0 of 2 cases scored (0 %), 0 missing, 2 failed" in done.out


def test_prediction_of_no_case_is_listed_and_ignored(call: Call) -> None:
    save_cases(2, lesion)
    save("pred/sub-77_desc-x_map.nii.gz", lesion(0))

    done = call()

    assert done.status == 0
    assert "Ignored predictions without a reference: sub-77_desc" in done.said
    assert summary()["ignored_files"] == ["pred/sub-77_desc-x_map.nii.gz"]


def test_summary_names_the_brain_and_all_that_was_ignored(call: Call) -> None:
    save_cases(2, lesion)
    Path("brain/sub-1_desc-brain_mask.nii.gz").rename("brain/sub-9_mask.nii.gz")
    save("pred/sub-0_0000.nii.gz", score(0))
    Path("ref/sub-0_label-lesion_mask.nii.gz").rename("ref/sub-0.nii.gz")

    done = call("--brain", "brain")

    assert done.status == 1
    assert "brain masks without a reference, where a case has none: sub-9" in done.said
    assert "named as nnU-Net's images (CASE_0000): sub-0_0000.nii.gz" in done.said
    content = summary()
    assert [of["brain_file"] for of in content["metric_per_case"]] == [
        "brain/sub-0_desc-brain_mask.nii.gz",
        None,
    ]
    assert content["ignored_files"] == [
        "brain/sub-9_mask.nii.gz",
        "pred/sub-0_0000.nii.gz",
    ]


def test_without_brain_a_warning_says_what_that_does(call: Call) -> None:
    save_cases(1, lesion)

    done = call()

    assert "No --brain: the background counts as healthy, which makes" in done.said
    assert summary()["cautions"][0].startswith("No --brain")


def test_lesion_outside_the_brain_is_told(call: Call) -> None:
    save_cases(1, lesion)
    save("brain/sub-0_desc-brain_mask.nii.gz", ~lesion(0))

    done = call("--brain", "brain")

    assert "0.009 mL of lesion lie outside the brain masks" in done.said


def test_resampled_cases_are_told(call: Call) -> None:
    save_cases(2, lesion)
    moved = np.eye(4)
    moved[2, 3] = -1
    save(
        "pred/sub-1_desc-x_map.nii.gz",
        np.pad(lesion(1), ((0, 0),) * 2 + ((1, 0),)),
        moved,
    )

    done = call("--on-geometry-mismatch", "resample")

    assert done.status == 0
    assert "Resampled onto the reference's grid: sub-1" in done.said
    assert summary()["mean"]["dice_mask"] == 1.0
    assert summary()["resampled"] == ["sub-1"]


def test_score_maps_have_ranks_and_the_oracle(call: Call) -> None:
    save_cases(4, score)

    done = call("--threshold", "fixed:0.8", "--threshold", "oracle")

    content = summary()
    expected = [metrics.average_precision(score(c), lesion(c)) for c in range(4)]
    assert content["mean"]["auprc"] == pytest.approx(np.mean(expected))
    voxels = [(score(c).ravel(), lesion(c).ravel()) for c in range(4)]
    best = max(
        np.mean([metrics.dice(scores >= cut, labels) for scores, labels in voxels])
        for cut in np.unique([scores for scores, _ in voxels])
    )
    assert content["mean"]["dice_oracle"] == pytest.approx(best)
    assert content["mean"]["dice_fixed0p8"] == pytest.approx(
        np.mean([metrics.dice(scores >= 0.8, labels) for scores, labels in voxels])
    )
    seen = {n: (t["value"], t["supervision"]) for n, t in content["thresholds"].items()}
    assert seen["fixed0p8"] == (0.8, "none")
    assert seen["oracle"][1] == "test-oracle"
    assert content["mean"]["dice_oracle"] == pytest.approx(
        np.mean([metrics.dice(s >= seen["oracle"][0], y) for s, y in voxels])
    )
    assert "auprc" in content["pooled"]
    assert set(content["image"]) == set(metrics.SUBJECT_SCORES)
    for title in ("AUPRC ", "⌈Dice⌉ oracle ", "Dice at fixed0p8 "):
        assert f" {title}" in done.out


def test_pooled_metrics_and_the_oracle_count_the_brain_alone(call: Call) -> None:
    brain = np.zeros(SHAPE, bool)
    brain[:5] = True
    save_cases(3, lambda case: np.where(brain, score(case), np.float32(9)))
    for case in range(3):
        save(f"brain/sub-{case}_desc-brain_mask.nii.gz", brain)

    call("--brain", "brain")

    voxels = [(score(case)[brain], lesion(case)[brain]) for case in range(3)]
    scores, labels = map(np.concatenate, zip(*voxels, strict=True))
    best = max(
        np.mean([metrics.dice(of_case >= cut, found) for of_case, found in voxels])
        for cut in scores
    )
    pooled, mean = summary()["pooled"], summary()["mean"]
    assert pooled["prevalence"] == labels.mean()
    ranked = (("auprc", metrics.average_precision), ("auroc", metrics.auroc))
    for name, metric in ranked:
        exact = metric(scores, labels)
        assert pooled[f"{name}_low"] <= exact <= pooled[f"{name}_high"]
    assert mean["dice_oracle"] == pytest.approx(best)
    cut = summary()["thresholds"]["oracle"]["value"]
    assert mean["fpr_oracle"] == pytest.approx(
        np.mean([metrics.false_positive_rate(s >= cut, y) for s, y in voxels])
    )


def test_processed_maps_stand_beside_raw_ones(call: Call) -> None:
    save_cases(2, score)

    done = call("--postprocess", "median:3", "--threshold", "fixed:0.8")

    assert {"dice_oracle", "dice_oracle_post", "dice_fixed0p8_post"} <= set(
        summary()["mean"]
    )
    assert "Dice at fixed0p8, post-processed" in done.out


def test_maps_without_any_lesion_have_no_oracle(call: Call) -> None:
    save("ref/a.nii.gz", np.zeros(SHAPE))
    save("pred/a.nii.gz", score(0))

    done = call()

    assert done.status == 0
    assert "dice_oracle" not in summary()["mean"]


def test_one_map_among_masks_makes_all_of_them_maps(call: Call) -> None:
    save_cases(3, lesion)
    save("pred/sub-2_desc-x_map.nii.gz", score(2))

    said = call().said
    asked = call("--kind", "score", "--overwrite").said

    assert summary()["options"]["kind"] == "score"
    assert (
        "All predictions are read as scores because of sub-2; small whole numbers "
        "alone are held by sub-0, sub-1. If these are masks, use --kind mask"
    ) in said
    assert "If these are masks" not in asked


def test_masks_that_are_named_so_must_be_binary(call: Call) -> None:
    save_cases(2, lesion)
    save("pred/sub-1_desc-x_map.nii.gz", score(1))

    done = call("--kind", "mask")

    assert done.status == 1
    assert "sub-1 failed: pred/sub-1_desc-x_map.nii.gz: not a binary mask" in done.said


def test_label_maps_read_as_scores_are_told_and_labels_make_masks(call: Call) -> None:
    save_cases(2, lambda case: 2 * lesion(case))

    done = call()
    again = call("--prediction-label", "2", "--overwrite")

    assert "If these are labels, --prediction-label N makes masks" in done.said
    assert "If these are labels" not in again.said
    assert summary()["mean"]["dice_mask"] == 1.0


@pytest.mark.parametrize("predicted", [lesion, score])
def test_any_number_of_jobs_gives_the_same_files(
    call: Call, predicted: Callable[[int], NDArray[Any]]
) -> None:
    save_cases(5, predicted)
    Path("pred/sub-1_desc-x_map.nii.gz").unlink()

    status = [call("-j", jobs, "-o", f"jobs{jobs}").status for jobs in "12"]

    assert status == [1, 1]
    for name in ("cases.csv", "summary.json"):
        assert Path("jobs1", name).read_bytes() == Path("jobs2", name).read_bytes()


def test_json_is_the_summary_file(call: Call) -> None:
    save_cases(2, lesion)

    done = call("--json")

    assert done.out == Path("evaluation/summary.json").read_text()


def test_earlier_evaluation_is_not_replaced_unless_asked(call: Call) -> None:
    save_cases(2, lesion)
    call()

    refused = call()
    replaced = call("--overwrite")

    assert refused.status == 2
    assert "evaluation: holds cases.csv and summary.json" in refused.said
    assert replaced.status == 0


def test_folder_of_a_run_is_never_replaced(call: Call) -> None:
    save_cases(1, lesion)
    Path("run").mkdir()
    Path("run/run.json").touch()

    done = call("-o", "run", "--overwrite")

    assert done.status == 2
    assert "run: a run's folder. Choose another --output." in done.said
    assert [path.name for path in Path("run").iterdir()] == ["run.json"]


def test_output_that_cannot_be_is_told_before_anything_is_scored(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_cases(1, lesion)
    Path("file").touch()
    Path("od/cases.csv").mkdir(parents=True)
    monkeypatch.setattr(
        "uadbench.evaluate.run.evaluate", lambda *_: pytest.fail("scored")
    )

    done = [call("-o", out, "--overwrite") for out in ("file", "file/x", "od")]

    assert [one.status for one in done] == [2, 1, 2]
    assert "Directory 'file' is a file." in done[0].said
    assert "file/x: cannot be written (Not a directory). Choose" in done[1].said
    assert "od: cases.csv in it is a folder. Choose another." in done[2].said


def test_two_evaluations_never_share_a_folder(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_cases(1, lesion)
    with claim(Path("evaluation")):
        held = call()

    def overtaken(folder: Path) -> AbstractContextManager[None]:
        folder.mkdir(exist_ok=True)
        (folder / "summary.json").touch()
        return claim(folder)

    monkeypatch.setattr("uadbench.evaluate.output.claim", overtaken)
    late = call()

    assert (held.status, late.status) == (2, 2)
    assert "another uadbench is working in it" in held.said
    assert "evaluation: holds summary.json." in late.said


def test_interrupted_evaluation_says_what_is_left(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    save_cases(1, lesion)
    monkeypatch.setattr("uadbench.evaluate.run.evaluate", stop)

    done = call()

    assert done.status == 130
    assert done.said == "interrupted: nothing is written; repeat the command."
    assert not Path("evaluation").exists()


def test_name_that_is_not_utf8_is_scored(call: Call) -> None:
    name = os.fsdecode(b"caf\xe9.nii.gz")
    save(f"ref/{name}", lesion(1))
    save(f"pred/{name}", lesion(1))

    assert call().status == 0
    assert b"caf\xe9," in Path("evaluation/cases.csv").read_bytes()


def test_narrow_table_has_whole_numbers(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_cases(3, lesion)
    monkeypatch.setattr(
        "uadbench.evaluate.table.table_console", lambda: Console(width=30)
    )

    done = call()

    assert "…" not in done.out
    assert "1.000" in done.out


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("--threshold", "fpr@healthy:0.05"), 2, "needs the validation scans"),
        (("--threshold", "own"), 2, "--threshold own: needs the validation"),
        (("--threshold", "0.5"), 2, "0.5: a value is written as fixed:0.5."),
        (("--threshold", "half"), 2, "There are: fixed, oracle, oracle-case."),
        (("--label", "0"), 2, "label 0 is the background"),
        (("--prediction-label", "0"), 2, "label 0 is the background"),
        (
            ("--kind", "score", "--postprocess", "min-volume:50"),
            2,
            "min-volume:50: cleans masks, but predictions are scores. Cut them by",
        ),
        (("--threshold", "fixd:1"), 2, "Did you mean 'fixed'?"),
        (("--threshold", "fixed:0.5"), 2, "masks, which have no scores to cut"),
        (("--postprocess", "median:3"), 2, "works on score maps"),
        (("--postprocess", "erode:3"), 2, "no brain to erode without --brain"),
        (("--label", "a"), 2, "--label: expected whole numbers such as 1 or 1,3"),
        (("--label", "1,2", "--ignore", "2"), 2, "label 2 is both in --label and in"),
        (("--prediction-label", "1", "--kind", "score"), 2, "leave it or --kind score"),
        (("--jobs", "0"), 2, "0 is not in the range x>=1"),
        (("--brain", "absent"), 2, "Directory 'absent' does not exist"),
        (("--pattern", "*_score*"), 3, "fits --pattern '*_score*'"),
        (("--brain", "ref", "--brain-pattern", "x"), 3, "fits --brain-pattern 'x'"),
    ],
)
def test_mistake_gives_one_line_and_its_status(
    call: Call, words: tuple[str, ...], status: int, message: str
) -> None:
    save_cases(1, lesion)

    done = call(*words)

    assert done.status == status
    assert message in done.said
    assert not Path("evaluation").exists()


def test_oracle_is_no_threshold_to_add() -> None:
    assert thresholds(["oracle", "oracle-case"]) == ()
    with pytest.raises(UsageError):
        thresholds(["quantile@healthy:0.9"])


# A process of its own imports no test: these are functions of the standard library.
blocked = partial(signal.pthread_sigmask, signal.SIG_BLOCK)


def test_killed_process_gives_a_clear_error() -> None:
    signals = [signal.SIGCHLD, signal.SIGKILL, signal.SIGCHLD]
    with Workers(2) as workers, pytest.raises(UadbenchError, match="was killed"):
        list(workers.each(signal.raise_signal, signals))


def test_interrupt_is_left_to_the_first_process() -> None:
    before = blocked([])
    with Workers(2) as workers:
        found = list(workers.each(blocked, [[], []]))

    assert [signal.SIGINT in signals for signals in found] == [True, True]
    assert blocked([]) == before


def test_interrupt_while_processes_start_leaves_no_semaphore(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    left: set[str] = set()
    register, unregister = resource_tracker.register, resource_tracker.unregister

    def made(name: str, kind: str) -> None:
        register(name, kind)
        left.add(name)
        signal.raise_signal(signal.SIGINT)

    def removed(name: str, kind: str) -> None:
        unregister(name, kind)
        left.remove(name)

    monkeypatch.setattr(resource_tracker, "register", made)
    monkeypatch.setattr(resource_tracker, "unregister", removed)
    with pytest.raises(KeyboardInterrupt), Workers(2) as workers:
        list(workers.each(abs, [1, 2]))

    gc.collect()
    assert left == set()


def test_process_ends_when_its_parent_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed:
        def join(self) -> None:
            pass

    ended: queue.Queue[int] = queue.Queue()
    monkeypatch.setattr(os, "_exit", ended.put)
    monkeypatch.setattr(multiprocessing, "parent_process", Killed)

    end_with_parent()

    assert ended.get(timeout=10) == 1


def test_first_process_has_no_parent_to_follow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading.Thread, "start", threading.Thread.run)

    end_with_parent()


def test_results_come_in_the_order_of_the_items() -> None:
    with Workers(2) as workers:
        assert list(workers.each(abs, [-3, 1, -2])) == [3, 1, 2]


def test_one_item_starts_no_process() -> None:
    with Workers(8) as workers:
        assert list(workers.each(lambda item: item, ["unpicklable"])) == ["unpicklable"]
