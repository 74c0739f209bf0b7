"""One video file: its facts, or the sentence that says why it cannot be read."""

from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from cellstorm_lib.errors import RecordingError
from cellstorm_lib.files import digest_of_file
from cellstorm_lib.progress import Progress, in_parts
from cellstorm_lib.recording import RecordingFacts, Roi
from cellstorm_lib.video.containers import Container, box_names, ends_early, stated_frames
from cellstorm_lib.video.decode import Picture, read_pictures
from cellstorm_lib.video.field import chosen_roi
from cellstorm_lib.video.loss import FrameLog
from cellstorm_lib.video.samples import SampleTable, demuxed, scan_samples
from cellstorm_lib.video.track import VideoTrack, opened_container
from cellstorm_lib.video.video import VideoSource

_CODECS = {"h264", "hevc"}
#: The file is read twice; the second time it may still be in memory.
_SCAN_TIME, _DIGEST_TIME = 1.0, 1.0
_COLOUR_RANGES = {1: "limited", 2: "full"}
_SHOWN_METADATA = {
    "creation_time",
    "com.android.version",
    "com.android.manufacturer",
    "com.android.model",
    "com.apple.quicktime.make",
    "com.apple.quicktime.model",
    "com.apple.quicktime.software",
}


def open_video(
    path: Path,
    container: Container,
    *,
    roi: Roi | str | None = None,
    progress: Progress | None = None,
) -> VideoSource:
    """Open an MP4, MOV or MKV file with H.264 or HEVC video.

    Reads the file once without decoding, and decodes the first frame.

    Parameters
    ----------
    path : Path
        The file.
    container : {"mov", "matroska"}
        Its kind, as `containers.container_of` found it.
    roi : Roi, str or None
        The region to read; None for the centred 512 x 512.
    progress : callable, optional
        Called with what is done and the whole.

    Raises
    ------
    RecordingError
        When the file is cut off, encrypted, without video, of another codec, or gives no frame.
    """
    if container == "mov" and (stated := stated_frames(path)) > path.stat().st_size:
        raise RecordingError(
            f"{path.name} says that it has {stated} frames, more than it has bytes; it is damaged, "
            "so copy it from the camera again"
        )
    try:
        with opened_container(path, container) as opened:
            stream = _video_stream(path, opened)
            track = VideoTrack(
                path=path,
                container=container,
                video_index=opened.streams.video.index(stream),
                width_px=stream.width,
                height_px=stream.height,
                pixel_format=str(stream.pix_fmt),
            )
            _refuse_encrypted(track)
            _refuse_other_than_luma(path, stream)
            return _source_of(track, opened, stream, roi, progress)
    except av.error.FFmpegError as error:
        raise RecordingError(_why_unreadable(path, container, error)) from error


def _source_of(
    track: VideoTrack,
    opened: InputContainer,
    stream: VideoStream,
    roi: Roi | str | None,
    progress: Progress | None,
) -> VideoSource:
    """Make the source of an open file."""
    is_cut = ends_early(track.path, track.container)
    stated_s = opened.duration / av.time_base if is_cut and opened.duration else None
    scanned, hashed = in_parts(progress, _SCAN_TIME, _DIGEST_TIME)
    table = scan_samples(opened, stream, duration_s=stated_s, progress=scanned)
    log = FrameLog(table.frame_count)
    for frame in table.number[~table.is_present & (table.number >= 0)].tolist():
        log.missing(frame, f"frame {frame} is promised, but the file ends before it")
    first = _first_picture(track, table, log)
    name, width_px, height_px = track.path.name, track.width_px, track.height_px
    facts = RecordingFacts(
        name=name,
        digest=digest_of_file(track.path, progress=hashed),
        kind=stream.codec_context.name,
        frame_width_px=width_px,
        frame_height_px=height_px,
        roi=chosen_roi(roi, name=name, width_px=width_px, height_px=height_px, is_video=True),
        frame_count=table.frame_count,
        bit_depth=first.source.format.components[0].bits,
        colour_range=_COLOUR_RANGES.get(int(first.source.color_range), "unspecified"),
        rotation_deg=-first.source.rotation % 360,
        frame_rate_hz=_frame_rate_hz(table),
        bits_per_px=8 * float(table.packet_bytes[table.is_present].mean()) / (width_px * height_px),
        details=_details(opened, stream, table, is_cut=is_cut),
    )
    return VideoSource(
        facts=facts, frame_range=range(table.frame_count), track=track, table=table, log=log
    )


