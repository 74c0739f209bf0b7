"""The tone curve: linear grey values to those of the video."""

import numpy as np
from numpy.typing import NDArray

from cellstorm_lib.simulate.processing import ProcessingSettings

TOP = 255.0
TABLE_STEPS = 16
_KNEE_WIDTHS = 12.0


def tone_curve(processing: ProcessingSettings, linear: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the grey values of the video for linear 8-bit grey values, not yet clipped.

    A toe ``v (v + slope * toe) / (v + toe)`` bends the dark end; from the knee on, highlights
    approach 255 exponentially; a power with a straight start, in the form of BT.709, follows.
    All are straight below 0 and have no corner, so that noise about the black level is treated
    alike on either side.

    Parameters
    ----------
    processing : ProcessingSettings
    linear : array of float64
        On the scale before the curve.

    References
    ----------
    ITU-R BT.709-6, item 1.2: power 0.45, straight up to 0.018 of the range.
    """
    return _with_gamma(processing, _with_knee(processing, _with_toe(processing, linear)))


def is_straight(processing: ProcessingSettings) -> bool:
    """Return whether the tone curve changes nothing."""
    has_toe = processing.toe_levels > 0 and processing.toe_slope != 1.0
    return not has_toe and processing.gamma == 1.0 and processing.knee_level is None


def tone_table(processing: ProcessingSettings) -> NDArray[np.float32]:
    """Return the curve at 0, 1/16, 2/16 ... as far as it rises, for linear interpolation.

    Below 0 it goes on as its first step does, above its end it stays.
    """
    top = TOP
    if processing.knee_level is not None:
        top = processing.knee_level + _KNEE_WIDTHS * (TOP - processing.knee_level)
    if processing.toe_levels > 0:
        top += processing.toe_levels * max(1.0 - processing.toe_slope, 0.0)
    linear = np.arange(int(np.ceil(top)) * TABLE_STEPS + 1) / TABLE_STEPS
    return np.minimum(tone_curve(processing, linear), 2 * TOP).astype(np.float32)


def linear_range(
    processing: ProcessingSettings, dark: float, *, tolerance: float = 0.02
) -> tuple[float, float, float]:
    """Return where the curve runs as it does at the dark level, within a tolerance of its slope.

    Parameters
    ----------
    processing : ProcessingSettings
    dark : float
        Linear grey value without light.
    tolerance : float
        Greatest departure of the slope from that at `dark`, as a share of it.

    Returns
    -------
    slope : float
        Grey values of the video per linear one, at the dark level.
    low, high : float
        Ends of the range, grey values of the video, within 0 to 255.
    """
    step = 1.0 / 64.0
    linear = np.arange(min(0.0, dark), max(4 * TOP, 2 * dark), step)
    curve = tone_curve(processing, linear)
    slopes = np.diff(curve) / step
    at_dark = min(int((dark - linear[0]) / step), len(slopes) - 1)
    slope = float(slopes[at_dark])
    is_bent = np.abs(slopes - slope) > tolerance * abs(slope)
    below = np.flatnonzero(is_bent[: at_dark + 1])
    above = np.flatnonzero(is_bent[at_dark:])
    low = curve[below[-1] + 1] if below.size else 0.0
    high = curve[at_dark + above[0]] if above.size else TOP
    return slope, float(np.clip(low, 0.0, TOP)), float(np.clip(high, 0.0, TOP))


def _with_toe(processing: ProcessingSettings, linear: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return grey values with the dark end bent."""
    toe, slope = processing.toe_levels, processing.toe_slope
    if toe == 0.0:
        return linear
    lit = np.maximum(linear, 0.0)
    return np.where(linear < 0.0, slope * linear, lit * (lit + slope * toe) / (lit + toe))


def _with_knee(processing: ProcessingSettings, linear: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return grey values with highlights compressed."""
    if processing.knee_level is None:
        return linear
    width = TOP - processing.knee_level
    over = np.maximum(linear - processing.knee_level, 0.0)
    return np.minimum(linear, processing.knee_level) + width * -np.expm1(-over / width)


def _with_gamma(processing: ProcessingSettings, linear: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return grey values under a power; its straight start meets it without a corner."""
    power, start = processing.gamma, processing.gamma_linear_share
    if power == 1.0:
        return linear
    lifted = (1.0 - power) * start**power
    scale = 1.0 / (1.0 - lifted)
    slope = power * scale * start ** (power - 1.0)
    share = linear / TOP
    curved = scale * np.maximum(share, start) ** power - (scale - 1.0)
    return np.asarray(TOP * np.where(share < start, slope * share, curved))
