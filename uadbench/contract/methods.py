"""What a method promises, tried on made-up brains."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from uadbench import options, registry
from uadbench.checkpoints import FileCheckpoint, load_arrays, save_arrays
from uadbench.checks import check_prediction
from uadbench.contract.check import Check
from uadbench.contract.specimens import ONE, Material
from uadbench.errors import ContractError
from uadbench.protocols import Arrays, Checkpoint, Context, Method, Prediction, Scan

SEED = 0


class _KilledError(BaseException):
    """Stands for the end of the process: no method's `except Exception` stops it."""


@dataclass(frozen=True, eq=False)
class Subject:
    """A method and how it is tried.

    Attributes:
        name: of the plugin.
        given: options that make it quick, on top of the preset demo.
        modalities: of the made-up scans.
    """

    name: str
    given: Mapping[str, object] = field(default_factory=dict)
    modalities: tuple[str, ...] = ONE

    def build(self) -> Method:
        """Return the method, not fitted."""
        plugin = registry.load("methods", self.name)
        preset = "demo" if "demo" in plugin.card.presets else None
        method: Method = options.build(plugin, self.name, self.given, preset)
        return method

    @cached_property
    def material(self) -> Material:
        """The scans of `fitted`."""
        return Material(self.modalities)

    @cached_property
    def fitted(self) -> Method:
        """The method that most checks share, fitted once."""
        return self.learn(Context(SEED), self.material)

    def learn(self, ctx: Context, material: Material | None = None) -> Method:
        """Return the method, newly fitted."""
        method = self.build()
        material = material or Material(self.modalities)
        method.fit(material.scans("a", "b", "c"), material.scans("d"), ctx)
        return method

    def checkpointed(self, checkpoint: Checkpoint) -> Method:
        """Return the method, fitted as `fitted` is, from a checkpoint on."""
        return self.learn(Context(SEED, checkpoint=checkpoint))

    def predict(self, *names: str) -> list[Prediction]:
        """Return what the fitted method says of some scans."""
        return predict(self.fitted, self.scans(*names))

    def scans(self, *names: str) -> list[Scan]:
        """Return made-up scans."""
        return list(Material(self.modalities).scans(*names))


def predict(method: Method, scans: Iterable[Scan]) -> list[Prediction]:
    """Return all predictions of a method."""
    return list(method.predict(iter(scans), Context(SEED)))


def method_checks(subject: Subject) -> list[Check]:
    """Return the checks of what a method does."""
    vital = {
        "fits healthy scans": check_fit,
        "yields one valid prediction for each scan": check_predictions,
    }
    others = {
        "yields nothing for no scan": check_nothing,
        "scores the brain and nothing else": check_inside,
        "scores only slices that count": check_slices,
        "leaves the scans as they are": check_untouched,
        "asks a scan for no label": check_blind,
        "predicts a scan the same in any order and company": check_company,
        "keeps in its state all that a prediction needs": check_state,
        "learns the same from the same seed": check_repeats,
        "goes on after a kill to what it would have learned": check_resumes,
    }
    return [
        Check(title, partial(check, subject), vital=title in vital)
        for title, check in (vital | others).items()
    ]


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
    """Raise a ContractError unless scores are 0 outside the brain, and not inside."""
    (scan,) = subject.scans("x")
    (prediction,) = predict(subject.fitted, [scan])
    if prediction.score[~scan.scored].any():
        msg = "there are scores outside the brain: multiply by 'scan.scored'."
        raise ContractError(msg)
    if not prediction.score[scan.scored].any():
        msg = "every score is 0."
        raise ContractError(msg)


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
    """Raise a ContractError unless scores are in the slices that count, and no other."""
    (scan,) = subject.scans("x")
    (prediction,) = predict(subject.fitted, [replace(scan, slices=(2,))])
    scored = np.flatnonzero(prediction.score.any(axis=(0, 1))).tolist()
    if scored != [2]:
        msg = (
            f"slice 2 counts and slices {scored} have scores: use 'scan.slices', or "
            "multiply by 'scan.scored'."
        )
        raise ContractError(msg)


