"""The photon transfer curve: pixels sorted by the light they get, their noise bin by bin."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cellstorm_lib.calibrate.pixel_statistics import Floats, PixelStatistics

_BIN_COUNT = 400
_LEAST_PIXELS = 64
#: Pixels whose variance is off their bin's by so many standard deviations are left out.
_OUTLIER_DEVIATIONS = 5.0
_MAD_TO_DEVIATION = 1.4826

Indices = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TransferBins:
    """Signal and noise of pixels that get like amounts of light, in order of the signal.

    Attributes
    ----------
    signal_adu : (B,) float64
        Mean grey value above that of the same pixels in the dark.
    variance_adu2 : (B,) float64
        Mean variance in time.
    relative_error : (B,) float64
        Standard error of the variance, as a share of it.
    pixel_count : (B,) int64
        Pixels; those of several series count in each.
    """

    signal_adu: Floats
    variance_adu2: Floats
    relative_error: Floats
    pixel_count: npt.NDArray[np.int64]


def sort_into_bins(
    bright: Sequence[PixelStatistics], dark_adu: Floats, *, is_good: Sequence[Mask]
) -> TransferBins:
    """Sort the pixels of all bright series by signal; average signal and variance.

    Parameters
    ----------
    bright : sequence of PixelStatistics
        A ladder of evenly lit series, or one series of an object with bright and dark places.
    dark_adu : (2, Y, X) float64
        Offset of each pixel, from each half of the dark frames.
    is_good : sequence of (Y, X) bool
        Pixels to use, for each series.

    Returns
    -------
    TransferBins
        Bins are equally wide in the square root of the signal, that is, in shot noise.

    Notes
    -----
    Pixels are sorted by their signal in one half of the frames and measured in the other, each
    half once, so that mean and variance of a bin are free of the errors they were sorted by.
    """
    pairs = list(zip(bright, is_good, strict=True))
    signal = np.concatenate([(s.mean_adu - dark_adu)[:, good] for s, good in pairs], axis=1)
    variance = np.concatenate([s.variance_adu2[:, good] for s, good in pairs], axis=1)
    index = bin_of(signal.mean(axis=0), signal)
    count = index.max() + 1
    rows = np.zeros((4, count))
    for sorted_by, measured in ((0, 1), (1, 0)):
        of = index[sorted_by]
        rows[0] += np.bincount(of, minlength=count)
        for row, values in enumerate(
            (signal[measured], variance[measured], np.square(variance[measured])), start=1
        ):
            rows[row] += np.bincount(of, values, count)
    pixels, signals, variances, squares = rows[:, rows[0] > 0]
    mean_variance = variances / pixels
    freedom = np.mean([min(s.frame_counts) - 2 for s in bright])
    expected = np.sqrt(2.0 / freedom)
    spread = np.sqrt(np.maximum(squares / pixels - mean_variance**2, 0.0))
    ratio = np.median(spread / np.maximum(mean_variance, 1e-12)) / expected
    return TransferBins(
        signal_adu=signals / pixels,
        variance_adu2=mean_variance,
        relative_error=expected * max(float(ratio), 1.0) / np.sqrt(pixels),
        pixel_count=(pixels / 2).astype(np.int64),
    )


def is_like_its_bin(bright: PixelStatistics, dark_adu: Floats, *, is_good: Mask) -> Mask:
    """Return which pixels vary as others of like signal do, (Y, X).

    Telegraph noise, cosmic particles and anything else that comes and goes give a pixel more
    variance than chance allows: 5 standard deviations of the cube root of the variance, which
    is nearly normal (Wilson and Hilferty), or of its spread over the pixels where that is wider.
    """
    signal = bright.pooled_mean_adu - dark_adu.mean(axis=0)
    root = np.cbrt(bright.pooled_variance_adu2)
    result = np.zeros_like(is_good)
    index = bin_of(signal[is_good], signal[is_good])
    result[is_good] = ~_is_off(root[is_good], index, np.sqrt(2.0 / (9.0 * bright.freedom)))
    return result


def is_usual(values: Floats) -> Mask:
    """Return which values lie within 5 robust standard deviations of their median."""
    flat = values.reshape(-1)
    middle = np.median(flat)
    deviation = _MAD_TO_DEVIATION * np.median(np.abs(flat - middle))
    return np.asarray(np.abs(values - middle) <= _OUTLIER_DEVIATIONS * max(deviation, 1e-9))


def _is_off(values: Floats, index: Indices, relative_deviation: float) -> Mask:
    """Return which values are far from the median of their bin."""
    order = np.argsort(index, kind="stable")
    borders = np.flatnonzero(np.diff(index[order])) + 1
    is_off = np.zeros(len(values), bool)
    for own in np.split(order, borders):
        middle = np.median(values[own])
        away = np.abs(values[own] - middle)
        deviation = max(_MAD_TO_DEVIATION * np.median(away), relative_deviation * middle)
        is_off[own] = away > _OUTLIER_DEVIATIONS * deviation
    return is_off


def bin_of(spread: Floats, signal: Floats) -> Indices:
    """Return the bin of each signal; bins follow `spread` and hold some pixels each."""
    ordered = np.sort(spread)
    low, high = float(ordered[0]), float(ordered[-1])
    edges = low + np.square(np.linspace(0.0, np.sqrt(max(high - low, 1e-9)), _BIN_COUNT + 1))
    ranks = np.searchsorted(ordered, edges[1:-1])
    kept, last = [], 0
    for edge, rank in zip(edges[1:-1], ranks, strict=True):
        if rank - last >= _LEAST_PIXELS and len(ordered) - rank >= _LEAST_PIXELS:
            kept.append(edge)
            last = rank
    return np.digitize(signal, np.array(kept))
