"""Level and noise of every frame of a recording made without light, or why it is none."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cellstorm_lib.calibrate.few_frames import few_frames
from cellstorm_lib.errors import CalibrationError
from cellstorm_lib.recording import FrameSource

_Floats = npt.NDArray[np.float64]

FEWEST_FRAMES = 24
_CHUNK_PIXELS = 4_000_000
#: Pixels so far from the median, in standard deviations, are hot or dead and no noise.
_OUTLIER_SIGMA = 6.0
#: No camera's dark level is above this share of its range.
_BRIGHTEST_DARK_SHARE = 0.15
#: A patch of pixels is lit when its median is so many standard deviations of a pixel's noise
#: above that of the frame; single hot pixels do not lift it.
_PATCH_PX = 4
_LIT_SIGMA = 6.0
_LEAST_NOISE_ADU = 1.0
_SAMPLED_FRAMES, _SAMPLED_PIXELS = 32, 20_000_000
#: A coarse codec leaves a bright block here or there of noise it otherwise removed: so many patches
#: may seem lit, unless one of them does in several frames.
_STRAY_SHARE, _STRAY_FRAMES_SHARE = 1e-4, 0.125


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DarkFrames:
    """What is told of every frame; frames that damage may have changed are left out.

    Attributes
    ----------
    frame : (N,) int64
        The file's own frame numbers.
    time_s : (N,) float64
        Presentation time.
    mean_adu, median_adu : (N,) float64
        Of the frame's pixels.
    noise_adu : (N,) float64
        Standard deviation of the frame's pixels, hot pixels left out.
    is_key : (N,) bool
        Frames coded without reference to others.
    """

    frame: npt.NDArray[np.int64]
    time_s: _Floats
    mean_adu: _Floats
    median_adu: _Floats
    noise_adu: _Floats
    is_key: npt.NDArray[np.bool_]


def read_dark_frames(source: FrameSource) -> DarkFrames:
    """Read level and noise of every frame.

    Raises
    ------
    CalibrationError
        When there are too few frames, or some are lit.
    """
    name = source.facts.name
    _refuse_lit(source)
    chunk_size = max(_CHUNK_PIXELS // (source.facts.roi.width_px * source.facts.roi.height_px), 1)
    columns: list[tuple[npt.NDArray[Any], ...]] = []
    for chunk in source.chunks(chunk_size):
        kept = ~chunk.is_tainted
        numbers = np.array([_statistics(frame) for frame in chunk.frames[kept]]).reshape(-1, 3)
        columns.append((chunk.frame[kept], chunk.time_s[kept], chunk.is_key[kept], numbers))
    count = sum(len(rows[0]) for rows in columns)
    if count < FEWEST_FRAMES:
        raise CalibrationError(
            f"{name} has {count} sound frames, but at least {FEWEST_FRAMES} are needed to tell "
            "a slow change from noise; record half a minute or more in the dark"
        )
    frame, time_s, is_key, numbers = (
        np.concatenate([rows[at] for rows in columns]) for at in range(4)
    )
    if np.any(np.diff(time_s) <= 0):
        raise CalibrationError(
            f"{name} has frames without increasing time stamps, so that nothing can be said of "
            "their change in time; convert it without loss, keeping the times"
        )
    return DarkFrames(
        frame=frame,
        time_s=time_s,
        mean_adu=numbers[:, 0],
        median_adu=numbers[:, 1],
        noise_adu=numbers[:, 2],
        is_key=is_key,
    )


def _statistics(frame: npt.NDArray[Any]) -> tuple[float, float, float]:
    """Return mean, median and standard deviation without hot pixels, from the histogram."""
    counts = np.bincount(frame.ravel())
    values = np.flatnonzero(counts).astype(np.float64)
    counts = counts[counts > 0]
    ranks = np.cumsum(counts)
    middle = [values[np.searchsorted(ranks, rank, side="right")] for rank in _middle(ranks[-1])]
    mean, median = float(values @ counts / ranks[-1]), float(np.mean(middle))
    kept = np.ones(len(values), dtype=bool)
    spread = _spread(values, counts)
    for _ in range(5):
        kept = np.abs(values - median) <= max(_OUTLIER_SIGMA * spread, _LEAST_NOISE_ADU)
        spread = _spread(values[kept], counts[kept])
    return mean, median, spread


def _middle(count: int) -> tuple[int, int]:
    """Return the ranks of the one or two values in the middle."""
    return (int(count) - 1) // 2, int(count) // 2


def _spread(values: _Floats, counts: npt.NDArray[np.int64]) -> float:
    """Return the standard deviation of values that occur so many times."""
    mean = values @ counts / counts.sum()
    return float(np.sqrt((values - mean) ** 2 @ counts / counts.sum()))


def _refuse_lit(source: FrameSource) -> None:
    """Raise when frames are brighter than any dark level, or hold something brighter."""
    facts = source.facts
    frames = few_frames(source, most_frames=_SAMPLED_FRAMES, most_pixels=_SAMPLED_PIXELS)
    advice = "dark stability is measured on a recording with the lens or the light path closed"
    lit_frames: Any = 0
    brightest = ""
    for frame in frames:
        _, median, noise = _statistics(frame)
        if median > _BRIGHTEST_DARK_SHARE * 2.0**facts.bit_depth:
            raise CalibrationError(
                f"{facts.name} is not dark: its median grey value is {median:g} of "
                f"{2**facts.bit_depth - 1}; {advice}"
            )
        patches = _patch_medians(frame)
        is_lit = patches > median + _LIT_SIGMA * max(noise, _LEAST_NOISE_ADU)
        lit_frames = lit_frames + is_lit
        if not brightest and is_lit.any():
            row, column = np.unravel_index(int(np.argmax(patches)), patches.shape)
            brightest = (
                f"around x = {column * _PATCH_PX + facts.roi.x_px}, "
                f"y = {row * _PATCH_PX + facts.roi.y_px} a frame has the grey value "
                f"{patches.max():g}, but its median is {median:g} and its noise {noise:.2g}"
            )
    count = np.asarray(lit_frames)
    is_stray = count.max(initial=0) <= max(1.0, _STRAY_FRAMES_SHARE * len(frames))
    if brightest and not (is_stray and count.mean() <= _STRAY_SHARE * len(frames)):
        raise CalibrationError(f"{facts.name} is not dark: {brightest}; {advice}")


def _patch_medians(frame: npt.NDArray[Any]) -> _Floats:
    """Return the median of each patch of pixels."""
    rows, columns = (size // _PATCH_PX for size in frame.shape)
    inner = frame[: rows * _PATCH_PX, : columns * _PATCH_PX]
    patches = inner.reshape(rows, _PATCH_PX, columns, _PATCH_PX).swapaxes(1, 2)
    return np.asarray(np.median(patches.reshape(rows, columns, -1), axis=2), np.float64)
