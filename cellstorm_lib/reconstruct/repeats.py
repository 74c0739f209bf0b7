"""How many other localizations of its molecule a localization has, told from the correlation.

Localizations dealt into groups one by one agree on x(q) = D(q) / N + Q w(q): the structure D of N
localizations, and the Q repeats of each, blurred by the precision. Q is told from D by frequency
or by time; see `frc_repeats`.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import least_squares

from cellstorm_lib.reconstruct.rings import RingSums

#: The fits use the rings in which w lies between these.
FIT_W = (0.985, 0.02)
MIN_RINGS = 12
#: Structure falls off like a power of the frequency, from filaments (1) to blobs, and a Gaussian.
STRUCTURE_POWERS = (1.0, 4.0)
#: A structure must lower chi squared by so much to count as there.
MIN_STRUCTURE = 9.0
#: Bounds of repeats, log structure, its power, its spread, and log precision.
_LOW = np.array([0, -20, STRUCTURE_POWERS[0], 0, -0.5])
_HIGH = np.array([1e4, 20, STRUCTURE_POWERS[1], 10, 0.5])
#: How well the precision is known beforehand, as a share of it: measured, and merely stated.
PRECISION_MEASURED, PRECISION_STATED = 0.03, 0.1
#: Parts of the recording, of as many localizations each; those not next to each other lie far
#: apart.
TIME_PARTS = 8
_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatsFit:
    """Repeats with their error, how they were told, and the precision over the stated one."""

    repeats: float
    error: float
    told_by: str
    ratio: float = 1.0


class Blur:
    """What the precision leaves of two localizations of one molecule, on average over a table."""

    def __init__(self, frequency_per_nm: _Floats, sigma_nm: _Floats) -> None:
        self.frequency = frequency_per_nm
        self._levels_nm = np.percentile(sigma_nm, np.linspace(2, 98, 25))

    def w(self, ratio: float = 1.0) -> _Floats:
        """Return w at every frequency, the precision being `ratio` times what is stated."""
        each = np.exp(-2 * (np.pi * np.outer(self.frequency, ratio * self._levels_nm)) ** 2)
        return np.asarray(each.mean(axis=1) ** 2)

    def used(self) -> npt.NDArray[np.bool_]:
        """Return which rings tell the repeats: neither the coarsest nor those blurred away."""
        w = self.w()
        used = (w < FIT_W[0]) & (w > FIT_W[1]) & (self.frequency < 0.9 * self.frequency[-1])
        used[:4] = False
        return np.asarray(used)


def noise_of_groups(sums: RingSums) -> _Floats:
    """Return what a group dealt at random has of itself beyond what it shares with another.

    That is one for each localization, in the same pixels and under the same mask as everything
    else, so neither has to be known.
    """
    groups = sums.products.shape[1]
    own = np.trace(sums.products, axis1=1, axis2=2) / groups
    shared = (sums.products.sum(axis=(1, 2)) / groups - own) / (groups - 1)
    return np.asarray(own - shared)


def agreement(sums: RingSums) -> _Floats:
    """Return x of every ring: how far groups dealt at random agree, over their noise."""
    groups, noise = sums.products.shape[1], noise_of_groups(sums)
    own = np.trace(sums.products, axis1=1, axis2=2) / groups
    return np.asarray(groups * _over(own - noise, noise))


def without_repeats(power: _Floats, spurious: _Floats) -> _Floats:
    """Return the correlation of halves of whole molecules.

    Parameters
    ----------
    power : (R,) float64
        Agreement x of groups dealt at random, smoothed.
    spurious : (R,) float64
        Q w, what repeats make of it; 0 for the correlation as it is.
    """
    shared = power - spurious
    return np.asarray(shared / (2 + np.maximum(power, -1) + np.maximum(spurious, 0)))


def _over(value: _Floats, noise: _Floats) -> _Floats:
    """Return a value over the noise; 0 where there is none."""
    return np.asarray(np.divide(value, noise, out=np.zeros_like(noise), where=noise > 1e-12))


def time_parts(rows: int) -> npt.NDArray[np.int64]:
    """Return the part of the recording that each row lies in, all parts having as many rows."""
    return np.asarray(np.arange(rows) * TIME_PARTS // rows, np.int64)


def fit_by_frequency(
    power: _Floats, samples: _Floats, blur: Blur, *, known: float = PRECISION_MEASURED
) -> RepeatsFit | None:
    """Fit repeats, and a structure that falls off faster.

    Parameters
    ----------
    power : (R,) float64
        Agreement of groups dealt at random.
    samples : (R,) float64
        Independent samples of each ring.
    blur : Blur
        What the precision leaves.
    known : float
        How well the precision is known, as a share of it.

    Returns
    -------
    RepeatsFit or None
        None where too few rings tell anything.
    """
    used = blur.used()
    if used.sum() < MIN_RINGS:
        return None
    fit = _SpectrumFit(_Spectrum(blur, used), power[used], samples[used], known)
    start = max(float(np.median(power[used] / blur.w()[used])) / 2, 1e-3)
    values = np.array([start, np.log(start), 1.5, 0.1, 0.0])
    alone = fit.run(np.array([start, -20.0, 1.5, 0.1, 0.0]), np.array([0, 4]))
    found = fit.run(values, np.arange(5))
    # where a structure explains nothing more, it must not blur what is known of the repeats
    return alone.fit if alone.misfit - found.misfit < MIN_STRUCTURE else found.fit


class _Run(NamedTuple):
    """One fit, and its misfit (chi squared) with the noise of that model."""

    fit: RepeatsFit
    misfit: float


class _SpectrumFit:
    """Fits some of the values of a spectrum and keeps the others."""

    def __init__(self, spectrum: "_Spectrum", seen: _Floats, samples: _Floats, known: float):
        self._spectrum, self._seen, self._known = spectrum, seen, known
        self._root = np.sqrt(samples)

    def run(self, values: _Floats, free: npt.NDArray[np.int64]) -> _Run:
        """Fit, starting from `values`."""
        values = np.clip(values, _LOW + 1e-6, _HIGH - 1e-6)
        noise, jacobian = (1 + np.maximum(self._seen, 0)) / self._root, np.zeros((1, len(free)))

        def residuals(chosen: _Floats, noise: _Floats) -> _Floats:
            tried = values.copy()
            tried[free] = chosen
            misfit = (self._spectrum.power(tried) - self._seen) / noise
            return np.append(misfit, tried[4] / self._known)

        for _ in range(3):  # the noise follows the model, not the data
            fitted = least_squares(
                residuals,
                np.clip(values[free], (_LOW + 1e-6)[free], (_HIGH - 1e-6)[free]),
                bounds=(_LOW[free], _HIGH[free]),
                x_scale=np.array([max(values[0], 0.01), 1, 1, 1, self._known])[free],
                args=(noise,),
            )
            values[free], jacobian = fitted.x, np.asarray(fitted.jac)
            noise = (1 + self._spectrum.power(values)) / self._root
        covariance = np.linalg.pinv(jacobian.T @ jacobian)
        return _Run(
            RepeatsFit(
                repeats=float(values[0]),
                error=float(np.sqrt(covariance[0, 0])),
                told_by="frequency",
                ratio=float(np.exp(values[4])),
            ),
            float((residuals(values[free], noise) ** 2).sum() + 2 * np.log(noise).sum()),
        )


class _Spectrum:
    """Agreement as a function of repeats, log structure, its power, its spread, log precision."""

    def __init__(self, blur: Blur, used: npt.NDArray[np.bool_]) -> None:
        self._blur, self._used = blur, used
        self._at = blur.frequency[used] / float(np.median(blur.frequency[used]))

    def power(self, values: _Floats) -> _Floats:
        """Return the agreement at the rings that are used."""
        repeats, log_structure, exponent, spread, log_ratio = values
        decay = exponent * np.log(self._at) + spread * self._at**2
        structure = np.exp(np.clip(log_structure - decay, -50, 50))
        w = self._blur.w(float(np.exp(log_ratio)))[self._used]
        return np.asarray((repeats + structure) * w)


def fit_by_time(
    parts: RingSums,
    noise: _Floats,
    power: _Floats,
    blur: Blur,
    *,
    known: float = PRECISION_MEASURED,
) -> RepeatsFit | None:
    """Fit repeats to what localizations close in time agree on beyond those far apart.

    Parameters
    ----------
    parts : RingSums
        Of the parts of the recording (see `time_parts`).
    noise : (R,) float64
        Of groups of that size, dealt at random.
    power : (R,) float64
        Agreement of groups dealt at random, for the weights.
    blur : Blur
        What the precision leaves.
    known : float
        How well the precision is known, as a share of it.

    Returns
    -------
    RepeatsFit or None
        A lower bound: molecules that come back over the whole recording are not seen. None where
        too few rings tell anything.
    """
    used = blur.used()
    if used.sum() < MIN_RINGS:
        return None
    weight = parts.samples[used] / (1 + np.maximum(power[used], 0)) ** 2

    def repeats(excess: _Floats, w: _Floats) -> float:
        return float((weight * w) @ excess / ((weight * w) @ w))

    everything = _excess(parts, noise, np.ones(TIME_PARTS, bool))[used]
    candidates = []
    for ratio in np.exp(np.linspace(-3, 3, 25) * known):
        w = blur.w(float(ratio))[used]
        left = everything - repeats(everything, w) * w
        candidates.append((float(weight @ left**2) + (np.log(ratio) / known) ** 2, float(ratio)))
    ratio = min(candidates)[1]
    w = blur.w(ratio)[used]
    without_one = [
        repeats(_excess(parts, noise, np.arange(TIME_PARTS) != part)[used], w)
        for part in range(TIME_PARTS)
    ]
    return RepeatsFit(
        repeats=max(repeats(everything, w), 0.0),
        error=float(np.sqrt((TIME_PARTS - 1) * np.var(without_one))),
        told_by="time",
        ratio=ratio,
    )


def _excess(parts: RingSums, noise: _Floats, kept: npt.NDArray[np.bool_]) -> _Floats:
    """Return Q w: what all localizations agree on, less what those of distant parts do."""
    number = np.flatnonzero(kept)
    products, count = parts.products[:, number][:, :, number], len(number)
    is_far = np.abs(np.subtract.outer(number, number)) > 1
    everything = products.mean(axis=(1, 2)) - noise / count
    far = (products * is_far).sum(axis=(1, 2)) / is_far.sum()
    return np.asarray(_over(everything - far, noise) * count)
