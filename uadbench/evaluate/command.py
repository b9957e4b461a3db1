"""`uadbench evaluate`: options in, numbers and an exit status out."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from uadbench.arguments import Folder
from uadbench.errors import INTERRUPTED

if TYPE_CHECKING:
    from .request import Request

FOLDER = Folder(exists=True, file_okay=False)
FAILED, NOTHING = 1, 3


@click.command()
@click.argument("predictions", type=FOLDER)
@click.argument("references", type=FOLDER)
@click.option("--brain", type=FOLDER, help="Brain masks; only inside them is scored.")
@click.option(
    "--pattern",
    default="*",
    metavar="GLOB",
    help="Names of predictions, such as '*_score.nii.gz' in a run's maps/.",
)
@click.option(
    "--reference-pattern",
    default="*",
    metavar="GLOB",
    help="Names of references, such as '*_label-lesion_mask.nii.gz'.",
)
@click.option(
    "--brain-pattern",
    default="*",
    metavar="GLOB",
    help="Names of brain masks, such as '*_desc-brain_mask.nii.gz'.",
)
@click.option(
    "--kind",
    type=click.Choice(("auto", "mask", "score")),
    default="auto",
    show_default=True,
    help="What predictions are; auto: masks if every file holds 0 and 1 (or 255) only.",
)
@click.option(
    "--label",
    default="",
    metavar="N[,N]",
    help="Values of references that are lesion; default: all above 0.",
)
@click.option(
    "--ignore",
    default="",
    metavar="N[,N]",
    help="Values of references that no metric counts, such as 2 of the WMH challenge.",
)
@click.option(
    "--prediction-label",
    default="",
    metavar="N[,N]",
    help="Values of predictions that are lesion, where these are label maps.",
)
@click.option(
    "--on-geometry-mismatch",
    type=click.Choice(("error", "resample")),
    default="error",
    show_default=True,
    help="A prediction on another grid than its reference fails, or is brought onto "
    "it: scores linearly, masks by the nearest voxel. References stay as they are.",
)
@click.option(
    "--threshold",
    "thresholds",
    multiple=True,
    metavar="fixed:SCORE",
    help="Cut score maps here; repeat for more. The oracle is always reported.",
)
@click.option(
    "--postprocess",
    default="",
    metavar="STEPS",
    help="Such as median:3,min-volume:20; raw results stand beside.",
)
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Processes; the numbers are the same for any.",
)
@click.option(
    "-o",
    "--output",
    type=Folder(file_okay=False),
    default=Path("evaluation"),
    show_default=True,
    help="Where cases.csv and summary.json go.",
)
@click.option("--overwrite", is_flag=True, help="Replace an earlier evaluation.")
@click.option("-q", "--quiet", is_flag=True, help="No table; only what is wrong.")
@click.option("--json", "as_json", is_flag=True, help="Print summary.json.")
def evaluate(**words: Any) -> int:
    """Score any two folders of NIfTI files: masks or score maps against references.

    A prediction belongs to the reference of the same file name, or else of the same
    BIDS examination (sub-1_ses-2_desc-x_mask fits sub-1_ses-2_label-lesion_mask),
    in whatever subfolder. nnU-Net's CASE.nii.gz fits CASE.nii.gz; CASE_0000.nii.gz is
    an image. Where several files fit, choose by a pattern.

    Every reference is a case. The exit status is 1 if one is missing or failed (the
    others are scored), 3 if none could be scored. Files are written at the end.
    """
    from uadbench.console import tell
    from uadbench.progress import monitor

    from . import cautions, output, run, summary, table

    request, folder = _request(words), words["output"]
    with output.reserved(folder, overwrite=words["overwrite"]):
        try:
            with monitor(words["quiet"]) as watch:
                found = run.evaluate(request, watch)
                notes = list(cautions.cautions(request, found))
                for note in notes:
                    watch.warn(f"warning: {note}")
                content = summary.summarise(request, found, notes)
        except KeyboardInterrupt:
            click.echo("interrupted: nothing is written; repeat the command.", err=True)
            return INTERRUPTED
        output.write(folder, found, content)
    if words["as_json"]:
        tell((folder / "summary.json").read_text())
    elif not words["quiet"]:
        tell(table.text(found, content, folder))
    if not found.scored:
        return NOTHING
    return 0 if len(found.scored) == len(found.rows) else FAILED


def _request(words: Mapping[str, Any]) -> "Request":
    """Return what the command line asks for."""
    from uadbench.postprocess import Pipeline

    from .names import Source
    from .request import Request, labels, thresholds

    brains = words["brain"] and Source(
        words["brain"], words["brain_pattern"], "--brain-pattern"
    )
    return Request(
        predictions=Source(words["predictions"], words["pattern"], "--pattern"),
        references=Source(
            words["references"], words["reference_pattern"], "--reference-pattern"
        ),
        brains=brains,
        kind=words["kind"],
        labels=labels("--label", words["label"]),
        ignore=labels("--ignore", words["ignore"]),
        prediction_labels=labels("--prediction-label", words["prediction_label"]),
        resample=words["on_geometry_mismatch"] == "resample",
        thresholds=thresholds(words["thresholds"]),
        pipeline=Pipeline.parse(words["postprocess"]),
        jobs=words["jobs"],
    )
