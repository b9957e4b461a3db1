"""What a plugin says of itself: card, docstrings, options, presets."""

import sys
from functools import partial

from uadbench import options, registry
from uadbench.contract.check import Check
from uadbench.errors import ContractError, UsageError
from uadbench.registry import Kind

PRESETS = ("demo", "paper")


def paperwork(kind: Kind, name: str) -> list[Check]:
    """Return the checks of what a plugin says of itself."""
    checks = {"can be loaded": check_load, "has a title and docstrings": check_words}
    if kind != "reports":
        checks["gives every option a default and a meaning"] = check_options
        checks["refuses an unknown option"] = check_refusal
    if kind == "methods":
        checks["has presets demo and paper that build"] = check_presets
    return [
        Check(title, partial(check, kind, name), vital=check is check_load)
        for title, check in checks.items()
    ]


def check_load(kind: Kind, name: str) -> None:
    """Raise a ContractError unless a plugin is a class with a card and all parts."""
    registry.load(kind, name)


def check_words(kind: Kind, name: str) -> None:
    """Raise a ContractError unless a plugin has a title and is documented."""
    plugin = registry.load(kind, name)
    module = sys.modules[registry.find(kind, name).entry.module]
    if not plugin.card.title:
        msg = "the card has no title: it names the plugin in tables and figures."
        raise ContractError(msg)
    if not module.__doc__:
        msg = f"module {module.__name__} has no docstring: 'uadbench info' prints it."
        raise ContractError(msg)
    # A dataclass without a docstring is given its signature for one.
    if not plugin.__doc__ or plugin.__doc__.startswith(f"{plugin.__name__}("):
        msg = f"class {plugin.__name__} has no docstring."
        raise ContractError(msg)


def check_options(kind: Kind, name: str) -> None:
    """Raise a ContractError unless every option can be left out and is explained."""
    rows = options.table(registry.load(kind, name))
    lacking = {
        "a default": [row.name for row in rows if row.default == "required"],
        "a meaning": [row.name for row in rows if not row.help],
    }
    for what, names in lacking.items():
        if names:
            msg = (
                f"{', '.join(names)}: without {what}. Write "
                "'size: int = Field(64, ge=16, description=\"side of a slice, px\")'."
            )
            raise ContractError(msg)


def check_refusal(kind: Kind, name: str) -> None:
    """Raise a ContractError unless an option that nobody knows is refused."""
    try:
        options.build(registry.load(kind, name), name, {"nonsense": 1})
    except UsageError:
        return
    msg = "it has an option 'nonsense', or takes any: a slip of the user goes unseen."
    raise ContractError(msg)


def check_presets(kind: Kind, name: str) -> None:
    """Raise a ContractError unless a method has both presets and every one builds."""
    plugin = registry.load(kind, name)
    missing = [preset for preset in PRESETS if preset not in plugin.card.presets]
    if missing:
        msg = (
            f"the card's presets lack {', '.join(missing)}: demo fits a laptop, paper "
            "has the published settings."
        )
        raise ContractError(msg)
    for preset in plugin.card.presets:
        options.build(plugin, name, {}, preset)
