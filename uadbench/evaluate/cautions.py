"""What a reader of the numbers has to know before believing them."""

from collections.abc import Iterator, Sequence

from uadbench.inference import few_subjects

from .names import listing
from .request import MASK, Request
from .run import Evaluation


def cautions(request: Request, found: Evaluation) -> Iterator[str]:
    """Yield what a reader of the numbers has to know."""
    if request.brains is None:
        flattered = "AUROC and FPR" if found.kind == "score" else "FPR"
        yield (
            f"No --brain: the background counts as healthy, which makes {flattered} "
            "look better than inside the brain."
        )
    yield from _of_files(found)
    if found.kind == "score":
        yield from _of_labels(request, found)
    yield from _of_voxels(request, found)
    subjects = len({row["subject"] for row in found.scored})
    if found.scored and few_subjects(subjects):
        yield few_subjects(subjects)


def _of_files(found: Evaluation) -> Iterator[str]:
    """Yield which files were left out, and which were not scored as they are."""
    ignored = {
        "predictions without a reference": found.pairs.extra,
        "predictions named as nnU-Net's images (CASE_0000)": found.pairs.images,
        "brain masks without a reference, where a case has none": found.pairs.spare,
    }
    for what, paths in ignored.items():
        if paths:
            yield f"Ignored {what}: {listing(path.name for path in paths)}."
    if found.resampled:
        yield f"Resampled onto the reference's grid: {listing(found.resampled)}."


def _of_labels(request: Request, found: Evaluation) -> Iterator[str]:
    """Yield that predictions may be no scores, although they are read so."""
    cases = [str(row["case"]) for row in found.scored]
    fractional = [case for case in cases if case not in found.like_labels]
    if cases and not fractional:
        yield (
            "Predictions hold small whole numbers alone and are read as scores. If "
            "these are labels, --prediction-label N makes masks of them."
        )
    elif found.like_labels and request.kind == "auto":
        yield (
            f"All predictions are read as scores because of {listing(fractional)}; "
            f"small whole numbers alone are held by {listing(found.like_labels)}. If "
            "these are masks, use --kind mask, which refuses the others."
        )


def _of_voxels(request: Request, found: Evaluation) -> Iterator[str]:
    """Yield where lesion, prediction or healthy tissue is not where it should be."""
    if found.outside_ml:
        volume = f"{found.outside_ml:.4g} mL"
        yield f"{volume} of lesion lie outside the brain masks and are not counted."
    if not found.scored:
        return
    if not any(row["lesion_ml"] for row in found.scored):
        yield f"No reference holds a lesion{_labelled(request.labels)}."
    filled = [str(row["case"]) for row in found.scored if row["prevalence"] == 1]
    if filled:
        yield (
            f"All that is scored is lesion in {listing(filled)}. Is the reference or "
            "the brain mask another file?"
        )
    raw, *_ = found.pools.values()
    if found.kind == "mask" and not raw.masks[MASK].predicted:
        yield f"No prediction marks a voxel{_labelled(request.prediction_labels)}."


def _labelled(labels: Sequence[int]) -> str:
    return f" of label {','.join(map(str, labels))}" * bool(labels)
