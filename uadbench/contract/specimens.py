"""Made-up brains to check a plugin on, which know what they are asked for."""

from dataclasses import dataclass, field

import numpy as np

from uadbench.protocols import Lazy, Scan

SHAPES = ((40, 36, 4), (36, 44, 3))  # as those of several scanners
SPACING = (4.0, 4.0, 6.0)
MODALITIES = ("T2", "FLAIR", "T1w", "T1ce")


@dataclass(frozen=True, eq=False)
class Specimen(Scan):
    """A scan that notes every name it was asked for and does not have."""

    asked: set[str] = field(default_factory=set)

    def __getattr__(self, name: str) -> object:
        # Names with an underscore are those of Python itself, such as for a copy.
        if not name.startswith("_"):
            self.asked.add(name)
        msg = f"'Scan' object has no attribute '{name}'"
        raise AttributeError(msg)


def make_scan(name: str, modalities: int = 1) -> Specimen:
    """Return an ellipsoid with a smooth texture of its own, the same for one name.

    "b", "c" and "z" have another shape than "a", "d", "x" and "y".

    Args:
        name: the scan's id.
        modalities: how many, 4 at most.
    """
    rng = np.random.default_rng(list(name.encode()))
    shape = SHAPES[sum(name.encode()) // 2 % 2]
    x, y = np.ogrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    disc = (x**2 + y**2 < 0.6)[..., None]
    brain = np.repeat(disc, shape[2], axis=2)
    channels = []
    chosen = MODALITIES[:modalities]
    for _ in chosen:
        waves = np.sin(6 * x + rng.uniform(0, 6)) * np.cos(5 * y + rng.uniform(0, 6))
        noise = rng.standard_normal(shape)
        channels.append((1 + 0.2 * waves[..., None] + 0.02 * noise) * brain)
    return Specimen(
        id=name,
        image=np.stack(channels).astype(np.float32),
        brain=brain,
        spacing=SPACING,
        affine=np.diag([*SPACING, 1.0]),
        modalities=chosen,
        slices=tuple(range(shape[2])),
    )


class Material:
    """Specimens that are made once, so that what was done to them can be seen.

    Args:
        modalities: how many every scan has.
    """

    def __init__(self, modalities: int) -> None:
        self._modalities = modalities
        self._made: dict[str, Specimen] = {}

    def scan(self, name: str) -> Scan:
        """Return the scan of a name."""
        if name not in self._made:
            self._made[name] = make_scan(name, self._modalities)
        return self._made[name]

    def scans(self, *names: str) -> Lazy[Scan]:
        """Return several."""
        return Lazy(names, self.scan)

    def asked(self) -> set[str]:
        """Return the names that scans were asked for and do not have."""
        return {name for scan in self._made.values() for name in scan.asked}

    def changed(self) -> bool:
        """Return whether somebody wrote into a scan."""
        return any(
            not np.array_equal(scan.image, fresh.image)
            or not np.array_equal(scan.brain, fresh.brain)
            for name, scan in self._made.items()
            for fresh in [make_scan(name, self._modalities)]
        )