def _video_stream(path: Path, opened: InputContainer) -> VideoStream:
    """Return the first track that is a video, or say what is wrong with it."""
    streams = [
        stream
        for stream in opened.streams.video
        if not stream.disposition & Disposition.attached_pic
    ]
    if not streams:
        kinds = " and ".join(sorted({stream.type for stream in opened.streams})) or "no track"
        raise RecordingError(
            f"{path.name} holds no video, only {kinds}; give the file that the camera app saved"
        )
    stream = streams[0]
    context = stream.codec_context
    codec = "unknown" if context is None else context.codec.canonical_name
    if codec not in _CODECS:
        raise RecordingError(
            f"{path.name} holds {codec} video, but H.264 or HEVC is expected; choose one of them "
            "in the camera app, or convert the file to H.264 without loss, as: "
            f"ffmpeg -i {path.name} -an -c:v libx264 -qp 0 {path.stem}-h264.mp4"
        )
    return stream


def _refuse_encrypted(track: VideoTrack) -> None:
    """Raise when the video is protected."""
    with track.opened() as (container, stream):
        packet = next(demuxed(container, stream), None)
        if packet is not None and (
            packet.has_sidedata("encryption_info") or packet.has_sidedata("encryption_init_info")
        ):
            raise RecordingError(
                f"{track.path.name} is encrypted, so its frames cannot be read; give a copy "
                "without protection"
            )


def _refuse_other_than_luma(path: Path, stream: VideoStream) -> None:
    """Raise when the frames have no luma, or cannot be decoded far enough to tell."""
    if not stream.width or stream.pix_fmt is None:
        raise RecordingError(_undecodable(path.name))
    if stream.format.is_rgb:
        raise RecordingError(
            f"{path.name} holds video with {stream.pix_fmt} pixels, but luma and chroma (as "
            "yuv420p) are expected; convert it without loss"
        )


def _undecodable(name: str) -> str:
    """Return the sentence for a video that gives no frame at all."""
    return (
        f"{name} holds a video track, but none of its frames can be decoded; it is damaged or "
        "empty, so copy it from the camera again"
    )


def _first_picture(track: VideoTrack, table: SampleTable, log: FrameLog) -> Picture:
    """Decode the first frame there is, or say that there is none."""
    segments = range(len(table.segment_start))
    picture = next(read_pictures(track, table, segments, log), None) if segments else None
    if picture is None:
        raise RecordingError(_undecodable(track.path.name))
    return picture


def _why_unreadable(path: Path, container: Container, error: av.error.FFmpegError) -> str:
    """Return the sentence for a file that the demuxer does not accept."""
    if container == "mov" and not {"moov", "moof"} & set(box_names(path)):
        return (
            f"{path.name} ends before its index (the 'moov' box), without which no frame can be "
            "found; the recording or the copy was cut off, so copy it from the camera again"
        )
    return (
        f"{path.name} cannot be read as video: {error.strerror}; it is damaged or cut off, so copy "
        "it from the camera again"
    )


def _frame_rate_hz(table: SampleTable) -> float | None:
    """Return the median frame rate."""
    intervals = np.diff(table.pts[table.sample_of_frame()])
    intervals = intervals[intervals > 0]
    return float(1 / (np.median(intervals) * table.time_base)) if len(intervals) else None


def _details(
    opened: InputContainer, stream: VideoStream, table: SampleTable, *, is_cut: bool
) -> dict[str, Any]:
    """Return further facts worth showing; never where the recording was made."""
    intervals = np.diff(table.first_frame_of_segment()[:-1])
    tags = {**opened.metadata, **stream.metadata}
    return {
        "container": opened.format.name,
        "profile": stream.codec_context.profile,
        "pixel_format": stream.pix_fmt,
        "other_tracks": [other.type for other in opened.streams if other is not stream],
        "frames_hidden_by_edit_list": int(np.count_nonzero(table.number < 0)),
        "is_reordered": table.is_reordered,
        "key_frame_interval": float(np.median(intervals)) if len(intervals) else None,
        "ends_early": is_cut,
        "duration_s": float(int(np.ptp(table.pts)) * table.time_base),
        **{name: tags[name] for name in sorted(_SHOWN_METADATA & tags.keys())},
    }
