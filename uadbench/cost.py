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

import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from uadbench import environment
from uadbench.checkpoints import count_parameters
from uadbench.console import table_console, table_of
from uadbench.errors import check_known
from uadbench.probes import (
    SLICE,
    OneStep,
    build,
    counting,
    fastest,
    fit,
    load,
    one_by_one,
    threads,
)
from uadbench.protocols import Context, Method

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
    plugin = load(name)
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
        "threads": threads(),
        "slice": SLICE,
        "presets": costs,
    }


def measure(plugin: type[Method], name: str, preset: str, device: str) -> Cost:
    """Return the cost of one preset; "" for a method's defaults."""
    if "torch" not in sys.modules:
        # A method may import it no earlier than it fits, too late to be counted.
        early = Context(0, device, monitor=OneStep(lambda: 0))
        fit(build(plugin, name, preset or None), early)
    with counting() as count:
        one_step = OneStep(count)
        ctx = Context(0, device, monitor=one_step)
        method = build(plugin, name, preset or None)
        scan = fit(method, ctx)
        single = one_by_one(method, name, preset or None)
        before = count()
        list(single.predict([scan], Context(0, device)))
        flop = count() - before
    return Cost(
        preset=preset,
        parameters=count_parameters(method.state()),
        flop=flop or None,
        seconds=fastest(lambda: list(single.predict([scan], Context(0, device)))),
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


def _giga(flop: int | None) -> str:
    return "-" if flop is None else f"{flop / 1e9:.3g}"
