"""How the noise of an ordinary recording grows with the light, read off single frames.

A microscope passes no detail finer than its spots, so what alternates from pixel to pixel is
noise. The sixth difference along both axes keeps that alone: of a spot of 1.3 pixels width one
part in a thousand gets through, of one of 1 pixel one in a hundred. Its variance, taken at
pixels of like brightness, gives the noise at that level.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

_Floats = npt.NDArray[np.float64]

#: Sixth difference, of unit energy: white noise keeps its variance.
_DIFFERENCE = np.array([1.0, -6.0, 15.0, -20.0, 15.0, -6.0, 1.0]) / np.sqrt(924.0)
#: Smoothing by which pixels are sorted into levels.
_SMOOTH = np.array([1.0, 6.0, 15.0, 20.0, 15.0, 6.0, 1.0]) / 64.0
#: Half of the filters' length: the frame's edge that cannot be used.
_EDGE_PX = 3
#: Pixels over which the sixth difference is correlated with itself: so many count as one.
_CORRELATED_PX = 10.0
_LEAST_LEVEL_PX = 400
_MOST_LEVELS = 60
_BLOCK_PX = 8
#: Tenth part over the median of the variance of 8 x 8 pixels of white noise (chi-square, 63).
_EVEN_QUANTILE_RATIO = 0.785


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NoiseLevels:
    """Noise against brightness, in grey values.

    Attributes
    ----------
    mean_adu : (L,) float64
        Mean grey value of each level.
    variance_adu2 : (L,) float64
        Variance of its noise.
    pixels : (L,) float64
        Pixels of each level.
    dark_adu, median_adu : float
        The first percentile and the median of the smoothed frames.
    background_variance_adu2 : float
        Variance of the noise at the median.
    evenness : float
        How evenly the noise is spread over 8 x 8 blocks: about 1 as a camera makes it, towards
        0 where a codec kept the noise of some blocks and not of others.
    """

    mean_adu: _Floats
    variance_adu2: _Floats
    pixels: _Floats
    dark_adu: float
    median_adu: float
    background_variance_adu2: float
    evenness: float


def measure_noise_levels(frames: npt.NDArray[Any], *, saturation_adu: float) -> NoiseLevels:
    """Measure the noise of frames at each level of brightness.

    Parameters
    ----------
    frames : (N, Y, X) uint8 or uint16
        Grey values; at least 8 x 8 pixels.
    saturation_adu : float
        Grey value from which on a pixel is clipped. Surroundings of clipped pixels, also of
        those clipped at 0, are left out.

    References
    ----------
    Heintzmann et al., arXiv 1611.05654 (2016), take the noise from beyond the optical cut-off
    in Fourier space; the sixth difference is that in real space, so that levels can be told
    apart and bright spots do no harm.
    """
    grey = np.ascontiguousarray(frames, np.float32)
    noise = _inner(_filtered(grey, _DIFFERENCE))
    mean = _inner(_filtered(grey, _DIFFERENCE**2))
    level = _inner(_filtered(grey, _SMOOTH))
    usable = _is_unclipped(grey, saturation_adu)
    if np.count_nonzero(usable) < _LEAST_LEVEL_PX:
        usable = np.ones_like(usable)
    noise, mean, level = noise[usable], mean[usable], level[usable]
    median_adu, dark_adu = (float(np.percentile(level, share)) for share in (50, 1))
    middle = np.abs(level - median_adu)
    background = _variance(noise[middle <= 2 * np.median(middle)])
    edges = _level_edges(level, median_adu, np.sqrt(background) * float(np.sum(_SMOOTH**2)))
    rows = _by_level(np.digitize(level, edges), mean, noise, len(edges) + 1)
    return NoiseLevels(
        mean_adu=rows[:, 0],
        variance_adu2=rows[:, 1],
        pixels=rows[:, 2],
        dark_adu=dark_adu,
        median_adu=median_adu,
        background_variance_adu2=background,
        evenness=_evenness(grey),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseLine:
    """The straight line through noise levels: variance = slope * (mean - zero).

    Attributes
    ----------
    slope_adu : float
        Variance per grey value: grey values per photoelectron.
    slope_error_adu : float
        Standard error of the slope.
    zero_adu : float
        Grey value at which the line crosses 0: the offset less what read noise adds.
    """

    slope_adu: float
    slope_error_adu: float
    zero_adu: float


def fit_noise_line(levels: NoiseLevels) -> NoiseLine | None:
    """Fit a line to noise levels; None where there are fewer than two or it does not rise.

    Levels off the line by several standard errors lose weight (Cauchy), so that a few bright
    ones in which structure passed the filter do not tilt it. No level is trusted to better than
    3 %.
    """
    mean, variance = levels.mean_adu, levels.variance_adu2
    if len(mean) < 2 or not np.any(variance > 0):
        return None
    expected, pull = variance, np.zeros_like(variance)
    design = np.stack([mean - mean[0], np.ones_like(mean)], axis=1)
    for _ in range(12):
        expected = np.maximum(expected, 0.2 * variance[variance > 0].min())
        spread = expected * np.sqrt(2.0 * _CORRELATED_PX / levels.pixels + 0.03**2)
        weight = 1.0 / (spread * (1.0 + (pull / 3.0) ** 2)) ** 2
        normal = design.T @ (weight[:, None] * design)
        if np.linalg.cond(normal) > 1e12:
            return None
        covariance = np.linalg.inv(normal)
        slope, start = covariance @ (design.T @ (weight * variance))
        expected = design @ np.array([slope, start])
        pull = (variance - expected) / spread
    if slope <= 0:
        return None
    return NoiseLine(
        slope_adu=float(slope),
        slope_error_adu=float(np.sqrt(covariance[0, 0])),
        zero_adu=float(mean[0] - start / slope),
    )


def _filtered(grey: npt.NDArray[np.float32], taps: _Floats) -> npt.NDArray[np.float32]:
    """Return frames filtered by the same taps along both axes."""
    rows: npt.NDArray[np.float32] = ndimage.convolve1d(grey, taps, axis=1, mode="nearest")
    both: npt.NDArray[np.float32] = ndimage.convolve1d(rows, taps, axis=2, mode="nearest")
    return both


def _inner(frames: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return frames without the edge that the filters cannot fill."""
    return frames[:, _EDGE_PX:-_EDGE_PX, _EDGE_PX:-_EDGE_PX]


