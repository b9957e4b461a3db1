"""Lightning Fabric for one process of a training: device, precision, gradients.

Its import, and that of the compiler that every optimiser loads, takes two seconds:
import it where a training begins.
"""

import logging

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision, Precision
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.strategies.ddp import DDPStrategy
from lightning_fabric.strategies.single_device import SingleDeviceStrategy

from .acceleration import Reduced

# It advises to multiply with fewer bits, in each process; see `repeatable`.
logging.getLogger("lightning_fabric").setLevel(logging.WARNING)


class Started(LightningEnvironment):
    """Processes that we have started, whatever a cluster's variables say."""

    creates_processes_externally = True

    def __init__(self, rank: int) -> None:
        super().__init__()
        self._rank = rank

    def local_rank(self) -> int:
        """Return the number of this process."""
        return self._rank

    def node_rank(self) -> int:
        """Return 0: there is one machine."""
        return 0


def fabric_of(devices: tuple[str, ...], rank: int, precision: Precision) -> Fabric:
    """Return the Fabric of one process, which has joined the others.

    Args:
        devices: of all processes.
        rank: of this one.
        precision: see `precision_of`.
    """
    device = torch.device(devices[rank])
    strategy = (
        SingleDeviceStrategy(device)
        if len(devices) == 1
        else DDPStrategy(gradient_as_bucket_view=True)
    )
    fabric = Fabric(
        accelerator=device.type,
        devices=_numbers(devices),
        strategy=strategy,
        plugins=[precision, Started(rank)],
    )
    fabric.launch()
    return fabric


def precision_of(precision: Reduced, device: torch.device) -> Precision:
    """Return how Fabric calculates; fp16 scales losses, on whatever device."""
    if precision == "32":
        return Precision()
    return MixedPrecision(
        "bf16-mixed" if precision == "bf16" else "16-mixed", device.type
    )


def _numbers(devices: tuple[str, ...]) -> list[int] | int:
    """Return the numbers of CUDA devices, or how many processes share the CPU."""
    found = [torch.device(device).index for device in devices]
    return len(found) if None in found else found
