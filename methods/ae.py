"""Autoencoder: a bottleneck too narrow for lesions; the score is what it drops.

Reference: Baur et al., "Autoencoders for unsupervised anomaly segmentation in brain MR
images: A comparative study", Medical Image Analysis 69 (2021), 101952, the dense and
the spatial autoencoder of the unified architecture.

Differs from the original code in:

- The intensity is scaled by the brain's median; there, to 0 ... 1.
- All slices with brain count; there, those from 20 to 129. They are centred on the
  brain in a field in mm, through a triangle filter; there, whole slices are resized.
- Batch normalisation normalises. There, it is called without its training flag, keeps
  the statistics that it starts with and only scales.
- Training ends after five epochs without progress on validation data, as there, and
  the weights of the best epoch are kept; there, those of the last. It ends after 1000
  epochs at the latest there; here `steps` is out of reach instead.
- Layers start from torch's weights, not Keras'.
- The score is the whole residual. There, the brain is eroded, only bright residuals of
  bright voxels count, a median filter and the removal of small components follow, and
  the threshold is the best one on the test labels. `--postprocess` has the like: an
  erosion in 3D and in mm instead of 12 px of each slice, the filter in voxels of the
  scan instead of the network's, the removal in mm3 instead of up to 7 voxels.
- `distance=l2`, `residual=l2` and `residual=ssim` are no part of it. The paper's
  spatial autoencoder is `latent_kind=spatial`.

Where the original's programs differ, preset `paper` follows the one for all methods,
run.py: batches of 8, where the one for this method has 128. Both drop 20 % of the code.
"""

from typing import ClassVar

from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from uadbench.protocols import Card

from ._nn.bottleneck import Bottleneck
from ._nn.steps import Step
from ._nn.unified import DEMO, PAPER, Unified


@dataclass
class Autoencoder(Unified):
    """Reconstructs through a bottleneck; the score is the absolute error."""

    name: ClassVar[str] = "ae"
    card: ClassVar[Card] = Card(
        title="Autoencoder",
        reference="Baur et al., Medical Image Analysis 69 (2021), arXiv:2004.03271",
        licence="GPL-3.0 (original code; none of it is used)",
        presets={"paper": {**PAPER, "dropout": 0.2}, "demo": DEMO},
    )

    def make(self) -> nn.Module:
        """Return the network."""
        return Bottleneck(self.layout())

    def loss(self, network: nn.Module, step: Step) -> Tensor:
        """Return the error, summed over pixels."""
        return self.difference(network(step.images), step.images)
