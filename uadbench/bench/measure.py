"""All figures of a machine and a method, in one record."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

from uadbench import environment, options
from uadbench.acceleration import Acceleration
from uadbench.probes import OneStep, build, counting, fit, load, one_by_one, threads
from uadbench.protocols import Method

from .figures import Figure
from .host import SHAPE, metrics, reading
from .learning import learning
from .machine import Machine, copy_rate, device_copy_rate, matrix_rates
from .predicting import predicting

Say = Callable[[str], object]


def measure(
    name: str,
    preset: str | None,
    given: Mapping[str, object],
    device: str,
    acceleration: Acceleration,
    seconds: float,
    say: Say,
) -> dict[str, Any]:
    """Return what was measured as JSON.

    Args:
        name: of the method.
        preset: one of its own; None: "demo" if there is one, or else the defaults.
        given: further options of it.
        device: as --device.
        acceleration: as --devices, --precision and --compile.
        seconds: how long each figure is measured.
        say: told what is being measured.

    Raises:
        UsageError: no such method, preset, option or devices; a method of methods.
    """
    plugin = load(name)
    chosen = preset or ("demo" if "demo" in plugin.card.presets else None)
    method = build(plugin, name, chosen, given)
    if "torch" not in sys.modules:
        # A method may import it no earlier than it fits.
        early = Machine("cpu").context(OneStep(lambda: 0))
        fit(build(plugin, name, chosen, given), early)
    machine = Machine(environment.resolve_device(device), acceleration)
    environment.check_devices(machine.device, acceleration.devices)
    say("measuring matrix products and memory")
    rates, copied = matrix_rates(machine), copy_rate()
    say("measuring the host: metrics and reading")
    figures = [metrics(SHAPE, copied, seconds), reading(SHAPE, copied, seconds)]
    say(f"measuring {name} {chosen or ''}".rstrip())
    single = partial(one_by_one, name=name, preset=chosen, given=given)
    figures = [*_of_method(method, single, rates, machine, seconds), *figures]
    return {
        "method": name,
        "preset": chosen,
        "options": options.values(method),
        "device": machine.device,
        "acceleration": asdict(acceleration),
        "hardware": environment.hardware(machine.device),
        "threads": threads(),
        "versions": environment.versions(),
        "git": environment.git_commit(),
        "seconds": seconds,
        "matrix_flop_per_second": dict(rates),
        "copied_bytes_per_second": {
            "host": copied,
            "device": device_copy_rate(machine),
        },
        "figures": [figure.record() for figure in figures],
    }


def _of_method(
    method: Method,
    one_by_one: Callable[[Method], Method],
    rates: Mapping[str, float],
    machine: Machine,
    seconds: float,
) -> list[Figure]:
    """Return how fast a method learns and predicts."""
    with counting() as count:
        steps = OneStep(count)
        fit(method, machine.plain.context(steps))
    learned = learning(method, steps.flop, machine.together(rates), machine, seconds)
    single = one_by_one(method)
    return [*learned, *predicting(method, single, rates, machine, seconds)]
