"""The straight line at the foot of a photon transfer curve: its slope is grey values per electron.

No real curve is straight for ever, and one that bends gently has no point at which the line
ends. So a polynomial is fitted as far up as it describes the curve, and the line is its tangent
where the light is 0. For a camera that is perfectly straight that costs two to three times the
error of a plain line; for one that is not, it is right.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from scipy import stats

from cellstorm_lib.calibrate.pixel_statistics import Floats
from cellstorm_lib.calibrate.transfer_bins import Mask, TransferBins

#: No bin is believed to better than this: real sensors are not as perfect as many pixels' means.
_MODEL_ERROR = 0.002
#: Constant, slope, curvature and its change; fewer where the bins cannot tell that many apart.
_MOST_POWERS = 4
_WORST_SLOPE_ERROR = 0.005
_MOST_CANDIDATES = 60
_WORST_CHANCE = 1e-3
_WORST_END = 3.5
#: A polynomial is not enough where two more powers improve the fit more than chance would.
_WORST_GAIN = float(stats.chi2.isf(0.01, 2))
_END_SHARE = 0.1
#: Where the curve goes on beyond the polynomial, the tangent is taken from so much of its reach:
#: what a polynomial misses grows with its next power.
_SAFE_SHARE = 0.8
#: Nor is it trusted where it is farther than this from its tangent.
_MOST_CURVED = 0.5
_REPEATS = 4
#: Times its error by which the variance in the dark loses its say.
_IGNORED = 1e4
#: It does where it is so many standard errors off the line of the bright frames.
_OFF = 5.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TransferLine:
    """The foot of the curve: variance = sum of numbers[k] * signal^k, in grey values.

    Attributes
    ----------
    numbers : (K,) float64
        Dark variance, slope of the tangent without light (grey values per electron), and up to
        two more for how the curve leaves it.
    covariance : (K, K) float64
        Of those.
    reach_adu : float
        Signal up to which the polynomial describes the curve.
    is_fitted : (B,) bool
        Bins it was fitted to.
    holds_dark : bool
        Whether the dark frames' variance lies on it; it was left out otherwise.
    """

    numbers: Floats
    covariance: Floats
    reach_adu: float
    is_fitted: Mask
    holds_dark: bool

    @property
    def slope_adu(self) -> float:
        """Grey values per electron."""
        return float(self.numbers[1])

    @property
    def slope_error_adu(self) -> float:
        """Standard error of the slope."""
        return float(np.sqrt(self.covariance[1, 1]))

    def line(self, signal_adu: Floats) -> Floats:
        """Return the variance of the straight line."""
        return np.asarray(self.numbers[0] + self.numbers[1] * signal_adu)

    def departure(self, signal_adu: Floats) -> Floats:
        """Return how far the polynomial is from the line, as a share of the light's variance."""
        powers = np.arange(1, len(self.numbers) - 1)
        return np.asarray(signal_adu[:, None] ** powers @ self.numbers[2:] / self.numbers[1])

    def departure_error(self, signal_adu: float) -> float:
        """Return the standard error of the departure at one signal."""
        powers = np.arange(1, len(self.numbers) - 1)
        rising = signal_adu**powers / self.numbers[1]
        gradient = np.r_[-float(rising @ self.numbers[2:]) / self.numbers[1], rising]
        return float(np.sqrt(gradient @ self.covariance[1:, 1:] @ gradient))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Fit:
    """One weighted fit of a polynomial; `gain` is by how much two more powers improve it."""

    numbers: Floats
    covariance: Floats
    deviations: Floats
    gain: float = 0.0

    @property
    def chi_square(self) -> float:
        """Sum of the squared deviations."""
        return float(np.square(self.deviations).sum())

    @property
    def excess(self) -> float:
        """Chi-square per degree of freedom."""
        freedom = max(len(self.deviations) - len(self.numbers), 1)
        return self.chi_square / freedom

    @property
    def is_good(self) -> bool:
        """Whether chance explains the deviations, all of them and those at the upper end."""
        freedom = max(len(self.deviations) - len(self.numbers), 1)
        end = self.deviations[-max(3, round(_END_SHARE * len(self.deviations))) :]
        return bool(
            stats.chi2.sf(self.chi_square, freedom) > _WORST_CHANCE
            and self.gain < _WORST_GAIN
            and abs(end.sum()) / np.sqrt(len(end)) < _WORST_END
        )

    @property
    def farthest(self) -> float:
        """Signal from which on the polynomial is far from its tangent; infinite where it is not."""
        if len(self.numbers) < 3:
            return np.inf
        bound = np.array([-_MOST_CURVED, _MOST_CURVED]) * self.numbers[1]
        roots = [
            np.polynomial.Polynomial(np.r_[-limit, self.numbers[2:]]).roots() for limit in bound
        ]
        real = [root.real for root in np.concatenate(roots) if abs(root.imag) < 1e-9]
        return float(min((root for root in real if root > 0), default=np.inf))


