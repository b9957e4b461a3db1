"""What a method promises of its predictions, tried on made-up brains."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from uadbench import options
from uadbench.checks import check_prediction
from uadbench.contract.specimens import Material
from uadbench.contract.subject import Subject, difference, predict
from uadbench.errors import ContractError
from uadbench.protocols import Prediction

ROUNDING = 1e-5


def check_fit(subject: Subject) -> None:
    """Raise whatever the fit raises."""
    _ = subject.fitted


def check_predictions(subject: Subject) -> None:
    """Raise unless there is one prediction a scan, each as the core expects it.

    Raises:
        ContractError: a wrong number, type or shape.
        DataError: scores that are NaN or infinite.
    """
    scans = subject.scans("x", "y", "z")
    predictions = predict(subject.fitted, scans)
    if len(predictions) != len(scans):
        msg = f"{len(predictions)} predictions for {len(scans)} scans: yield one each."
        raise ContractError(msg)
    for scan, prediction in zip(scans, predictions, strict=True):
        check_prediction(prediction, scan, f"scan '{scan.id}'")


def check_nothing(subject: Subject) -> None:
    """Raise a ContractError if there are predictions of no scan."""
    found = len(subject.predict())
    if found:
        msg = f"{found} predictions for no scan: yield one for each scan."
        raise ContractError(msg)


def check_inside(subject: Subject) -> None:
    """Raise a ContractError unless score and mask keep to the brain."""
    (scan,) = subject.scans("x")
    (prediction,) = predict(subject.fitted, [scan])
    _require_within(scan.brain, prediction, "outside the brain")


def check_untouched(subject: Subject) -> None:
    """Raise a ContractError if a scan was changed, which others get as well."""
    material = Material(subject.modalities)
    predict(subject.fitted, material.scans("x"))
    for what, scans in {"fit": subject.material, "predict": material}.items():
        if scans.changed():
            msg = f"{what} writes into a scan: copy the array first."
            raise ContractError(msg)


def check_blind(subject: Subject) -> None:
    """Raise a ContractError if a scan was asked for what it does not have."""
    material = Material(subject.modalities)
    predict(subject.fitted, material.scans("x"))
    asked = sorted(subject.material.asked() | material.asked())
    if asked:
        msg = (
            f"it asks a scan for {', '.join(asked)}, which no Scan has: "
            "a method sees images and brains, never a label."
        )
        raise ContractError(msg)


def check_slices(subject: Subject) -> None:
    """Raise a ContractError unless score and mask keep to the slices that count."""
    (scan,) = subject.scans("x")
    counted = np.zeros_like(scan.brain)
    counted[..., 2] = True
    (prediction,) = predict(subject.fitted, [replace(scan, slices=(2,))])
    _require_within(counted, prediction, "in slices that do not count")


def _require_within(
    place: NDArray[np.bool_], prediction: Prediction, elsewhere: str
) -> None:
    """Raise a ContractError unless score and mask are 0 elsewhere, the score not here.

    Args:
        place: where they may be, bool (X, Y, Z).
        prediction: its mask may be None.
        elsewhere: in words.
    """
    for what, voxels in (("score", prediction.score), ("mask", prediction.mask)):
        if voxels is not None and voxels[~place].any():
            msg = f"the {what} is not 0 {elsewhere}: multiply it by 'scan.scored'."
            raise ContractError(msg)
    if not prediction.score.any():
        msg = "every score is 0: give one to each voxel of 'scan.scored'."
        raise ContractError(msg)


def check_company(subject: Subject) -> None:
    """Raise a ContractError if other scans change what is said of one.

    How sums are rounded may depend on them, where slices of several share a batch and
    threads share it too.
    """
    x, y = subject.predict("x", "y")
    (alone,) = subject.predict("y")
    swapped, _ = subject.predict("y", "x")
    for other, when in ((alone, "alone"), (swapped, "first")):
        gap = difference(y, other, ROUNDING)
        if gap:
            msg = (
                f"scan 'y' predicted {when} has another {gap} than after 'x': "
                "draw random numbers from 'ctx.child(scan.id)', keep nothing."
            )
            raise ContractError(msg)
    if np.array_equal(x.score, y.score):
        msg = "two scans have one and the same scores."
        raise ContractError(msg)


def check_batch(subject: Subject) -> None:
    """Raise a ContractError if a score depends on the option `batch`, where it exists.

    How sums are rounded may depend on it.
    """
    if "batch" not in options.names(subject.fitted):
        return
    single = subject.build(batch=1)
    single.restore(subject.fitted.state())
    (expected,) = subject.predict("x")
    (got,) = predict(single, subject.scans("x"))
    if not np.allclose(got.score, expected.score, atol=ROUNDING):
        msg = (
            f"batch=1 gives another {difference(expected, got)}: let no slice see the "
            "others of its batch, and draw the noise of a scan before it is split."
        )
        raise ContractError(msg)
