"""How often noise alone makes a maximum of a given height, seen in the minima between the spots.

Molecules are bright, so what dips below the background is noise, except for the dark ring
that the band-pass draws around every bright spot. Minima far from bright maxima, counted per
area that is free of rings, are noise that hangs upside down.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit
from scipy.special import erf

from cellstorm_lib.localize.extrema import Extrema, ascending, middle_of_ascending
from cellstorm_lib.localize.filters import wavelet_band

#: Rates are stated per this area: a frame of 256 x 256 pixels.
REFERENCE_AREA_PX = 65536.0

#: A minimum counts as noise while the rings around it explain less than this share of its depth.
_RING_SHARE = 0.12
#: Maxima above this multiple of the median depth of all minima cast a ring.
_CASTS_RING = 2.0
#: Widths of the spots whose rings are avoided, pixels.
_RING_SIGMAS_PX = (1.0, 1.4, 1.9)
_RING_REACH_PX = 10
_RING_CORE_PX = 3.0
#: One pixel of so many along both axes tells how much of a frame is covered by rings.
_EVERY_PX = 3
#: The deepest minima, from which the tail beyond them is extrapolated.
_TAIL_COUNT = 30
#: Noise of few photons is skewed: maxima are higher than minima are deep, at most by this share.
_LARGEST_SKEW = 0.2
_LEAST_MINIMA = 20
_SMALLEST_RATE = 1e-5

_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NoiseFloor:
    """Maxima of noise per 256 x 256 pixels of a frame, by height.

    Attributes
    ----------
    height : (K,) float64
        Ascending heights, unit of the band.
    rate : (K,) float64
        Noise maxima of at least that height; falling.
    """

    height: _Floats
    rate: _Floats

    def rate_above(self, height: npt.ArrayLike) -> _Floats:
        """Return how many noise maxima exceed a height."""
        wanted = np.asarray(height, np.float64)
        if not len(self.height):
            return np.zeros_like(wanted)
        log_rate = np.interp(wanted, self.height, np.log(self.rate))
        return np.where(wanted > self.height[-1], 0.0, np.exp(log_rate))

    def height_of(self, rate: float) -> float:
        """Return the height that `rate` noise maxima exceed; 0 without noise."""
        if not len(self.height):
            return 0.0
        return float(np.interp(-np.log(rate), -np.log(self.rate), self.height))


def measure_noise_floor(
    maxima: Extrema, minima: Extrema, *, shape: tuple[int, int, int]
) -> NoiseFloor:
    """Measure the noise of a band-passed sample from its isolated minima.

    Parameters
    ----------
    maxima, minima : Extrema
        All of the sample.
    shape : (int, int, int)
        Frames, rows and columns of the sample.

    Returns
    -------
    NoiseFloor
        Without entries when there are too few minima to speak of noise.
    """
    margin = min(_RING_REACH_PX, min(shape[1:]) // 8) + 1
    minima = minima.chosen(_inside(minima, shape, margin))
    if len(minima) < _LEAST_MINIMA:
        return NoiseFloor(height=np.empty(0), rate=np.empty(0))
    depth, weight = _isolated(maxima, minima, shape, margin)
    per_frame = REFERENCE_AREA_PX / _area_px(shape, margin) / shape[0]
    depth, rate = _with_tail(depth, np.cumsum(weight) * per_frame)
    tops = np.sort(maxima.height[_inside(maxima, shape, margin)].astype(np.float64))[::-1]
    growth = _skew(depth, rate, tops, per_frame)
    height = depth * (1.0 + np.minimum(growth * depth, _LARGEST_SKEW))
    return NoiseFloor(height=height[::-1].copy(), rate=rate[::-1].copy())


def _inside(extrema: Extrema, shape: tuple[int, int, int], margin: int) -> npt.NDArray[np.bool_]:
    """Return which lie away from the edge, beyond which spots cast rings unseen."""
    is_inside = (extrema.row >= margin) & (extrema.row < shape[1] - margin)
    return is_inside & (extrema.column >= margin) & (extrema.column < shape[2] - margin)


def _area_px(shape: tuple[int, int, int], margin: int) -> float:
    """Return the pixels of a frame away from the edge."""
    return float(max(shape[1] - 2 * margin, 1) * max(shape[2] - 2 * margin, 1))


def _isolated(
    maxima: Extrema, minima: Extrema, shape: tuple[int, int, int], margin: int
) -> tuple[_Floats, _Floats]:
    """Return the depths of minima away from rings, deepest first, each with its weight."""
    order = ascending(minima.height)
    depth = minima.height[order]
    casting = maxima.chosen(maxima.height > _CASTS_RING * middle_of_ascending(depth))
    frames = np.arange(shape[0] + 1, dtype=np.int32)
    at_minima = np.empty(len(minima), np.float32)
    field = np.empty(
        shape[0] * (shape[1] // _EVERY_PX + 1) * (shape[2] // _EVERY_PX + 1), np.float32
    )
    seen, ringed = _rings(
        (casting.row, casting.column, np.searchsorted(casting.index, frames)),
        casting.height,
        (minima.row, minima.column, np.searchsorted(minima.index, frames)),
        _ring_kernel(),
        np.empty(shape[1:], np.float32),
        (margin, _EVERY_PX),
        at_minima,
        field,
    )
    ringed_field = np.sort(field[:ringed])
    at_minima = at_minima[order]
    allowed = _RING_SHARE * depth
    free = (seen - ringed + _counts_within(ringed_field, allowed)) / seen
    is_isolated = (at_minima < allowed) & (free > 0.02)
    if is_isolated.sum() < _LEAST_MINIMA:
        is_isolated, free = np.ones(len(minima), np.bool_), np.ones(len(minima))
    deepest_first = np.flatnonzero(is_isolated)[::-1]
    return depth[deepest_first].astype(np.float64), 1.0 / free[deepest_first]


def _with_tail(depth: _Floats, rate: _Floats) -> tuple[_Floats, _Floats]:
    """Replace the few deepest minima by the exponential they follow; deepest first."""
    count = min(_TAIL_COUNT, max(len(depth) // 4, 1))
    edge = depth[count]
    scale = max(float(np.mean(depth[:count] - edge)), 1e-6 * edge)
    tail_rate = np.geomspace(_SMALLEST_RATE, rate[count], 64, endpoint=False)
    tail_rate = tail_rate[tail_rate < rate[count]]
    tail = edge + scale * np.log(rate[count] / tail_rate)
    return np.concatenate([tail, depth[count:]]), np.concatenate([tail_rate, rate[count:]])


def _skew(depth: _Floats, rate: _Floats, tops: _Floats, per_frame: float) -> float:
    """Return by how much maxima exceed minima of the same rate, per unit of depth.

    Poisson noise has a heavier bright side; to first order (Cornish and Fisher) the excess grows
    with the square of the height. It is read off where noise outnumbers the spots, the count of
    spots being what lies above all noise.
    """
    quiet = float(np.interp(np.log(0.5), np.log(rate), depth))
    spots = max(float(np.count_nonzero(tops >= 1.1 * quiet)) * per_frame - 0.5, 0.0)
    rates = np.geomspace(max(10.0, 0.5 * spots, 5 * per_frame), 400.0, 12)
    rates = rates[(rates < rate[-1]) & (rates + spots < len(tops) * per_frame)]
    if len(rates) < 4:
        return 0.0
    down = np.interp(np.log(rates), np.log(rate), depth)
    rank = np.arange(1, len(tops) + 1) * per_frame
    up = np.interp(rates + spots, rank, tops)
    return float(np.clip(np.median((up / down - 1.0) / down), 0.0, 0.12 / np.median(down)))


@cache
def _ring_kernel() -> npt.NDArray[np.float32]:
    """Return how deep the ring of a spot of height 1 may be around it; 1 in its middle."""
    reach = _RING_REACH_PX
    edges = np.arange(-2.0 * reach - 0.5, 2.0 * reach + 1.0)
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    for sigma_px in _RING_SIGMAS_PX:
        share = np.diff(0.5 * erf(edges / (np.sqrt(2.0) * sigma_px)))
        band = wavelet_band(np.outer(share, share))[reach:-reach, reach:-reach]
        kernel = np.maximum(kernel, -band / band[reach, reach])
    offset = np.arange(-reach, reach + 1)
    kernel[np.hypot(offset[:, None], offset) <= _RING_CORE_PX] = 1.0
    return kernel


@njit(cache=True, nogil=True)
def _cast(rows: Any, columns: Any, heights: Any, kernel: Any, ring: Any) -> None:
    """Add the rings of all spots to an image."""
    reach = kernel.shape[0] // 2
    for i in range(len(rows)):
        left, right = max(0, columns[i] - reach), min(ring.shape[1], columns[i] + reach + 1)
        from_left = left - columns[i] + reach
        for y in range(max(0, rows[i] - reach), min(ring.shape[0], rows[i] + reach + 1)):
            line, shape = ring[y, left:right], kernel[y - rows[i] + reach, from_left:]
            for x in range(right - left):
                line[x] += heights[i] * shape[x]


@njit(cache=True, nogil=True)
def _rings(
    casting: Any,
    heights: Any,
    minima: Any,
    kernel: Any,
    ring: Any,
    grid: Any,
    at_minima: Any,
    field: Any,
) -> Any:
    """Write the rings at all minima, and those of a grid of pixels that are above 0.

    Returns how many pixels of the grid there are, and how many of them are above 0.
    """
    rows, columns, starts = casting
    minima_rows, minima_columns, minima_starts = minima
    margin, every = grid
    height, width = ring.shape
    seen, ringed = 0, 0
    for k in range(len(starts) - 1):
        ring[:] = np.float32(0.0)
        first, last = starts[k], starts[k + 1]
        _cast(rows[first:last], columns[first:last], heights[first:last], kernel, ring)
        for i in range(minima_starts[k], minima_starts[k + 1]):
            at_minima[i] = ring[minima_rows[i], minima_columns[i]]
        for y in range(margin, height - margin, every):
            for x in range(margin + k % every, width - margin, every):
                field[ringed] = ring[y, x]
                ringed += ring[y, x] > 0
                seen += 1
    return seen, ringed


@njit(cache=True, nogil=True)
def _counts_within(values: Any, limits: Any) -> Any:
    """Return how many values do not exceed each limit, both ascending."""
    counts = np.empty(len(limits), np.int64)
    place = 0
    for i in range(len(limits)):
        while place < len(values) and values[place] <= limits[i]:
            place += 1
        counts[i] = place
    return counts
