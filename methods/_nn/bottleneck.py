"""The unified architecture of Baur et al. 2021: images through a narrow code and back.

Convolutions of 5 x 5 px halve the image down to 8 x 8; the code is dense (some numbers)
or spatial (the feature maps themselves); transposed convolutions double it again.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor, nn

LatentKind = Literal["dense", "spatial"]
COARSEST = 8  # px, side of the feature maps at the code
SLOPE = 0.3  # of LeakyReLU, Keras' default


@dataclass(frozen=True)
class Layout:
    """What the network looks like; the defaults are the paper's.

    Attributes:
        size: side of the image in px, 8 times a power of 2.
        base: channels of the first level; each level doubles them.
        most: channels of the widest level.
        kind: of the code.
        latent: numbers in a dense code.
        dropout: rate in the code.
    """

    size: int = 128
    base: int = 32
    most: int = 128
    kind: LatentKind = "dense"
    latent: int = 128
    dropout: float = 0.1

    @property
    def levels(self) -> int:
        """How often the image is halved."""
        return (self.size // COARSEST).bit_length() - 1

    @property
    def widest(self) -> int:
        """Channels at the end of the way down."""
        return min(self.most, self.base << (self.levels - 1))

    @property
    def narrow(self) -> int:
        """Channels of the feature maps that a dense code is made from."""
        return max(1, self.widest // 8)


class Bottleneck(nn.Module):
    """Maps images (B, 1, S, S) to images of the same shape through the code."""

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        # A spatial code is what comes out of the last convolution.
        code = [_code(layout)] if layout.kind == "dense" else []
        self.layers = nn.Sequential(
            *_encoder(layout), *code, nn.Dropout(layout.dropout), *_decoder(layout, 0.0)
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return the reconstructions."""
        output: Tensor = self.layers(images)
        return output


class VariationalBottleneck(nn.Module):
    """The same with a Gaussian as the code: its mean and the log of its deviation."""

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        rate = layout.dropout
        self.encoder = nn.Sequential(*_encoder(layout))
        self.mean = nn.Sequential(_code(layout), nn.Dropout(rate))
        self.log_deviation = nn.Sequential(_code(layout), nn.Dropout(rate))
        self.decoder = nn.Sequential(*_decoder(layout, rate))

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the means and the logs of the standard deviations of the codes."""
        features = self.encoder(images)
        return self.mean(features), self.log_deviation(features)

    def decode(self, codes: Tensor) -> Tensor:
        """Return the images of codes."""
        output: Tensor = self.decoder(codes)
        return output

    def forward(self, images: Tensor) -> Tensor:
        """Return the reconstructions from the means."""
        return self.decode(self.encode(images)[0])

    def compile(self, *args: Any, **options: Any) -> None:
        """Compile both halves, since the loss draws codes between them."""
        self.encode = torch.compile(self.encode, *args, **options)  # type: ignore[method-assign]  # for this instance
        self.decode = torch.compile(self.decode, *args, **options)  # type: ignore[method-assign]  # as above


def _encoder(layout: Layout) -> list[nn.Module]:
    """Return layers from images to what a code is made from."""
    widths = [min(layout.most, layout.base * 2**i) for i in range(layout.levels)]
    down: list[nn.Module] = [
        _block(nn.Conv2d(before, after, 5, stride=2, padding=2), after)
        for before, after in pairwise([1, *widths])
    ]
    if layout.kind == "dense":
        down += [nn.Conv2d(layout.widest, layout.narrow, 1), nn.Flatten()]
    return down


def _code(layout: Layout) -> nn.Module:
    """Return the layer that makes a code."""
    if layout.kind == "dense":
        return nn.Linear(layout.narrow * COARSEST**2, layout.latent)
    return nn.Conv2d(layout.widest, layout.widest, 1)


def _decoder(layout: Layout, dropout: float) -> list[nn.Module]:
    """Return layers from a code to images; the rate is that behind a dense layer."""
    back: list[nn.Module] = []
    if layout.kind == "dense":
        back = [
            nn.Linear(layout.latent, layout.narrow * COARSEST**2),
            nn.Dropout(dropout),
            nn.Unflatten(1, (layout.narrow, COARSEST, COARSEST)),
            nn.Conv2d(layout.narrow, layout.widest, 1),
        ]
    widths = [max(layout.base, layout.most // 2**i) for i in range(layout.levels)]
    up = [
        _block(
            nn.ConvTranspose2d(before, after, 5, stride=2, padding=2, output_padding=1),
            after,
        )
        for before, after in pairwise([layout.widest, *widths])
    ]
    start = [nn.BatchNorm2d(layout.widest), nn.ReLU()]
    return [*back, *start, *up, nn.Conv2d(widths[-1], 1, 1)]


def _block(convolution: nn.Module, channels: int) -> nn.Sequential:
    return nn.Sequential(convolution, nn.BatchNorm2d(channels), nn.LeakyReLU(SLOPE))
