"""Variational autoencoder: an autoencoder whose code is a Gaussian close to N(0, 1).

Reference: Baur et al., "Autoencoders for unsupervised anomaly segmentation in brain MR
images: A comparative study", Medical Image Analysis 69 (2021), 101952, the VAE of the
unified architecture, after Kingma and Welling, ICLR 2014.

Differs from the original code in:

- The intensity is scaled by the brain's median; there, to 0 ... 1, where errors are
  smaller and the same weight of the divergence counts for more.
- All slices with brain count; there, those from 20 to 129. They are centred on the
  brain in a field in mm, through a triangle filter; there, whole slices are resized.
- Batch normalisation normalises. There, it is called without its training flag, keeps
  the statistics that it starts with and only scales.
- Training ends after five epochs without progress on validation data, as there, and
  the weights of the best epoch are kept; there, those of the last. It ends after 1000
  epochs at the latest there; here `steps` is out of reach instead.
- Layers start from torch's weights, not Keras'.
- A scan is reconstructed from the mean of its code; there, from one sample.
- The score is the whole residual. There, the brain is eroded, only bright residuals of
  bright voxels count, a median filter and the removal of small components follow, and
  the threshold is the best one on the test labels. `--postprocess` has the like: an
  erosion in 3D and in mm instead of 12 px of each slice, the filter in voxels of the
  scan instead of the network's, the removal in mm3 instead of up to 7 voxels.
- `latent_kind=spatial`, `distance=l2`, `residual=l2` and `residual=ssim` are no part
  of it.

Where the original's programs differ, preset `paper` follows the one for this method,
main_VAE.py, and drops 10 % of the code; the one for all methods, run.py, drops 20 %.
"""

from typing import ClassVar, cast

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from uadbench.protocols import Card

from ._nn.bottleneck import VariationalBottleneck
from ._nn.steps import Step
from ._nn.unified import DEMO, PAPER, Unified


def divergence(mean: Tensor, log_deviation: Tensor) -> Tensor:
    """Return the Kullback-Leibler divergence of each Gaussian from N(0, 1), float (B,).

    Kingma and Welling 2014, appendix B: half the sum over a code of
    mean^2 + deviation^2 - log deviation^2 - 1.

    Args:
        mean: of the codes (B, ...).
        log_deviation: log of their standard deviations, the same shape.
    """
    variance = torch.exp(2 * log_deviation)
    each = mean**2 + variance - 2 * log_deviation - 1
    return each.flatten(1).sum(dim=1) / 2


def sample(mean: Tensor, log_deviation: Tensor, generator: torch.Generator) -> Tensor:
    """Return one draw from each Gaussian, mean + deviation x noise."""
    noise = torch.randn(mean.shape, generator=generator, device=mean.device)
    return mean + torch.exp(log_deviation) * noise


@dataclass
class VariationalAutoencoder(Unified):
    """Reconstructs through a Gaussian code; the score is the absolute error."""

    name: ClassVar[str] = "vae"
    card: ClassVar[Card] = Card(
        title="Variational autoencoder",
        reference="Baur et al., Medical Image Analysis 69 (2021), arXiv:2004.03271",
        licence="GPL-3.0 (original code; none of it is used)",
        presets={"paper": PAPER, "demo": DEMO},
    )

    kl: float = Field(
        1.0, ge=0, description="weight of the divergence of the code from N(0, 1)"
    )

    def make(self) -> nn.Module:
        """Return the network."""
        return VariationalBottleneck(self.layout())

    def loss(self, network: nn.Module, step: Step) -> Tensor:
        """Return the error from sampled codes, summed over pixels, + the divergence."""
        model = cast("VariationalBottleneck", network)
        mean, log_deviation = model.encode(step.images)
        codes = sample(mean, log_deviation, step.generator)
        error = self.difference(model.decode(codes), step.images)
        return error + self.kl * divergence(mean, log_deviation).mean()
