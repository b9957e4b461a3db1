"""Plugins by name, found through entry points: ours and everybody's the same way."""

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from uadbench.errors import ContractError, check_known

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

Kind = Literal["methods", "datasets", "reports"]
KINDS: tuple[Kind, ...] = ("methods", "datasets", "reports")
# What the protocol of each kind asks a class for, besides its card.
PARTS: dict[Kind, tuple[str, ...]] = {
    "methods": ("fit", "predict", "state", "restore"),
    "datasets": ("train", "val", "test", "labelled", "caveats"),
    "reports": ("gathers", "render"),
}
ALSO_PLAIN: Kind = "reports"  # most have no options, and need not be dataclasses


@dataclass(frozen=True)
class Listing:
    """A plugin that is installed, not yet imported."""

    kind: Kind
    name: str
    package: str
    entry: "EntryPoint"

    def __str__(self) -> str:
        return f"{self.kind}: '{self.name}' of package '{self.package}'"

    @property
    def lost(self) -> str:
        """The module that it should be in, if there is none; imports nothing."""
        from importlib.util import find_spec

        try:
            module = self.entry.module.partition(".")[0]
            return "" if find_spec(module) else module
        except (AttributeError, ValueError):  # what it names can be no module
            return self.entry.value


def listings(kind: Kind) -> list[Listing]:
    """Return the installed plugins of a kind by name, without importing any.

    Where two packages give one name, ours wins, then the first; a warning names both.
    """
    from importlib.metadata import entry_points

    found: dict[str, Listing] = {}
    entries = [
        Listing(kind, entry.name, _package(entry), entry)
        for entry in entry_points(group=f"uadbench.{kind}")
    ]
    for listing in sorted(entries, key=lambda e: (e.package != "uadbench", e.package)):
        first = found.setdefault(listing.name, listing)
        if first.entry != listing.entry:
            msg = f"{listing} is hidden by that of '{first.package}'"
            warnings.warn(msg, stacklevel=2)
    return sorted(found.values(), key=lambda listing: listing.name)


def find(kind: Kind, name: str) -> Listing:
    """Return the installed plugin of a name, not imported.

    Raises:
        UsageError: there is none; the message has the nearest and all names.
    """
    known = {listing.name: listing for listing in listings(kind)}
    check_known(kind, name, known)
    return known[name]


def load(kind: Kind, name: str) -> Any:
    """Return the plugin class of a name.

    Raises:
        UsageError: as `find`.
        ContractError: its package cannot be imported, or what it names is no plugin.
    """
    listing = find(kind, name)
    try:
        plugin = listing.entry.load()
    except (Exception, SystemExit) as error:
        msg = f"{listing} cannot be imported: {type(error).__name__}: {error}"
        raise ContractError(msg) from error
    fault = _fault(kind, plugin)
    if fault:
        msg = f"{listing} {fault}. See {listing.entry.value} and uadbench/protocols.py."
        raise ContractError(msg)
    return plugin


def _package(entry: "EntryPoint") -> str:
    """Return the package that an entry point is of, "?" if it does not say."""
    # A package that is half removed has lost its name.
    return (entry.dist.name if entry.dist else None) or "?"


def _fault(kind: Kind, plugin: Any) -> str:
    """Return why an object is no plugin of a kind, "" if it is one."""
    from pydantic.dataclasses import is_pydantic_dataclass

    from uadbench.protocols import Card

    if not isinstance(plugin, type):
        return f"is no class, but {type(plugin).__name__}"
    if not isinstance(getattr(plugin, "card", None), Card):
        return "has no card: 'card' has to be a uadbench.protocols.Card"
    missing = [part for part in PARTS[kind] if not hasattr(plugin, part)]
    if missing:
        return f"lacks {', '.join(missing)}"
    if kind != ALSO_PLAIN and not is_pydantic_dataclass(plugin):
        return "has no options: decorate it with pydantic.dataclasses.dataclass"
    return ""
