"""A method under examination."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uadbench import options, registry
from uadbench.contract.specimens import Material
from uadbench.protocols import Card, Checkpoint, Context, Method, Prediction, Scan

SEED = 0


@dataclass(frozen=True, eq=False)
class Subject:
    """A method and how it is tried.

    Attributes:
        name: of the plugin.
        given: options that make it quick, on top of the preset demo.
    """

    name: str
    given: Mapping[str, object] = field(default_factory=dict)

    @cached_property
    def modalities(self) -> int:
        """How many its scans have."""
        card: Card = registry.load("methods", self.name).card
        return card.modalities

    def build(self, **changed: object) -> Method:
        """Return the method, not fitted, with some options other than given."""
        plugin = registry.load("methods", self.name)
        preset = "demo" if "demo" in plugin.card.presets else None
        given = {**self.given, **changed}
        method: Method = options.build(plugin, self.name, given, preset)
        return method

    @cached_property
    def material(self) -> Material:
        """The scans of `fitted`."""
        return Material(self.modalities)

    @cached_property
    def fitted(self) -> Method:
        """The method that most checks share, fitted once."""
        return self.learn(Context(SEED), self.material)

    def learn(self, ctx: Context, material: Material | None = None) -> Method:
        """Return the method, newly fitted."""
        method = self.build()
        material = material or Material(self.modalities)
        method.fit(material.scans("a", "b", "c"), material.scans("d"), ctx)
        return method

    def checkpointed(self, checkpoint: Checkpoint) -> Method:
        """Return the method, fitted as `fitted` is, from a checkpoint on."""
        return self.learn(Context(SEED, checkpoint=checkpoint))

    def scans(self, *names: str) -> list[Scan]:
        """Return made-up scans."""
        return list(Material(self.modalities).scans(*names))

    def predict(self, *names: str) -> list[Prediction]:
        """Return what the fitted method says of made-up scans."""
        return predict(self.fitted, self.scans(*names))


def predict(method: Method, scans: Iterable[Scan]) -> list[Prediction]:
    """Return all predictions of a method."""
    return list(method.predict(iter(scans), Context(SEED)))


def difference(one: Prediction, other: Prediction, within: float = 0.0) -> str:
    """Return what differs between two predictions of one scan, "" if nothing does.

    Scores and extras may differ by `within`, and by that part of what they are.
    """
    if not _alike(one.score, other.score, within):
        gap = float(np.abs(one.score - other.score).max())
        return f"score (by up to {gap:.2g})"
    if one.mask is None or other.mask is None:
        if one.mask is not other.mask:
            return "mask, or none"
    elif not np.array_equal(one.mask, other.mask):
        return "mask"
    if one.extras.keys() != other.extras.keys():
        return "set of extras"
    changed = (
        name
        for name, array in one.extras.items()
        if not _alike(array, other.extras[name], within)
    )
    return next((f"extra '{name}'" for name in changed), "")


def _alike(one: NDArray[Any], other: NDArray[Any], within: float) -> bool:
    if one.shape != other.shape or not within:
        return np.array_equal(one, other)
    return np.allclose(one, other, rtol=within, atol=within)
