"""Where a Fourier ring correlation falls below its threshold, if it ever rose above it."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from cellstorm_lib.reconstruct.rings import RingSums

#: A parabola is fitted to the rings within this share of their frequency to each side.
SMOOTHING_SHARE = 0.2
SMOOTHING_RINGS = 4.0
#: A curve counts as risen when it exceeds its noise this many times somewhere before it falls.
SIGNIFICANCE = 3.5
_FIRST_RING = 2
_TRUSTED_SHARE = 0.9
_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """Where one curve falls below the threshold.

    Attributes
    ----------
    frequency_per_nm : float or None
        The first downward crossing; None when there is none.
    spread_per_nm : float
        One standard deviation of that frequency, from the noise and the slope there.
    has_risen : bool
        Whether the curve was above the threshold beyond doubt anywhere.
    """

    frequency_per_nm: float | None
    spread_per_nm: float = 0.0
    has_risen: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Smoothing:
    """Local parabolas through a curve, with the samples that each smoothed value stands for.

    The reach follows the frequency, so it depends neither on the pixel nor on the size of the
    canvas, and a curve of any resolution is smoothed alike. Parabolas, unlike means, do not
    lift a curve that falls ever more steeply.

    Attributes
    ----------
    weights : (R, R) float64
        Smoothed curve = weights @ curve.
    samples : (R,) float64
        Independent samples behind each smoothed value.
    """

    weights: _Floats
    samples: _Floats

    @classmethod
    def of(cls, sums: RingSums) -> Self:
        """Return the smoothing that suits these rings."""
        ring = np.arange(len(sums.samples), dtype=np.float64)
        reach = np.maximum(SMOOTHING_RINGS, SMOOTHING_SHARE * ring)[:, None]
        distance = (ring[None, :] - ring[:, None]) / reach
        near = np.clip(1 - distance**2, 0, None) * sums.samples
        near[:, 0] = 0  # what is left of the mean density says nothing
        moments = np.stack([(near * distance**power).sum(axis=1) for power in range(5)], axis=-1)
        normal = moments[:, np.add.outer(np.arange(3), np.arange(3))]
        first = np.linalg.inv(normal)[:, 0, :, None]
        weights = near * (first[:, 0] + first[:, 1] * distance + first[:, 2] * distance**2)
        return cls(weights=weights, samples=1 / (weights**2 @ (1 / sums.samples)))


def correlation(sums: RingSums, half: _Floats) -> _Floats:
    """Return the Fourier ring correlation of one half with the other.

    Parameters
    ----------
    sums : RingSums
        Products of G groups.
    half : (G,) float64
        1 for groups of the first half, 0 for those of the second.

    Returns
    -------
    (R,) float64
        Between -1 and 1; 0 where a half is empty.
    """
    other = 1 - half
    shared = np.einsum("rgh,g,h->r", sums.products, half, other)
    first = np.einsum("rgh,g,h->r", sums.products, half, half)
    second = np.einsum("rgh,g,h->r", sums.products, other, other)
    size = np.sqrt(np.clip(first * second, 0, None))
    return np.asarray(np.divide(shared, size, out=np.zeros_like(shared), where=size > 0))


def noise_of(curve: _Floats, samples: _Floats) -> _Floats:
    """Return the standard error of a correlation coefficient from so many samples."""
    return np.asarray((1 - curve**2) / np.sqrt(samples))


def first_crossing(
    frequency_per_nm: _Floats, curve: _Floats, samples: _Floats, threshold: float
) -> Crossing:
    """Return where a curve first falls below the threshold after it rose above it.

    Parameters
    ----------
    frequency_per_nm : (R,) float64
        Frequency of each ring.
    curve : (R,) float64
        Correlation of each ring, smoothed.
    samples : (R,) float64
        Independent samples behind each value.
    threshold : float
        As 1/7.
    """
    last = int(_TRUSTED_SHARE * len(curve))
    is_above = curve[_FIRST_RING:last] > threshold
    edges = np.flatnonzero(np.diff(is_above, prepend=False, append=False)) + _FIRST_RING
    for start, stop in edges.reshape(-1, 2):
        if (curve[start:stop] * np.sqrt(samples[start:stop])).max() < SIGNIFICANCE:
            continue
        if stop >= last:
            return Crossing(frequency_per_nm=None, has_risen=True)
        return _crossing_at(frequency_per_nm, curve, noise_of(curve, samples), threshold, int(stop))
    return Crossing(frequency_per_nm=None)


def _crossing_at(
    frequency: _Floats, curve: _Floats, noise: _Floats, threshold: float, ring: int
) -> Crossing:
    """Return the crossing between a ring below the threshold and the one before it."""
    share = (curve[ring - 1] - threshold) / (curve[ring - 1] - curve[ring])
    crossing = frequency[ring - 1] + share * (frequency[ring] - frequency[ring - 1])
    around = np.abs(frequency - crossing) <= 2 * SMOOTHING_SHARE * crossing
    around[ring - 2 : ring + 2] = True
    slope = -np.polyfit(frequency[around], curve[around], 1)[0]
    spread = noise[ring] / slope if slope > 0 else crossing
    return Crossing(
        frequency_per_nm=float(crossing),
        spread_per_nm=float(min(spread, crossing / 2)),
        has_risen=True,
    )
