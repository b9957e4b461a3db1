"""The way back from noise in many steps."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from .denoisers import at_step
from .denoising import Denoising
from .diffusion import image_of, spaced, step_back
from .reconstruction import Stack

Sampler = Literal["ancestral", "ddim"]
ETA: dict[Sampler, float] = {"ancestral": 1.0, "ddim": 0.0}


@dataclass
class StepwiseDenoising(Denoising):
    """A method that adds noise and takes it away step by step."""

    sampling_steps: int = Field(
        0, ge=0, description="steps back, of equal size; 0: one for each noise step"
    )
    sampler: Sampler = Field(
        "ancestral", description="random steps back, or deterministic ones"
    )

    def __post_init__(self) -> None:
        """Check the options against each other."""
        super().__post_init__()
        self.require_at_most("sampling_steps", self.sampling_steps, "t", self.t)

    def there_and_back(self, network: nn.Module, x_0: Tensor, stack: Stack) -> Tensor:
        """Return what the network makes of images after `t` noise steps."""
        levels = spaced(self.t, self.sampling_steps or self.t)
        x_t = self.noised(x_0, self.t, stack)
        return self.walk_back(network, x_t, levels, stack)

    def walk_back(
        self,
        network: nn.Module,
        x_t: Tensor,
        levels: Sequence[int],
        stack: Stack,
    ) -> Tensor:
        """Return x_s after the steps from t, the first of the levels, to s, the last.

        Args:
            network: predicts eps.
            x_t: float (N, 1, S, S).
            levels: noise steps, falling.
            stack: where the batch size and the randomness come from.
        """
        eta = ETA[self.sampler]
        alpha_bar = self.alpha_bar(x_t.device)
        for t, s in pairwise(levels):
            image = self.clean(network, x_t, t, stack)
            fresh = self.drawn(stack) if eta and s else None
            x_t = step_back(x_t, image, alpha_bar[t], alpha_bar[s], fresh, eta)
        return x_t

    def clean(self, network: nn.Module, x_t: Tensor, t: int, stack: Stack) -> Tensor:
        """Return what the network takes for the images behind x_t, in their range."""
        eps = stack.through(at_step(network, t), x_t)
        image = image_of(x_t, eps, self.alpha_bar(x_t.device)[t])
        return image.clamp(self.darkest, 1.0)
