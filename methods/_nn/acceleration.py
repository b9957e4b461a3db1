"""What `Context.acceleration` means on a device: precision, compiler, processes."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch
from torch import Tensor

from uadbench.protocols import Context

Reduced = Literal["32", "bf16", "fp16"]
Compiler = Literal["no", "yes", "graphs"]
TYPES: dict[Reduced, torch.dtype] = {"bf16": torch.bfloat16, "fp16": torch.float16}
AMPERE = 8  # compute capability, the first that multiplies bfloat16


def training_precision(ctx: Context) -> Reduced:
    """Return the precision of a training.

    Unless one is named: bfloat16 on CUDA, float16 on devices without it, and 32 bits on
    the CPU.
    """
    asked = ctx.acceleration.precision
    if asked != "auto":
        return asked
    device = torch.device(ctx.device)
    if device.type != "cuda":
        return "32"
    major, _ = torch.cuda.get_device_capability(device)
    return "bf16" if major >= AMPERE else "fp16"


def compiler(ctx: Context) -> Compiler:
    """Return how a network is compiled for its training; unasked, it is on CUDA."""
    asked = ctx.acceleration.compile
    if asked != "auto":
        return asked
    return "yes" if torch.device(ctx.device).type == "cuda" else "no"


def devices(ctx: Context) -> tuple[str, ...]:
    """Return the device of each process that shares a training, ours first."""
    device, count = torch.device(ctx.device), ctx.acceleration.devices
    if device.type != "cuda":
        return (ctx.device,) * count
    first = device.index or 0
    return tuple(f"cuda:{first + number}" for number in range(count))


def precise(ctx: Context) -> AbstractContextManager[object]:
    """Return the context in which networks predict: 32 bits unless others are named.

    The images that come out of a network may be of fewer; `in_batches` returns float32.
    """
    asked = ctx.acceleration.precision
    if asked == "auto" or asked == "32":
        return nullcontext()
    return torch.autocast(torch.device(ctx.device).type, dtype=TYPES[asked])


def precisely(
    network: Callable[[Tensor], Tensor], ctx: Context
) -> Callable[[Tensor], Tensor]:
    """Return the network as it predicts, see `precise`."""

    def predicting(inputs: Tensor) -> Tensor:
        with precise(ctx):
            return network(inputs)

    return predicting
