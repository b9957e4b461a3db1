"""One function over many items in several processes, the results in order."""

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager
from typing import TypeVar

from uadbench.errors import UadbenchError

Item = TypeVar("Item")
Result = TypeVar("Result")


class Workers(AbstractContextManager["Workers"]):
    """Processes that start when they are first needed, and end with the context.

    Args:
        jobs: how many; 1 stays in this process.
    """

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs
        self._pool: ProcessPoolExecutor | None = None

    def __exit__(self, *_: object) -> None:
        """Wait for what runs, and drop the rest."""
        if self._pool:
            self._pool.shutdown(cancel_futures=True)

    def each(
        self, function: Callable[[Item], Result], items: Sequence[Item]
    ) -> Iterator[Result]:
        """Yield the function's result for each item, in the order of the items.

        Args:
            function: of a module's top level, or a partial of one.
            items: that can be pickled, as can the results.

        Raises:
            UadbenchError: a process was killed.
        """
        if self._jobs == 1 or len(items) < 2:
            yield from map(function, items)
            return
        if self._pool is None:
            # A forked copy of a process that has threads may hang.
            context = multiprocessing.get_context("spawn")
            # Ctrl-C reaches every process; this one ends the others.
            self._pool = ProcessPoolExecutor(
                self._jobs, context, signal.signal, (signal.SIGINT, signal.SIG_IGN)
            )
        try:
            yield from self._pool.map(function, items)
        except BrokenProcessPool:
            msg = (
                f"one of {self._jobs} processes was killed, most likely because memory "
                "ran out. Repeat the command with fewer --jobs."
            )
            raise UadbenchError(msg) from None
