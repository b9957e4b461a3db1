"""What a method is measured with: made-up brains, loops cut short, counted operations.

Nothing is asked of a method beyond its contract.
"""

import importlib
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import TypeVar

import numpy as np

from uadbench import options, registry
from uadbench.errors import UsageError
from uadbench.members import has_members
from uadbench.protocols import Context, Lazy, Method, Scan, Silent

Item = TypeVar("Item")
Count = Callable[[], int]

SIDE, PIXEL = 128, 1.875  # px, mm
SLICE = f"{SIDE} x {SIDE} px of {PIXEL} mm"
MODALITIES = ("T1ce", "T2", "T1w", "FLAIR")  # as many of the last as a method needs
REPEATS, LONG = 5, 1.0  # what takes longer, in s, is timed once


class OneStep(Silent):
    """A monitor that ends every loop after its first step, and counts what that took.

    Attributes:
        flop: of the first step of each loop that had any, by label.
    """

    def __init__(self, count: Count) -> None:
        self.flop: dict[str, int] = {}
        self._count = count

    def track(
        self, steps: Iterable[Item], label: str, total: int, done: int = 0
    ) -> Iterator[Item]:
        """Yield the first step."""
        for step in islice(steps, 1):
            before = self._count()
            yield step
            if spent := self._count() - before:
                self.flop[label] = spent


def load(name: str) -> type[Method]:
    """Return a method's class.

    Raises:
        UsageError: there is no such method, or it builds on others.
        ContractError: as `registry.load`.
    """
    plugin: type[Method] = registry.load("methods", name)
    if has_members(plugin):
        msg = f"{name}: costs what its members cost together. Ask for theirs."
        raise UsageError(msg)
    return plugin


def build(
    plugin: type[Method],
    name: str,
    preset: str | None,
    given: Mapping[str, object] | None = None,
) -> Method:
    """Return a method that makes no check on validation data while it learns.

    Raises:
        UsageError: as `options.build`; an option that would have no effect.
    """
    # One made-up scan may be a whole epoch: every step would end with a check.
    calm = {"patience": 0} if "patience" in options.names(plugin) else {}
    for option in calm.keys() & (given or {}):
        msg = (
            f"{name}: '{option}' would have no effect, because steps are measured "
            "without validation. Leave it away."
        )
        raise UsageError(msg)
    return options.build(plugin, name, {**(given or {}), **calm}, preset)


def one_by_one(
    method: Method,
    name: str,
    preset: str | None,
    given: Mapping[str, object] | None = None,
) -> Method:
    """Return a method that has learned the same, and predicts slices one by one.

    One with an option `batch` may fill its batches up, and a slice would cost as much
    as a batch.
    """
    plugin = type(method)
    if "batch" not in options.names(plugin):
        return method
    single = build(plugin, name, preset, {**(given or {}), "batch": 1})
    single.restore(method.state())
    return single


def fit(method: Method, ctx: Context) -> Scan:
    """Let a method learn from one slice; return another that it can predict."""
    train, val, test = (make_scan(part, needed(method)) for part in ("a", "b", "c"))
    method.fit(lazy([train]), lazy([val]), ctx)
    return test


def needed(method: Method) -> tuple[str, ...]:
    """Return the modalities that a method's scans need to have."""
    return MODALITIES[-method.card.modalities :]


def make_scan(name: str, modalities: tuple[str, ...], slices: int = 1) -> Scan:
    """Return slices of a made-up brain: an ellipse of 135 x 180 mm with waves."""
    rng = np.random.default_rng(list(name.encode()))
    x, y = np.ogrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    brain = ((x / 0.5625) ** 2 + (y / 0.75) ** 2 < 1)[..., None]
    waves = np.sin(9 * x + rng.uniform(0, 6)) * np.cos(7 * y + rng.uniform(0, 6))
    noise = rng.standard_normal((len(modalities), SIDE, SIDE, slices))
    image = (1 + 0.2 * waves[..., None] + 0.02 * noise) * brain
    return Scan(
        id=name,
        image=image.astype(np.float32),
        brain=np.repeat(brain, slices, axis=-1),
        spacing=(PIXEL, PIXEL, 5.0),
        affine=np.diag([PIXEL, PIXEL, 5.0, 1.0]),
        modalities=modalities,
        slices=tuple(range(slices)),
    )


def lazy(scans: Sequence[Scan]) -> Lazy[Scan]:
    """Return scans as a dataset gives them."""
    known = {scan.id: scan for scan in scans}
    return Lazy(known, known.__getitem__)


def fastest(work: Callable[[], object]) -> float:
    """Return the seconds of the fastest of some repeats."""
    seconds: list[float] = []
    while len(seconds) < REPEATS and (not seconds or seconds[0] < LONG):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


@contextmanager
def counting() -> Iterator[Count]:
    """Give a function that returns the operations so far; 0 for ever without torch.

    The core never imports torch, but finds it loaded by a method that needs it.
    """
    if "torch" not in sys.modules:
        yield lambda: 0
        return
    counters = importlib.import_module("torch.utils.flop_counter")
    with counters.FlopCounterMode(display=False) as counter:
        yield counter.get_total_flops


def threads() -> int:
    """Return how many threads torch uses; 1 without it."""
    torch = sys.modules.get("torch")
    return 1 if torch is None else int(torch.get_num_threads())