def fit_line(
    bins: TransferBins, *, is_usable: Mask, dark_variance_adu2: float, dark_error_adu2: float
) -> TransferLine:
    """Fit the foot of a photon transfer curve, weighted by the bins' errors.

    Parameters
    ----------
    bins : TransferBins
        The curve above the dark.
    is_usable : (B,) bool
        Bins that may take part: not touched by the cut at 0; at least two.
    dark_variance_adu2, dark_error_adu2 : float
        Variance in the dark, uncut and with rounding, and its standard error.

    References
    ----------
    Janesick, Photon Transfer, SPIE Press (2007).
    """
    usable = np.flatnonzero(is_usable)
    signal = np.r_[0.0, bins.signal_adu[usable]]
    variance = np.r_[dark_variance_adu2, bins.variance_adu2[usable]]
    error = np.hypot(
        np.r_[dark_error_adu2 / dark_variance_adu2, bins.relative_error[usable]], _MODEL_ERROR
    )
    found, holds_dark = _search(signal, variance, error), True
    if not found.fit.is_good and len(usable) > 2:
        alone = _search(signal, variance, error * np.r_[_IGNORED, np.ones(len(usable))])
        away = abs(dark_variance_adu2 - alone.fit.numbers[0])
        holds_dark = away < _OFF * np.hypot(np.sqrt(alone.fit.covariance[0, 0]), dark_error_adu2)
        found = found if holds_dark else alone
    is_fitted = np.zeros(len(bins.signal_adu), bool)
    is_fitted[usable[: found.used]] = True
    return TransferLine(
        numbers=found.fit.numbers,
        covariance=found.fit.covariance * max(found.fit.excess, 1.0),
        reach_adu=float(signal[found.reach]),
        is_fitted=is_fitted,
        holds_dark=bool(holds_dark),
    )


class _Found(NamedTuple):
    """A fit to the first `used` bins, of `reach` that its polynomial describes."""

    fit: _Fit
    used: int
    reach: int


def _search(signal: Floats, variance: Floats, error: Floats) -> _Found:
    """Fit as many bins from the dark upwards as a polynomial describes."""
    most, fewest = len(signal) - 1, min(3, len(signal) - 1)

    def fitted(count: int) -> _Fit:
        return _fitted(signal[: count + 1], variance[: count + 1], error[: count + 1])

    steps = np.unique(np.linspace(fewest, most, _MOST_CANDIDATES).round().astype(int))
    fits = {count: fitted(count) for count in steps.tolist()}
    good = [count for count, fit in fits.items() if fit.is_good]
    count = max(good) if good else min(fits, key=lambda n: fits[n].excess)
    reach = count
    if count < most:
        count = _up_to(signal, _SAFE_SHARE * float(signal[count]))
    fit = fitted(count)
    while signal[count] > fit.farthest and count > fewest:
        count = min(_up_to(signal, fit.farthest), count - 1)
        fit = fitted(count)
        reach = count
    return _Found(fit, count, reach)


def _up_to(signal: Floats, limit: float) -> int:
    """Return how many bins lie below a limit, the dark not counted; three at least."""
    return max(int(np.searchsorted(signal, limit)) - 1, min(3, len(signal) - 1))


def _fitted(signal: Floats, variance: Floats, error: Floats) -> _Fit:
    """Fit as many powers as the bins can tell apart.

    The last power counts by its weight of evidence (Akaike's); the errors are those of the
    polynomial with all powers.
    """
    for powers in range(min(_MOST_POWERS, len(signal) - 1), 2, -1):
        fit = _polynomial(signal, variance, error, powers)
        if np.sqrt(fit.covariance[1, 1]) < _WORST_SLOPE_ERROR * fit.numbers[1]:
            break
    else:
        powers, fit = 2, _polynomial(signal, variance, error, 2)
    richer = fit
    if len(signal) > powers + 2:
        richer = _polynomial(signal, variance, error, powers + 2)
    numbers = fit.numbers
    if powers == _MOST_POWERS:
        plainer = _polynomial(signal, variance, error, powers - 1)
        evidence = float(np.exp(-0.5 * max(plainer.chi_square - fit.chi_square - 2.0, -50.0)))
        share = evidence / (1.0 + evidence)
        numbers = (1.0 - share) * fit.numbers + share * np.r_[plainer.numbers, 0.0]
    return replace(fit, numbers=numbers, gain=fit.chi_square - richer.chi_square)


def _polynomial(signal: Floats, variance: Floats, error: Floats, powers: int) -> _Fit:
    """Fit a polynomial; errors are shares of the fitted variance, found by repetition."""
    scale = signal[-1]
    columns = (signal[:, None] / scale) ** np.arange(powers)
    expected = variance
    for _ in range(_REPEATS):
        sigma = error * np.maximum(expected, np.maximum(0.2 * variance, 0.2 * variance[0]))
        weighted = columns / sigma[:, None]
        covariance = np.linalg.pinv(weighted.T @ weighted)
        numbers = covariance @ (weighted.T @ (variance / sigma))
        expected = columns @ numbers
    units = scale ** -np.arange(powers, dtype=np.float64)
    return _Fit(
        numbers=numbers * units,
        covariance=covariance * np.outer(units, units),
        deviations=(variance - expected) / sigma,
    )
