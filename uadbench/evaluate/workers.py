"""One function over many items in several processes, the results in order."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager
from multiprocessing import resource_tracker
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
            # First, because its start lets Ctrl-C through. Half a pool would leave
            # semaphores behind, and a warning of them at the end.
            resource_tracker.ensure_running()
            with _without_interrupt():
                self._pool = ProcessPoolExecutor(self._jobs, context, end_with_parent)
        try:
            with _without_interrupt():
                results = self._pool.map(function, items)
            yield from results
        except BrokenProcessPool:
            msg = (
                f"one of {self._jobs} processes was killed, most likely because memory "
                "ran out. Nothing is written: repeat the command with fewer --jobs."
            )
            raise UadbenchError(msg) from None


def end_with_parent() -> None:
    """Let this process end when its parent does, even if that is killed."""
    threading.Thread(target=_follow_parent, daemon=True).start()


def _follow_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def _without_interrupt() -> Iterator[None]:
    """Hold Ctrl-C back; processes that start meanwhile never get it.

    It reaches every process of a terminal, and this one ends the others.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
