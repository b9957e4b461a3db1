"""Plugins by name, found through entry points: ours and everybody's the same way."""

import warnings
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal

from uadbench.errors import ContractError, check_known

Kind = Literal["methods", "datasets", "reports"]
KINDS: tuple[Kind, ...] = ("methods", "datasets", "reports")


@dataclass(frozen=True)
class Listing:
    """A plugin that is installed, not yet imported."""

    name: str
    package: str
    entry: EntryPoint


def listings(kind: Kind) -> list[Listing]:
    """Return the installed plugins of a kind by name, without importing any.

    Where two packages give one name, ours wins, then the first; a warning names both.
    """
    found: dict[str, Listing] = {}
    entries = [
        Listing(entry.name, entry.dist.name if entry.dist else "?", entry)
        for entry in entry_points(group=f"uadbench.{kind}")
    ]
    for listing in sorted(entries, key=lambda e: (e.package != "uadbench", e.package)):
        first = found.setdefault(listing.name, listing)
        if first.entry != listing.entry:
            msg = (
                f"{kind}: '{listing.name}' of package '{listing.package}' is hidden by "
                f"that of '{first.package}'"
            )
            warnings.warn(msg, stacklevel=2)
    return sorted(found.values(), key=lambda listing: listing.name)


def load(kind: Kind, name: str) -> Any:
    """Return the plugin class of a name.

    Raises:
        UsageError: there is none; the message has the nearest and all names.
        ContractError: its package cannot be imported, or the class has no card.
    """
    known = {listing.name: listing for listing in listings(kind)}
    check_known(kind, name, known)
    listing = known[name]
    try:
        plugin = listing.entry.load()
    except Exception as error:
        msg = (
            f"{kind}: '{name}' of package '{listing.package}' cannot be imported: "
            f"{type(error).__name__}: {error}"
        )
        raise ContractError(msg) from error
    if not hasattr(plugin, "card"):
        msg = (
            f"{kind}: '{name}' of package '{listing.package}' has no card: "
            f"{listing.entry.value} has to be a class with a 'card'."
        )
        raise ContractError(msg)
    return plugin
