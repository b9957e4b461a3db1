"""Options of the networks of the diffusion methods."""

from pydantic import Field, PositiveInt
from pydantic.dataclasses import dataclass

from .denoisers import Design, Kind
from .scans import SliceOptions


@dataclass
class DenoiserOptions(SliceOptions):
    """What the network of a diffusion method looks like."""

    network: Kind = Field(
        "residual", description="MONAI's network, or plain convolutions"
    )
    base: int = Field(128, ge=1, description="channels of the first level")
    multipliers: tuple[PositiveInt, ...] = Field(
        (1, 2, 2), min_length=1, description="channels of the levels / base"
    )
    blocks: int = Field(2, ge=1, description="blocks of a level")
    attention: tuple[PositiveInt, ...] = Field(
        (), description="sides of the feature maps with self-attention, px"
    )
    heads: int = Field(1, ge=1, description="of the self-attention")
    resampling: bool = Field(
        False, description="residual blocks resample, not single convolutions"
    )
    stem: int = Field(
        1, ge=1, description="side of a square folded into channels, plain network, px"
    )

    @property
    def design(self) -> Design:
        """The network that these options ask for."""
        return Design(
            self.network,
            self.size,
            self.base,
            self.multipliers,
            self.blocks,
            self.attention,
            self.heads,
            self.resampling,
            self.stem,
        )
