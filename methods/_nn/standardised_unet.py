"""The U-Net of Kascenas et al. 2022, with weight-standardised convolutions.

Two convolutions to a level, each followed by Swish and group normalisation; average
pooling on the way down, transposed convolutions on the way up, and skip connections.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d


class StandardisedConv(nn.Conv2d):
    """A convolution whose weights have mean 0 and standard deviation 1 in each filter.

    Qiao et al., "Micro-Batch Training with Batch-Channel Normalization and Weight
    Standardization", arXiv:1903.10520.
    """

    def forward(self, images: Tensor) -> Tensor:
        """Return the images convolved with the standardised weights."""
        deviation, mean = torch.std_mean(self.weight, dim=(1, 2, 3), keepdim=True)
        standard = (self.weight - mean) / (deviation + 1e-5)
        output: Tensor = self._conv_forward(images, standard, self.bias)
        return output


class StandardisedUNet(nn.Module):
    """Maps images (B, 1, S, S) to images of the same shape.

    Args:
        base: channels of the first level; each level doubles them.
        depth: levels; S is a multiple of 2 ** (depth - 1), and larger than that.
    """

    def __init__(self, base: int = 64, depth: int = 4) -> None:
        super().__init__()
        widths = [base * 2**level for level in range(depth)]
        upwards = list(pairwise(reversed(widths)))
        self.down = nn.ModuleList(
            _block(before, after) for before, after in pairwise([1, *widths])
        )
        self.enlarge = nn.ModuleList(
            nn.ConvTranspose2d(below, here, 2, stride=2) for below, here in upwards
        )
        self.up = nn.ModuleList(_block(2 * here, here) for _, here in upwards)
        self.head = nn.Conv2d(base, 1, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Return one image for each."""
        features, skips = images, []
        for level, block in enumerate(self.down):
            features = block(avg_pool2d(features, 2) if level else features)
            skips.append(features)
        skips.pop()
        for enlarge, block in zip(self.enlarge, self.up, strict=True):
            features = block(torch.cat([enlarge(features), skips.pop()], dim=1))
        output: Tensor = self.head(features)
        return output


def groups(channels: int) -> int:
    """Return the smallest divisor of the channels that is at least their root."""
    first = math.isqrt(channels - 1) + 1
    return next(n for n in range(first, channels + 1) if channels % n == 0)


def _block(inputs: int, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before in (inputs, outputs):
        layers += [
            StandardisedConv(before, outputs, 3, padding=1, padding_mode="reflect"),
            nn.SiLU(),
            nn.GroupNorm(groups(outputs), outputs),
        ]
    return nn.Sequential(*layers)
