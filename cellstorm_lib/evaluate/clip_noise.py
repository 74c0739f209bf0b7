"""Noise of a still scene: its variance by level, its correlation, the pattern under it."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import uniform_filter

#: Points of the curve of variance against level; each stands for as many pixels.
CURVE_POINTS = 20
#: Frames so far apart that their noise is taken for independent.
_FAR_FRAMES = 6
#: From so many frames on, two are left out between early and late ones, else one.
_MANY_FRAMES = 12
PATTERN_WINDOW_PX = 5
_Floats = npt.NDArray[np.float64]
_Image = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A number and its standard error from the scatter between frames; NaN where unknown."""

    value: float
    error: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Noise:
    """Variance by level and correlation of neighbours; see `clip_measures.ClipMeasures`."""

    level_adu: _Floats
    variance_adu2: _Floats
    variance_error_adu2: _Floats
    correlation_x: Measured
    correlation_y: Measured


def measure_noise(still: npt.NDArray[np.uint16], mean: _Image) -> Noise:
    """Measure what changes from frame to frame; errors are from the scatter between frames.

    Parameters
    ----------
    still : (N, Y, X) uint8 or uint16
        Frames of a still scene.
    mean : (Y, X) float32
        Their mean.
    """
    count = len(still)
    order = np.argsort(mean, axis=None, kind="stable")
    bins = np.array_split(order, CURVE_POINTS)
    squares, sums = np.empty((count, CURVE_POINTS)), np.empty((count, 4))
    for index, frame in enumerate(still):
        residual = frame - mean
        residual -= residual.mean()
        square = (residual**2).ravel()
        squares[index] = [square[members].mean(dtype=np.float64) for members in bins]
        sums[index] = [
            float(np.mean(a * b, dtype=np.float64))
            for a, b in (
                (residual[:, 1:], residual[:, :-1]),
                (residual[1:], residual[:-1]),
                (residual[:, 1:], residual[:, 1:]),
                (residual[1:], residual[1:]),
            )
        ]
    unbiased = count / (count - 1)
    return Noise(
        level_adu=np.array([mean.ravel()[members].mean(dtype=np.float64) for members in bins]),
        variance_adu2=squares.mean(axis=0) * unbiased,
        variance_error_adu2=squares.std(axis=0, ddof=1) * unbiased / np.sqrt(count),
        correlation_x=_ratio(sums[:, 0], sums[:, 2]),
        correlation_y=_ratio(sums[:, 1], sums[:, 3]),
    )


def _ratio(above: _Floats, below: _Floats) -> Measured:
    """Return the ratio of two means over frames; its error to first order."""
    scale = float(below.mean())
    if scale == 0:
        return Measured(value=0.0, error=float("nan"))
    value = float(above.mean()) / scale
    error = np.std((above - value * below) / scale, ddof=1) / np.sqrt(len(above))
    return Measured(value=value, error=float(error))


def over_frames(values: _Floats) -> Measured:
    """Return mean and standard error of one value per frame, where finite; NaN without any."""
    known = values[np.isfinite(values)]
    error = float(np.std(known, ddof=1) / np.sqrt(len(known))) if len(known) > 1 else float("nan")
    return Measured(value=float(known.mean()) if len(known) else float("nan"), error=error)


def correlation_in_time(still: npt.NDArray[np.uint16]) -> Measured:
    """Return the correlation of a pixel's noise in consecutive frames, (N, Y, X) in.

    It is 1 - D(1) / D(far), where D(k) is the variance of differences of frames k apart: unlike
    the covariance about the mean of N frames it is not biased by -1/N.
    """
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


def pattern_rms(still: npt.NDArray[np.uint16]) -> Measured:
    """Return the RMS of the fixed pattern within 5 x 5 pixels, from (N, Y, X) frames.

    It is the root of the covariance of early and late frames' means without their slow changes
    over the frame; noise adds nothing to it on average.
    The frame or two between them are left out, because the noise of consecutive frames may be
    correlated.
    """
    gap = 1 if len(still) < _MANY_FRAMES else 2
    half = (len(still) - gap) // 2
    early, late = (
        part.mean(axis=0, dtype=np.float64) for part in (still[:half], still[half + gap :])
    )
    product = (early - uniform_filter(early, PATTERN_WINDOW_PX)) * (
        late - uniform_filter(late, PATTERN_WINDOW_PX)
    )
    rms = float(np.sqrt(max(product.mean(), 0.0)))
    spread = float(product.std() / np.sqrt(product.size))
    return Measured(value=rms, error=spread / (2 * rms) if rms > 0 else float(np.sqrt(spread)))
