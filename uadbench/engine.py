"""A run in its order: learn, calibrate, predict and score, summarise.

Each stage leaves its result in the run folder and is passed over if it is there: a
killed run goes on where it stopped, and ends with the same numbers, since every random
number has an address (seed, stage, scan) and not a place in a sequence.
"""

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from uadbench import environment, files, results, stages
from uadbench.checkpoints import count_parameters, load_arrays
from uadbench.errors import DataError, UsageError
from uadbench.members import OPTION
from uadbench.plans import Job, Plan, resolve
from uadbench.progress import Recorder
from uadbench.protocols import Context, Monitor
from uadbench.results import Run, differences
from uadbench.timing import Stopwatch

# What a run was built on, in its settings.
BUILT_ON = (f"method.options.{OPTION}", "method.members")


def run(
    plan: Plan,
    folder: Path,
    monitor: Monitor,
    *,
    overwrite: bool = False,
    renew: bool = False,
) -> Run:
    """Carry out a plan in a run folder, from where an earlier attempt stopped.

    A finished run is returned as it is, but its failed cases are tried again.

    Args:
        plan: what is run.
        folder: where.
        monitor: told how it goes.
        overwrite: replace whatever run the folder holds.
        renew: replace it if all that differs is the runs that it was built on.

    Raises:
        UsageError: the folder holds another run, or another process works on it; and
            as `plans.resolve`.
        DataError, ContractError: as `plans.resolve`, or raised while learning.
        OutputError: a result cannot be written.
    """
    environment.reset_peak_memory()
    job = resolve(plan)
    with results.claim(folder):
        record = _begin(job, folder, overwrite=overwrite, renew=renew)
        if record["status"] == "done" and Run.load(folder).whole:
            return Run.load(folder)
        # Until its failed cases are settled: killed now, the run must not look done.
        record["status"] = "running"
        _note_changes(record, job, monitor)
        save = partial(files.write_json, folder / "run.json", record)
        save()
        recorder = Recorder(monitor, folder / "training.csv")
        ctx = Context(
            plan.seed,
            job.device,
            cache=plan.cache,
            acceleration=job.acceleration,
            monitor=recorder,
        )
        watch = Stopwatch(record["timings"], save)
        stages.learn(job, folder, ctx, watch)
        _note_validation(record, job)
        watch.lap("fit")
        thresholds = stages.calibrate_thresholds(job, folder, ctx)
        watch.lap("calibrate")
        stages.predict(job, folder, ctx, thresholds, watch)
        stages.summarise(job, folder, thresholds)
        watch.lap("score")
        _finish(folder, record)
    return Run.load(folder)


def check(
    job: Job, folder: Path, *, overwrite: bool = False, renew: bool = False
) -> Run | None:
    """Return the attempt at a job that a folder holds, None if it begins anew.

    Nothing on disk changes. The arguments are those of `run`.

    Raises:
        UsageError: the folder holds a run with other settings, or what is no run.
    """
    results.check_free(folder)
    if overwrite or not results.is_run(folder):
        return None
    earlier = Run.load(folder)
    if earlier.record["status"] == results.REMOVED:
        return None
    changed = list(differences(earlier.record, _settings(job)))
    if not changed:
        return earlier
    if renew and all(name.startswith(BUILT_ON) for name, _, _ in changed):
        return None
    words = "; ".join(
        f"{name} ({old!r}, now {new!r})" for name, old, new in changed[:5]
    )
    msg = (
        f"{folder}: holds a run with other settings: {words}. Choose another --name or "
        "--output, or replace it with --overwrite."
    )
    raise UsageError(msg)


def _settings(job: Job) -> dict[str, Any]:
    """Return what may not change while a run goes on."""
    parts = {"train": job.view.train, "val": job.view.val, "test": job.view.test}
    subjects = {name: list(items.ids) for name, items in parts.items()}
    return {**job.config, "subjects": subjects}


def _surroundings(job: Job) -> dict[str, Any]:
    """Return what may change while a run goes on, at the cost of a warning."""
    return {
        "device": job.device,
        "acceleration": asdict(job.acceleration),
        "hardware": environment.hardware(job.device),
        "versions": environment.versions(),
        "git": environment.git_commit(),
    }


def _begin(job: Job, folder: Path, *, overwrite: bool, renew: bool) -> dict[str, Any]:
    """Return the record of an earlier attempt at the same job, or start a new one."""
    earlier = check(job, folder, overwrite=overwrite, renew=renew)
    if earlier:
        return dict(earlier.record)
    results.clear(folder)
    record = {
        "format": results.FORMAT,
        "status": "running",
        **_settings(job),
        "modalities": list(job.view.val[0].modalities),
        "expected": len(job.view.test),
        "pipeline": job.pipeline,
        **_surroundings(job),
        "warnings": list(job.view.caveats),
        "timings": {},
    }
    files.write_json(folder / "run.json", record)
    return record


def _note_changes(record: dict[str, Any], job: Job, monitor: Monitor) -> None:
    """Warn, in the record too, if a run goes on with other versions or hardware."""
    for name, old, new in differences(record, _surroundings(job)):
        what = name.rpartition(".")[2].replace("_", " ")
        text = (
            f"The run went on with another {what}: {new}, before {old}. Its numbers "
            "may not repeat."
        )
        monitor.warn(f"warning: {text}")
        record["warnings"] = list(dict.fromkeys([*record["warnings"], text]))


def _note_validation(record: dict[str, Any], job: Job) -> None:
    """Record what thresholds are chosen on, which may not change afterwards.

    Raises:
        DataError: it has changed since an earlier attempt.
    """
    found = stages.validation_hash(job)
    if record.setdefault("validation_hash", found) != found:
        msg = (
            "a validation scan changed since an earlier attempt at this run. Bring the "
            "old files back, or run again with --overwrite."
        )
        raise DataError(msg)


def _finish(folder: Path, record: dict[str, Any]) -> None:
    learned = load_arrays(folder / "model.safetensors")
    record["status"] = "done"
    record["parameters"] = count_parameters(learned)
    record["peak_memory_mib"] = round(environment.peak_memory_mib())
    record["data_hash"] = _data_hash(folder)
    files.write_json(folder / "run.json", record)


def _data_hash(folder: Path) -> str:
    """Return a hash of all test images and labels, by which runs know their like."""
    rows = files.read_rows(folder / "cases.csv")
    words = "\n".join(f"{row['case']} {row.get('content', '')}" for row in rows)
    return files.short_hash(words)