def check_company(subject: Subject) -> None:
    """Raise a ContractError if other scans change what is said of one."""
    x, y = subject.predict("x", "y")
    (alone,) = subject.predict("y")
    swapped, _ = subject.predict("y", "x")
    for other, when in ((alone, "alone"), (swapped, "first")):
        gap = difference(y, other)
        if gap:
            msg = (
                f"scan 'y' predicted {when} differs from itself after 'x' in {gap}: "
                "draw random numbers from 'ctx.child(scan.id)', keep nothing."
            )
            raise ContractError(msg)
    if np.array_equal(x.score, y.score):
        msg = "two scans have one and the same scores."
        raise ContractError(msg)


def check_repeats(subject: Subject) -> None:
    """Raise a ContractError unless a seed decides what is learned."""
    again = subject.learn(Context(SEED))
    require_same(subject.fitted.state(), again.state(), "a second fit of the same seed")


def check_state(subject: Subject) -> None:
    """Raise a ContractError unless a method comes back from a safetensors file."""
    state = subject.fitted.state()
    odd = [name for name, array in state.items() if not isinstance(array, np.ndarray)]
    if odd:
        msg = f"state: {', '.join(odd)} must be numpy arrays, as safetensors keep them."
        raise ContractError(msg)
    restored = subject.build()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        save_arrays(path, state)
        restored.restore(load_arrays(path))
    (got,) = predict(restored, subject.scans("x"))
    gap = difference(subject.predict("x")[0], got)
    if gap:
        msg = (
            f"a restored method predicts otherwise, in {gap}: 'state' lacks something."
        )
        raise ContractError(msg)


def check_resumes(subject: Subject) -> None:
    """Raise a ContractError unless a fit that was killed ends as if it was not.

    It is killed after its first, its middle and its last checkpoint; one that keeps
    none begins again.
    """
    whole = subject.fitted.state()
    saves = _count_saves(subject)
    for number in sorted({1, (saves + 1) // 2, saves} & set(range(1, saves + 1))):
        with TemporaryDirectory() as folder:
            _kill(subject, Path(folder), number)
            resumed = subject.checkpointed(FileCheckpoint(Path(folder) / "fit"))
        what = f"a fit that was killed after checkpoint {number} of {saves}"
        require_same(whole, resumed.state(), what)


def _count_saves(subject: Subject) -> int:
    """Return how often a fit that nothing disturbs saves to its checkpoint."""
    saves: list[None] = []
    with TemporaryDirectory() as folder:
        subject.checkpointed(
            FileCheckpoint(Path(folder) / "fit", lambda: saves.append(None))
        )
    return len(saves)


def _kill(subject: Subject, folder: Path, number: int) -> None:
    """End a fit right after it saved to its checkpoint for the `number`-th time."""
    saves: list[None] = []

    def saved() -> None:
        saves.append(None)
        if len(saves) == number:
            raise _KilledError

    try:
        subject.checkpointed(FileCheckpoint(folder / "fit", saved))
    except _KilledError:
        return


def require_same(one: Arrays, other: Arrays, what: str) -> None:
    """Raise a ContractError that names the arrays of two states that differ."""
    differing = sorted(
        name
        for name in one.keys() | other.keys()
        if name not in one or name not in other or not _equal(one[name], other[name])
    )
    if differing:
        msg = (
            f"{what} differs in {', '.join(differing[:3])}: draw the random numbers of "
            'each step from ctx.child(f"step{step}"), and save all that a step needs.'
        )
        raise ContractError(msg)


def difference(one: Prediction, other: Prediction) -> str:
    """Return what differs between two predictions of one scan, "" if nothing does."""
    if not np.array_equal(one.score, other.score):
        gap = float(np.abs(one.score - other.score).max())
        return f"the score (by up to {gap:.2g})"
    if (one.mask is None) != (other.mask is None):
        return "having a mask"
    if one.mask is not None and other.mask is not None:
        return "" if np.array_equal(one.mask, other.mask) else "the mask"
    return ""


def _equal(one: NDArray[np.generic], other: NDArray[np.generic]) -> bool:
    """Return whether two arrays have the same type and numbers; NaN equals itself."""
    real = one.dtype.kind in "fc"
    return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=real)
