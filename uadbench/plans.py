"""From what a user asks for to plugins that are loaded and options that are checked."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from uadbench import environment, options, registry
from uadbench.checks import check_view
from uadbench.errors import UsageError, check_known
from uadbench.protocols import Method
from uadbench.views import PROTOCOLS, View, view


@dataclass(frozen=True)
class Plan:
    """What a user asks for: names and options, nothing loaded yet.

    Attributes:
        preset: of the method; None takes "demo" if there is one, or else the defaults.
        limit: score only the first cases, to try things out.
    """

    method: str
    dataset: str = "phantom"
    preset: str | None = None
    options: Mapping[str, object] = field(default_factory=dict)
    data_options: Mapping[str, object] = field(default_factory=dict)
    protocol: str = "volume"
    seed: int = 0
    device: str = "auto"
    limit: int | None = None


@dataclass(frozen=True, eq=False)
class Job:
    """A plan whose plugins are loaded.

    Attributes:
        method: ready to fit.
        view: the dataset under the plan's protocol and limit.
        config: everything that shapes the numbers, as JSON.
        device: "cpu" or "cuda:N".
    """

    method: Method
    view: View
    config: Mapping[str, Any]
    device: str

    @property
    def label(self) -> str:
        """The method's name."""
        return str(self.config["method"]["name"])

    @property
    def pipeline(self) -> str:
        """A short hash of everything that shapes the scores."""
        words = json.dumps(self.config, sort_keys=True)
        return hashlib.sha256(words.encode()).hexdigest()[:16]


def describe(plan: Plan) -> dict[str, Any]:
    """Return everything that shapes a plan's numbers as JSON; reads no data.

    Raises:
        UsageError: an unknown name, option or value.
        ContractError: a plugin does not load.
    """
    if plan.limit is not None and plan.limit < 1:
        msg = f"--limit: expected at least 1 case, got {plan.limit}."
        raise UsageError(msg)
    check_known("protocols", plan.protocol, PROTOCOLS)
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
            "options": options.values(chosen),
        },
        "dataset": {
            "name": plan.dataset,
            "title": dataset.card.title,
            "options": options.values(data),
        },
        "protocol": plan.protocol,
        "seed": plan.seed,
        "limit": plan.limit,
    }


def resolve(plan: Plan) -> Job:
    """Return the job of a plan.

    Raises:
        UsageError, ContractError: as `describe`.
        DataError: the dataset is missing, unfit or has a subject in two parts.
    """
    config = describe(plan)
    method = _build("methods", config["method"])
    seen = view(_build("datasets", config["dataset"]), plan.protocol)
    check_view(seen, plan.dataset)
    if plan.limit is not None:
        seen = replace(seen, test=seen.test[: plan.limit])
    return Job(method, seen, config, environment.resolve_device(plan.device))


def _build(kind: registry.Kind, part: Mapping[str, Any]) -> Any:
    plugin = registry.load(kind, part["name"])
    return options.build(plugin, part["name"], part["options"])
