"""Where the photon transfer curve leaves its straight line, and where pixels are saturated."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cellstorm_lib.calibrate.corner import fit_corner
from cellstorm_lib.calibrate.pixel_statistics import Floats
from cellstorm_lib.calibrate.transfer_bins import TransferBins
from cellstorm_lib.calibrate.transfer_line import TransferLine

#: Level that occurs so many times as often as each of those below it is one values are cut at.
_PILE = 8.0
_LEAST_PILE = 50
_NEIGHBOUR_LEVELS = 4
#: A departure is followed upwards to so many times the one that ends the linear range.
_STEEP = 4.0
#: A corner smeared by noise of standard deviation s passes departures of 5 % and 20 % a distance
#: w apart, and lies itself 1.37 s^2 / w above the first (within 3 % for slopes beyond the corner
#: of 0 to 0.85 and 1.2 to 2, computed from the normal distribution).
_SMEAR = 1.37
_MOST_SMEAR = 2.2
#: Departures that rise within so many standard deviations of the noise may be a corner.
_CORNER_WIDTH = 3.0
#: A bend near the end of what the polynomial describes may be the foot of a corner.
_WELL_WITHIN = 0.8
#: A departure that never gets farther than this many times the share may be chance.
_CERTAIN = 1.2
_LEAST_LINE = 6
_GRID = 2000
_95_PERCENT = 1.96


@dataclass(frozen=True, slots=True, kw_only=True)
class Bend:
    """The signal at which a curve leaves its line.

    Attributes
    ----------
    signal_adu : float
        Grey values above the offset; the brightest signal there is where no bend was seen.
    low_adu, high_adu : float
        95 % interval; up to infinity where no bend was seen.
    is_found : bool
        Whether there is a bend.
    is_upward : bool
        Whether the noise grows faster than the line beyond, or slower.
    """

    signal_adu: float
    low_adu: float
    high_adu: float
    is_found: bool
    is_upward: bool = False


def find_bend(bins: TransferBins, line: TransferLine, *, share: float) -> Bend:
    """Find the end of the linear range.

    It is the grey value beyond which the variance that light adds, were the noise too small to
    reach beyond it, departs from the straight line by more than `share`. For a response that
    gives way gently that is where the measured curve does so. For one with a corner, or a level
    at which values are cut, it is the corner: pixels of lower means feel it only because their
    noise reaches beyond.

    Parameters
    ----------
    bins : TransferBins
        The curve.
    line : TransferLine
        Its foot.
    share : float
        Departure, as a share of the variance that light adds.
    """
    brightest = float(bins.signal_adu[-1])
    gentle = _gentle_bend(line, share)
    if gentle is not None and gentle.signal_adu < _WELL_WITHIN * line.reach_adu:
        return gentle
    above = bins.signal_adu > _WELL_WITHIN**2 * line.reach_adu
    found = _sharp_bend(bins, line, np.flatnonzero(above), share) or gentle
    if found is not None:
        return found
    return Bend(signal_adu=brightest, low_adu=brightest, high_adu=np.inf, is_found=False)


def saturation_level(levels: npt.NDArray[np.int64]) -> int | None:
    """Return the grey value at which bright values are cut; None where they are not.

    Parameters
    ----------
    levels : (65536,) int64
        How often each grey value occurs.
    """
    top = int(np.flatnonzero(levels)[-1])
    below = levels[max(top - _NEIGHBOUR_LEVELS, 0) : top]
    is_pile = levels[top] >= max(_LEAST_PILE, _PILE * float(below.max(initial=0)))
    return top if is_pile else None


def _gentle_bend(line: TransferLine, share: float) -> Bend | None:
    """Return where the fitted polynomial leaves its tangent; None when it does not."""
    signal = np.linspace(0.0, line.reach_adu, _GRID)[1:]
    departure = line.departure(signal)
    beyond = np.flatnonzero(np.abs(departure) > share)
    if not len(beyond):
        return None
    at = float(signal[beyond[0]])
    error = line.departure_error(at)
    if 2.0 * error > share:
        return None
    rise = abs(float(np.interp(1.05 * at, signal, departure)) - float(departure[beyond[0]]))
    slack = min(_95_PERCENT * error * 0.05 / max(rise, 1e-12), 0.9)
    return Bend(
        signal_adu=at,
        low_adu=at * (1.0 - slack),
        high_adu=at * (1.0 + slack),
        is_found=True,
        is_upward=bool(departure[beyond[0]] > 0),
    )


def _sharp_bend(
    bins: TransferBins, line: TransferLine, above: npt.NDArray[np.intp], share: float
) -> Bend | None:
    """Return where the departure of the bins passes `share` for good; None where it never does."""
    signal, variance = bins.signal_adu[above], bins.variance_adu2[above]
    light = line.slope_adu * signal
    departure = (variance - line.numbers[0]) / light - 1.0
    error = bins.relative_error[above] * np.maximum(variance, 0.05 * light) / light
    near = np.abs(signal[:, None] - signal) <= np.sqrt(line.line(signal))
    weight = near / np.square(error)
    smooth = weight @ departure / weight.sum(axis=1)
    stays = np.logical_and.accumulate((np.abs(smooth) > share / 2)[::-1])[::-1]
    beyond = np.flatnonzero(stays & (np.abs(smooth) > share) & (np.abs(departure) > share))
    if not len(beyond) or np.abs(smooth[beyond]).max() < _CERTAIN * share:
        return None
    sign = float(np.sign(smooth[beyond[-1]]))
    common = (1.0 + share) * line.slope_error_adu / line.slope_adu
    at, low, high = _passing(signal, sign * departure, error, share, sign * smooth, common)
    steep, _, _ = _passing(signal, sign * departure, error, _STEEP * share, sign * smooth, common)
    sigma = float(np.sqrt(line.line(np.array(at))))
    smear = 0.0
    if steep > at:
        smear = min(_SMEAR * sigma**2 / (steep - at), _MOST_SMEAR * sigma)
    found, low, high = at + smear, low + 0.7 * smear, high + 1.3 * smear
    if steep - at < _CORNER_WIDTH * sigma:
        corner = fit_corner(bins, line, guess_adu=found)
        if corner is not None:
            slack = _95_PERCENT * corner.error_adu
            found, low, high = (
                corner.signal_adu,
                corner.signal_adu - slack,
                corner.signal_adu + slack,
            )
    return Bend(signal_adu=found, low_adu=low, high_adu=high, is_found=True, is_upward=sign > 0)


def _passing(
    signal: Floats, departure: Floats, error: Floats, share: float, smooth: Floats, common: float
) -> tuple[float, float, float]:
    """Return where a rising departure passes `share` for good, with its 95 % interval.

    A line is fitted to the bins around, up to where the departure is about 0 and 2 shares. The
    interval allows for the error `common` to all bins, and spans the two bins between which it
    happens.
    """
    under = np.flatnonzero(smooth <= share)
    last = int(under[-1]) if len(under) else -1
    if last < 0 or last + 1 >= len(signal):
        edge = float(signal[max(last, 0)])
        return edge, edge, edge
    first, end = last, last + 2
    while first > 0 and abs(smooth[first - 1] - share) < share:
        first -= 1
    while end < len(signal) and abs(smooth[end] - share) < share:
        end += 1
    low, high = float(signal[last]), float(signal[last + 1])
    pair = slice(last, last + 2)
    at = float(np.interp(share, departure[pair], signal[pair]))
    rise = float(np.diff(smooth[pair])[0] / np.diff(signal[pair])[0])
    chance = float(error[last])
    if end - first >= _LEAST_LINE:
        near = slice(first, end)
        columns = np.stack([np.ones(end - first), signal[near] - at], axis=1) / error[near, None]
        covariance = np.linalg.inv(columns.T @ columns)
        level, slope = covariance @ columns.T @ ((departure[near] - share) / error[near])
        crossing = at - float(level / slope)
        if slope > 0 and signal[first] <= crossing <= signal[end - 1]:
            at, rise, chance = crossing, float(slope), float(np.sqrt(covariance[0, 0]))
    slack = float(_95_PERCENT * np.hypot(chance, common) / max(rise, 1e-12))
    return at, min(at - slack, low), max(at + slack, high)
