"""What a video file promises: every compressed frame, its time and where decoding can start."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple, Self

import av
import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from cellstorm_lib.progress import Progress
from cellstorm_lib.video.h264 import ReferenceNumbers

_MOST_PROMISED = 100  # times as many frames as there are
_READ_ERRORS = 16  # failures without a packet in between after which reading ends


#: Presentation and decoding time of a packet, which together tell it from all others.
Stamps = tuple[int | None, int | None]


class Sample(NamedTuple):
    """One compressed frame, as the container describes it."""

    decode_order: int
    pts: int
    packet_bytes: int
    stamps: Stamps | None = None
    is_key: bool = False
    is_shown: bool = True
    is_present: bool = True
    is_corrupt: bool = False
    is_orphan: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SampleTable:
    """All compressed frames of a video, in decoding order.

    Attributes
    ----------
    time_base : Fraction
        Seconds per unit of `pts`.
    pts : (S,) int64
        Presentation time.
    sample_of_stamps : dict
        The sample of a packet, by its time stamps.
    number : (S,) int64
        Frame number: rank in presentation order; -1 for those an edit list hides.
    packet_bytes : (S,) int64
        Compressed size.
    is_key : (S,) bool
        Marked as a key frame by the container.
    is_present : (S,) bool
        False where the container promises a frame that the file does not hold.
    is_corrupt : (S,) bool
        Flagged by the demuxer as incomplete.
    is_orphan : (S,) bool
        Predicted from a picture that is not in the file.
    segment_start : (K,) int64
        Samples at which decoding can start so that nothing before matters; begins with 0.
    is_count_known : bool
        Whether the container states how many frames there are.
    """

    time_base: Fraction
    pts: npt.NDArray[np.int64]
    sample_of_stamps: dict[Stamps, int]
    number: npt.NDArray[np.int64]
    packet_bytes: npt.NDArray[np.int64]
    is_key: npt.NDArray[np.bool_]
    is_present: npt.NDArray[np.bool_]
    is_corrupt: npt.NDArray[np.bool_]
    is_orphan: npt.NDArray[np.bool_]
    segment_start: npt.NDArray[np.int64]
    is_count_known: bool

    @classmethod
    def of(cls, samples: Sequence[Sample], time_base: Fraction, *, is_count_known: bool) -> Self:
        """Make the table from samples in any order."""
        ordered = sorted(samples, key=lambda sample: sample.decode_order)
        pts = np.array([sample.pts for sample in ordered], dtype=np.int64)
        shown = np.flatnonzero([sample.is_shown for sample in ordered])
        number = np.full(len(ordered), -1, dtype=np.int64)
        number[shown[np.argsort(pts[shown], kind="stable")]] = np.arange(len(shown))
        is_key = np.array([sample.is_key for sample in ordered], dtype=bool)
        return cls(
            time_base=time_base,
            pts=pts,
            sample_of_stamps={
                sample.stamps: at for at, sample in enumerate(ordered) if sample.stamps is not None
            },
            number=number,
            packet_bytes=np.array([sample.packet_bytes for sample in ordered], dtype=np.int64),
            is_key=is_key,
            is_present=np.array([sample.is_present for sample in ordered], dtype=bool),
            is_corrupt=np.array([sample.is_corrupt for sample in ordered], dtype=bool),
            is_orphan=np.array([sample.is_orphan for sample in ordered], dtype=bool),
            segment_start=_segment_starts(pts, is_key),
            is_count_known=is_count_known,
        )

    @property
    def frame_count(self) -> int:
        """Frames that should be shown."""
        return int(np.count_nonzero(self.number >= 0))

    @property
    def is_reordered(self) -> bool:
        """Whether frames are shown in another order than decoded (B frames)."""
        return bool(np.any(np.diff(self.pts) < 0))

    def sample_of_frame(self) -> npt.NDArray[np.int64]:
        """Return the sample of each frame number, shape (frames,)."""
        shown = np.flatnonzero(self.number >= 0)
        return shown[np.argsort(self.number[shown])]

    def complete_at_frame(self) -> npt.NDArray[np.int64]:
        """Return, for each frame, the last frame that is decoded no later than it.

        Once that one is out of the decoder, all that the frame may be predicted from is known.
        """
        last_so_far: npt.NDArray[np.int64] = np.maximum.accumulate(self.number)
        return last_so_far[self.sample_of_frame()]

    def first_frame_of_segment(self) -> npt.NDArray[np.int64]:
        """Return the first frame number of each segment and, last, the frame count."""
        shown_before = np.zeros(len(self.number) + 1, dtype=np.int64)
        np.cumsum(self.number >= 0, out=shown_before[1:])
        return shown_before[[*self.segment_start.tolist(), len(self.pts)]]

    def samples_of(self, segments: range) -> range:
        """Return the samples of consecutive segments."""
        limits = [*self.segment_start.tolist(), len(self.pts)]
        return range(limits[segments.start], limits[max(segments.start, segments.stop)])

    def segments_of(self, frames: range) -> range:
        """Return the segments that hold some frames, which must be consecutive."""
        if not len(frames):
            return range(0)
        first_frames = self.first_frame_of_segment()[:-1]
        first, last = np.searchsorted(first_frames, [frames[0], frames[-1]], side="right") - 1
        return range(int(first), int(last) + 1)


def scan_samples(
    container: InputContainer,
    stream: VideoStream,
    *,
    duration_s: float | None = None,
    progress: Progress | None = None,
) -> SampleTable:
    """Read the whole file without decoding; list what it holds and what it promises.

    Parameters
    ----------
    container, stream
        An open file and its video track, at the beginning.
    duration_s : float or None
        For a file that ends early: the length it states, when frames are promised by that alone.
    progress : callable, optional
        Called with the bytes read and those of the file.
    """
    time_base = Fraction(stream.time_base or 1)
    has_index = "mov" in container.format.name
    is_count_known = stream.frames > 0
    samples = list(_held_samples(container, stream, progress, has_index=has_index))
    if has_index:
        samples += _promised_by_index(stream, samples)
    elif duration_s is not None:
        samples += _promised_by_duration(samples, duration_s / float(time_base))
    return SampleTable.of(samples, time_base, is_count_known=is_count_known)


def demuxed(container: InputContainer, stream: VideoStream) -> Iterator["Packet[VideoStream]"]:
    """Yield the packets of a track, going on after what cannot be read."""
    errors = 0
    while errors < _READ_ERRORS:
        try:
            for packet in container.demux(stream):
                errors = 0
                if packet.size:
                    yield packet
        except av.error.FFmpegError:
            errors += 1
        else:
            return


def _held_samples(
    container: InputContainer,
    stream: VideoStream,
    progress: Progress | None,
    *,
    has_index: bool,
) -> Iterator[Sample]:
    """Yield the samples the file holds."""
    context = stream.codec_context
    numbers = ReferenceNumbers(context.extradata) if context.name == "h264" else None
    read_bytes = 0
    for position, packet in enumerate(demuxed(container, stream)):
        read_bytes += packet.size
        if progress is not None:
            progress(min(read_bytes, container.size), container.size)
        is_orphan = numbers is not None and numbers.refers_to_absent(memoryview(packet))
        pts = packet.dts if packet.pts is None else packet.pts
        if pts is not None:
            yield Sample(
                decode_order=packet.dts if has_index and packet.dts is not None else position,
                pts=pts,
                packet_bytes=packet.size,
                stamps=(packet.pts, packet.dts),
                is_key=packet.is_keyframe,
                is_shown=not packet.is_discard,
                is_corrupt=packet.is_corrupt,
                is_orphan=is_orphan,
            )


def _promised_by_index(stream: VideoStream, held: Sequence[Sample]) -> list[Sample]:
    """Return the samples of the index that the file does not hold."""
    found = {sample.decode_order for sample in held}
    entries = [
        (entry.timestamp, entry.size, entry.is_keyframe, entry.is_discard)
        for entry in stream.index_entries
    ]
    absent = [entry for entry in entries if entry[0] not in found]
    times = _times_of_absent(
        np.array([entry[0] for entry in absent], dtype=np.int64),
        np.array([sample.decode_order for sample in held], dtype=np.int64),
        np.array([sample.pts for sample in held], dtype=np.int64),
    )
    return [
        Sample(
            decode_order=entry[0],
            pts=int(pts),
            packet_bytes=entry[1],
            is_key=entry[2],
            is_shown=not entry[3],
            is_present=False,
        )
        for entry, pts in zip(absent, times, strict=True)
    ]


def _times_of_absent(
    absent_order: npt.NDArray[np.int64],
    held_order: npt.NDArray[np.int64],
    held_pts: npt.NDArray[np.int64],
) -> npt.NDArray[np.int64]:
    """Return when absent samples would be shown, given only when they would be decoded.

    At a constant frame rate the times of showing are those of decoding, shifted and reordered,
    so the times not taken are those of the absent ones. Otherwise the usual shift must do.
    """
    if not len(held_order):
        return absent_order
    shift = held_pts.min() - min(held_order.min(), absent_order.min(initial=held_order.min()))
    free = np.setdiff1d(np.concatenate([held_order, absent_order]) + shift, held_pts)
    if len(free) == len(absent_order):
        return free
    return absent_order + np.int64(np.median(held_pts - held_order))


def _promised_by_duration(held: Sequence[Sample], duration: float) -> list[Sample]:
    """Return the samples that lack at the end, at the usual interval."""
    pts = np.unique([sample.pts for sample in held])
    if len(pts) < 2:
        return []
    interval = float(np.median(np.diff(pts)))
    count = max(1, round((duration - float(pts[-1])) / interval) - 1)
    count = min(count, _MOST_PROMISED * len(held))  # a damaged duration may say anything
    return [
        Sample(
            decode_order=held[-1].decode_order + step,
            pts=int(pts[-1] + round(step * interval)),
            packet_bytes=0,
            is_present=False,
        )
        for step in range(1, count + 1)
    ]


def _segment_starts(
    pts: npt.NDArray[np.int64], is_key: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int64]:
    """Return the key samples from which on nothing is shown before them, nor after from before."""
    if not len(pts):
        return np.zeros(0, dtype=np.int64)
    first_shown_later = np.minimum.accumulate(pts[::-1])[::-1]
    last_shown_before = np.concatenate([pts[:1] - 1, np.maximum.accumulate(pts)[:-1]])
    is_start = is_key & (pts == first_shown_later) & (pts > last_shown_before)
    is_start[0] = True
    return np.flatnonzero(is_start)
