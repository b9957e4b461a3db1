"""Cyclic U-Net: to another modality and back; the score is what the way changed.

A forward U-Net translates modality A to B, a backward one B to A. Taught with healthy
brains, they don't know what a lesion looks like in the other modality, and don't bring
it back as it was.

Reference: Liang et al., "Modality Cycles with Masked Conditional Diffusion for
Unsupervised Anomaly Segmentation in MRI", 2023, arXiv:2308.16150, its cyclic U-Net
without diffusion.

Training needs registered pairs of A (option `source`) and B (option `target`). At test
only A is used.

Differs from the original code in:

- Both networks learn from the same batches, and a gradient is clipped by its norm over
  both; there, in two runs of the program, without clipping.
- The backward network has weights of its own, and both have those at the end. The
  sampling script there gives both networks the forward weights of an earlier step, so
  that its results are those of no cycle.
- Group normalisation has 8 groups; there, 16.
- The score is the plain squared error. There, errors are scaled by the extremes of the
  whole test set, so that one image changes the score of every other.
- No label is seen and the brain is not eroded. There, 4 px are, and the reported
  threshold is the best one on the test labels.
- The moving average of the weights is used; there, it is made and left.
- Slices are centred on the brain, with a field of view in mm.
"""

from typing import Any, ClassVar, cast

from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from uadbench.errors import DataError
from uadbench.protocols import Card, Scan
from uadbench.slices import Normalisation

from ._nn.networks import UNetOptions
from ._nn.reconstruction import Restored, Slicewise, Stack
from ._nn.scans import one_modality, with_modalities
from ._nn.steps import Step
from ._nn.unet import Norm

DEMO = {
    "size": 64,
    "field": 192.0,
    "normalisation": "median",
    "network": "plain",
    "base": 16,
    "multipliers": (1, 2, 4),
    "blocks": 1,
    "attention": (),
    "dropout": 0.0,
    "stem": 2,
    "batch": 8,
    "learning_rate": 6e-3,
    "schedule": "one-cycle",
    "steps": 1500,
    "average": 0.98,
    "clip": 1.0,
}


class Cycle(nn.Module):
    """Maps images (B, 1, S, S) to the other modality and back.

    Attributes:
        there: source -> target.
        back: target -> source.
    """

    def __init__(self, there: nn.Module, back: nn.Module) -> None:
        super().__init__()
        self.there, self.back = there, back

    def forward(self, images: Tensor) -> Tensor:
        """Return the images after both translations."""
        returned: Tensor = self.back(self.there(images))
        return returned

    def compile(self, *args: Any, **options: Any) -> None:
        """Compile both translations, since the loss calls each alone."""
        for translation in (self.there, self.back):
            translation.compile(*args, **options)


@dataclass
class CyclicUNet(UNetOptions, Slicewise):
    """Translates to another modality and back; the score is the squared error."""

    name: ClassVar[str] = "cycl-unet"
    card: ClassVar[Card] = Card(
        title="Cyclic U-Net",
        reference="Liang et al. 2023, arXiv:2308.16150",
        licence="MIT (original code; none of it is used)",
        presets={"paper": {}, "demo": DEMO},
        modalities=2,
    )

    source: str = Field("", description="the modality that is scored; else the first")
    target: str = Field("", description="the one it is translated to; else the second")
    normalisation: Normalisation = Field("p90", description="scale of the intensity")
    norm: Norm = Field("group", description="normalisation layers")
    average: float = Field(
        0.9999, ge=0, lt=1, description="decay of the weights' moving average"
    )

    def __post_init__(self) -> None:
        """Check the options against each other."""
        super().__post_init__()
        self.check_unet(self.name, self.size)

    def scored(self, scan: Scan) -> Scan:
        """Return the scan with the source alone."""
        return one_modality(scan, self.name, self.source or scan.modalities[0])

    def taught(self, scan: Scan) -> Scan:
        """Return the scan with source and target.

        Raises:
            DataError: there are no two modalities, or not those that are wanted.
        """
        names = scan.modalities
        if len(names) < 2:
            msg = (
                f"{self.name} translates between two modalities, got "
                f"{', '.join(names)} in {scan.id}: give two of the dataset's that are "
                "registered, by --set-data modality=ONE,OTHER."
            )
            raise DataError(msg)
        pair = [self.source or names[0], self.target or names[1]]
        if pair[0] == pair[1]:
            msg = (
                f"{self.name} translates between two modalities, got '{pair[0]}' as "
                f"source and target: set both, of {', '.join(names)}."
            )
            raise DataError(msg)
        return with_modalities(scan, self.name, pair)

    def make(self) -> nn.Module:
        """Return both networks."""
        return Cycle(*(self.new_unet(1, self.size) for _ in range(2)))

    def loss(self, network: nn.Module, step: Step) -> Tensor:
        """Return the sum of the mean squared errors of both translations."""
        cycle = cast(Cycle, network)
        source, target = step.images.chunk(2, dim=1)
        there = mse_loss(cycle.there(source), target)
        return there + mse_loss(cycle.back(target), source)

    def reconstruct(self, network: nn.Module, stack: Stack) -> Restored:
        """Return (image - image there and back)^2."""
        restored = stack.through(network, stack.images)
        return Restored(restored, (stack.images - restored) ** 2)
