"""Compressed frames to pictures, segment by segment, with every doubt about them.

Decoding begins anew at each segment, so what comes out of a segment never depends on where
reading began. A segment is first decoded with all threads; at the first sign of damage it is
decoded again one frame at a time, which tells exactly which frames are missing or tainted.

What the decoder itself cannot notice stays unnoticed: H.264 flags practically every flipped bit,
HEVC few of them (lost packets it does notice).
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain, groupby
from typing import Any, NamedTuple

import av
import numpy as np
import numpy.typing as npt
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from cellstorm_lib.video.chunk import Luma
from cellstorm_lib.video.loss import FrameLog, tainted_samples
from cellstorm_lib.video.samples import SampleTable
from cellstorm_lib.video.track import Coded, VideoTrack


class Picture(NamedTuple):
    """One decoded frame; `luma_of` gives the pixels of its source."""

    frame: int
    source: VideoFrame
    is_key: bool
    frames_since_key: int
    is_tainted: bool


def luma_of(source: VideoFrame) -> Luma:
    """Return the luma of a decoded frame exactly as decoded, (Y, X); a view, never rescaled."""
    plane = source.planes[0]
    kind = np.dtype("u1" if source.format.components[0].bits <= 8 else "<u2")
    rows: npt.NDArray[Any] = np.frombuffer(memoryview(plane), kind)
    return rows.reshape(plane.height, plane.line_size // kind.itemsize)[:, : plane.width]


def read_pictures(
    track: VideoTrack, table: SampleTable, segments: range, log: FrameLog
) -> Iterator[Picture]:
    """Decode consecutive segments and yield their frames in order of presentation.

    Parameters
    ----------
    track : VideoTrack
        The file.
    table : SampleTable
        Its samples.
    segments : range
        Which segments, numbered as in ``table.segment_start``.
    log : FrameLog
        Takes note of every frame as it is yielded, or found missing.
    """
    reader = _SegmentReader(track, table, log)
    with track.coded(table, table.samples_of(segments), "FRAME") as (decoder, coded):
        found = groupby(coded, key=lambda pair: reader.segment_of(pair[0]))
        following = next(found, None)
        for segment in segments:
            if following is not None and following[0] == segment:
                yield from reader.pictures(segment, following[1], decoder)
                following = next(found, None)
            else:
                yield from reader.pictures(segment, (), decoder)


class _SegmentReader:
    """Decodes one segment after the other."""

    def __init__(self, track: VideoTrack, table: SampleTable, log: FrameLog) -> None:
        self._track = track
        self._table = table
        self._log = log
        self._first_frames = table.first_frame_of_segment().tolist()
        self._complete_at = table.complete_at_frame().tolist()
        self._sample_of_frame = table.sample_of_frame()
        self._shown_pts = table.pts[self._sample_of_frame].tolist()
        self._is_suspect = table.is_corrupt | table.is_orphan | ~table.is_present

    def segment_of(self, sample: int) -> int:
        """Return the segment of a sample."""
        return int(np.searchsorted(self._table.segment_start, sample, side="right")) - 1

    def pictures(
        self, segment: int, coded: Iterable[Coded], decoder: VideoCodecContext
    ) -> Iterator[Picture]:
        """Yield the frames of a segment, given its packets."""
        frames = range(*self._first_frames[segment : segment + 2])
        samples = self._table.samples_of(range(segment, segment + 1))
        due = frames.start
        if not self._is_suspect[samples.start : samples.stop].any():
            for picture in self._while_sound(frames, coded, decoder):
                self._log.read(picture.frame, is_tainted=False)
                due = picture.frame + 1
                yield picture
        if due < frames.stop:
            yield from self._despite_damage(samples, frames, due)

    def _while_sound(
        self, frames: range, coded: Iterable[Coded], decoder: VideoCodecContext
    ) -> Iterator[Picture]:
        """Yield frames as long as all that they are predicted from is sound."""
        held: deque[Picture] = deque()
        due = key = frames.start
        with suppress(av.error.FFmpegError):
            for source in _decoded(coded, decoder):
                if source.is_corrupt or self._frame_at(source, range(due, frames.stop)) != due:
                    return
                key = due if source.key_frame else key
                held.append(Picture(due, source, source.key_frame, due - key, is_tainted=False))
                due += 1
                while held and self._complete_at[held[0].frame] < due:
                    yield held.popleft()

    def _despite_damage(self, samples: range, frames: range, due: int) -> Iterator[Picture]:
        """Find out what became of each frame of a segment; yield them from `due` on."""
        is_tainted = self._examined(samples, frames, due)
        key = frames.start
        for at, source, _ in self._one_by_one(samples, frames):
            if source is not None:
                frame = int(self._table.number[at])
                key = frame if source.key_frame else key
                doubt = bool(is_tainted[at - samples.start])
                if frame >= due:
                    yield Picture(frame, source, source.key_frame, frame - key, doubt)

    def _examined(self, samples: range, frames: range, due: int) -> npt.NDArray[np.bool_]:
        """Decode a damaged segment; note each frame that is due; return the tainted samples."""
        here = slice(samples.start, samples.stop)
        number = self._table.number[here]
        is_bad = self._is_suspect[here].copy()
        is_key = self._table.is_key[here].copy()
        is_out = number < 0
        faults: dict[int, str] = {}
        for sample, source, fault in self._one_by_one(samples, frames):
            at = sample - samples.start
            if source is not None:
                is_out[at] = True
                is_key[at] |= source.key_frame
            if fault:
                is_bad[at] = True
                faults.setdefault(at, fault)
        is_tainted = tainted_samples(is_bad | ~is_out, is_key, self._table.pts[here])
        for at, frame in enumerate(number.tolist()):
            fault = self._suspicion(samples.start + at) or faults.get(at, "")
            if frame >= due and not is_out[at]:
                self._log.missing(frame, f"frame {frame} {fault or 'never left the decoder'}")
            elif frame >= due:
                self._log.read(frame, is_tainted=bool(is_tainted[at]))
            if fault:
                after = max(frame, frames.start)
                self._log.damage(after, f"frame {after} {fault}")
        return is_tainted

    def _suspicion(self, sample: int) -> str:
        """Return what the container already tells against a sample."""
        if not self._table.is_present[sample]:
            return "is promised, but the file ends before it"
        if self._table.is_corrupt[sample]:
            return "is incomplete in the file"
        if self._table.is_orphan[sample]:
            return "is predicted from a picture that is not in the file"
        return ""

    def _one_by_one(
        self, samples: range, frames: range
    ) -> Iterator[tuple[int, VideoFrame | None, str]]:
        """Decode a segment packet by packet: yield samples with their picture or their fault."""
        due = frames.start
        with self._track.coded(self._table, samples, "NONE") as (decoder, coded):
            for sample, packet in chain(coded, [(samples.stop - 1, None)]):
                sources, fault = _tried(decoder, packet)
                if fault:
                    yield sample, None, fault
                for source in sources:
                    frame = self._frame_at(source, range(due, frames.stop))
                    if frame is None:
                        yield sample, None, "gives a picture of another time or size"
                        continue
                    due = frame + 1
                    doubt = "is flagged by the decoder" if source.is_corrupt else ""
                    yield int(self._sample_of_frame[frame]), source, doubt

    def _frame_at(self, source: VideoFrame, frames: range) -> int | None:
        """Return which of some frames a picture is, by its time."""
        if source.pts is None or not self._track.fits(source):
            return None
        frame = bisect_left(self._shown_pts, source.pts, frames.start, frames.stop)
        return frame if frame in frames and self._shown_pts[frame] == source.pts else None


def _decoded(coded: Iterable[Coded], decoder: VideoCodecContext) -> Iterator[VideoFrame]:
    """Decode packets from a fresh start and empty the decoder."""
    decoder.flush_buffers()
    for _, packet in coded:
        yield from decoder.decode(packet)
    yield from decoder.decode(None)


def _tried(
    decoder: VideoCodecContext, packet: "Packet[VideoStream] | None"
) -> tuple[list[VideoFrame], str]:
    """Decode a packet, or empty the decoder; return what came out and what went wrong."""
    try:
        return decoder.decode(packet), ""
    except av.error.FFmpegError as error:
        return [], f"cannot be decoded: {error.strerror}"
