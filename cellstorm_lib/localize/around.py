"""The frames around a chunk, so that what is asked of a spot's past and future is always known."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Self, TypeVar

import numpy as np
import numpy.typing as npt

from cellstorm_lib.recording import FrameChunk

_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Surroundings:
    """Frames with those before and after them.

    Attributes
    ----------
    frames : (N, Y, X) uint8 or uint16
        The frames themselves.
    before, after : (K, Y, X)
        Up to as many as were asked for; fewer at the ends of a recording.
    number : (K + N + K,) int64
        The file's numbers of all of them, ascending; a lost frame leaves a gap.
    """

    frames: npt.NDArray[Any]
    before: npt.NDArray[Any]
    after: npt.NDArray[Any]
    number: npt.NDArray[np.int64]

    @classmethod
    def alone(cls, frames: npt.NDArray[Any]) -> Self:
        """Return frames of which nothing else is known."""
        return cls(
            frames=frames,
            before=frames[:0],
            after=frames[:0],
            number=np.arange(len(frames), dtype=np.int64),
        )


def with_surroundings(
    items: Iterable[tuple[FrameChunk, _Item]], *, reach: int
) -> Iterator[tuple[FrameChunk, _Item, Surroundings]]:
    """Yield each chunk, what came with it, and up to `reach` (1 or more) frames on both sides.

    Of the chunks that follow as many are read ahead as that needs; how the frames are cut into
    chunks changes nothing.
    """
    waiting: deque[tuple[FrameChunk, _Item]] = deque()
    past: list[tuple[int, npt.NDArray[Any]]] = []
    for item in items:
        waiting.append(item)
        while waiting and sum(len(chunk.frames) for chunk, _ in list(waiting)[1:]) >= reach:
            yield _surrounded(waiting, past, reach)
    while waiting:
        yield _surrounded(waiting, past, reach)


def _surrounded(
    waiting: deque[tuple[FrameChunk, _Item]], past: list[tuple[int, npt.NDArray[Any]]], reach: int
) -> tuple[FrameChunk, _Item, Surroundings]:
    """Take the first chunk that waits; its last frames join the past."""
    chunk, item = waiting.popleft()
    future: list[tuple[int, npt.NDArray[Any]]] = []
    for following, _ in waiting:
        future += _numbered(following)[: reach - len(future)]
    around = Surroundings(
        frames=chunk.frames,
        before=_stacked(past, chunk),
        after=_stacked(future, chunk),
        number=np.array(
            [number for number, _ in past]
            + chunk.frame.tolist()
            + [number for number, _ in future],
            np.int64,
        ),
    )
    past[:] = (past + _numbered(chunk)[-reach:])[-reach:]
    return chunk, item, around


def _numbered(chunk: FrameChunk) -> list[tuple[int, npt.NDArray[Any]]]:
    """Return the frames of a chunk with their numbers."""
    return list(zip(chunk.frame.tolist(), chunk.frames, strict=True))


def _stacked(frames: list[tuple[int, npt.NDArray[Any]]], chunk: FrameChunk) -> npt.NDArray[Any]:
    """Return some frames as one array, (K, Y, X)."""
    return np.stack([frame for _, frame in frames]) if frames else chunk.frames[:0]
