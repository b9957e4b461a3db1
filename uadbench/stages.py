"""The four stages of a run; each returns at once if its result is in the run folder."""

import shutil
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from uadbench import evaluation, files, maps, summary
from uadbench.ahead import behind, loaded
from uadbench.calibration import Healthy, Labelled, calibrate, own_mask
from uadbench.checkpoints import FileCheckpoint, load_arrays, save_arrays
from uadbench.checks import check_scan
from uadbench.errors import ContractError, DataError
from uadbench.kinds import LESION
from uadbench.modalities import scored_modality
from uadbench.oracle import candidates
from uadbench.plans import Job
from uadbench.prediction import Failure, Success, predict_cases
from uadbench.protocols import Case, Context, Lazy, Prediction, Scan
from uadbench.specs import Spec
from uadbench.summary import Pool
from uadbench.thresholds import Threshold
from uadbench.timing import Stopwatch, Sums
from uadbench.variants import Reading, Variant, read

Thresholds = Mapping[str, Threshold]
Mask = NDArray[np.bool_]


def learn(job: Job, folder: Path, ctx: Context, watch: Stopwatch) -> None:
    """Let the method learn from its last checkpoint on, or restore what it learned."""
    weights, unfinished = folder / "model.safetensors", folder / "checkpoint"
    if weights.is_file():
        job.method.restore(load_arrays(weights))
        return
    # An unreadable validation scan has to show before hours of training, not after.
    deque(loaded(job.view.val, check_scan), maxlen=0)
    checkpoint = FileCheckpoint(unfinished / "fit", partial(watch.lap, "fit"))
    ctx = replace(ctx.child("fit"), checkpoint=checkpoint)
    job.method.fit(job.view.train, job.view.val, ctx)
    save_arrays(weights, job.method.state())
    shutil.rmtree(unfinished, ignore_errors=True)


def validation_hash(job: Job) -> str:
    """Return a hash of the scans, and labels if any, that thresholds are chosen on."""

    def line(case: Case) -> str:
        return f"{case.scan.id} {evaluation.content_hash(case)}"

    parts = (_healthy(job), _needed(job))
    words = [word for cases in parts for word in loaded(cases, line)]
    return files.short_hash("\n".join(words))


def calibrate_thresholds(job: Job, folder: Path, ctx: Context) -> Thresholds:
    """Return the thresholds that validation scans give.

    Healthy ones, of which no label is seen; labelled ones too where a strategy of the
    level "lesion-val" is asked for.
    """
    path = folder / "thresholds.json"
    if path.is_file():
        return _load_thresholds(path, job.pipeline)
    pools = [Healthy(variant.pipeline) for variant in job.variants]
    own = False
    for case, prediction in _all_predicted(job, _healthy(job), ctx, "calibrate"):
        for pool in pools:
            pool.add(case.scan, prediction.score)
        own = prediction.mask is not None
    labelled = _labelled(job, ctx)
    thresholds: dict[str, Threshold] = {}
    for variant, pool, cases in zip(job.variants, pools, labelled, strict=True):
        thresholds |= calibrate(job.strategies, variant, pool, cases, job.pipeline)
        if own:
            thresholds |= own_mask(variant, job.pipeline)
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
    total, done = len(job.view.test), len(rows)
    table = files.GrowingRows(path, rows.values())

    def settle(handed: tuple[Success | Failure, Sums]) -> None:
        outcome, seconds = handed
        row = _settle(outcome, job, folder, ctx, thresholds)
        rows[row["case"]] = row
        table.add(row)
        # Killed before, the run predicts the case again.
        watch.keep(seconds)

    try:
        # The method predicts the next case while the last one is scored and saved.
        with behind(settle) as hand_over:
            for outcome in ctx.monitor.track(outcomes, "predict", total, done):
                hand_over((outcome, watch.add("predict")))
                watch.add("score")
        watch.lap("score")
        if len(rows) > done:
            # They came as they were ready, failed ones and those of a resumed run last.
            files.write_rows(path, [rows[name] for name in job.view.test.ids])
    except ContractError:
        # A method that miscounts has put its predictions on other cases' rows.
        path.unlink(missing_ok=True)
        raise


def summarise(job: Job, folder: Path, thresholds: Thresholds) -> None:
    """Add what needs every case: pooled metrics, their curve, the oracle's columns.

    The cases are read twice, a few at a time: once to pool their voxels, once to find
    the threshold that is best for all.
    """
    rows = files.read_rows(folder / "cases.csv")
    scored = [row for row in rows if row["status"] == "ok"]
    pools = {variant: Pool() for variant in job.variants}
    for case, readings in _saved(job, folder, scored, thresholds):
        inside = evaluation.scored_voxels(case)
        for reading in readings:
            pools[reading.variant].add(reading, inside, case.lesion[inside])
    raw = pools[job.variants[0]].curve.ranking()
    curve = summary.curve_rows(raw, candidates(raw))
    oracles = _oracles(job, folder, scored, pools, thresholds)
    pooled = {
        name: value
        for variant, pool in pools.items()
        for name, value in pool.metrics(variant).items()
    }
    _save_thresholds(folder / "thresholds.json", {**thresholds, **oracles})
    files.write_rows(folder / "curve.csv", curve, summary.CURVE_COLUMNS)
    files.write_rows(folder / "cases.csv", rows)
    files.write_json(folder / "summary.json", summary.summarise(rows, pooled))


