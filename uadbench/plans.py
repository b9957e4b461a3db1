"""From what a user asks for to plugins that are loaded and options that are checked."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from uadbench import environment, members, options, registry
from uadbench.acceleration import Acceleration
from uadbench.checks import check_view
from uadbench.errors import DataError, UsageError, check_known
from uadbench.files import short_hash
from uadbench.kinds import LESION
from uadbench.postprocess import Pipeline
from uadbench.protocols import Method
from uadbench.specs import Spec
from uadbench.thresholds import strategies
from uadbench.variants import Variant, variants
from uadbench.views import PROTOCOLS, SLICE_MAX, View, view


@dataclass(frozen=True)
class Plan:
    """What a user asks for: names and options, nothing loaded yet.

    Attributes:
        preset: of the method; None takes "demo" if there is one, or else the defaults.
        limit: score only the first cases, to try things out.
        thresholds: strategies besides the default ones, such as "fixed:0.5".
        postprocess: steps such as "median:3,min-volume:20"; "" for none.
        cache: see `Context`.
    """

    method: str
    dataset: str = "phantom"
    preset: str | None = None
    options: Mapping[str, object] = field(default_factory=dict)
    data_options: Mapping[str, object] = field(default_factory=dict)
    protocol: str = "volume"
    seed: int = 0
    device: str = "auto"
    acceleration: Acceleration = field(default_factory=Acceleration)
    limit: int | None = None
    thresholds: tuple[str, ...] = ()
    postprocess: str = ""
    cache: Path | None = None


@dataclass(frozen=True, eq=False)
class Job:
    """A plan whose plugins are loaded.

    Attributes:
        method: ready to fit.
        view: the dataset under the plan's protocol and limit.
        config: everything that shapes the numbers, as JSON.
        device: "cpu" or "cuda:N".
        acceleration: how the method makes use of it.
    """

    method: Method
    view: View
    config: Mapping[str, Any]
    device: str
    acceleration: Acceleration

    @property
    def label(self) -> str:
        """The method's name."""
        return str(self.config["method"]["name"])

    @property
    def strategies(self) -> tuple[Spec, ...]:
        """How thresholds are chosen."""
        return strategies(self.config["thresholds"])

    @property
    def variants(self) -> tuple[Variant, ...]:
        """The raw maps and, if asked for, the processed ones."""
        return variants(Pipeline.parse(self.config["postprocess"]))

    @property
    def pipeline(self) -> str:
        """A short hash of everything that shapes the scores."""
        return short_hash(json.dumps(self.config, sort_keys=True))


def describe(plan: Plan) -> dict[str, Any]:
    """Return everything that shapes a plan's numbers as JSON; reads no data.

    Raises:
        UsageError: an unknown name, option or value; an unfinished run to build on.
        ContractError: a plugin does not load.
    """
    if plan.limit is not None and plan.limit < 1:
        msg = f"--limit: expected at least 1 case, got {plan.limit}."
        raise UsageError(msg)
    check_known("protocols", plan.protocol, PROTOCOLS)
    pipeline = Pipeline.parse(plan.postprocess)
    if pipeline and plan.protocol == SLICE_MAX:
        msg = (
            f"--postprocess {pipeline}: its steps work on volumes, but {SLICE_MAX} "
            "judges single slices, for which no step could be calibrated. Leave it out."
        )
        raise UsageError(msg)
    method = registry.load("methods", plan.method)
    dataset = registry.load("datasets", plan.dataset)
    preset = plan.preset or ("demo" if "demo" in method.card.presets else None)
    chosen = options.build(method, plan.method, plan.options, preset)
    data = options.build(dataset, plan.dataset, plan.data_options)
    return {
        "method": {
            "name": plan.method,
            "title": method.card.title,
            "reference": method.card.reference,
            "preset": preset,
            **_method_values(chosen),
        },
        "dataset": {
            "name": plan.dataset,
            "title": dataset.card.title,
            "options": options.values(data),
        },
        "protocol": plan.protocol,
        "seed": plan.seed,
        "limit": plan.limit,
        "thresholds": [str(spec) for spec in strategies(plan.thresholds)],
        "postprocess": str(pipeline),
    }


def resolve(plan: Plan, known: View | None = None, awaited: int = 0) -> Job:
    """Return the job of a plan.

    Args:
        plan: what a user asks for.
        known: the view of another job with the same dataset, protocol and limit, so
            that its files need not be looked for again.
        awaited: runs that the plan will be given to build on; see `members`.

    Raises:
        UsageError: as `describe`; too few runs to build on, or of another dataset.
        ContractError: as `describe`.
        DataError: the dataset is missing, unfit or has a subject in two parts.
    """
    config = describe(plan)
    method = _build("methods", config["method"])
    members.check_enough(method, plan.method, awaited)
    seen = known or view(_build("datasets", config["dataset"]), plan.protocol)
    check_view(seen, plan.dataset)
    if members.has_members(method):
        members.check(method.runs, config, seen)
    if Spec(LESION) in strategies(plan.thresholds) and not len(seen.labelled):
        msg = (
            f"{plan.dataset}: no labelled validation case, which '{LESION}' needs. "
            "Leave that threshold out, or give subjects with lesions to 'val'."
        )
        raise DataError(msg)
    if plan.limit is not None:
        seen = replace(seen, test=seen.test[: plan.limit])
    device = environment.resolve_device(plan.device)
    environment.check_devices(device, plan.acceleration.devices)
    return Job(method, seen, config, device, plan.acceleration)


def _method_values(method: Any) -> dict[str, Any]:
    """Return the options of a method and, if it builds on runs, what these are.

    Their folders are absolute: however they are written, they are the same runs.
    """
    found = options.values(method)
    if not members.has_members(method):
        return {"options": found}
    places = [str(folder.expanduser().resolve()) for folder in method.runs]
    return {
        "options": {**found, members.OPTION: places},
        "members": members.describe(method.runs),
    }


def _build(kind: registry.Kind, part: Mapping[str, Any]) -> Any:
    plugin = registry.load(kind, part["name"])
    return options.build(plugin, part["name"], part["options"])
