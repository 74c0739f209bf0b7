"""What a clip looks like in numbers: levels, noise, its correlation, the codec's traces.

Meant for clips of a scene that does not move: what changes from frame to frame counts as noise.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import uniform_filter

from cellstorm_lib.errors import RecordingError
from cellstorm_lib.evaluate.clip_noise import (
    PATTERN_WINDOW_PX,
    Measured,
    correlation_in_time,
    measure_noise,
    over_frames,
    pattern_rms,
)
from cellstorm_lib.evaluate.motion import moving_share
from cellstorm_lib.recording import FrameSource, RecordingFacts, Roi

#: Block sizes of H.264 and HEVC: transforms of 4 and 8, macroblocks of 16 pixels.
GRID_PERIODS_PX = (4, 8, 16)
#: Fewest frames noise can be measured from, and most that are read.
FEWEST_FRAMES, MOST_FRAMES = 6, 64
#: Scenes of which a larger `moving_share` is found do not stand still.
STILL_SHARE = 0.1
#: Side of the patches that stand for centre and corners, as a share of the frame.
_PATCH_SHARE = 0.125
_CHUNK = 16
_Floats = npt.NDArray[np.float64]
_Image = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClipMeasures:
    """The measures of one clip.

    Noise is measured on frames that are not key frames, unless there are too few of them: the
    codec gives key frames another quantiser, hence another noise.

    Attributes
    ----------
    facts : RecordingFacts
        Facts of the file, and the region measured.
    frame, frames_since_key : (N,) int64
        File's own frame number; 0 at a key frame.
    is_key : (N,) bool
    bits_per_px : (N,) float64
        Compressed size of each frame per pixel of the full frame; NaN for stacks.
    qp : (N,) float64
        Mean quantiser parameter of each frame; NaN where unknown.
    grid_ratio : (N, 3, 2) float64
        Mean absolute step between neighbouring pixels across block edges / elsewhere, for each
        of `GRID_PERIODS_PX`, along x and along y; NaN without steps.
    share : (N, L) float64
        Grey-level histogram of each frame; rows add up to 1.
    level_adu, variance_adu2, variance_error_adu2 : (B,) float64
        Temporal variance of the pixels against their mean, in bins of equally many pixels.
    correlation_x, correlation_y : Measured
        Of the noise of direct neighbours, in one frame.
    correlation_time : Measured
        Of a pixel's noise in consecutive frames. From squared differences of frames that are
        close and that are far apart, so it is not biased by few frames.
    pattern_adu : Measured
        RMS of what stays from frame to frame within 5 x 5 pixels: from the covariance of early
        and late frames' means, to which noise adds nothing on average.
    centre_adu, corner_adu : Measured
        Mean level of a patch in the centre, and of four in the corners.
    moving_share : float
        Share of the changes from frame to frame that look like a picture that moves: what is
        called noise here is none then.
    example : (Y, X) uint8 or uint16
        A frame from the middle of those that are no key frames.
    mean_adu : (Y, X) float32
        Mean of the frames noise was measured on.
    pattern : (Y, X) float32
        The same without its slow changes over the frame: fixed pattern and some noise.
    """

    facts: RecordingFacts
    frame: npt.NDArray[np.int64]
    frames_since_key: npt.NDArray[np.int64]
    is_key: npt.NDArray[np.bool_]
    bits_per_px: _Floats
    qp: _Floats
    grid_ratio: _Floats
    share: _Floats
    level_adu: _Floats
    variance_adu2: _Floats
    variance_error_adu2: _Floats
    correlation_x: Measured
    correlation_y: Measured
    correlation_time: Measured
    pattern_adu: Measured
    centre_adu: Measured
    corner_adu: Measured
    moving_share: float
    example: npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
    mean_adu: _Image
    pattern: _Image


def measure_clip(source: FrameSource, *, qp: npt.ArrayLike | None = None) -> ClipMeasures:
    """Measure a clip of a still scene.

    Parameters
    ----------
    source : FrameSource
        Its first `MOST_FRAMES` frames are read and held in memory.
    qp : (N,) array of float or None
        Mean quantiser parameter of each frame that `source` yields; None where unknown.

    Raises
    ------
    RecordingError
        When there are fewer than 6 frames, or they are smaller than 32 x 32 pixels.

    References
    ----------
    Block edges: Wang, Bovik, Evans, ICIP 2000, doi:10.1109/ICIP.2000.899622 (ratio of steps
    across and within blocks).
    """
    frames, columns = _read(source)
    facts = source.facts
    _refuse_small(facts, frames)
    is_key, number = columns["is_key"].astype(np.bool_), columns["frame"].astype(np.int64)
    noisy = _noise_frames(is_key)
    still = frames[noisy]
    mean = still.mean(axis=0, dtype=np.float64).astype(np.float32)
    noise = measure_noise(still, mean)
    pattern = mean - uniform_filter(mean, PATTERN_WINDOW_PX)
    full_px = facts.frame_width_px * facts.frame_height_px
    bits = 8.0 * columns["packet_bytes"] / full_px
    given = np.full(len(frames), np.nan) if qp is None else np.asarray(qp, np.float64)
    return ClipMeasures(
        facts=facts,
        frame=number,
        frames_since_key=columns["frames_since_key"].astype(np.int64),
        is_key=is_key,
        bits_per_px=bits if facts.is_video else np.full(len(frames), np.nan),
        qp=given[: len(frames)],
        grid_ratio=np.array([_grid_ratios(frame, facts.roi) for frame in frames]),
        share=_shares(frames, 1 << facts.bit_depth),
        level_adu=noise.level_adu,
        variance_adu2=noise.variance_adu2,
        variance_error_adu2=noise.variance_error_adu2,
        correlation_x=noise.correlation_x,
        correlation_y=noise.correlation_y,
        correlation_time=correlation_in_time(still),
        pattern_adu=pattern_rms(still),
        centre_adu=over_frames(_patch_levels(still)[0]),
        corner_adu=over_frames(_patch_levels(still)[1]),
        moving_share=moving_share(still, mean),
        example=still[len(still) // 2].copy(),
        mean_adu=mean,
        pattern=pattern,
    )


def _read(source: FrameSource) -> tuple[npt.NDArray[np.uint16], dict[str, _Floats]]:
    """Return the first frames and what is known of each."""
    start = source.frame_range.start
    chunks = list(source.part(start, start + MOST_FRAMES).chunks(_CHUNK))
    if not chunks:
        raise RecordingError(f"{source.facts.name} has no frame to measure; check that it plays")
    names = ("frame", "is_key", "frames_since_key", "packet_bytes")
    columns = {
        name: np.concatenate([getattr(chunk, name) for chunk in chunks]).astype(np.float64)
        for name in names
    }
    return np.concatenate([chunk.frames for chunk in chunks]), columns


def _refuse_small(facts: RecordingFacts, frames: npt.NDArray[np.uint16]) -> None:
    """Raise when there is too little to measure."""
    if len(frames) < FEWEST_FRAMES:
        raise RecordingError(
            f"{facts.name} has {len(frames)} frames to measure, but noise needs at least "
            f"{FEWEST_FRAMES}; give a longer clip"
        )
    if min(frames.shape[1:]) < 2 * max(GRID_PERIODS_PX):
        raise RecordingError(
            f"{facts.name} shows {frames.shape[2]} x {frames.shape[1]} pixels, but at least 32 x "
            "32 are needed; give a larger region"
        )


def _noise_frames(is_key: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
    """Return which frames noise is measured on: no key frames, if that leaves enough."""
    chosen = np.flatnonzero(~is_key)
    return np.arange(len(is_key)) if len(chosen) < FEWEST_FRAMES else chosen


def _patch_levels(still: npt.NDArray[np.uint16]) -> tuple[_Floats, _Floats]:
    """Return the mean level of the centre and of the four corners in each frame."""
    height, width = still.shape[1:]
    rows, columns = max(1, round(height * _PATCH_SHARE)), max(1, round(width * _PATCH_SHARE))
    top, left = (height - rows) // 2, (width - columns) // 2
    centre = still[:, top : top + rows, left : left + columns]
    corners = [
        still[:, y, x].mean(axis=(1, 2))
        for y in (slice(rows), slice(-rows, None))
        for x in (slice(columns), slice(-columns, None))
    ]
    return np.asarray(centre.mean(axis=(1, 2))), np.asarray(np.mean(corners, axis=0))


def _shares(frames: npt.NDArray[np.uint16], level_count: int) -> _Floats:
    """Return the histogram of each frame."""
    counts = [np.bincount(frame.ravel(), minlength=level_count) for frame in frames]
    return np.asarray(np.array(counts, np.float64) / frames[0].size)


def _grid_ratios(frame: npt.NDArray[np.uint16], roi: Roi) -> list[list[float]]:
    """Return the ratios of steps of one frame, by period and direction."""
    values = frame.astype(np.int32)
    along_x = np.abs(np.diff(values, axis=1)).mean(axis=0)
    along_y = np.abs(np.diff(values, axis=0)).mean(axis=1)
    return [
        [_step_ratio(along_x, roi.x_px, period), _step_ratio(along_y, roi.y_px, period)]
        for period in GRID_PERIODS_PX
    ]


def _step_ratio(steps: _Floats, origin_px: int, period: int) -> float:
    """Return the mean step into multiples of `period` pixels / the mean of the others."""
    is_edge = (np.arange(len(steps)) + 1 + origin_px) % period == 0
    inside = float(steps[~is_edge].mean())
    return float(steps[is_edge].mean()) / inside if inside > 0 else float("nan")
