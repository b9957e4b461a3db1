"""The command line: parse, call one function, print, exit."""

import errno
import io
import re
import signal
import sys
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import rich_click as click

from uadbench.arguments import (
    ONE_DATASET,
    SEVERAL_DATASETS,
    Folder,
    folder_of,
    make_plan,
    make_plans,
    shared_options,
)
from uadbench.authors import check, new
from uadbench.bench.command import bench
from uadbench.console import drop_output
from uadbench.errors import INTERRUPTED, UadbenchError
from uadbench.evaluate.command import evaluate
from uadbench.installed import info, list_known
from uadbench.printing import json_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from uadbench.campaign import Outcome
    from uadbench.plans import Job

SMALLER = "Lower the method's size or batch (evaluate: --jobs), or find more memory."
# What torch says, in a RuntimeError, where there is too little memory.
TOO_LARGE = re.compile("out of memory|allocate memory", re.IGNORECASE)
EPILOG = (
    "Exit status: 0 done, 1 some case or cell failed (the others are saved) or memory "
    "or disk were too small, 2 usage, 3 data, 4 a plugin broke its contract, 130 "
    "interrupted. Repeated, run and compare go on; evaluate begins anew."
)


@click.group(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="uadbench", prog_name="uadbench")
def app() -> None:
    """Unsupervised anomaly detection on brain MRI: train, predict, score, report."""


