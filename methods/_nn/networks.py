"""Options of the U-Nets, for every method that has one."""

from typing import Literal

from pydantic import Field, PositiveInt
from pydantic.dataclasses import dataclass
from torch import nn

from .plain_unet import PlainUNet
from .sizes import check_attention, check_stride
from .unet import Norm, Shape, UNet

Kind = Literal["residual", "plain"]
NETWORKS: dict[Kind, type[UNet] | type[PlainUNet]] = {
    "residual": UNet,
    "plain": PlainUNet,
}


@dataclass
class UNetOptions:
    """What a U-Net looks like; the defaults are IterMask2's."""

    network: Kind = Field(
        "residual", description="the paper's network, or plain convolutions"
    )
    base: int = Field(32, ge=1, description="channels of the first level")
    multipliers: tuple[PositiveInt, ...] = Field(
        (1, 1, 2, 3, 4), min_length=1, description="channels of the levels / base"
    )
    blocks: int = Field(2, ge=1, description="blocks of a level")
    attention: tuple[PositiveInt, ...] = Field(
        (32, 16, 8), description="sides of the feature maps with self-attention, px"
    )
    norm: Norm = Field("batch", description="normalisation layers")
    dropout: float = Field(0.1, ge=0, lt=1, description="rate inside the blocks")
    stem: int = Field(1, ge=1, description="side of a square folded into channels, px")

    def new_unet(self, inputs: int, size: int) -> nn.Module:
        """Return a network for images (B, inputs, size, size)."""
        return NETWORKS[self.network](self._shape(inputs, size))

    def check_unet(self, method: str, size: int) -> None:
        """Raise a UsageError, naming the method, if no network can have this shape."""
        shape = self._shape(1, size)
        check_stride(method, size, shape.stride)
        levels = range(len(self.multipliers) if self.network == "residual" else 0)
        sides = [size // self.stem // 2**level for level in levels]
        check_attention(method, self.attention, sides)

    def _shape(self, inputs: int, size: int) -> Shape:
        return Shape(
            inputs,
            size,
            self.base,
            self.multipliers,
            self.blocks,
            self.attention,
            self.norm,
            self.dropout,
            self.stem,
        )
