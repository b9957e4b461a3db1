"""What a method promises of what it learns: kept, repeated, resumed."""

from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from uadbench.checkpoints import FileCheckpoint, load_arrays, save_arrays
from uadbench.contract.subject import SEED, Subject, difference, predict
from uadbench.errors import ContractError
from uadbench.protocols import Arrays, Context


class _KilledError(BaseException):
    """Stands for the end of the process: no method's `except Exception` stops it."""


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
        msg = f"a restored method predicts another {gap}: 'state' lacks something."
        raise ContractError(msg)


def check_repeats(subject: Subject) -> None:
    """Raise a ContractError unless a seed decides what is learned.

    It is not checked that another seed changes a fit or a prediction: a method that
    ignores `ctx.seed` cannot be told from one that draws nothing.
    """
    again = subject.learn(Context(SEED))
    require_same(subject.fitted.state(), again.state(), "a second fit of the same seed")


def check_resumes(subject: Subject) -> None:
    """Raise a ContractError unless a fit that was killed ends as if it was not.

    It is killed at each of `kills`; one that keeps no checkpoint begins again.
    """
    whole = subject.fitted.state()
    with TemporaryDirectory() as folder:
        saves = _fit_until(subject, Path(folder))
    for last in kills(saves):
        with TemporaryDirectory() as folder:
            _fit_until(subject, Path(folder), last)
            resumed = subject.checkpointed(FileCheckpoint(Path(folder) / "fit"))
        what = f"a fit that was killed after checkpoint {last} of {saves}"
        require_same(whole, resumed.state(), what)


def kills(saves: int) -> list[int]:
    """Return after which of its checkpoints, counted from 1, a fit is killed.

    The first, a quarter, half, three quarters and all: of two networks that are trained
    in turn, each is killed amid its training.
    """
    return sorted({max(1, round(part * saves / 4)) for part in range(5) if saves})


def _fit_until(subject: Subject, folder: Path, last: int = 0) -> int:
    """Fit until checkpoint number `last` is saved, or to the end; return how many were.

    What is saved stays in the folder.
    """
    saves = 0

    def saved() -> None:
        nonlocal saves
        saves += 1
        if saves == last:
            raise _KilledError

    with suppress(_KilledError):
        subject.checkpointed(FileCheckpoint(folder / "fit", saved))
    return saves


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


def _equal(one: NDArray[np.generic], other: NDArray[np.generic]) -> bool:
    """Return whether two arrays have the same type and numbers; NaN equals itself."""
    real = one.dtype.kind in "fc"
    return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=real)
