"""A small U-Net of plain convolutions, for training within minutes on a CPU."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate

from .unet import Shape, norm_layer


class PlainUNet(nn.Module):
    """Maps images (B, inputs, S, S) to images (B, 1, S, S).

    Two convolutions to a block and one skip connection to a level; the input itself is
    handed to the last convolution, so that what is visible need not pass the levels.
    Attention is not part of it.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        fold = shape.stem**2
        channels = [shape.base * multiplier for multiplier in shape.multipliers]
        inputs = shape.inputs * fold
        self.fold = nn.PixelUnshuffle(shape.stem)
        self.down = nn.ModuleList(
            _block(before, after, shape)
            for before, after in pairwise([inputs, *channels])
        )
        self.up = nn.ModuleList(
            _block(below + here, here, shape)
            for below, here in pairwise(reversed(channels))
        )
        self.head = nn.Sequential(
            nn.Conv2d(channels[0] + inputs, fold, 3, padding=1),
            nn.PixelShuffle(shape.stem),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return one image for each stack of input channels."""
        folded = self.fold(images)
        features, skips = folded, []
        for level, block in enumerate(self.down):
            features = block(avg_pool2d(features, 2) if level else features)
            skips.append(features)
        skips.pop()
        for block in self.up:
            larger = interpolate(features, scale_factor=2, mode="nearest")
            features = block(torch.cat([larger, skips.pop()], dim=1))
        output: Tensor = self.head(torch.cat([features, folded], dim=1))
        return output


def _block(inputs: int, outputs: int, shape: Shape) -> nn.Sequential:
    layers: list[nn.Module] = []
    for index in range(2 * shape.blocks):
        layers += [
            nn.Conv2d(outputs if index else inputs, outputs, 3, padding=1),
            norm_layer(outputs, shape),
            nn.SiLU(),
        ]
    return nn.Sequential(*layers, nn.Dropout(shape.dropout))
