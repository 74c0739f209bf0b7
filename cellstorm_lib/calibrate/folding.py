"""A series laid over itself, period by period."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Folded:
    """The mean of a series at each phase of a period; NaN where a phase holds no frame.

    Attributes
    ----------
    phase_s : (P,) float64
        Time since the period began.
    mean_adu : (P,) float64
        Mean of the frames at that phase.
    error_adu : (P,) float64
        Its standard error; for a single frame, from the scatter of all.
    """

    phase_s: _Floats
    mean_adu: _Floats
    error_adu: _Floats


def fold(
    time_s: _Floats, values_adu: _Floats, period_s: float, interval_s: float, *, start_s: float
) -> Folded:
    """Return a series folded over a period, with about one phase per frame.

    Parameters
    ----------
    time_s, values_adu : (N,) float64
        The series.
    period_s : float
        What to fold it over.
    interval_s : float
        Time from frame to frame.
    start_s : float
        When a period begins: the middle of the first phase.
    """
    phases = max(round(period_s / interval_s), 2)
    turn = (time_s - start_s) / period_s
    phase = np.rint((turn - np.floor(turn)) * phases).astype(np.int64) % phases
    count = np.bincount(phase, minlength=phases).astype(np.float64)
    total = np.bincount(phase, weights=values_adu, minlength=phases)
    mean = np.divide(total, count, out=np.full(phases, np.nan), where=count > 0)
    square = np.bincount(phase, weights=(values_adu - mean[phase]) ** 2, minlength=phases)
    freedom = np.maximum(count - 1, 0)
    usual = square.sum() / max(freedom.sum(), 1.0)
    variance = np.divide(square, freedom, out=np.full(phases, usual), where=freedom > 0)
    error = np.sqrt(np.divide(variance, count, out=np.full(phases, np.nan), where=count > 0))
    return Folded(phase_s=np.arange(phases) * period_s / phases, mean_adu=mean, error_adu=error)
