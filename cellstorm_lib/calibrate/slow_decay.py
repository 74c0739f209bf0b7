"""How the level of a series slowly falls or rises: not at all, in a straight line, or fading."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import stats

_Floats = npt.NDArray[np.float64]

DecayKind = Literal["none", "linear", "exponential"]

#: The fit sees at most so many means over stretches of frames.
_MOST_POINTS = 1000
#: Times in which the exponential falls to 1 / e that are tried, in lengths of the series.
_SHORTEST_SHARE, _LONGEST_SHARE, _TRIALS = 0.01, 3.0, 80
_FEWEST_POINTS_OF_FALL = 5
#: Chance that noise alone bends a straight line so far that it is called an exponential.
_CHANCE_OF_BEND = 0.01
#: Slowest waves of the residuals that tell how far noise alone moves the level.
_FIRST_WAVE, _LAST_WAVE = 3, 14
_MOST_CORRELATION = 0.98
_REWEIGHTINGS = 5
_OUTLIER_SIGMA = 4.0
_NO_VARIATION_ADU = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Decay:
    """The slow part of a series, with 95 % intervals.

    Attributes
    ----------
    kind : {"none", "linear", "exponential"}
        What describes it; ``none`` when the interval of a straight line's rate holds 0.
    rate_adu_per_s : float
        Mean rate from the first to the last frame.
    rate_interval : (float, float)
        Its interval.
    fading_time_s : float or None
        Time in which an exponential falls to 1 / e; None for others.
    fading_interval : (float, float) or None
        Its interval.
    level_adu : (N,) float64
        The fitted level at each frame; the same for all where the kind is ``none``.
    """

    kind: DecayKind
    rate_adu_per_s: float
    rate_interval: tuple[float, float]
    fading_time_s: float | None
    fading_interval: tuple[float, float] | None
    level_adu: _Floats


def fit_decay(time_s: _Floats, values_adu: _Floats) -> Decay:
    """Fit the slow part of a series robustly.

    Parameters
    ----------
    time_s : (N,) float64
        Times, increasing; at least 8.
    values_adu : (N,) float64
        The series.

    Notes
    -----
    Least squares with outliers beyond four standard deviations held back (Huber). Noise that
    lasts from frame to frame moves a fit further than white noise would: the intervals come from
    the power of the slowest waves left in the residuals, or from the correlation of neighbours
    where that tells of more.
    """
    span_s = float(time_s[-1] - time_s[0])
    where = (time_s - time_s[0]) / span_s
    stretch = np.arange(len(where)) * min(_MOST_POINTS, len(where)) // len(where)
    size = np.bincount(stretch)
    at, values = (np.bincount(stretch, weights=row) / size for row in (where, values_adu))
    weights = np.ones(len(at))
    for _ in range(_REWEIGHTINGS):
        line, curve = _fitted(at, values, weights, None), _curve(at, values, weights)
        rest = values - min(line, curve, key=lambda fit: fit.squares).level(at)
        limit = max(1.4826 * _OUTLIER_SIGMA * float(np.median(np.abs(rest))), _NO_VARIATION_ADU)
        weights = np.minimum(1.0, limit / np.maximum(np.abs(rest), limit))
    slow, freedom = _slow_variance(at, rest * weights)
    bend = slow * float(stats.f.isf(_CHANCE_OF_BEND, 1, freedom))
    fit = curve if line.squares - curve.squares > bend else line
    error = float(np.sqrt(slow)) * float(stats.t.isf(0.025, freedom)) * fit.errors(at, weights)
    fading_interval = None
    if fit.fading is not None:
        reach = np.exp(error[1])
        fading_interval = (fit.fading * span_s / reach, fit.fading * span_s * reach)
    is_level = fit.fading is None and abs(fit.rise) <= error[0]
    level = fit.level(where)
    return Decay(
        kind="none" if is_level else "linear" if fit.fading is None else "exponential",
        rate_adu_per_s=fit.rise / span_s,
        rate_interval=((fit.rise - error[0]) / span_s, (fit.rise + error[0]) / span_s),
        fading_time_s=None if fit.fading is None else fit.fading * span_s,
        fading_interval=fading_interval,
        level_adu=np.full_like(level, np.mean(level)) if is_level else level,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fit:
    """A line, or an exponential of a given fading time, over a time from 0 to 1."""

    start: float
    slope: float
    fading: float | None
    squares: float

    def shape(self, at: _Floats) -> _Floats:
        """Return what `slope` multiplies."""
        return at if self.fading is None else np.asarray(np.exp(-at / self.fading), np.float64)

    def level(self, at: _Floats) -> _Floats:
        """Return the fitted level."""
        return np.asarray(self.start + self.slope * self.shape(at), np.float64)

    @property
    def rise(self) -> float:
        """From the first to the last frame."""
        ends = self.level(np.array([0.0, 1.0]))
        return float(ends[1] - ends[0])

    def errors(self, at: _Floats, weights: _Floats) -> _Floats:
        """Return the standard errors of the rise and of the fading time's logarithm, unit noise."""
        ends = np.array([0.0, 1.0])
        columns = [np.ones_like(at), self.shape(at)]
        gradient = [0.0, float(np.diff(self.shape(ends))[0])]
        if self.fading is not None:
            columns.append(self.slope * self.shape(at) * at / self.fading)
            gradient.append(float(self.slope * self.shape(ends)[1] / self.fading))
        design = np.stack(columns, axis=1)
        covariance = np.linalg.pinv(design.T @ (weights[:, None] * design))
        rise = float(np.sqrt(gradient @ covariance @ np.array(gradient)))
        return np.array([rise, float(np.sqrt(covariance[-1, -1]))])


