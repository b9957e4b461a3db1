"""All checks of a plugin by its kind."""

from collections.abc import Mapping
from types import MappingProxyType

from uadbench.contract.check import Check
from uadbench.contract.datasets import Material, dataset_checks
from uadbench.contract.methods import method_checks
from uadbench.contract.paperwork import paperwork
from uadbench.contract.reports import report_checks
from uadbench.contract.subject import Subject
from uadbench.registry import Kind
from uadbench.results import Run

NONE: Mapping[str, object] = MappingProxyType({})


def checks(
    kind: Kind,
    name: str,
    given: Mapping[str, object] = NONE,
    *,
    limit: int | None = None,
    run: Run | None = None,
) -> list[Check]:
    """Return everything that a plugin promises; nothing is loaded before a check runs.

    Args:
        kind: methods, datasets or reports.
        name: of the plugin.
        given: options of a method or a dataset, such as those that make it quick.
        limit: scans of each part of a dataset that are loaded; None loads all.
        run: a finished one for a report to render; None makes a small one.
    """
    behaviour = {
        "methods": lambda: method_checks(Subject(name, given)),
        "datasets": lambda: dataset_checks(Material(name, given, limit)),
        "reports": lambda: report_checks(name, run),
    }
    return [*paperwork(kind, name), *behaviour[kind]()]
