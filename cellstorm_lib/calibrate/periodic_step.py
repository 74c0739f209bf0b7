"""A periodic pattern in a series of frame means, found without knowing where key frames are.

A pattern shows as a comb of lines in the power spectrum: at its frequency and the multiples.
Each line is compared with the power between the lines, so that noise of any smooth spectrum,
white or autocorrelated, is told from a pattern.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import fft
from scipy.linalg import solve_toeplitz

from cellstorm_lib.calibrate.folding import fold

_Floats = npt.NDArray[np.float64]

#: Stated chance that noise alone is taken for a periodic step.
FALSE_ALARM_RATE = 0.01
#: The same if the noise between the lines were known; it is estimated, hence the difference.
_NOMINAL_RATE = 1e-5
#: A pattern smaller than this is none: its bias is far below one photoelectron.
LEAST_STEP_ADU = 0.05
#: Fewest periods in a series, and shortest period.
FEWEST_PERIODS = 6
SHORTEST_PERIOD_FRAMES = 3
_MOST_HARMONICS = 16
#: Share of the evidence that the other lines of a comb may hold when every mth tells the period.
_IDLE_SHARE = 0.3
#: Frequencies per resolved frequency, and time slots per frame interval.
_FINENESS, _SLOTS = 8, 8
#: The quartile of exponentially distributed power over its mean.
_QUARTILE_OF_NOISE = 0.2877
#: Half widths over which the noise is told, in half resolved frequencies.
_LEAST_REACH, _REACH_SHARE, _MOST_REACH = 20, 0.35, 60
#: Lines are cut to so many times the power around them before the autoregression is fitted.
_CUT = 3.0
_MOST_ORDER = 6
_NO_VARIATION_ADU = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodicStep:
    """A pattern that repeats.

    Attributes
    ----------
    period_s : float
        From one repetition to the next.
    step_adu : float
        From the lowest to the highest phase of the mean pattern; noise does not add to it.
    step_error_adu : float
        Its standard error.
    """

    period_s: float
    step_adu: float
    step_error_adu: float


def find_periodic_step(time_s: _Floats, values_adu: _Floats) -> PeriodicStep | None:
    """Find the strongest periodic pattern, or None where noise explains the series.

    Parameters
    ----------
    time_s : (N,) float64
        Presentation times, increasing; frames may be missing and intervals may vary.
    values_adu : (N,) float64
        Mean of each frame, its slow decay taken away.

    Returns
    -------
    PeriodicStep or None
        Found are periods of at least 3 frames that fit 6 times into the series, and patterns of
        at least 0.05 grey values; in noise one is found with a chance of at most
        `FALSE_ALARM_RATE`.

    Notes
    -----
    The noise of the spectrum is an autoregression of up to order 6, scaled by the lower quartile
    of the power around each frequency; how improbable a comb is in noise is Chernoff's bound for
    a sum of exponentials, times the number of combs tried. In a series of few periods a smooth
    pattern of less than 8 frames is not told from noise that swings so, and not called a step.
    """
    interval_s = float(np.median(np.diff(time_s)))
    span_s = float(time_s[-1] - time_s[0]) + interval_s
    rest = _without_curve(time_s, values_adu)
    if float(np.std(rest)) < _NO_VARIATION_ADU:
        return None
    power = _power(time_s, rest, interval_s, span_s)
    comb = _strongest_comb(power / _noise(power), span_s / interval_s)
    if comb is None:
        return None
    period_s = _refined_period(time_s, rest, span_s / comb[0], comb[1])
    step_adu, error_adu = _step(time_s, rest, period_s, interval_s)
    if not step_adu > max(LEAST_STEP_ADU, 3 * error_adu):
        return None
    return PeriodicStep(period_s=period_s, step_adu=step_adu, step_error_adu=error_adu)


def _without_curve(time_s: _Floats, values: _Floats) -> _Floats:
    """Return a series without its slow part: a polynomial of order 4."""
    at = 2 * (time_s - time_s[0]) / (time_s[-1] - time_s[0]) - 1
    curve = np.polynomial.Legendre.fit(at, values, 4)
    return np.asarray(values - curve(at), np.float64)


def _power(time_s: _Floats, rest: _Floats, interval_s: float, span_s: float) -> _Floats:
    """Return the power at multiples of 1 / (fineness * span), up to a period of two frames.

    Frames are put into slots much shorter than an interval, so that gaps and jitter do no harm.
    """
    at = time_s - time_s[0]
    taper = 0.5 - 0.5 * np.cos(2 * np.pi * (at + interval_s / 2) / span_s)
    slot = np.rint(at / interval_s * _SLOTS).astype(np.int64)
    count = round(span_s / interval_s * _SLOTS)
    series = np.bincount(slot, weights=rest * taper, minlength=count)
    highest = int(_FINENESS * span_s / interval_s / 2)
    power = np.abs(fft.rfft(series, _FINENESS * count)[: highest + 1]) ** 2
    return np.asarray(power / np.sum(taper**2), np.float64)


def _noise(power: _Floats) -> _Floats:
    """Return the power of the noise at each frequency, from all those around it.

    An autoregression, fitted with the lines cut off, gives the shape of the spectrum; what is
    around gives its height.
    """
    shape = _autoregression(np.minimum(power, _CUT * _level(power)))
    return np.asarray(np.maximum(shape * _level(power / shape), 1e-12 * power.max()), np.float64)


def _level(power: _Floats) -> _Floats:
    """Return the power between the lines around each frequency."""
    coarse = power[:: _FINENESS // 2]
    place, places, levels = 0, [], []
    while place < len(coarse):
        reach = int(min(max(_LEAST_REACH, _REACH_SHARE * place), _MOST_REACH))
        near = coarse[max(place - reach, 4) : place + reach]
        places.append(place)
        rank = len(near) // 4
        levels.append(float(np.partition(near, rank)[rank]) / _QUARTILE_OF_NOISE)
        place += max(reach // 5, 1)
    level = np.interp(np.arange(len(power)), np.array(places) * (_FINENESS // 2), levels)
    return np.asarray(np.maximum(level, 1e-12 * power.max()), np.float64)


def _autoregression(power: _Floats) -> _Floats:
    """Return the spectrum of the autoregression nearest to a power spectrum, its mean 1."""
    order = int(np.clip(len(power) // _FINENESS // 8, 1, _MOST_ORDER))
    covariance = np.real(fft.ifft(np.concatenate([power, power[-2:0:-1]])))[: order + 1]
    covariance[0] *= 1 + 1e-6
    weights = solve_toeplitz(covariance[:order], covariance[1:])
    spectrum = 1 / np.abs(fft.rfft([1.0, *-weights], 2 * (len(power) - 1))) ** 2
    return np.asarray(spectrum / spectrum.mean(), np.float64)


def _strongest_comb(ratio: _Floats, frame_count: float) -> tuple[float, int] | None:
    """Return the periods per series and the lines of the comb least likely to be noise."""
    lowest = FEWEST_PERIODS * _FINENESS
    highest = int(frame_count / SHORTEST_PERIOD_FRAMES * _FINENESS)
    first = np.arange(lowest, highest + 1)
    total = np.zeros(len(first))
    best, found = -np.log(_NOMINAL_RATE), None
    for lines in range(1, _MOST_HARMONICS + 1):
        first = first[: np.searchsorted(first * lines, len(ratio))]
        if not len(first):
            break
        total = total[: len(first)] + ratio[lines * first]
        trials = _MOST_HARMONICS * lines * (highest - lowest + 1) / _FINENESS
        evidence = _evidence(total, lines) - np.log(trials)
        peak = int(np.argmax(evidence))
        if evidence[peak] > best:
            best, found = float(evidence[peak]), (int(first[peak]), lines)
    if found is None:
        return None
    multiple = _telling_multiple(ratio[found[0] * np.arange(1, found[1] + 1)], highest // found[0])
    return found[0] * multiple / _FINENESS, found[1] // multiple


def _evidence(total: npt.ArrayLike, lines: int) -> _Floats:
    """Return the negative logarithm of the chance that noise adds up to a total, at least."""
    share = np.maximum(np.asarray(total, np.float64) / lines, 1.0)
    return np.asarray(lines * (share - 1 - np.log(share)), np.float64)


def _telling_multiple(lines: _Floats, most: int) -> int:
    """Return m when nearly all is said by every mth line: the period is then m times shorter."""
    for multiple in range(min(len(lines), most), 1, -1):
        kept = lines[multiple - 1 :: multiple]
        idle = np.delete(lines, np.s_[multiple - 1 :: multiple])
        if _evidence(idle.sum(), len(idle)) < _IDLE_SHARE * _evidence(kept.sum(), len(kept)):
            return multiple
    return 1


def _refined_period(time_s: _Floats, rest: _Floats, period_s: float, lines: int) -> float:
    """Return the period near another at which the pattern's power is highest."""
    span_s = time_s[-1] - time_s[0]
    trials = 1 / period_s + np.linspace(-1, 1, 81) / span_s
    power = np.zeros(len(trials))
    for at, frequency in enumerate(trials):
        turn = np.exp(-2j * np.pi * frequency * time_s)
        wave = np.ones_like(turn)
        for _ in range(lines):
            wave *= turn
            power[at] += np.abs(np.sum(rest * wave)) ** 2
    return float(1 / trials[int(np.argmax(power))])


def _step(
    time_s: _Floats, rest: _Floats, period_s: float, interval_s: float
) -> tuple[float, float]:
    """Return a pattern's height and its error: extremes of one half at the other's heights."""
    cycle = np.floor((time_s - time_s[0]) / period_s).astype(np.int64)
    halves = [
        fold(time_s[chosen], rest[chosen], period_s, interval_s, start_s=float(time_s[0]))
        for chosen in (cycle % 2 == 0, cycle % 2 == 1)
    ]
    heights, variances = [], []
    for one, other in (halves, halves[::-1]):
        high, low = int(np.nanargmax(one.mean_adu)), int(np.nanargmin(one.mean_adu))
        heights.append(other.mean_adu[high] - other.mean_adu[low])
        variances.append(other.error_adu[high] ** 2 + other.error_adu[low] ** 2)
    return float(np.mean(heights)), float(np.sqrt(np.mean(variances) / 2))
