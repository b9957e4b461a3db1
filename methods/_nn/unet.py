"""The U-Net of IterMask2 (that of guided diffusion without time steps), configurable.

A stem, then levels that halve the image: residual blocks, a residual block that
downsamples; a middle; and the way back, where every block gets one of the feature maps
of the way down. Self-attention at chosen sizes.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import (
    avg_pool2d,
    interpolate,
    scaled_dot_product_attention,
)

Norm = Literal["batch", "group"]


@dataclass(frozen=True)
class Shape:
    """What a U-Net looks like; the defaults are IterMask2's.

    Attributes:
        inputs: channels of the input; the output has one.
        size: side of the image in px.
        base: channels of the first level.
        multipliers: channels of each level, in units of `base`.
        blocks: residual blocks of a level on the way down; on the way up one more.
        attention: sides in px of the feature maps that get self-attention; with any,
            the middle has it too.
        norm: normalisation layers.
        dropout: rate inside the residual blocks.
        stem: side of the squares of pixels that are folded into channels first; above
            1 the levels see an image smaller by that factor.
    """

    inputs: int
    size: int = 128
    base: int = 32
    multipliers: tuple[int, ...] = (1, 1, 2, 3, 4)
    blocks: int = 2
    attention: tuple[int, ...] = (32, 16, 8)
    norm: Norm = "batch"
    dropout: float = 0.1
    stem: int = 1

    @property
    def stride(self) -> int:
        """What the side of the image must be a multiple of, in px."""
        return int(self.stem * 2 ** (len(self.multipliers) - 1))


class UNet(nn.Module):
    """Maps images (B, inputs, S, S) to images (B, 1, S, S)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        fold = shape.stem**2
        channels = shape.base * shape.multipliers[0]
        self.fold = nn.PixelUnshuffle(shape.stem)
        self.stem = nn.Conv2d(shape.inputs * fold, channels, 3, padding=1)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        skips, side = [channels], shape.size // shape.stem
        last = len(shape.multipliers) - 1
        for level, multiplier in enumerate(shape.multipliers):
            for _ in range(shape.blocks):
                block = _Stage(channels, shape.base * multiplier, side, shape)
                channels = block.channels
                self.down.append(block)
                skips.append(channels)
            if level < last:
                self.down.append(_Residual(channels, channels, shape, "down"))
                skips.append(channels)
                side //= 2
        self.middle = nn.Sequential(
            _Residual(channels, channels, shape),
            _Attention(channels, shape) if shape.attention else nn.Identity(),
            _Residual(channels, channels, shape),
        )
        for level, multiplier in reversed(list(enumerate(shape.multipliers))):
            for index in range(shape.blocks + 1):
                block = _Stage(
                    channels + skips.pop(), shape.base * multiplier, side, shape
                )
                channels = block.channels
                if level and index == shape.blocks:
                    block.append(_Residual(channels, channels, shape, "up"))
                    side *= 2
                self.up.append(block)
        self.head = nn.Sequential(
            norm_layer(channels, shape),
            nn.SiLU(),
            _zeroed(nn.Conv2d(channels, fold, 3, padding=1)),
            nn.PixelShuffle(shape.stem),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return one image for each stack of input channels."""
        features = self.stem(self.fold(images))
        skips = [features]
        for block in self.down:
            features = block(features)
            skips.append(features)
        features = self.middle(features)
        for block in self.up:
            features = block(torch.cat([features, skips.pop()], dim=1))
        output: Tensor = self.head(features)
        return output


class _Stage(nn.Sequential):
    """A residual block, with self-attention where the shape wants it."""

    def __init__(self, inputs: int, outputs: int, side: int, shape: Shape) -> None:
        super().__init__(_Residual(inputs, outputs, shape))
        self.channels = outputs
        if side in shape.attention:
            self.append(_Attention(outputs, shape))


class _Residual(nn.Module):
    """Two convolutions beside a shortcut; both resample if asked to."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        shape: Shape,
        resample: Literal["down", "up"] | None = None,
    ) -> None:
        super().__init__()
        self.resample = resample
        self.enter = nn.Sequential(norm_layer(inputs, shape), nn.SiLU())
        self.first = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.second = nn.Sequential(
            norm_layer(outputs, shape),
            nn.SiLU(),
            nn.Dropout(shape.dropout),
            _zeroed(nn.Conv2d(outputs, outputs, 3, padding=1)),
        )
        same = inputs == outputs
        self.shortcut = nn.Identity() if same else nn.Conv2d(inputs, outputs, 1)

    def forward(self, features: Tensor) -> Tensor:
        inner = self._resampled(self.enter(features))
        outer = self.shortcut(self._resampled(features))
        total: Tensor = outer + self.second(self.first(inner))
        return total

    def _resampled(self, features: Tensor) -> Tensor:
        if self.resample == "down":
            return avg_pool2d(features, 2)
        if self.resample == "up":
            return interpolate(features, scale_factor=2, mode="nearest")
        return features


class _Attention(nn.Module):
    """Single-head self-attention over all pixels, added to the features."""

    def __init__(self, channels: int, shape: Shape) -> None:
        super().__init__()
        self.norm = norm_layer(channels, shape)
        self.query_key_value = nn.Conv2d(channels, 3 * channels, 1)
        self.project = _zeroed(nn.Conv2d(channels, channels, 1))

    def forward(self, features: Tensor) -> Tensor:
        joint = self.query_key_value(self.norm(features))
        # Fused kernels want an axis of heads.
        q, k, v = joint.flatten(2).transpose(1, 2).unsqueeze(1).chunk(3, dim=3)
        mixed = scaled_dot_product_attention(q, k, v)
        back = mixed.squeeze(1).transpose(1, 2).reshape(features.shape)
        total: Tensor = features + self.project(back)
        return total


def norm_layer(channels: int, shape: Shape) -> nn.Module:
    """Return the normalisation that the shape wants, with at most 8 groups."""
    if shape.norm == "batch":
        return nn.BatchNorm2d(channels)
    return nn.GroupNorm(math.gcd(8, channels), channels)


def _zeroed(layer: nn.Conv2d) -> nn.Conv2d:
    """Return the layer with zero weights: a residual block starts as its shortcut."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
