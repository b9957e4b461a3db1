"""Threads that load the next items, and one that finishes the last, beside the work.

Decoding a file, resampling it, counting and compressing release Python's lock for most
of their time, so that threads are enough.
"""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import TypeVar

Old = TypeVar("Old")
New = TypeVar("New")
# More threads than this would wait for the disk and for Python's lock.
MOST = 4


def cores() -> int:
    """Return how many cores this process may use; a batch job may have few of many."""
    return len(os.sched_getaffinity(0))


def ahead(
    items: Sequence[Old], change: Callable[[Old], New], workers: int = 0
) -> Generator[Callable[[], New], None, None]:
    """Yield for each item, in order, a function that waits for the changed item.

    At most `workers` items are ready, or in work, that were not yielded yet. What an
    item raises is raised by its own function; the next ones are not touched by it.
    When the generator is closed, its threads have ended.

    Args:
        items: indexed in threads, several at once.
        change: what is made of each, in the same thread.
        workers: how many threads; 0 takes one for each core, 4 at most.
    """
    from threadpoolctl import threadpool_limits

    workers = workers or min(MOST, cores())
    waiting: deque[Future[New]] = deque()
    with (
        # Threads of matrix products, within ours, would wait for each other.
        threadpool_limits(1, user_api="blas"),
        ThreadPoolExecutor(workers, thread_name_prefix="ahead") as pool,
    ):
        for place in range(len(items)):
            waiting.append(pool.submit(_load, items, change, place))
            if len(waiting) == workers:
                yield waiting.popleft().result
        while waiting:
            yield waiting.popleft().result


def _load(items: Sequence[Old], change: Callable[[Old], New], place: int) -> New:
    return change(items[place])


def loaded(
    items: Sequence[Old], change: Callable[[Old], New], workers: int = 0
) -> Iterator[New]:
    """Yield the changed items, in order, until one raises; see `ahead`."""
    with closing(ahead(items, change, workers)) as results:
        for result in results:
            yield result()


@contextmanager
def behind(work: Callable[[Old], object]) -> Iterator[Callable[[Old], None]]:
    """Yield a function that hands an item to one thread, which does the work in order.

    It waits until the item before is done: items may be large, and one is in work at
    most. What the work raises is raised by the next call, or at the end of the context.
    Whatever ends the context, all that was handed over before is done then.
    """
    before: Future[object] | None = None

    def hand_over(item: Old) -> None:
        nonlocal before
        if before:
            before.result()
        before = pool.submit(work, item)

    with ThreadPoolExecutor(1, thread_name_prefix="behind") as pool:
        yield hand_over
        if before:
            before.result()
