"""A response with a corner: straight up to a level, then less steep, or cut off altogether.

Pixels whose mean lies below the corner feel it as soon as their noise reaches beyond, so the
curve gives way before the corner is reached. Fitting the smeared corner finds the true one.
"""

from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats
from scipy.special import ndtr

from cellstorm_lib.calibrate.pixel_statistics import Floats
from cellstorm_lib.calibrate.transfer_bins import TransferBins
from cellstorm_lib.calibrate.transfer_line import TransferLine

#: Bins from so many standard deviations of the noise below the first guess to so many above.
_BELOW, _ABOVE = 5.0, 2.0
_LEAST_BINS = 5
#: Steepness beyond the corner, relative to the one before.
_STEEPEST = 3.0
_WORST_CHANCE = 1e-3
#: The smeared corner is computed for noise that is the same on both of its sides: an error of so
#: many standard deviations of it.
_MODEL_ERROR = 0.02
_UNDERLYING = np.linspace(-7.0, 7.0, 281)


@dataclass(frozen=True, slots=True, kw_only=True)
class Corner:
    """Where a response has its corner: signal in grey values, and its standard error."""

    signal_adu: float
    error_adu: float


def fit_corner(bins: TransferBins, line: TransferLine, *, guess_adu: float) -> Corner | None:
    """Fit a corner to the bins around a guess.

    Returns
    -------
    Corner or None
        None when the bins are too few, or do not look like a corner.
    """
    sigma = float(np.sqrt(line.line(np.array(guess_adu))))
    away = (bins.signal_adu - guess_adu) / sigma
    near = (away > -_BELOW) & (away < _ABOVE)
    if np.count_nonzero(near) < _LEAST_BINS:
        return None
    signal, variance = bins.signal_adu[near], bins.variance_adu2[near]
    straight = line.line(signal)
    error = bins.relative_error[near] * np.maximum(variance, 0.05 * straight)

    def deviations(numbers: Floats) -> Floats:
        return (_variance(signal, line, numbers[0], numbers[1]) - variance) / error

    limits = ([guess_adu - _BELOW * sigma, 0.0], [guess_adu + _BELOW * sigma, _STEEPEST])
    rises = variance[-1] > straight[-1]
    found = optimize.least_squares(
        deviations, [guess_adu + sigma, 1.5 if rises else 0.5], bounds=limits,
        x_scale=[sigma, 0.3], diff_step=[1e-3],
    )  # fmt: skip
    freedom = len(signal) - 2
    excess = 2.0 * found.cost / freedom
    if stats.chi2.sf(2.0 * found.cost, freedom) < _WORST_CHANCE:
        return None
    slopes = np.asarray(found.jac)
    normal = slopes.T @ slopes
    if np.linalg.cond(normal) > 1e12:
        return None
    error_adu = float(np.sqrt(np.linalg.inv(normal)[0, 0] * max(excess, 1.0)))
    return Corner(
        signal_adu=float(found.x[0]), error_adu=float(np.hypot(error_adu, _MODEL_ERROR * sigma))
    )


def _variance(signal: Floats, line: TransferLine, corner_adu: float, steepness: float) -> Floats:
    """Return the variance of pixels of known mean signal when the response has a corner."""
    sigma = float(np.sqrt(line.line(np.array(corner_adu))))
    below, above = ndtr(-_UNDERLYING), ndtr(_UNDERLYING)
    density = stats.norm.pdf(_UNDERLYING)
    mean = _UNDERLYING * below - density + steepness * (_UNDERLYING * above + density)
    square = (_UNDERLYING**2 + 1.0) * below - _UNDERLYING * density
    square += steepness**2 * ((_UNDERLYING**2 + 1.0) * above + _UNDERLYING * density)
    noise = line.line(corner_adu + _UNDERLYING * sigma)
    return np.interp(signal, corner_adu + mean * sigma, (square - mean**2) * noise)
