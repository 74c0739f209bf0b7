"""What a clip looks like in numbers: levels, noise, its correlation, the codec's traces.

Meant for clips of a scene that does not move: what changes from frame to frame counts as noise.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import uniform_filter

from cellstorm_lib.errors import RecordingError
from cellstorm_lib.evaluate.motion import moving_share
from cellstorm_lib.recording import FrameSource, RecordingFacts, Roi

#: Block sizes of H.264 and HEVC: transforms of 4 and 8, macroblocks of 16 pixels.
GRID_PERIODS_PX = (4, 8, 16)
#: Fewest frames noise can be measured from, and most that are read.
FEWEST_FRAMES, MOST_FRAMES = 6, 64
#: Scenes of which a larger `moving_share` is found do not stand still.
STILL_SHARE = 0.1
#: Points of the curve of variance against level; each stands for as many pixels.
_CURVE_POINTS = 20
#: Frames so far apart that their noise is taken for independent.
_FAR_FRAMES = 6
_PATTERN_WINDOW_PX = 5
#: Side of the patches that stand for centre and corners, as a share of the frame.
_PATCH_SHARE = 0.125
_CHUNK = 16
_Floats = npt.NDArray[np.float64]
_Image = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A number and its standard error from the scatter between frames; NaN where unknown."""

    value: float
    error: float


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
    noise = _noise(still, mean)
    pattern = mean - uniform_filter(mean, _PATTERN_WINDOW_PX)
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
        correlation_time=_correlation_time(still),
        pattern_adu=_pattern_rms(still),
        centre_adu=_measured(_patch_levels(still)[0]),
        corner_adu=_measured(_patch_levels(still)[1]),
        moving_share=moving_share(still, mean),
        example=still[len(still) // 2].copy(),
        mean_adu=mean,
        pattern=pattern,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Noise:
    """Variance by level and correlation of neighbours."""

    level_adu: _Floats
    variance_adu2: _Floats
    variance_error_adu2: _Floats
    correlation_x: Measured
    correlation_y: Measured


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


def _noise(still: npt.NDArray[np.uint16], mean: _Image) -> _Noise:
    """Return variance by level, and correlation of neighbours, with errors from the frames."""
    count = len(still)
    order = np.argsort(mean, axis=None, kind="stable")
    bins = np.array_split(order, _CURVE_POINTS)
    squares, sums = np.empty((count, _CURVE_POINTS)), np.empty((count, 5))
    for index, frame in enumerate(still):
        residual = frame - mean
        residual -= residual.mean()
        square = (residual**2).ravel()
        squares[index] = [square[members].mean(dtype=np.float64) for members in bins]
        sums[index] = [
            float(np.mean(a * b, dtype=np.float64))
            for a, b in (
                (residual, residual),
                (residual[:, 1:], residual[:, :-1]),
                (residual[1:], residual[:-1]),
                (residual[:, 1:], residual[:, 1:]),
                (residual[1:], residual[1:]),
            )
        ]
    unbiased = count / (count - 1)
    return _Noise(
        level_adu=np.array([mean.ravel()[members].mean(dtype=np.float64) for members in bins]),
        variance_adu2=squares.mean(axis=0) * unbiased,
        variance_error_adu2=squares.std(axis=0, ddof=1) * unbiased / np.sqrt(count),
        correlation_x=_ratio(sums[:, 1], sums[:, 3]),
        correlation_y=_ratio(sums[:, 2], sums[:, 4]),
    )


def _ratio(above: _Floats, below: _Floats) -> Measured:
    """Return the ratio of two means over frames; its error to first order."""
    scale = float(below.mean())
    if scale == 0:
        return Measured(value=0.0, error=float("nan"))
    value = float(above.mean()) / scale
    error = np.std((above - value * below) / scale, ddof=1) / np.sqrt(len(above))
    return Measured(value=value, error=float(error))


def _measured(values: _Floats) -> Measured:
    """Return mean and standard error of one value per frame."""
    error = float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else np.nan
    return Measured(value=float(values.mean()), error=error)


def _correlation_time(still: npt.NDArray[np.uint16]) -> Measured:
    """Return 1 - D(1) / D(far), where D(k) is the mean squared difference k frames apart."""
    far = min(_FAR_FRAMES, len(still) // 2)
    close = _squared_differences(still, 1)
    distant = _squared_differences(still, far)
    if distant.mean() == 0:
        return Measured(value=0.0, error=float("nan"))
    ratio = float(close.mean() / distant.mean())
    relative = np.hypot(
        close.std(ddof=1) / close.mean() / np.sqrt(len(close)) if close.mean() else 0.0,
        distant.std(ddof=1) / distant.mean() / np.sqrt(len(distant)),
    )
    return Measured(value=1.0 - ratio, error=float(ratio * relative))


def _squared_differences(still: npt.NDArray[np.uint16], lag: int) -> _Floats:
    """Return the variance over the pixels of each difference of frames `lag` apart."""
    pairs = zip(still[lag:], still[:-lag], strict=True)
    return np.array(
        [np.var(after - before.astype(np.float32), dtype=np.float64) for after, before in pairs]
    )


def _pattern_rms(still: npt.NDArray[np.uint16]) -> Measured:
    """Return the RMS of the fixed pattern from the covariance of early and late frames.

    The frame or two between them are left out, because the noise of consecutive frames may be
    correlated.
    """
    gap = 1 if len(still) < 2 * FEWEST_FRAMES else 2
    half = (len(still) - gap) // 2
    early, late = (
        part.mean(axis=0, dtype=np.float64) for part in (still[:half], still[half + gap :])
    )
    product = (early - uniform_filter(early, _PATTERN_WINDOW_PX)) * (
        late - uniform_filter(late, _PATTERN_WINDOW_PX)
    )
    rms = float(np.sqrt(max(product.mean(), 0.0)))
    spread = float(product.std() / np.sqrt(product.size))
    return Measured(value=rms, error=spread / (2 * rms) if rms > 0 else float(np.sqrt(spread)))


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
