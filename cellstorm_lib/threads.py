"""Work handed to threads whose results come back in order, in bounded memory."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_Item = TypeVar("_Item")
_Made = TypeVar("_Made")


def in_order(
    work: Callable[[_Item], _Made],
    items: Iterable[_Item],
    *,
    threads: int,
    most_ahead: int,
    prepare: Callable[[], None] | None = None,
) -> Iterator[_Made]:
    """Yield what threads make of items, in the items' order.

    Parameters
    ----------
    work : callable
        Makes a result of an item, in any of the threads.
    items : iterable
        Read in the calling thread, no further than needed.
    threads : int
        How many work.
    most_ahead : int
        Items that are worked on, or finished, while the caller has not yet taken the result of
        one before them.
    prepare : callable, optional
        Called once in each thread before it works.

    Raises
    ------
    Exception
        Whatever the items' iterator or `work` raised first, in the items' order. Then, and when
        the caller takes no more, items that no thread has begun are dropped.
    """
    waiting: deque[Future[_Made]] = deque()
    pool = ThreadPoolExecutor(threads, initializer=prepare)
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > most_ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def processor_count() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