def _fitted(at: _Floats, values: _Floats, weights: _Floats, fading: float | None) -> _Fit:
    """Fit a line, or an exponential of a given fading time."""
    shape = _Fit(start=0.0, slope=1.0, fading=fading, squares=0.0).shape(at)
    total = weights.sum()
    shape_mean, values_mean = (weights @ shape) / total, (weights @ values) / total
    shape_rest, values_rest = shape - shape_mean, values - values_mean
    spread = weights @ shape_rest**2
    slope = (weights @ (shape_rest * values_rest)) / spread if spread > 0 else 0.0
    return _Fit(
        start=float(values_mean - slope * shape_mean),
        slope=float(slope),
        fading=fading,
        squares=float(weights @ (values_rest - slope * shape_rest) ** 2),
    )


def _curve(at: _Floats, values: _Floats, weights: _Floats) -> _Fit:
    """Fit an exponential: the best of all fading times, then twice of finer ones."""
    shortest = max(_SHORTEST_SHARE, _FEWEST_POINTS_OF_FALL / len(at))
    trials = np.geomspace(shortest, _LONGEST_SHARE, _TRIALS)
    for _ in range(3):
        fits = [_fitted(at, values, weights, float(fading)) for fading in trials]
        best = int(np.argmin([fit.squares for fit in fits]))
        low, high = trials[max(best - 1, 0)], trials[min(best + 1, len(trials) - 1)]
        trials = np.geomspace(low, high, 12)
    return fits[best]


def _slow_variance(at: _Floats, rest: _Floats) -> tuple[float, int]:
    """Return the variance that slow noise has in the residuals, and how many values told it."""
    last = min(_LAST_WAVE, (len(at) - 1) // 2)
    waves = np.exp(-2j * np.pi * np.outer(np.arange(_FIRST_WAVE, last + 1), at))
    power = float(np.mean(np.abs(waves @ rest) ** 2)) / len(at)
    variance = float(np.mean(rest**2))
    follows = float(np.mean(rest[1:] * rest[:-1])) / max(variance, _NO_VARIATION_ADU**2)
    follows += (1 + 4 * max(follows, 0.0)) / len(at)  # its bias after a fit
    follows = min(max(follows, 0.0), _MOST_CORRELATION)
    lasting = variance * (1 + follows) / (1 - follows)
    return max(power, lasting, _NO_VARIATION_ADU**2), 2 * (last - _FIRST_WAVE + 1)
