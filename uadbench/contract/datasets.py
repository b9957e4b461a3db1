"""What a dataset promises, tried on its own scans."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import partial

import numpy as np
from numpy.typing import NDArray

from uadbench import options, registry
from uadbench.checks import check_scan, check_view
from uadbench.contract.check import Check
from uadbench.errors import ContractError
from uadbench.protocols import Case, Dataset, Item, Lazy, Scan
from uadbench.views import PROTOCOLS, View, view


@dataclass(frozen=True, eq=False)
class Material:
    """A dataset and how much of it is looked at.

    Attributes:
        name: of the plugin.
        given: options, such as the folder that it reads.
        limit: items of each part that are loaded; None loads all.
    """

    name: str
    given: Mapping[str, object] = field(default_factory=dict)
    limit: int | None = None

    def build(self) -> Dataset:
        """Return the dataset, newly made."""
        plugin = registry.load("datasets", self.name)
        dataset: Dataset = options.build(plugin, self.name, self.given)
        return dataset

    def view(self, protocol: str) -> View:
        """Return the dataset, newly made, as a protocol shows it."""
        return view(self.build(), protocol)


def dataset_checks(material: Material) -> list[Check]:
    """Return the checks of what a dataset gives."""
    checks = [
        Check(
            "gives lazy parts and caveats", partial(check_parts, material), vital=True
        ),
        Check("has no subject in two parts", partial(check_split, material)),
        Check("gives the same twice, in any order", partial(check_repeats, material)),
    ]
    for protocol in PROTOCOLS:
        promises = {
            "gives scans that a method can rely on": check_scans,
            "gives cases that can be scored": check_cases,
        }
        checks += [
            Check(f"{title} ({protocol})", partial(check, material, protocol))
            for title, check in promises.items()
        ]
    return checks


def check_parts(material: Material) -> None:
    """Raise a ContractError unless parts are `Lazy` and caveats are sentences."""
    dataset = material.build()
    parts = (dataset.train, dataset.val, dataset.test, dataset.labelled)
    for part in parts:
        items = part()
        if not isinstance(items, Lazy):
            msg = f"{part.__name__}() must return a Lazy, got {type(items).__name__}."
            raise ContractError(msg)
    caveats = dataset.caveats()
    if isinstance(caveats, str) or not all(isinstance(text, str) for text in caveats):
        msg = f"caveats() must return a sequence of sentences, got {caveats!r}."
        raise ContractError(msg)


def check_split(material: Material) -> None:
    """Raise a DataError if a part is empty or has subjects of another."""
    check_view(material.view("volume"), material.name)


def check_scans(material: Material, protocol: str) -> None:
    """Raise a ContractError unless healthy scans are what methods rely on."""
    seen = material.view(protocol)
    for part in (seen.train, seen.val):
        for name, scan in _named(part[: material.limit]):
            _check_scan(name, scan)


def check_cases(material: Material, protocol: str) -> None:
    """Raise a ContractError unless cases have masks that fit, and one has a lesion."""
    seen = material.view(protocol)
    test, chosen = seen.test, seen.test[: material.limit]
    found = any([_check_case(name, case) for name, case in _named(chosen)])
    for name, case in _named(seen.labelled[: material.limit]):
        _check_case(name, case)
    # The first ones may all be healthy.
    if not (found or any(map(_has_lesion, test[len(chosen) :]))):
        msg = "no test case has a lesion inside its brain, in the slices that count."
        raise ContractError(msg)


def _has_lesion(case: Case) -> bool:
    return bool((case.lesion & case.scan.scored).any())


def check_repeats(material: Material) -> None:
    """Raise a ContractError if the order of loading changes a scan or a case."""
    one, other = material.view("volume"), material.view("volume")
    for part in ("train", "val", "test", "labelled"):
        items: list[Scan | Case] = list(getattr(one, part)[: material.limit])
        for index in reversed(range(len(items))):
            _require_same(items[index], getattr(other, part)[index])


def _require_same(one: Scan | Case, other: Scan | Case) -> None:
    """Raise a ContractError that names a field in which two items differ."""
    for each in fields(one):
        first, second = getattr(one, each.name), getattr(other, each.name)
        if isinstance(first, Scan):
            _require_same(first, second)
        elif not np.array_equal(first, second):
            scan = one if isinstance(one, Scan) else one.scan
            msg = (
                f"{scan.id}: its {each.name} is another one when loaded again, in "
                "another order: seed what is random by the id."
            )
            raise ContractError(msg)


def _named(items: Lazy[Item]) -> Iterator[tuple[str, Item]]:
    """Yield the id of each item, and the item."""
    return zip(items.ids, items, strict=True)


def _check_case(name: str, case: Case) -> bool:
    """Raise a ContractError unless a case has masks that fit; return if it is ill."""
    _check_scan(name, case.scan)
    _check_mask(case, "lesion", case.lesion)
    if case.ignore is not None:
        _check_mask(case, "ignore", case.ignore)
    return _has_lesion(case)


def _check_scan(name: str, scan: Scan) -> None:
    if not isinstance(scan, Scan):
        msg = f"{name}: expected a Scan, which has no label; got {type(scan).__name__}."
        raise ContractError(msg)
    check_scan(scan)
    if scan.id != name:
        msg = f"the item '{name}' of a part has the id '{scan.id}'."
        raise ContractError(msg)


def _check_mask(case: Case, what: str, mask: NDArray[np.bool_]) -> None:
    shape = case.scan.brain.shape
    if mask.dtype != np.bool_ or mask.shape != shape:
        msg = (
            f"{case.scan.id}: {what} must be bool of shape {shape}, got {mask.dtype} "
            f"of shape {mask.shape}."
        )
        raise ContractError(msg)
