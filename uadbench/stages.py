"""The four stages of a run; each returns at once if its result is in the run folder."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from uadbench import evaluation, files, maps
from uadbench.checkpoints import FileCheckpoint, load_arrays, save_arrays
from uadbench.checks import check_scan
from uadbench.errors import ContractError, DataError
from uadbench.metrics import ranking
from uadbench.plans import Job
from uadbench.prediction import Failure, Success, predict_cases
from uadbench.protocols import Case, Context, Lazy, Scan
from uadbench.thresholds import (
    Threshold,
    calibrate,
    candidates,
    dice_at,
    oracle,
)
from uadbench.timing import Stopwatch

Thresholds = Mapping[str, Threshold]


def learn(job: Job, folder: Path, ctx: Context, watch: Stopwatch) -> None:
    """Let the method learn from its last checkpoint on, or restore what it learned."""
    weights, unfinished = folder / "model.safetensors", folder / "checkpoint"
    if weights.is_file():
        job.method.restore(load_arrays(weights))
        return
    for scan in job.view.val:
        # An unreadable validation scan has to show before hours of training, not after.
        check_scan(scan)
    checkpoint = FileCheckpoint(unfinished / "fit", partial(watch.lap, "fit"))
    ctx = replace(ctx.child("fit"), checkpoint=checkpoint)
    job.method.fit(job.view.train, job.view.val, ctx)
    save_arrays(weights, job.method.state())
    shutil.rmtree(unfinished, ignore_errors=True)


def calibrate_thresholds(job: Job, folder: Path, ctx: Context) -> Thresholds:
    """Return the thresholds that healthy validation scans give; no label is seen."""
    path = folder / "thresholds.json"
    if path.is_file():
        return _load_thresholds(path, job.pipeline)
    healthy = Lazy(job.view.val.ids, lambda name: _without_lesion(job.view.val, name))
    outcomes = predict_cases(job.method, job.label, healthy, ctx.child("calibrate"))
    scores, own = [], False
    for outcome in ctx.monitor.track(outcomes, "calibrate", len(healthy)):
        if isinstance(outcome, Failure):
            raise outcome.error
        scores.append(outcome.prediction.score[outcome.case.scan.scored])
        own = outcome.prediction.mask is not None
    thresholds = calibrate(np.concatenate(scores), job.pipeline)
    if own:
        thresholds["own"] = Threshold(None, "own", "healthy-val", job.pipeline)
    _save_thresholds(path, thresholds)
    return thresholds


def predict(
    job: Job, folder: Path, ctx: Context, thresholds: Thresholds, watch: Stopwatch
) -> None:
    """Predict, score and save every case without a row, and failed ones once more."""
    path = folder / "cases.csv"
    earlier = files.read_rows(path)
    rows = {row["case"]: row for row in earlier if row["status"] == "ok"}
    todo = _pick(job.view.test, [n for n in job.view.test.ids if n not in rows])
    outcomes = predict_cases(job.method, job.label, todo, ctx.child("predict"))
    try:
        total, done = len(job.view.test), len(rows)
        for outcome in ctx.monitor.track(outcomes, "predict", total, done):
            watch.lap("predict")
            row = _settle(outcome, job, folder, ctx, thresholds)
            rows[row["case"]] = row
            files.write_rows(path, [rows[n] for n in job.view.test.ids if n in rows])
            watch.lap("score")
    except ContractError:
        # A method that miscounts has put its predictions on other cases' rows.
        path.unlink(missing_ok=True)
        raise


def _settle(
    outcome: Success | Failure,
    job: Job,
    folder: Path,
    ctx: Context,
    thresholds: Thresholds,
) -> evaluation.Row:
    """Save what a case left, and return its row."""
    if isinstance(outcome, Failure):
        row = evaluation.failed_case(outcome.id, outcome.error)
        ctx.monitor.warn(f"{outcome.id} failed: {row['error']}")
        files.append_text(folder / "failures.log", outcome.trace)
        return row
    case, prediction = outcome.case, outcome.prediction
    maps.save_maps(folder, job.label, case.scan, prediction, thresholds)
    maps.save_shown(folder, case, prediction, thresholds)
    return evaluation.score_case(case, prediction, thresholds)


def summarise(job: Job, folder: Path, thresholds: Thresholds) -> None:
    """Add what needs every case: pooled metrics, their curve, the oracle's columns."""
    rows = files.read_rows(folder / "cases.csv")
    scored = [row for row in rows if row["status"] == "ok"]
    cases = _pick(job.view.test, [str(row["case"]) for row in scored])
    voxels = [
        _read_voxels(job, folder, case, str(row["content"]))
        for row, case in zip(scored, cases, strict=True)
    ]
    scores = [score for score, _, _ in voxels]
    labels = [label for _, label, _ in voxels]
    every_score = np.concatenate([np.zeros(0, np.float32), *scores])
    every_label = np.concatenate([np.zeros(0, bool), *labels])
    pooled = ranking(every_score, every_label)
    grid = candidates(pooled)
    best = oracle(
        grid,
        [dice_at(grid, ranking(s, y)) for s, y in zip(scores, labels, strict=True)],
    )
    # Without any lesion no threshold is the best, and the oracle has no columns.
    if not np.isnan(best):
        for row, score, label in zip(scored, scores, labels, strict=True):
            row |= evaluation.overlap(score >= best, label, "oracle")
    own = np.concatenate([np.zeros(0, bool), *(own for _, _, own in voxels)])
    masks = {s: t.apply(every_score, own) for s, t in thresholds.items()}
    summary = evaluation.summarise(rows, evaluation.pool(every_label, pooled, masks))
    upper_bound = Threshold(best, "oracle", "test-oracle", job.pipeline)
    _save_thresholds(folder / "thresholds.json", {**thresholds, "oracle": upper_bound})
    curve = evaluation.curve(pooled, grid)
    files.write_rows(folder / "curve.csv", curve, evaluation.CURVE_COLUMNS)
    files.write_rows(folder / "cases.csv", rows)
    files.write_json(folder / "summary.json", summary)


def _without_lesion(healthy: Lazy[Scan], name: str) -> Case:
    scan = healthy[healthy.ids.index(name)]
    return Case(scan, np.zeros_like(scan.brain))


def _pick(cases: Lazy[Case], names: Sequence[str]) -> Lazy[Case]:
    return Lazy(names, lambda name: cases[cases.ids.index(name)])


def _read_voxels(
    job: Job, folder: Path, case: Case, content: str
) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_]]:
    """Return score, label and own mask of a case's scored voxels, each (N,).

    Raises:
        DataError: image or lesion are not those with the hash `content`, which the
            case was scored on.
    """
    if evaluation.content_hash(case) != content:
        msg = (
            f"{case.scan.id}: its image or lesion changed since it was scored. Bring "
            "the old files back, or run again with --overwrite."
        )
        raise DataError(msg)
    inside = evaluation.scored_voxels(case)
    own = maps.read_own_mask(folder, job.label, case.scan.id)
    return (
        maps.read_score(folder, job.label, case.scan.id)[inside],
        case.lesion[inside],
        np.zeros(0, bool) if own is None else own[inside],
    )


def _load_thresholds(path: Path, pipeline: str) -> Thresholds:
    records = files.read_json(path)
    loaded = {
        name: Threshold.load(record, pipeline) for name, record in records.items()
    }
    return {name: t for name, t in loaded.items() if t.supervision != "test-oracle"}


def _save_thresholds(path: Path, thresholds: Thresholds) -> None:
    files.write_json(path, {name: t.record() for name, t in thresholds.items()})
