"""Options of the U-Nets, for every method that has one."""

from typing import Literal

from pydantic import Field, PositiveInt
from pydantic.dataclasses import dataclass
from torch import nn

from uadbench.errors import UsageError

from .plain_unet import PlainUNet
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
        check(method, self.network, self._shape(1, size))

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


def check(method: str, kind: Kind, shape: Shape) -> None:
    """Raise a UsageError, naming the method, if no network can have this shape."""
    if shape.size % shape.stride:
        nearest = max(1, round(shape.size / shape.stride)) * shape.stride
        msg = (
            f"{method}: size {shape.size} is no multiple of {shape.stride}, by which "
            f"this network shrinks the image. Set size={nearest} or fewer multipliers."
        )
        raise UsageError(msg)
    sides = [
        shape.size // shape.stem // 2**level for level in range(len(shape.multipliers))
    ]
    if kind == "plain":
        sides = []
    for side in shape.attention:
        if side not in sides:
            there = ", ".join(map(str, sides)) or "none that could have attention"
            msg = (
                f"{method}: attention at {side} px, but the feature maps of this "
                f"network are {there}. Set attention to some of these, or attention= "
                "for none."
            )
            raise UsageError(msg)
