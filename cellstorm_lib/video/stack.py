"""Stacks of uncompressed or losslessly compressed frames, one page after the other."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from cellstorm_lib.recording import FrameChunk, LossSummary, RecordingFacts, Roi
from cellstorm_lib.video.chunk import GrowingChunk, Luma, checked_chunk_size
from cellstorm_lib.video.field import shared_frames
from cellstorm_lib.video.loss import FrameLog

#: Gives the region of one frame, (Y, X); None when that frame cannot be read.
ReadPage = Callable[[int], Luma | None]


class Pages(Protocol):
    """Where the frames of a stack are."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the grey values as they are read."""
        ...

    def opened(self, roi: Roi) -> AbstractContextManager[ReadPage]:
        """Open the file; give a function that reads the region of one frame."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StackSource:
    """The frames of one stack, read page by page; see `FrameSource`.

    Without a frame rate in the file, times count frames: one second each.

    Attributes
    ----------
    facts : RecordingFacts
        Facts of the file.
    frame_range : range
        Frames this source yields.
    pages : Pages
        Where they are.
    log : FrameLog
        What is known of each frame so far; shared by all parts.
    """

    facts: RecordingFacts
    frame_range: range
    pages: Pages
    log: FrameLog

    def chunks(self, size: int) -> Iterator[FrameChunk]:
        """Yield all frames in order, at most `size` at a time."""
        size = checked_chunk_size(size, len(self.frame_range))
        roi, dtype = self.facts.roi, self.pages.dtype
        packet_bytes = self.facts.frame_width_px * self.facts.frame_height_px * dtype.itemsize
        interval_s = 1 / (self.facts.frame_rate_hz or 1.0)
        with self.pages.opened(roi) as read:
            first = self.frame_range.start
            chunk = GrowingChunk(size, roi, dtype, previous=read(first - 1) if first else None)
            for frame in self.frame_range:
                luma = self._noted(frame, read)
                if luma is None:
                    continue
                if chunk.is_full:
                    previous = chunk.last()
                    yield chunk.finished()
                    chunk = GrowingChunk(size, roi, dtype, previous=previous)
                chunk.add(luma, frame=frame, time_s=frame * interval_s, packet_bytes=packet_bytes)
        if len(chunk):
            yield chunk.finished()

    def part(self, start: int, stop: int) -> Self:
        """Return the same stack restricted to frames ``start <= frame < stop``."""
        return replace(self, frame_range=shared_frames(self.frame_range, start, stop))

    def key_frames(self) -> npt.NDArray[np.int64]:
        """Return all frames: reading can start anywhere."""
        return np.arange(self.frame_range.start, self.frame_range.stop, dtype=np.int64)

    def loss(self) -> LossSummary:
        """Read what was not read yet and say how much is missing."""
        unknown = self.log.unknown(self.frame_range)
        if len(unknown):
            with self.pages.opened(self.facts.roi) as read:
                for frame in unknown.tolist():
                    self._noted(frame, read)
        return self.known_loss()

    def known_loss(self) -> LossSummary:
        """Return what is known of the loss without reading anything."""
        return self.log.summary(self.frame_range)

    def _noted(self, frame: int, read: ReadPage) -> Luma | None:
        """Read a frame and take note of whether that went well."""
        luma = read(frame)
        if luma is None:
            self.log.missing(frame, f"frame {frame} cannot be read from the file")
        else:
            self.log.read(frame, is_tainted=False)
        return luma
