"""Phone videos: H.264 and HEVC, decoded to exact luma."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Self

import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame

from cellstorm_lib.recording import FrameChunk, LossSummary, RecordingFacts
from cellstorm_lib.video.chunk import GrowingChunk, checked_chunk_size, cropped
from cellstorm_lib.video.decode import Picture, luma_of, read_pictures
from cellstorm_lib.video.field import shared_frames
from cellstorm_lib.video.loss import FrameLog, count_dropped
from cellstorm_lib.video.samples import SampleTable
from cellstorm_lib.video.track import VideoTrack


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VideoSource:
    """The frames of one video, decoded anew at every reading; see `FrameSource`.

    Attributes
    ----------
    facts : RecordingFacts
        Facts of the file.
    frame_range : range
        Frames this source yields.
    track : VideoTrack
        Where they are.
    table : SampleTable
        What the file holds and promises.
    log : FrameLog
        What is known of each frame so far; shared by all parts.
    """

    facts: RecordingFacts
    frame_range: range
    track: VideoTrack
    table: SampleTable
    log: FrameLog

    def chunks(self, size: int) -> Iterator[FrameChunk]:
        """Yield all frames in order, at most `size` at a time."""
        size = checked_chunk_size(size, len(self.frame_range))
        roi = self.facts.roi
        dtype = np.uint8 if self.facts.bit_depth <= 8 else np.uint16
        sample_of_frame = self.table.sample_of_frame()
        unit = self.table.time_base
        times_s = self.table.pts[sample_of_frame] * unit.numerator / unit.denominator
        packet_bytes = self.table.packet_bytes[sample_of_frame]
        before: VideoFrame | None = None
        chunk: GrowingChunk | None = None
        for picture in self._pictures():
            if picture.frame < self.frame_range.start:
                before = picture.source
                continue
            if chunk is None:
                previous = None if before is None else cropped(luma_of(before), roi).copy()
                chunk = GrowingChunk(size, roi, dtype, previous=previous)
            elif chunk.is_full:
                previous = chunk.last()
                yield chunk.finished()
                chunk = GrowingChunk(size, roi, dtype, previous=previous)
            chunk.add(
                cropped(luma_of(picture.source), roi),
                frame=picture.frame,
                time_s=float(times_s[picture.frame]),
                is_key=picture.is_key,
                frames_since_key=picture.frames_since_key,
                is_tainted=picture.is_tainted,
                packet_bytes=int(packet_bytes[picture.frame]),
            )
        if chunk is not None:
            yield chunk.finished()

    def part(self, start: int, stop: int) -> Self:
        """Return the same video restricted to frames ``start <= frame < stop``.

        Reading a part begins at the last frame of `key_frames` that is not after `start`, and
        yields exactly what reading everything would have.
        """
        return replace(self, frame_range=shared_frames(self.frame_range, start, stop))

    def key_frames(self) -> npt.NDArray[np.int64]:
        """Return the frames of the range at which decoding can start."""
        starts = np.unique(self.table.first_frame_of_segment()[:-1])
        return starts[(starts >= self.frame_range.start) & (starts < self.frame_range.stop)]

    def loss(self) -> LossSummary:
        """Decode what was not decoded yet and say how much is missing or tainted."""
        unknown = self.log.unknown(self.frame_range)
        if len(unknown):
            first_frames = self.table.first_frame_of_segment()[:-1]
            unread = np.unique(np.searchsorted(first_frames, unknown, side="right") - 1).tolist()
            for _, run in groupby(enumerate(unread), key=lambda pair: pair[1] - pair[0]):
                segments = [segment for _, segment in run]
                wanted = range(segments[0], segments[-1] + 1)
                for _picture in read_pictures(self.track, self.table, wanted, self.log):
                    pass  # reading fills the log
        return self.known_loss()

    def known_loss(self) -> LossSummary:
        """Return what is known of the loss without decoding anything."""
        pts = self.table.pts[self.table.sample_of_frame()]
        return self.log.summary(
            self.frame_range,
            is_count_known=self.table.is_count_known,
            dropped_count=count_dropped(pts[self.frame_range.start : self.frame_range.stop]),
        )

    def _pictures(self) -> Iterator[Picture]:
        """Yield the frames up to the end of the range, from where decoding must begin."""
        segments = self.table.segments_of(self.frame_range)
        for picture in read_pictures(self.track, self.table, segments, self.log):
            if picture.frame < self.frame_range.stop:
                yield picture
            if picture.frame >= self.frame_range.stop - 1:
                return
