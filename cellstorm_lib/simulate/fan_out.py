"""One stream of chunks, several writers: each chunk is made once and given to all."""

import queue
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

_Item = TypeVar("_Item")

_WAITING_ITEMS = 2
_LOOK_EVERY_S = 0.2


def fan_out(items: Iterable[_Item], consumers: Sequence[Callable[[Iterator[_Item]], None]]) -> None:
    """Give every item to every consumer, each in a thread of its own, in bounded memory.

    Parameters
    ----------
    items : iterable
        Made in the calling thread, one after the other.
    consumers : sequence of callables
        Each takes an iterator over all the items.

    Raises
    ------
    Exception
        Whatever the items' iterator or a consumer raised first. The iterators of the other
        consumers then raise it too, so that none takes the end for a complete stream.
    """
    queues = [queue.Queue[Any](_WAITING_ITEMS) for _ in consumers]
    with ThreadPoolExecutor(max(1, len(consumers))) as pool:
        futures = [
            pool.submit(consumer, _received(waiting))
            for consumer, waiting in zip(consumers, queues, strict=True)
        ]
        end: BaseException | None = None
        try:
            for item in items:
                for waiting, future in zip(queues, futures, strict=True):
                    _put(waiting, item, future)
        except BaseException as error:
            end = error
            raise
        finally:
            for waiting, future in zip(queues, futures, strict=True):
                _put_last(waiting, end, future)
    for future in futures:
        future.result()


def _received(waiting: "queue.Queue[Any]") -> Iterator[Any]:
    """Yield the items of one consumer until the end, or raise what ended the stream early."""
    while (item := waiting.get()) is not None:
        if isinstance(item, BaseException):
            raise item
        yield item


def _put(waiting: "queue.Queue[Any]", item: Any, future: "Future[None]") -> None:
    """Hand an item over, waiting for room; raise when the consumer has failed."""
    while True:
        if future.done():
            future.result()
            return  # it wanted no more
        try:
            waiting.put(item, timeout=_LOOK_EVERY_S)
        except queue.Full:
            continue
        return


def _put_last(
    waiting: "queue.Queue[Any]", end: BaseException | None, future: "Future[None]"
) -> None:
    """Tell a consumer that there is no more, unless it has ended by itself."""
    while not future.done():
        try:
            waiting.put(end, timeout=_LOOK_EVERY_S)
        except queue.Full:
            continue
        return
