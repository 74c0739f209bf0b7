"""Pieces of one recording worked on side by side: by this process, by others, or elsewhere."""

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol, TypeVar

from cellstorm_lib.errors import RecordingError, SettingsError
from cellstorm_lib.recording import FrameChunk, FrameSource

_Item = TypeVar("_Item")
_Made = TypeVar("_Made")

#: Pixels of all frames of a piece, at least: some seconds of one core, for a worker that begins
#: with a recording needs as long to be ready.
FAN_OUT_PX = 1 << 27
_MOST_TRIES = 3
_LOOK_FRAMES = 16


class MapChunks(Protocol):
    """Where pieces of a recording are worked on."""

    def __call__(self, work: Callable[[_Item], _Made], items: Iterable[_Item]) -> Iterator[_Made]:
        """Yield what `work` makes of each item, in the items' order.

        Only a few items are under way at a time. Those of a lost worker are worked on again by
        another; what `work` raises is raised here. `work` and the items are pickled.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalProcesses:
    """Processes of this machine, each with one thread.

    Attributes
    ----------
    count : int
        How many.
    """

    count: int

    def __post_init__(self) -> None:
        if self.count < 1:
            raise SettingsError(f"processes must be 1 or more, got {self.count}")

    def __call__(self, work: Callable[[_Item], _Made], items: Iterable[_Item]) -> Iterator[_Made]:
        """Yield what the processes make of each item, see `MapChunks`."""
        remaining, most_ahead = iter(items), self.count + 1
        waiting: deque[_Item] = deque()
        for _ in range(_MOST_TRIES):
            pool = ProcessPoolExecutor(self.count, multiprocessing.get_context("spawn"))
            futures: deque[Future[_Made]] = deque(pool.submit(work, item) for item in waiting)
            try:
                while True:
                    while len(waiting) < most_ahead:
                        try:
                            item = next(remaining)
                        except StopIteration:
                            break
                        waiting.append(item)
                        futures.append(pool.submit(work, item))
                    if not waiting:
                        return
                    made = futures.popleft().result()
                    waiting.popleft()
                    yield made
            except BrokenProcessPool:
                continue
            finally:
                pool.shutdown(cancel_futures=True)
        raise RecordingError(
            f"the processes that worked on a recording were ended {_MOST_TRIES} times; they may "
            "lack memory: use fewer processes"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Frames ``begin <= frame < stop`` of a recording."""

    begin: int
    stop: int


def pieces_of(source: FrameSource, piece_px: int) -> list[Piece]:
    """Cut a recording at frames where decoding can start, into pieces of `piece_px` or more."""
    frames = piece_px / (source.facts.roi.width_px * source.facts.roi.height_px)
    begin, stop = source.frame_range.start, source.frame_range.stop
    cuts = [begin]
    for key in source.key_frames().tolist():
        if key - cuts[-1] >= frames:
            cuts.append(key)
    return [
        Piece(begin=first, stop=last)
        for first, last in zip(cuts, [*cuts[1:], stop], strict=True)
        if last > first
    ]


def chunks_around(source: FrameSource, piece: Piece, size: int, *, reach: int) -> list[FrameChunk]:
    """Read a piece of a recording with all the frames before and after it that matter.

    Parameters
    ----------
    source : FrameSource
        The recording.
    piece : Piece
        What is wanted of it.
    size : int
        Frames of a chunk, at most.
    reach : int
        Decoded frames before and after the piece that are needed.

    Returns
    -------
    list of FrameChunk
        Chunks that begin and end where the piece does, and others before and after. The first
        begins with a key frame; where damage makes that doubtful, with the recording.
    """
    frames = source.frame_range
    lead, tail = _bounds(source, piece, reach)
    read = _read(source, (lead, piece.begin, piece.stop, tail), size)
    if _is_sound(read, tail - lead) or (lead, tail) == (frames.start, frames.stop):
        return read
    return _read(source, (frames.start, piece.begin, piece.stop, frames.stop), size)


def part_around(source: FrameSource, piece: Piece, *, reach: int) -> FrameSource:
    """Return the part of a recording that a piece with its neighbours is decoded from.

    It begins with a key frame; where damage makes that doubtful it is the recording. To find out
    its frames are decoded once, and not kept.

    Parameters
    ----------
    source : FrameSource
        The recording.
    piece : Piece
        What is wanted of it.
    reach : int
        Decoded frames before and after the piece that are needed.
    """
    lead, tail = _bounds(source, piece, reach)
    part, read, is_first = source.part(lead, tail), 0, True
    for chunk in part.chunks(_LOOK_FRAMES):
        if chunk.is_tainted.any() or (is_first and not chunk.is_key[0]):
            return source
        read, is_first = read + len(chunk.frames), False
    return part if read == tail - lead else source


def _bounds(source: FrameSource, piece: Piece, reach: int) -> tuple[int, int]:
    """Return the key frame from which a piece is decoded, and the end of what it needs."""
    keys = source.key_frames()
    before = keys[keys <= piece.begin - reach]
    lead = int(before[-1]) if len(before) else source.frame_range.start
    return lead, min(source.frame_range.stop, piece.stop + reach)


def _read(source: FrameSource, bounds: tuple[int, ...], size: int) -> list[FrameChunk]:
    """Read the parts between bounds; each chunk knows the frame before it."""
    found: list[FrameChunk] = []
    previous: Any = None
    for begin, stop in pairwise(bounds):
        if stop <= begin:
            continue
        for chunk in source.part(begin, stop).chunks(size):
            found.append(_after(chunk, previous))
            previous = chunk.frames[-1]
    return found


def _after(chunk: FrameChunk, previous: Any) -> FrameChunk:
    """Return a chunk that knows the frame before it."""
    return FrameChunk(
        frames=chunk.frames, frame=chunk.frame, time_s=chunk.time_s, is_key=chunk.is_key,
        frames_since_key=chunk.frames_since_key, is_tainted=chunk.is_tainted,
        packet_bytes=chunk.packet_bytes, previous=previous,
    )  # fmt: skip


def _is_sound(read: list[FrameChunk], frame_count: int) -> bool:
    """Return whether no frame is missing or doubtful, and the first one is a key frame."""
    return (
        bool(read)
        and bool(read[0].is_key[0])
        and sum(len(chunk.frames) for chunk in read) == frame_count
        and not any(chunk.is_tainted.any() for chunk in read)
    )