def _is_unclipped(grey: npt.NDArray[np.float32], saturation_adu: float) -> npt.NDArray[np.bool_]:
    """Return where no pixel around is saturated and next to none is clipped at 0."""
    brightest = ndimage.maximum_filter(grey, size=(1, 7, 7), mode="nearest")
    black = _filtered((grey <= 0).astype(np.float32), np.full(7, 1.0 / 7.0))
    is_unclipped: npt.NDArray[np.bool_] = (brightest < saturation_adu) & (black < 0.03)
    return _inner(is_unclipped)


def _variance(noise: npt.NDArray[np.float32]) -> float:
    """Return the variance without outliers beyond four standard deviations."""
    limit = 4.0 * 1.4826 * float(np.median(np.abs(noise)))
    kept = noise[np.abs(noise) <= limit] if limit > 0 else noise
    return float(np.mean(np.square(kept, dtype=np.float64)))


def _level_edges(level: npt.NDArray[np.float32], median_adu: float, spread_adu: float) -> _Floats:
    """Return the edges of the levels: one holds the background, the others are even steps.

    What noise alone spreads must be in one level: within it, bright and noisy go together for
    another reason than between levels.
    """
    step = max(4.0 * spread_adu, 0.5)
    above, below = [median_adu + 0.75 * step], [median_adu - 0.75 * step]
    highest, lowest = float(level.max()), float(level.min())
    while above[-1] < highest and len(above) < _MOST_LEVELS:
        above.append(above[-1] + max(step, 0.15 * (above[-1] - median_adu)))
    while below[-1] > lowest and len(below) < _MOST_LEVELS:
        below.append(below[-1] - step)
    return np.array(below[::-1] + above)


def _by_level(
    level: npt.NDArray[np.int64],
    mean: npt.NDArray[np.float32],
    noise: npt.NDArray[np.float32],
    count: int,
) -> _Floats:
    """Return mean, variance and pixels of each level, sparse ones joined with the next."""
    order = np.argsort(level, kind="stable")
    bounds = np.searchsorted(level[order], np.arange(count + 1))
    rows, start = [], 0
    for stop in bounds[1:]:
        if stop - start >= _LEAST_LEVEL_PX:
            members = order[start:stop]
            rows.append((float(np.mean(mean[members])), _variance(noise[members]), stop - start))
            start = int(stop)
    return np.array(rows, np.float64).reshape(-1, 3)


def _evenness(grey: npt.NDArray[np.float32]) -> float:
    """Return how evenly the noise is spread over blocks of the darker half."""
    count, height, width = grey.shape
    rows, columns = height // _BLOCK_PX, width // _BLOCK_PX
    inner = grey[:, : rows * _BLOCK_PX, : columns * _BLOCK_PX]
    blocks = inner.reshape(count, rows, _BLOCK_PX, columns, _BLOCK_PX).transpose(0, 1, 3, 2, 4)
    pixels = blocks.reshape(-1, _BLOCK_PX**2)
    mean = pixels.mean(axis=1)
    variance = pixels[mean <= np.median(mean)].var(axis=1)
    middle = float(np.median(variance))
    return float(np.quantile(variance, 0.1)) / middle / _EVEN_QUANTILE_RATIO if middle > 0 else 0.0
