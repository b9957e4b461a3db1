"""How a method makes use of the hardware, as a user asks for it."""

from dataclasses import dataclass
from typing import Literal

Precision = Literal["auto", "32", "bf16", "fp16"]
Compile = Literal["auto", "no", "yes", "graphs"]


@dataclass(frozen=True)
class Acceleration:
    """How a method makes use of the hardware; the law of the numbers stays.

    Numbers change by rounding; of several devices, and of compiled dropout, as with
    another seed.

    Attributes:
        devices: how many share a training, counted from the context's device on; on the
            CPU, processes.
        precision: of matrix products. auto: in training the device's fastest that loses
            nothing, in prediction 32 bits, since a cut at a threshold turns rounding
            into another mask. What is named holds for both.
        compile: whether a network is compiled for its training; graphs: into CUDA
            graphs. auto: on CUDA.
    """

    devices: int = 1
    precision: Precision = "auto"
    compile: Compile = "auto"
