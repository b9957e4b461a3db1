"""The networks of the diffusion methods: they see a noisy image and its noise step.

MONAI takes seconds to import and is imported when its network is made.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from uadbench.errors import UsageError

from .plain_unet import PlainUNet
from .sizes import check_attention, check_stride
from .unet import Shape

Kind = Literal["residual", "plain"]


@dataclass(frozen=True)
class Design:
    """What a denoiser looks like.

    Attributes:
        kind: "residual" is the U-Net of diffusion models, MONAI's; "plain" is for
            training on a CPU.
        size: side of the image, px.
        base: channels of the first level.
        multipliers: channels of each level, in units of `base`.
        blocks: of a level.
        attention: sides in px of the feature maps with self-attention; MONAI's network
            has it in the middle too, the plain one nowhere.
        heads: of the self-attention.
        resampling: residual blocks halve and double the image, in place of single
            convolutions; MONAI's alone.
        stem: side of the squares of pixels that are folded into channels first; the
            plain network's alone.
    """

    kind: Kind
    size: int
    base: int
    multipliers: tuple[int, ...]
    blocks: int
    attention: tuple[int, ...]
    heads: int
    resampling: bool
    stem: int

    def check(self, method: str) -> None:
        """Raise a UsageError, naming the method, if no network can look like this."""
        stride = self._folded * 2 ** (len(self.multipliers) - 1)
        check_stride(method, self.size, stride)
        check_attention(method, self.attention, self._sides)
        uneven = [width for width in self._widths if width % self.heads]
        if uneven:
            msg = (
                f"{method}: {self.heads} heads do not divide {uneven[0]} channels. Set "
                "heads=1, or a base that they divide."
            )
            raise UsageError(msg)

    def make(self, steps: int) -> nn.Module:
        """Return a network that maps images (B, 1, S, S) and steps (B,) to images.

        Args:
            steps: noise steps of the whole process.
        """
        if self.kind == "plain":
            return TimedPlainUNet(self, steps)
        from monai.networks.nets.diffusion_model_unet import DiffusionModelUNet

        network: nn.Module = DiffusionModelUNet(
            spatial_dims=2,
            in_channels=1,
            out_channels=1,
            num_res_blocks=self.blocks,
            channels=self._widths,
            attention_levels=[side in self.attention for side in self._sides],
            norm_num_groups=math.gcd(32, *self._widths),
            resblock_updown=self.resampling,
            num_head_channels=[width // self.heads for width in self._widths],
        )
        return network

    @property
    def _folded(self) -> int:
        return self.stem if self.kind == "plain" else 1

    @property
    def _sides(self) -> list[int]:
        """Sides of the feature maps that can have self-attention, px."""
        if self.kind == "plain":
            return []
        return [self.size // 2**level for level in range(len(self.multipliers))]

    @property
    def _widths(self) -> list[int]:
        return [self.base * multiplier for multiplier in self.multipliers]


class TimedPlainUNet(nn.Module):
    """A plain U-Net; the noise step, from -1 to 1, is a further plane of its input."""

    def __init__(self, design: Design, steps: int) -> None:
        super().__init__()
        self.steps = steps
        self.network = PlainUNet(
            Shape(
                inputs=2,
                size=design.size,
                base=design.base,
                multipliers=design.multipliers,
                blocks=design.blocks,
                attention=(),
                norm="group",
                dropout=0.0,
                stem=design.stem,
            )
        )

    def forward(self, images: Tensor, t: Tensor) -> Tensor:
        """Return one image for each noisy image (B, 1, S, S) and noise step (B,)."""
        plane = (2 * t / self.steps - 1).to(images.dtype)[:, None, None, None]
        output: Tensor = self.network(
            torch.cat([images, plane.expand_as(images)], dim=1)
        )
        return output


def at_step(network: nn.Module, t: int) -> Callable[[Tensor], Tensor]:
    """Return the network for images that all have had t noise steps."""

    def network_at_t(images: Tensor) -> Tensor:
        steps = torch.full((len(images),), t, device=images.device)
        output: Tensor = network(images, steps)
        return output

    return network_at_t
