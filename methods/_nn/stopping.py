"""Early stopping: the weights of the best check, and when to give up."""

import math
from dataclasses import dataclass, field

import numpy as np
from torch import nn

from uadbench.protocols import Arrays

from .tensors import arrays_of, load_arrays


@dataclass(eq=False)
class Best:
    """The best of the checks so far.

    Attributes:
        patience: checks in a row without a lower loss that end a training; 0: none do.
        loss: the lowest.
        waited: checks since then.
        weights: of then.
    """

    patience: int
    loss: float = math.inf
    waited: int = 0
    weights: Arrays = field(default_factory=dict)

    @property
    def given_up(self) -> bool:
        """Whether the training has ended before its time."""
        return 0 < self.patience <= self.waited

    def judge(self, loss: float, network: nn.Module) -> None:
        """Keep the weights if this loss is the lowest; NaN never is."""
        self.waited += 1
        if loss < self.loss:
            self.loss, self.waited = loss, 0
            self.weights = arrays_of(network, "best")

    def recall(self, network: nn.Module) -> None:
        """Give a network the best weights, if a check has found any."""
        if self.weights:
            load_arrays(network, self.weights, "best")

    def arrays(self) -> Arrays:
        """Return all of it but the patience."""
        return {
            "lowest": np.array([self.loss]),
            "waited": np.array([self.waited]),
            **self.weights,
        }

    def restore(self, arrays: Arrays) -> None:
        """Take back what `arrays` gave, out of a larger collection."""
        self.loss, self.waited = float(arrays["lowest"][0]), int(arrays["waited"][0])
        ours = ("best/", "_best/")
        self.weights = {k: v for k, v in arrays.items() if k.startswith(ours)}
