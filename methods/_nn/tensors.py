"""Between torch and the arrays of the core."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from uadbench.protocols import Arrays


def arrays_of(module: nn.Module, name: str) -> dict[str, NDArray[Any]]:
    """Return weights as arrays "name/...", and buffers as "_name/..."."""
    state = module.state_dict()
    return {label: to_array(state[key]) for key, label in _labels(module, name)}


def load_arrays(module: nn.Module, arrays: Arrays, name: str) -> None:
    """Copy what `arrays_of` gave into the module, on its own device."""
    own = module.state_dict()
    module.load_state_dict(
        {key: like(own[key], arrays[label]) for key, label in _labels(module, name)}
    )


def _labels(module: nn.Module, name: str) -> Iterator[tuple[str, str]]:
    """Yield each key of a module's state and the name of its array."""
    weights = {key for key, _ in module.named_parameters()}
    for key in module.state_dict():
        yield key, f"{name}/{key}" if key in weights else f"_{name}/{key}"


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
    """Return what the network makes of the inputs, `batch` at a time, in float32."""
    with repeatable():
        parts = [network(part).float() for part in torch.split(inputs, batch)]
    return torch.cat(parts)


@torch.no_grad()
def in_groups(
    network: Callable[[Tensor], Tensor], inputs: Tensor, group: int
) -> Tensor:
    """Return what the network makes of inputs, of which it always sees `group`.

    Libraries choose by the shape of a batch in which order they add: with batches of
    another size, rounding errors differ; with groups of one shape, an image has the
    same in any company. Black images fill up the last group.

    Args:
        network: of images.
        inputs: (N, C, H, W).
        group: images.
    """
    missing = -len(inputs) % group
    padded = torch.cat([inputs, inputs.new_zeros(missing, *inputs.shape[1:])])
    if inputs.device.type == "cpu":
        # Convolutions then need not turn their inputs round: a tenth of the time.
        padded = padded.contiguous(memory_format=torch.channels_last)
    return in_batches(network, padded, group)[: len(inputs)]


def repeatable() -> AbstractContextManager[object]:
    """Return the context in which cuDNN gives the same numbers each time, in float32.

    Left to itself it times several algorithms and takes the fastest of that moment, and
    rounds what it multiplies to 10 bits (TF32).
    """
    return torch.backends.cudnn.flags(
        enabled=True, benchmark=False, deterministic=True, allow_tf32=False
    )
