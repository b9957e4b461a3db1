"""Subjects of the phantom: each one follows from the seed and its id alone.

Several modalities show one person: the same anatomy, ageing, texture and lesion, in a
contrast of each, with a coil and noise of each. The first is the scan that there would
be without the others.
"""

import hashlib
import sys
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from uadbench.fingerprints import fingerprint, of_code
from uadbench.protocols import Card, Case, Lazy, Scan

from .anatomy import draw_anatomy
from .contrast import CONTRASTS, Modality, draw_image, draw_signal, pool
from .fields import Floats, Grid
from .lesions import (
    Kind,
    Lesion,
    Severity,
    add_lesion,
    draw_lesion,
    draw_severities,
)


@dataclass
class Phantom:
    """Simulated brains on the ICBM152 anatomy, with and without lesions."""

    card: ClassVar[Card] = Card(
        title="Phantom",
        reference="ICBM152 2009a tissue maps (Fonov et al. 2011), through nilearn",
        licence="simulated; for demonstration and tests, no evidence for a method",
    )

    modality: tuple[Modality, ...] = Field(
        default=("T2",), min_length=1, description="contrasts, one for each channel"
    )
    size: int = Field(
        default=64, ge=32, le=256, description="in-plane size, px over 192 mm"
    )
    slices: int = Field(
        default=8, ge=1, le=20, description="axial slices, 5.5 mm apart"
    )
    n_train: int = Field(
        default=80, ge=1, le=1000, description="healthy subjects to learn from"
    )
    n_val: int = Field(
        default=8, ge=1, le=1000, description="healthy subjects to calibrate on"
    )
    n_test: int = Field(default=18, ge=1, le=1000, description="subjects with a lesion")
    n_labelled: int = Field(
        default=6,
        ge=0,
        le=1000,
        description="further subjects with a lesion, for dice@lesion-val alone",
    )
    kinds: tuple[Kind, ...] = Field(
        default=("glioma", "stroke", "ms"),
        min_length=1,
        description="lesions of the test subjects, in turn",
    )
    contrast: float = Field(
        default=1.0,
        ge=0,
        le=3,
        description="factor on the lesions' visibility; 0 hides them",
    )
    seed: int = Field(default=0, ge=0, description="another seed, other people")

    @model_validator(mode="after")
    def _check(self) -> "Phantom":
        if len(set(self.modality)) < len(self.modality):
            msg = "modality names one contrast twice"
            raise ValueError(msg)
        return self

    def train(self) -> Lazy[Scan]:
        """Return healthy scans to learn from."""
        return self._people("train", self.n_train)

    def val(self) -> Lazy[Scan]:
        """Return healthy scans of other subjects."""
        return self._people("val", self.n_val)

    def test(self) -> Lazy[Case]:
        """Return one case with a lesion for each further subject."""
        return Lazy(_ids("test", self.n_test), self._patient)

    def labelled(self) -> Lazy[Case]:
        """Return cases of yet other subjects."""
        return Lazy(_ids("labelled", self.n_labelled), self._patient)

    def caveats(self) -> tuple[str, ...]:
        """Return what a simulation cannot show."""
        return (
            "Phantom lesions are simulated: these numbers show that the software "
            "works, and prove nothing about methods on patients.",
        )

    def _people(self, part: str, count: int) -> Lazy[Scan]:
        ids = _ids(part, count)
        return Lazy(ids, self._healthy, fingerprint=self._fingerprint)

    def _fingerprint(self, name: str) -> str:
        """Return what a healthy subject follows from."""
        package = sys.modules[__package__]
        code = of_code(package, packages=("nilearn", "numpy", "scipy"))
        return fingerprint(code, name, self.modality, self.size, self.slices, self.seed)

    def _healthy(self, name: str) -> Scan:
        return self._draw(name, None)[0]

    def _patient(self, name: str) -> Case:
        part, number = name[4:-3], int(name[-3:])
        turn, place = divmod(number, len(self.kinds))
        kind = self.kinds[place]
        purpose = "severity" if part == "test" else f"severity of {part}"
        severity = draw_severities(self._rng(kind, purpose), turn + 1)[turn]
        scan, lesion = self._draw(name, (kind, severity))
        return Case(scan=scan, lesion=lesion, strata={"kind": kind})

    def _draw(
        self, name: str, illness: tuple[Kind, Severity] | None
    ) -> tuple[Scan, NDArray[np.bool_]]:
        """Return a subject's scan and where the lesion is."""
        grid = Grid(self.size, self.slices)
        anatomy = draw_anatomy(self._rng(name, "anatomy"), grid.fine)
        lesion: Lesion | None = None
        if illness is not None:
            kind, severity = illness
            rng = self._rng(name, "lesion")
            anatomy, lesion = draw_lesion(rng, kind, grid.fine, anatomy, severity)
        brain = pool(anatomy.brain.astype(np.float32), grid) >= 0.5
        mask = np.zeros_like(brain)
        if lesion is not None:
            mask = (pool(lesion.weight, grid) > 0.5) & brain
        channels: list[Floats] = []
        for modality in self.modality:
            contrast = CONTRASTS[modality]
            rng = self._rng(name, "signal")
            signal = draw_signal(rng, grid.fine, anatomy, contrast)
            if lesion is not None:
                signal = add_lesion(signal, lesion, contrast, self.contrast)
            scanner = f"image of {modality}" if channels else "image"
            channels.append(draw_image(self._rng(name, scanner), grid, signal, brain))
        scan = Scan(
            id=name,
            image=np.stack(channels),
            brain=brain,
            spacing=grid.spacing,
            affine=grid.affine,
            modalities=self.modality,
            slices=tuple(int(z) for z in np.flatnonzero(brain.any(axis=(0, 1)))),
            xform=4,
        )
        return scan, mask

    def _rng(self, name: str, purpose: str) -> np.random.Generator:
        """Return the randomness of one property of one subject."""
        digest = hashlib.sha256(f"{self.seed}/{name}/{purpose}".encode()).digest()
        return np.random.default_rng(int.from_bytes(digest[:16], "big"))


def _ids(part: str, count: int) -> list[str]:
    return [f"sub-{part}{index:03d}" for index in range(count)]
