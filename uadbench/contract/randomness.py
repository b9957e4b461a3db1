"""What a method promises of random generators that a whole process shares."""

import json
import random
import sys
from collections.abc import Callable
from functools import partial

import numpy as np

from uadbench.contract.subject import SEED, Subject
from uadbench.errors import ContractError
from uadbench.protocols import Context

Work = Callable[[], object]


def check_generators(subject: Subject) -> None:
    """Raise a ContractError if fit or predict changes a global random generator."""
    # After a first fit all that a method needs is imported, torch among it.
    _ = subject.fitted
    works: dict[str, Work] = {
        "fit": lambda: subject.learn(Context(SEED)),
        "predict": lambda: subject.predict("x"),
    }
    for what, work in works.items():
        changed = disturbed_by(work)
        if changed:
            msg = (
                f"{what} changes the global generator of {', '.join(changed)}: draw "
                "from 'ctx.rng()' or from one that is seeded with 'ctx.seed', or put "
                "the state back as it was."
            )
            raise ContractError(msg)


def disturbed_by(work: Work) -> list[str]:
    """Return the modules whose global generator is in another state after some work."""
    generators = _generators()
    # Work that sets one and the same seed would find the state that it left before.
    for draw, _ in generators.values():
        draw()
    before = {module: state() for module, (_, state) in generators.items()}
    work()
    return [name for name, (_, state) in generators.items() if state() != before[name]]


def _generators() -> dict[str, tuple[Work, Work]]:
    """Return how to draw from the global generator of each module, and its state.

    The core never imports torch, but finds it loaded by a method that needs it.
    """
    found: dict[str, tuple[Work, Work]] = {
        "random": (random.random, random.getstate),
        "numpy": (np.random.random, _numpy_state),
    }
    torch = sys.modules.get("torch")
    if torch is not None:
        drawn = partial(torch.rand, 1)
        found["torch"] = drawn, lambda: torch.get_rng_state().tolist()
    return found


def _numpy_state() -> str:
    """Return the state of numpy's global generator, which may be any of its kinds."""
    state = np.random.get_state(legacy=False)  # noqa: NPY002 - what is watched
    return json.dumps(state, default=np.ndarray.tolist)
