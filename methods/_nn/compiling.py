"""Compiled networks, and plain ones where the compiler fails."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any
from warnings import catch_warnings

import torch
from torch import nn

from .acceleration import Compiler

WAYS: dict[Compiler, dict[str, Any]] = {
    "yes": {},
    "graphs": {"mode": "reduce-overhead"},
}
# A CUDA graph is warmed up, recorded and replayed.
TRIES = {"yes": 1, "graphs": 3}


def compiled(
    network: nn.Module,
    how: Compiler,
    attempt: Callable[[], object],
    say: Callable[[str], object],
) -> AbstractContextManager[object]:
    """Compile a network in place; return the context in which it is trained.

    Its weights keep their names, and nothing but its calls changes. If the compiler
    fails, one line says so and the network is called as it is.

    Args:
        network: on its device, in the mode of its training.
        how: "no" leaves it as it is.
        attempt: goes through the network and back once as a training step does; what
            it leaves in the network's buffers is undone.
        say: shows a line.
    """
    if how == "no":
        return nullcontext()
    # Else networks of earlier trainings count against the most that one process may
    # compile.
    torch.compiler.reset()
    kept = [buffer.clone() for buffer in network.buffers()]
    try:
        # Of what torch itself does as it compiles; the loss has its say in the steps.
        with catch_warnings(action="ignore"):
            network.compile(**WAYS[how])
            for _ in range(TRIES[how]):
                attempt()
    except Exception as error:  # of whatever kind compilers raise
        # The first line names the compiler, the second one what is wrong.
        words = " ".join(str(error).split("\n")[:2])
        say(f"not compiled, which is slower: {type(error).__name__}: {words}")
        eager: AbstractContextManager[object] = torch.compiler.set_stance("force_eager")
        return eager
    finally:
        for buffer, before in zip(network.buffers(), kept, strict=True):
            buffer.copy_(before)
    return nullcontext()
