"""Between torch and the arrays of the core."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from uadbench.protocols import Arrays


def arrays_of(module: nn.Module, name: str) -> dict[str, NDArray[Any]]:
    """Return weights and buffers as arrays, their keys beginning with "name/"."""
    return {f"{name}/{key}": to_array(v) for key, v in module.state_dict().items()}


def load_arrays(module: nn.Module, arrays: Arrays, name: str) -> None:
    """Copy what `arrays_of` gave into the module, on its own device."""
    own = module.state_dict()
    module.load_state_dict(
        {key: like(tensor, arrays[f"{name}/{key}"]) for key, tensor in own.items()}
    )


def to_array(tensor: Tensor) -> NDArray[Any]:
    """Return a contiguous array of its own."""
    return np.array(tensor.detach().cpu().numpy(), order="C")


def to_device(
    images: NDArray[np.float32], brain: NDArray[np.bool_], device: str
) -> tuple[Tensor, Tensor]:
    """Return images and brain masks as tensors on a device."""
    return torch.from_numpy(images).to(device), torch.from_numpy(brain).to(device)


def like(tensor: Tensor, array: NDArray[Any]) -> Tensor:
    """Return the array's numbers in a tensor of the same type, device and layout."""
    return torch.empty_like(tensor).copy_(torch.from_numpy(np.asarray(array)))


@torch.no_grad()
def in_batches(
    network: Callable[[Tensor], Tensor], inputs: Tensor, batch: int
) -> Tensor:
    """Return what the network makes of the inputs, `batch` at a time."""
    return torch.cat([network(part) for part in torch.split(inputs, batch)])