def _settle(
    outcome: Success | Failure,
    job: Job,
    folder: Path,
    ctx: Context,
    thresholds: Thresholds,
) -> evaluation.Row:
    """Save what a case left, and return its row."""
    test = job.view.test
    subject = test.subjects[test.ids.index(outcome.id)]
    if isinstance(outcome, Failure):
        row = evaluation.failed_case(outcome.id, subject, outcome.error)
        ctx.monitor.warn(f"{outcome.id} failed: {row['error']}")
        files.append_text(folder / "failures.log", outcome.trace)
        return row
    case, prediction = outcome.case, outcome.prediction
    readings = [read(case.scan, prediction, v, thresholds) for v in job.variants]
    masks = {name: mask for r in readings for name, mask in r.masks.items()}
    maps.save_maps(folder, job.label, case.scan, prediction.score, masks, thresholds)
    options = job.config["method"]["options"]
    modality = scored_modality(options, case.scan.modalities)
    maps.save_shown(folder, case, prediction, masks, modality)
    return evaluation.score_case(case, subject, readings, prediction.extras)


def _oracles(
    job: Job,
    folder: Path,
    scored: Sequence[dict[str, object]],
    pools: Mapping[Variant, Pool],
    thresholds: Thresholds,
) -> dict[str, Threshold]:
    """Add the best threshold's columns to the rows; return it for each variant."""
    grids = summary.oracle_grids(pools, thresholds)
    counts = [
        summary.oracle_counts(case, readings, grids)
        for case, readings in _saved(job, folder, scored, {})
    ]
    return summary.add_oracles(scored, counts, grids, job.pipeline)


def _saved(
    job: Job,
    folder: Path,
    scored: Sequence[Mapping[str, object]],
    thresholds: Thresholds,
) -> Iterator[tuple[Case, list[Reading]]]:
    """Yield each scored case with what its saved maps say.

    Raises:
        DataError: an image or a lesion is not the one that was scored.
    """
    contents = {str(row["case"]): row["content"] for row in scored}

    def with_readings(case: Case) -> tuple[Case, list[Reading]]:
        if evaluation.content_hash(case) != contents[case.scan.id]:
            msg = (
                f"{case.scan.id}: its image or lesion changed since it was scored. "
                "Bring the old files back, or run again with --overwrite."
            )
            raise DataError(msg)
        prediction = Prediction(
            maps.read_score(folder, job.label, case.scan.id),
            maps.read_own_mask(folder, job.label, case.scan.id),
        )
        found = [read(case.scan, prediction, v, thresholds) for v in job.variants]
        return case, found

    yield from loaded(_pick(job.view.test, [*contents]), with_readings)


def _all_predicted(
    job: Job, cases: Lazy[Case], ctx: Context, label: str
) -> Iterator[tuple[Case, Prediction]]:
    """Yield validation cases with their predictions; the first failure ends it."""
    outcomes = predict_cases(job.method, job.label, cases, ctx.child(label))
    for outcome in ctx.monitor.track(outcomes, label, len(cases)):
        if isinstance(outcome, Failure):
            raise outcome.error
        yield outcome.case, outcome.prediction


def _labelled(job: Job, ctx: Context) -> list[Labelled]:
    """Return the labelled validation cases under each variant, if they are needed."""
    found = [Labelled(variant.pipeline) for variant in job.variants]
    cases = _needed(job)
    predicted = _all_predicted(job, cases, ctx, "calibrate on lesions")
    for subject, (case, prediction) in zip(cases.subjects, predicted, strict=True):
        for pool in found:
            pool.add(case, subject, prediction.score)
    return found


def _healthy(job: Job) -> Lazy[Case]:
    """Return the healthy validation scans as cases without lesion."""
    val = job.view.val
    return Lazy(val.ids, lambda name: _without_lesion(val, name))


def _needed(job: Job) -> Lazy[Case]:
    """Return the labelled validation cases; none where no strategy looks at them."""
    return job.view.labelled[: None if Spec(LESION) in job.strategies else 0]


def _without_lesion(healthy: Lazy[Scan], name: str) -> Case:
    scan = healthy[healthy.ids.index(name)]
    return Case(scan, np.zeros_like(scan.brain))


def _pick(cases: Lazy[Case], names: Sequence[str]) -> Lazy[Case]:
    return Lazy(names, lambda name: cases[cases.ids.index(name)])


def _load_thresholds(path: Path, pipeline: str) -> Thresholds:
    records = files.read_json(path)
    loaded = {
        name: Threshold.load(record, pipeline) for name, record in records.items()
    }
    return {name: t for name, t in loaded.items() if t.supervision != "test-oracle"}


def _save_thresholds(path: Path, thresholds: Thresholds) -> None:
    files.write_json(path, {name: t.record() for name, t in thresholds.items()})
