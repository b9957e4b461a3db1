"""What a method costs: parameters, floating-point operations and seconds for a slice.

Nothing is asked of a method beyond its contract. It is fitted to a made-up brain of one
slice, every loop whose progress it shows ended after one step; then it predicts such a
slice. Parameters are those of its state. Operations are counted as torch carries them
out: all that a prediction takes, passes of an iteration and steps of a sampler among
them, and all of each training step, forward and backward. A check on validation data is
no part of a step: methods that make one have an option `patience`, and `patience=0`
leaves it out.

FFTs, element-wise work and numpy are not counted. A method that iterates until it is
satisfied has hardly learned anything here, and may need another number of passes once
it has.
"""

import importlib
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any, TypeVar

import numpy as np

from uadbench import environment, options, registry
from uadbench.checkpoints import count_parameters
from uadbench.console import table_console, table_of
from uadbench.errors import UsageError, check_known
from uadbench.members import has_members
from uadbench.protocols import Context, Lazy, Method, Scan, Silent

Item = TypeVar("Item")
Count = Callable[[], int]

SIDE, PIXEL = 128, 1.875  # px, mm
SLICE = f"{SIDE} x {SIDE} px of {PIXEL} mm"
MODALITIES = ("T1ce", "T2", "T1w", "FLAIR")  # as many of the last as a method needs
REPEATS, LONG = 5, 1.0  # a prediction that takes longer, in s, is timed once
NOTE = (
    "FLOP: a multiplication and an addition are two; torch's matrix products, "
    "convolutions and attention are counted, FFTs and element-wise work are not. All "
    "passes and sampling steps of a prediction are in it. The network has seen one "
    "update: a method that iterates until it is satisfied may need another number of "
    "passes when it is trained."
)


@dataclass(frozen=True)
class Cost:
    """What a preset costs.

    Attributes:
        preset: its name; "" for the defaults.
        parameters: numbers that are learned.
        flop: of the prediction of one slice; None if torch has nothing to do.
        seconds: of the prediction of a scan of one slice, the fastest of a few.
        step_flop: of a training step at the preset's batch size, without validation, by
            training loop.
    """

    preset: str
    parameters: int
    flop: int | None
    seconds: float
    step_flop: dict[str, int]


def describe(
    name: str, preset: str | None, device: str, say: Callable[[str], object]
) -> dict[str, Any]:
    """Return the cost of a method's presets as JSON, and what it was measured on.

    Args:
        name: of the method.
        preset: one of its own; None for all.
        device: as --device.
        say: told what is being measured, which may take minutes.

    Raises:
        UsageError: no such method, preset or device; a method that builds on others.
    """
    plugin = registry.load("methods", name)
    if has_members(plugin):
        msg = f"{name}: costs what its members cost together. Ask for theirs."
        raise UsageError(msg)
    presets = list(plugin.card.presets) if preset is None else [preset]
    for chosen in presets:
        check_known(f"{name}: presets", chosen, plugin.card.presets)
    where = environment.resolve_device(device)
    costs = []
    for chosen in presets or [""]:
        say(f"measuring {name} {chosen}".rstrip())
        costs.append(asdict(measure(plugin, name, chosen, where)))
    return {
        "device": where,
        "hardware": environment.hardware(where),
        "threads": _threads(),
        "slice": SLICE,
        "presets": costs,
    }


def measure(plugin: type[Method], name: str, preset: str, device: str) -> Cost:
    """Return the cost of one preset; "" for a method's defaults."""
    if "torch" not in sys.modules:
        # A method may import it no earlier than it fits, too late to be counted.
        _fitted(plugin, name, preset, Context(0, device, monitor=OneStep(lambda: 0)))
    with _counting() as count:
        one_step = OneStep(count)
        ctx = Context(0, device, monitor=one_step)
        method, scan = _fitted(plugin, name, preset, ctx)
        before = count()
        list(method.predict([scan], Context(0, device)))
        flop = count() - before
    return Cost(
        preset=preset,
        parameters=count_parameters(method.state()),
        flop=flop or None,
        seconds=_fastest(lambda: list(method.predict([scan], Context(0, device)))),
        step_flop=one_step.flop,
    )


def show(costs: dict[str, Any]) -> None:
    """Print what `describe` gives."""
    console = table_console()
    gpu = costs["hardware"]["gpu"]
    threads = f"{costs['threads']} threads of {costs['hardware']['cpu']}"
    on = gpu or threads.replace("1 threads", "1 thread", 1)
    title = f"\ncost of a slice, {costs['slice']}, on {on}:"
    console.print(title, style="bold", markup=False, soft_wrap=True)
    titles = ("preset", "parameters", "GFLOP", "seconds", "GFLOP of a training step")
    table = table_of(*titles)
    for cost in costs["presets"]:
        steps = [f"{label} {_giga(f)}" for label, f in cost["step_flop"].items()]
        table.add_row(
            cost["preset"] or "defaults",
            f"{cost['parameters']:,}",
            _giga(cost["flop"]),
            f"{cost['seconds']:.3g}",
            ", ".join(steps) or "-",
        )
    console.print(table, markup=False)
    console.print(NOTE, markup=False)


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


def make_scan(name: str, modalities: tuple[str, ...]) -> Scan:
    """Return one slice of a made-up brain: an ellipse of 135 x 180 mm with waves."""
    rng = np.random.default_rng(list(name.encode()))
    x, y = np.ogrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    brain = ((x / 0.5625) ** 2 + (y / 0.75) ** 2 < 1)[..., None]
    waves = np.sin(9 * x + rng.uniform(0, 6)) * np.cos(7 * y + rng.uniform(0, 6))
    noise = rng.standard_normal((len(modalities), SIDE, SIDE, 1))
    image = (1 + 0.2 * waves[..., None] + 0.02 * noise) * brain
    return Scan(
        id=name,
        image=image.astype(np.float32),
        brain=brain,
        spacing=(PIXEL, PIXEL, 5.0),
        affine=np.diag([PIXEL, PIXEL, 5.0, 1.0]),
        modalities=modalities,
        slices=(0,),
    )


def _fitted(
    plugin: type[Method], name: str, preset: str, ctx: Context
) -> tuple[Method, Scan]:
    """Return a method after one step of each loop, and a scan that it takes."""
    # One slice is a whole epoch, so that every step would end with a validation.
    given = {"patience": 0} if "patience" in options.names(plugin) else {}
    method: Method = options.build(plugin, name, given, preset or None)
    needed = MODALITIES[-plugin.card.modalities :]
    train, val, test = (make_scan(part, needed) for part in ("a", "b", "c"))
    method.fit(_alone(train), _alone(val), ctx)
    return method, test


def _alone(scan: Scan) -> Lazy[Scan]:
    return Lazy([scan.id], lambda _: scan)


def _fastest(work: Callable[[], object]) -> float:
    """Return the seconds of the fastest of some repeats."""
    seconds: list[float] = []
    while len(seconds) < REPEATS and (not seconds or seconds[0] < LONG):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


@contextmanager
def _counting() -> Iterator[Count]:
    """Give a function that returns the operations so far; 0 for ever without torch.

    The core never imports torch, but finds it loaded by a method that needs it.
    """
    if "torch" not in sys.modules:
        yield lambda: 0
        return
    counters = importlib.import_module("torch.utils.flop_counter")
    with counters.FlopCounterMode(display=False) as counter:
        yield counter.get_total_flops


def _threads() -> int:
    torch = sys.modules.get("torch")
    return 1 if torch is None else int(torch.get_num_threads())


def _giga(flop: int | None) -> str:
    return "-" if flop is None else f"{flop / 1e9:.3g}"
