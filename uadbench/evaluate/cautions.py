"""What a reader of the numbers has to know before believing them."""

from collections.abc import Iterator

from uadbench.inference import few_subjects

from .names import listing
from .request import Request
from .run import Evaluation


def cautions(request: Request, found: Evaluation) -> Iterator[str]:
    """Yield what a reader of the numbers has to know."""
    if request.brains is None:
        yield (
            "No --brain: the background counts as healthy, which makes AUROC and FPR "
            "look better than they are inside the brain."
        )
    ignored = {
        "predictions without a reference": found.pairs.extra,
        "predictions named as nnU-Net's images (CASE_0000)": found.pairs.images,
        "brain masks without a reference, where a case has none": found.pairs.spare,
    }
    for what, paths in ignored.items():
        if paths:
            yield f"Ignored {what}: {listing(path.name for path in paths)}."
    if found.resampled:
        names = listing(found.resampled)
        yield f"Resampled onto the reference's grid: {names}."
    if found.like_labels and len(found.like_labels) == len(found.scored):
        yield (
            "Predictions hold small whole numbers alone and are read as scores. If "
            "these are labels, --prediction-label N makes masks of them."
        )
    if found.outside_ml:
        volume = f"{found.outside_ml:.4g} mL"
        yield f"{volume} of lesion lie outside the brain masks and are not counted."
    scored = found.scored
    if scored and not any(row["lesion_ml"] for row in scored):
        wanted = f"label {','.join(map(str, request.labels))}" * bool(request.labels)
        yield f"No reference holds a lesion{' of ' * bool(wanted)}{wanted}."
    subjects = len({row["subject"] for row in scored})
    if scored and few_subjects(subjects):
        yield few_subjects(subjects)
