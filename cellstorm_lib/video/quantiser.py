"""How coarsely each frame of an H.264 video was quantised."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from av.sidedata.encparams import VideoEncParams
from av.video.frame import VideoFrame

from cellstorm_lib.errors import RecordingError
from cellstorm_lib.recording import FrameSource, Roi
from cellstorm_lib.video.decode import read_pictures
from cellstorm_lib.video.read import open_recording
from cellstorm_lib.video.video import VideoSource

#: H.264 has one quantiser for each block of so many pixels.
_MACROBLOCK_PX = 16


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FrameQuantisers:
    """The quantiser parameter (QP) of every frame; a step of 6 doubles the quantiser's step.

    Attributes
    ----------
    frame : (N,) int64
        The file's own frame numbers; frames that could not be decoded are left out.
    time_s : (N,) float64
        Presentation time.
    is_key : (N,) bool
        Frames coded without reference to others.
    mean_qp : (N,) float64
        Mean QP of the macroblocks that the region touches.
    packet_bytes : (N,) int64
        Compressed size of the whole frame.
    is_tainted : (N,) bool
        Frames that may be wrong because of damage.
    """

    frame: npt.NDArray[np.int64]
    time_s: npt.NDArray[np.float64]
    is_key: npt.NDArray[np.bool_]
    mean_qp: npt.NDArray[np.float64]
    packet_bytes: npt.NDArray[np.int64]
    is_tainted: npt.NDArray[np.bool_]


def frame_quantisers(
    path: Path,
    *,
    roi: Roi | str | None = None,
    frames: tuple[int | None, int | None] | None = None,
) -> FrameQuantisers:
    """Decode an H.264 video and return the mean quantiser parameter of every frame.

    Parameters
    ----------
    path : Path
        The video.
    roi : Roi, str or None
        The region whose macroblocks are averaged, as `open_recording` takes it; None for the
        centred 512 x 512.
    frames : (int or None, int or None) or None
        First frame and the one after the last.

    Raises
    ------
    RecordingError
        When the file cannot be read or is not H.264: the decoder tells no quantiser of others.

    Notes
    -----
    Blocks that are copied from the frame before carry the QP of the block to their left.
    """
    source = open_recording(path, roi=roi, frames=frames)
    if not isinstance(source, VideoSource) or source.facts.kind != "h264":
        raise RecordingError(
            f"{source.facts.name} is {source.facts.kind}, but only of H.264 video can it be told "
            "how coarsely the frames were quantised; give such a video, or go on without"
        )
    return _quantisers(source)


def key_frame_qp(source: FrameSource, *, most_frames: int = 16) -> float | None:
    """Return the mean quantiser parameter of a recording's key frames, over its region.

    Parameters
    ----------
    source : FrameSource
        Any recording.
    most_frames : int
        So many key frames, spread evenly over the recording, are decoded at most.

    Returns
    -------
    float or None
        None where there is none (stacks) or the decoder does not tell (HEVC).
    """
    if not isinstance(source, VideoSource) or source.facts.kind != "h264":
        return None
    keys = source.key_frames()
    chosen = keys[np.unique(np.linspace(0, len(keys) - 1, min(most_frames, len(keys))).astype(int))]
    found = [_quantisers(source.part(key, key + 1)).mean_qp for key in chosen.tolist()]
    mean_qp = np.concatenate([np.zeros(0), *found])
    return float(mean_qp.mean()) if len(mean_qp) else None


def _quantisers(source: VideoSource) -> FrameQuantisers:
    """Decode the frames of a source, keeping only numbers."""
    track = replace(source.track, tells_quantisers=True)
    segments = source.table.segments_of(source.frame_range)
    rows = []
    for picture in read_pictures(track, source.table, segments, source.log):
        if picture.frame in source.frame_range:
            mean_qp = _mean_qp(picture.source, source.facts.roi)
            rows.append((picture.frame, picture.is_key, mean_qp, picture.is_tainted))
        if picture.frame >= source.frame_range.stop - 1:
            break
    columns = np.array(rows, np.float64).reshape(-1, 4).T
    frame = columns[0].astype(np.int64)
    sample = source.table.sample_of_frame()[frame]
    unit = source.table.time_base
    return FrameQuantisers(
        frame=frame,
        time_s=source.table.pts[sample] * unit.numerator / unit.denominator,
        is_key=columns[1].astype(np.bool_),
        mean_qp=columns[2],
        packet_bytes=source.table.packet_bytes[sample],
        is_tainted=columns[3].astype(np.bool_),
    )


def _mean_qp(picture: VideoFrame, roi: Roi) -> float:
    """Return the mean QP of the macroblocks that a region touches; NaN where none is told."""
    told = picture.side_data.get("VIDEO_ENC_PARAMS")
    if not isinstance(told, VideoEncParams):
        return float("nan")
    rows = slice(roi.y_px // _MACROBLOCK_PX, -(-(roi.y_px + roi.height_px) // _MACROBLOCK_PX))
    columns = slice(roi.x_px // _MACROBLOCK_PX, -(-(roi.x_px + roi.width_px) // _MACROBLOCK_PX))
    return float(np.mean(told.qp_map()[rows, columns], dtype=np.float64))
