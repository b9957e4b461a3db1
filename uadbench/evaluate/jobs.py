"""One function over many items in several processes, the results in order."""

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from uadbench.errors import UadbenchError

Item = TypeVar("Item")
Result = TypeVar("Result")


def each(
    function: Callable[[Item], Result], items: Sequence[Item], jobs: int
) -> Iterator[Result]:
    """Yield the function's result for each item, in the order of the items.

    Args:
        function: of a module's top level, or a partial of one; so are its errors.
        items: that can be pickled.
        jobs: processes; 1 stays in this one.

    Raises:
        UadbenchError: a process was killed.
    """
    jobs = min(jobs, len(items))
    if jobs <= 1:
        yield from map(function, items)
        return
    # A forked copy of a process that has threads may hang.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, context, initializer=_leave_interrupts)
    try:
        yield from pool.map(function, items)
    except BrokenProcessPool:
        msg = (
            f"one of {jobs} processes was killed, most likely because memory ran out. "
            "Repeat the command with fewer --jobs."
        )
        raise UadbenchError(msg) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _leave_interrupts() -> None:
    # Ctrl-C reaches every process; the first one ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