@app.command()
@click.option("-m", "--method", required=True, help="See 'uadbench list methods'.")
@click.option(
    "--set",
    "pairs",
    multiple=True,
    metavar="NAME=VALUE",
    help="An option of the method, such as size=96; repeat for more.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@shared_options(ONE_DATASET)
def run(
    method: str, pairs: tuple[str, ...], seed: int, name: str | None, **shared: Any
) -> int:
    """Train a method on healthy brains, find lesions, score and report.

    A run that was killed goes on with the same command.
    """
    from uadbench import campaign, options, plans

    plan = make_plan(method, seed, shared, options.parse(pairs))
    folder = folder_of(shared, name, f"{method}-{shared['dataset']}-seed{seed}")
    if shared["dry_run"]:
        _print_json(_dry(plans.resolve(plan), folder))
        return 0
    with _monitor(shared) as monitor:
        outcomes = campaign.with_baseline(
            plan, folder, monitor, overwrite=shared["overwrite"]
        )
    return _report(outcomes, folder / "report", shared)


@app.command()
@click.option("-m", "--methods", required=True, help="Names, separated by commas.")
@click.option(
    "--set",
    "pairs",
    multiple=True,
    metavar="METHOD.NAME=VALUE",
    help="An option of one method, such as ae.latent=64; repeat for more.",
)
@click.option(
    "--seeds", default="0", show_default=True, help="Numbers, separated by commas."
)
@shared_options(SEVERAL_DATASETS)
def compare(
    methods: str, pairs: tuple[str, ...], seeds: str, name: str | None, **shared: Any
) -> int:
    """Run several methods on one or more datasets and make one report of them.

    All cells are checked before the first is run. Cells that are done are kept; one
    that fails does not end the others.
    """
    from uadbench import campaign, words
    from uadbench.grid import grid
    from uadbench.results import claim

    overwrite = shared["overwrite"]
    chosen = words.names(methods)
    options = words.by_method(pairs, chosen)
    plans = make_plans(chosen[0], shared)
    folder = folder_of(shared, name, f"compare-{'-'.join(plans)}")
    cells = grid(plans, chosen, words.seeds_of(seeds), options, folder)
    jobs = campaign.check_cells(cells, folder, overwrite=overwrite)
    if shared["dry_run"]:
        pairs_of = zip(jobs, cells, strict=True)
        _print_json([_dry(job, cell.folder) for job, cell in pairs_of])
        return 0
    with claim(folder):
        with _monitor(shared) as monitor:
            outcomes = campaign.compare(cells, folder, monitor, overwrite=overwrite)
        return _report(outcomes, folder / "report", shared)


@app.command()
@click.argument("folders", nargs=-1, required=True, type=Folder())
@click.option(
    "-o",
    "--output",
    type=Folder(),
    help="Where the report goes; default: report/ in the first folder.",
)
@click.option(
    "--reference",
    metavar="METHOD",
    help="Compare the others with this one of the methods; default: intensity.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing.")
def report(
    folders: tuple[Path, ...],
    output: Path | None,
    reference: str | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """Make tables, figures and the page again from run folders.

    A folder that holds run folders stands for all of them. Runs that are not finished,
    and a comparison's cells that failed or wait, are named and left out.
    """
    from uadbench.campaign import Missing, outcomes_in
    from uadbench.errors import check_known
    from uadbench.results import Run

    outcomes = [found for folder in folders for found in outcomes_in(folder)]
    for outcome in outcomes:
        if isinstance(outcome, Missing):
            click.echo(outcome, err=True)
    options = {}
    if reference is not None:
        done = {o.method for o in outcomes if isinstance(o, Run) and o.done}
        check_known("--reference", reference, done)
        options["reference"] = reference
    shared = {"as_json": as_json, "quiet": quiet}
    return _report(outcomes, output or folders[0] / "report", shared, options)


for command in (evaluate, bench, list_known, info, check, new):
    app.add_command(command)


def main() -> NoReturn:
    """Run the command line; exit with the status that `EPILOG` explains."""
    # SLURM ends a job by SIGTERM: the same as Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    warnings.formatwarning = lambda message, *_args, **_more: f"warning: {message}\n"
    for stream in (sys.stdout, sys.stderr):
        # A batch job may have an encoding without all of our letters.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        status = app(standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        status = error.exit_code
    except UadbenchError as error:
        click.echo(f"error: {error}", err=True)
        status = error.status
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted: repeat the command (run and compare go on).", err=True)
        status = INTERRUPTED
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and not TOO_LARGE.search(str(error)):
            raise
        click.echo(f"error: out of memory ({error}). {SMALLER}", err=True)
        status = UadbenchError.status
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EPIPE):
            raise
        drop_output()
        click.echo(f"error: the output cannot be written ({error}).", err=True)
        status = UadbenchError.status
    sys.exit(status)


def _monitor(shared: dict[str, Any]) -> Any:
    from uadbench.progress import monitor

    return monitor(shared["quiet"])


def _dry(job: "Job", folder: Path) -> dict[str, Any]:
    """Return what a plan resolves to, and how many subjects it has."""
    parts = (job.view.train, job.view.val, job.view.test)
    subjects = dict(zip(("train", "val", "test"), map(len, parts), strict=True))
    found = {
        "folder": str(folder),
        "device": job.device,
        "acceleration": asdict(job.acceleration),
        "subjects": subjects,
    }
    return {**found, **job.config}


def _report(
    outcomes: "Sequence[Outcome]",
    out: Path,
    shared: dict[str, Any],
    options: dict[str, Any] | None = None,
) -> int:
    """Render the report, print the result, and return the exit status.

    Without a finished run there is neither table nor report.
    """
    from uadbench import describing, rendering
    from uadbench.results import Run

    def warn(message: str) -> None:
        click.echo(message, err=True)

    runs = [outcome for outcome in outcomes if isinstance(outcome, Run)]
    done = [run for run in runs if run.done]
    failed = [str(outcome) for outcome in outcomes if not isinstance(outcome, Run)]
    for run in runs:
        if not run.done:
            warn(f"{run.folder}: left out, it is not finished. Repeat its command.")
    broken = 0
    if done:
        given = {**(options or {}), "failed": tuple(failed)}
        _, broken = rendering.render(runs, out, warn, given)
    else:
        warn("no report: no run is finished.")
    if shared["as_json"]:
        _print_json({str(run.folder): run.summary for run in done})
    elif done and not shared["quiet"]:
        describing.show_results(done, out)
    whole = len(done) == len(outcomes) and all(run.whole for run in done)
    return 0 if whole and not broken else 1


def _print_json(content: object) -> None:
    click.echo(json_text(content))
