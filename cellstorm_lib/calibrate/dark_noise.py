"""Offset, read noise and fixed pattern from dark frames, also where part of the values is cut off.

A dark grey value is a normal number, rounded and cut off at 0 (or higher, by some cameras): a
pixel has an offset of its own
(normal among the pixels: the fixed pattern) and reads it with noise (normal in time). Three
moments of the grey values fix the three numbers: the mean, the variance within pixels, and the
covariance between two frames of the same pixel. The expected moments are sums over whole grey
values, so neither the cut nor the rounding biases the result, and nothing like 1/12 is left
to subtract.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from cellstorm_lib.calibrate.clusters import mean_covariance
from cellstorm_lib.calibrate.pixel_statistics import Floats, PixelStatistics

_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(21)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()
#: Offset, read variance and pattern variance are solved for until a step is this small, ADU.
_CLOSE_ADU = 1e-9
_STEPS = 60
#: Least pattern at which slopes are taken, in read noises: at 0 the pattern's spread has none.
_LEAST_PATTERN = 0.05
_REACH = 8.0
_TABLE = 1000
#: Lowest level that occurs so much oftener than the next one, and in such a share of all values.
_PILE, _LEAST_PILE_SHARE = 1.5, 0.005


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DarkNoise:
    """What pixels read without light, grey values before rounding and cutting.

    Attributes
    ----------
    offset_adu : float
        Mean over the pixels.
    read_variance_adu2 : float
        Variance in time, without rounding.
    pattern_variance_adu2 : float
        Variance of the pixels' own offsets; may come out below 0 where there is no pattern.
    covariance : (3, 3) float64
        Of those three.
    cut_level : int
        Grey value below which there is none: 0, or more where the camera cuts higher.
    cut_share : float
        Share of the grey values that lie there.
    """

    offset_adu: float
    read_variance_adu2: float
    pattern_variance_adu2: float
    covariance: Floats
    cut_level: int
    cut_share: float

    @property
    def variance_adu2(self) -> float:
        """Variance in time of an uncut pixel, with rounding: where the transfer line begins."""
        return self.read_variance_adu2 + 1.0 / 12.0

    @property
    def is_cut(self) -> bool:
        """Whether the noise reaches down to where values are cut off."""
        above = self.offset_adu - self.cut_level
        return bool(above < _REACH * np.sqrt(self.total_variance_adu2))

    @property
    def total_variance_adu2(self) -> float:
        """Variance over pixels and time."""
        return self.read_variance_adu2 + max(self.pattern_variance_adu2, 0.0)


def measure_dark_noise(dark: PixelStatistics, *, is_good: npt.NDArray[np.bool_]) -> DarkNoise:
    """Return offset, read noise and fixed pattern of a dark series.

    Parameters
    ----------
    dark : PixelStatistics
        The series.
    is_good : (Y, X) bool
        Pixels to use.

    References
    ----------
    EMVA Standard 1288, Release 4.0, sec. 4 and 8, for the same moments without the cut.
    Foi et al., IEEE Trans. Image Process. 17, 1737 (2008), for clipped noise.
    doi:10.1109/TIP.2008.2001399
    """
    cut_level = _cut_level(dark)
    mean, variance = dark.pooled_mean_adu - cut_level, dark.pooled_variance_adu2
    middle = float(mean[is_good].mean())
    count = int(np.count_nonzero(is_good))
    between = np.square(mean - middle) * count / (count - 1) - variance / dark.frame_count
    moments = np.stack([mean, variance, between])
    observed = moments[:, is_good].mean(axis=1)
    error = mean_covariance(moments, is_good)
    error[0, 0] += _common_variance(dark, float(observed[1]) / count)
    numbers = _solved(observed)
    slopes = np.linalg.inv(_slopes(numbers))
    return DarkNoise(
        offset_adu=float(numbers[0]) + cut_level,
        read_variance_adu2=float(numbers[1]),
        pattern_variance_adu2=float(numbers[2]),
        covariance=slopes @ error @ slopes.T,
        cut_level=cut_level,
        cut_share=dark.share_at(cut_level),
    )


def uncut_offsets(mean_adu: Floats, noise: DarkNoise) -> Floats:
    """Return the offsets of pixels of which the dark means are known, same shape.

    Where values are cut off a dark mean lies above its offset; the relation is tabulated and
    read backwards, down to where nearly all values are cut off.
    """
    if not noise.is_cut:
        return mean_adu
    sigma = np.sqrt(noise.read_variance_adu2)
    above = mean_adu - noise.cut_level
    offsets = np.linspace(-1.5 * sigma, above.max() + sigma, _TABLE)
    means, _ = cut_moments(offsets, float(sigma))
    return np.asarray(np.interp(above, means, offsets) + noise.cut_level)


def _cut_level(dark: PixelStatistics) -> int:
    """Return the lowest grey value where values pile up on it, 0 where they do not."""
    lowest = int(np.flatnonzero(dark.levels)[0])
    is_pile = dark.levels[lowest] > _PILE * dark.levels[lowest + 1]
    return lowest if is_pile and dark.share_at(lowest) > _LEAST_PILE_SHARE else 0


def _common_variance(dark: PixelStatistics, chance: float) -> float:
    """Return how uncertain the mean is because all pixels of a frame move together.

    Taken from parts of the series, so that slow changes count in full.
    """
    parts = np.array_split(dark.frame_means_adu, min(8, dark.frame_count))
    means = np.array([part.mean() for part in parts])
    expected = chance / (dark.frame_count / len(parts))
    return max(float(means.var(ddof=1)) - expected, 0.0) / len(parts)


def _solved(observed: Floats) -> Floats:
    """Return offset, read variance and pattern variance that give the observed moments."""
    numbers = np.array([observed[0], max(observed[1] - 1 / 12, 0.05), observed[2]])
    for _ in range(_STEPS):
        change = np.linalg.solve(_slopes(numbers), observed - _moments(numbers))
        limit = 0.5 * np.sqrt(numbers[1]) * np.array([1.0, np.sqrt(numbers[1]), np.inf])
        change = np.clip(change, -limit, limit)
        numbers = numbers + change
        if np.abs(change).max() < _CLOSE_ADU * (1 + np.abs(numbers).max()):
            break
    return numbers


def _moments(numbers: Floats) -> Floats:
    """Return mean, variance within pixels and covariance between frames.

    A pattern variance below 0 is continued in a straight line, so that noise around no pattern
    has no bias.
    """
    offset, read_variance, pattern_variance = numbers
    least = _LEAST_PATTERN**2 * read_variance
    spread = np.sqrt(max(pattern_variance, least))
    means, variances = cut_moments(offset + spread * _NODES, float(np.sqrt(read_variance)))
    mean = _WEIGHTS @ means
    between = _WEIGHTS @ np.square(means - mean)
    moments = np.array([mean, _WEIGHTS @ variances, between])
    if pattern_variance < least:
        centre = cut_moments(np.array([offset]), float(np.sqrt(read_variance)))
        at_none = np.array([centre[0][0], centre[1][0], 0.0])
        moments = at_none + (moments - at_none) * pattern_variance / least
    return moments


def _slopes(numbers: Floats) -> Floats:
    """Return the derivatives of the moments, (3 moments, 3 numbers)."""
    steps = 1e-4 * np.array([np.sqrt(numbers[1]), numbers[1], numbers[1]])
    columns = [
        (_moments(numbers + step) - _moments(numbers - step)) / (2 * step.sum())
        for step in np.diag(steps)
    ]
    return np.stack(columns, axis=1)


def cut_moments(offsets: Floats, sigma: float) -> tuple[Floats, Floats]:
    """Return mean and variance of normal numbers, rounded and cut off at 0.

    Parameters
    ----------
    offsets : (K,) float64
        Means before.
    sigma : float
        Standard deviation before.
    """
    lowest = max(int(np.floor(offsets.min() - _REACH * sigma)), 0)
    highest = max(int(np.ceil(offsets.max() + _REACH * sigma)), 1) + 1
    # x = sum over levels k of [value >= k], so moments are sums of upper tails
    level = np.arange(lowest + 1, highest + 1)
    tail = ndtr((offsets[:, None] - level + 0.5) / sigma)
    mean = tail.sum(axis=1)
    square = tail @ (2.0 * (level - lowest) - 1.0)
    return lowest + mean, square - mean**2
