"""Whether a bright series shows the same picture throughout, as photon transfer needs it.

A lamp that changes is harmless: every pixel follows its frame's mean, and that is taken out. What
moves or shakes adds variance that is not photon noise.
"""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from cellstorm_lib.calibrate.pixel_statistics import NEIGHBOURS, Floats, PixelStatistics
from cellstorm_lib.calibrate.transfer_bins import Indices, Mask, bin_of

_BLOCK_PX = 8
#: Blocks whose parts of the series differ by so many times what noise explains have changed.
_CHANGED = 2.0
_CERTAIN = 5.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Steadiness:
    """How steady a series was.

    Attributes
    ----------
    light_change : float
        Largest minus smallest mean of a frame, as a share of the mean signal; what noise explains
        is taken off.
    is_moving : (Y, X) bool
        Pixels of 8 x 8 blocks that changed in the course of the series.
    slow_share : float
        Share of the variance that slow changes of the whole picture add; 0 within noise.
    """

    light_change: float
    is_moving: Mask
    slow_share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Shaking:
    """How much a picture shook: displacement per axis, RMS, and its share of the variance."""

    displacement_px: float
    share: float


def measure_steadiness(bright: PixelStatistics, dark_adu: Floats, *, is_good: Mask) -> Steadiness:
    """Compare the parts of a series, each pixel with itself.

    Parameters
    ----------
    bright : PixelStatistics
        The series.
    dark_adu : (Y, X) float64
        Offset of each pixel.
    is_good : (Y, X) bool
        Pixels to use.
    """
    counts = bright.part_counts
    variance = bright.pooled_variance_adu2
    away = bright.part_means_adu - np.tensordot(counts / counts.sum(), bright.part_means_adu, 1)
    between = np.tensordot(counts.astype(np.float64), np.square(away), 1) / (len(counts) - 1)
    ratio = np.where(is_good & (variance > 0), between / np.maximum(variance, 1e-12), np.nan)
    blocks = _block_medians(ratio) / stats.f.ppf(0.5, len(counts) - 1, bright.freedom)
    has_changed = blocks > _CHANGED
    rows, columns = is_good.shape
    wide = np.kron(has_changed, np.ones((_BLOCK_PX, _BLOCK_PX), bool))[:rows, :columns]
    still = blocks[~has_changed & np.isfinite(blocks)]
    slow = 0.0
    if len(still):
        excess = float(still.mean()) - 1.0
        chance = float(still.std()) / np.sqrt(len(still))
        slow = excess if excess > _CERTAIN * chance else 0.0
    return Steadiness(
        light_change=_light_change(bright, dark_adu, is_good),
        is_moving=wide,
        slow_share=slow * (len(counts) - 1) / (bright.frame_count - 1),
    )


def measure_shaking(
    bright: PixelStatistics, dark_adu: Floats, *, is_good: Mask, below_adu: float
) -> Shaking:
    """Compare the variances of pixels of like signal on slopes and on even ground.

    A picture displaced by d pixels changes a pixel by d times its slope; noise does not know
    about slopes.

    Parameters
    ----------
    bright : PixelStatistics
        The series.
    dark_adu : (Y, X) float64
        Offset of each pixel.
    is_good : (Y, X) bool
        Pixels to use; those beside others are not.
    below_adu : float
        Signal up to which the camera is linear.
    """
    signal = bright.pooled_mean_adu - dark_adu
    rise = np.square(np.gradient(signal, axis=0)) + np.square(np.gradient(signal, axis=1))
    use = is_good & (signal < below_adu) & (bright.pooled_variance_adu2 > 0)
    use[[0, -1]] = use[:, [0, -1]] = False
    signal, rise, variance = signal[use], rise[use], bright.pooled_variance_adu2[use]
    if not len(signal):
        return Shaking(displacement_px=0.0, share=0.0)
    index = bin_of(signal, signal)
    pixels = np.bincount(index)
    typical = (np.bincount(index, variance) / pixels)[index]
    steep = _less_its_line(rise, signal, index)
    weight = bright.freedom / (2.0 * np.square(typical))
    energy = float(weight @ np.square(steep))
    square = float(weight @ (steep * _less_its_line(variance, signal, index)))
    square /= max(energy, 1e-300)
    is_certain = square * np.sqrt(energy) > _CERTAIN
    return Shaking(
        displacement_px=float(np.sqrt(square)) if is_certain else 0.0,
        share=square * float(rise.sum() / variance.sum()) if is_certain else 0.0,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseMemory:
    """How far noise goes together; each a correlation, 0 within what chance explains.

    Attributes
    ----------
    along_x, along_y : float
        Of neighbours in a row and in a column.
    in_time : float
        Of a pixel with itself in the frame before.
    """

    along_x: float
    along_y: float
    in_time: float


def measure_memory(series: PixelStatistics, *, is_good: Mask) -> NoiseMemory:
    """Return how far the noise of a pixel goes together with that of others.

    Shot noise and read noise of two pixels, or of two frames, have nothing in common; what has
    was smoothed after it was made, so that its variance no longer counts electrons.

    Parameters
    ----------
    series : PixelStatistics
        Of a picture that does not move.
    is_good : (Y, X) bool
        Pixels to use.
    """
    deviation = np.sqrt(series.pooled_variance_adu2)
    found = []
    itself = np.s_[:, :]
    for (here, other), slack, covariance_adu2 in zip(
        (*NEIGHBOURS, (itself, itself)),
        # mean and course, which are taken out, hold a share of 1/n of both frames of a pair
        (0.0, 0.0, 2.0 / series.frame_count),
        series.covariance_adu2,
        strict=True,
    ):
        pair = is_good[here] & is_good[other]
        both = (deviation[here] * deviation[other])[pair]
        covariance = covariance_adu2[here][pair]
        share = float((covariance / np.maximum(both, 1e-12)).mean()) if pair.any() else 0.0
        chance = 1.0 / np.sqrt(max(np.count_nonzero(pair) * series.freedom, 1.0))
        found.append(share if abs(share) > _CERTAIN * chance + slack else 0.0)
    return NoiseMemory(along_x=found[0], along_y=found[1], in_time=found[2])


def _less_its_line(values: Floats, signal: Floats, index: Indices) -> Floats:
    """Return what of the values a straight line in the signal, bin by bin, does not explain.

    Pixels of a steep place may be the brighter ones of their bin: what the light explains must
    not count as shaking.
    """
    pixels = np.bincount(index)
    across = signal - (np.bincount(index, signal) / pixels)[index]
    rest = np.asarray(values - (np.bincount(index, values) / pixels)[index])
    width = np.maximum(np.bincount(index, np.square(across)), 1e-300)
    return np.asarray(rest - (np.bincount(index, across * rest) / width)[index] * across)


def _light_change(bright: PixelStatistics, dark_adu: Floats, is_good: Mask) -> float:
    """Return how much the light changed, beyond what noise explains."""
    signal = float((bright.pooled_mean_adu - dark_adu)[is_good].mean())
    noise = np.sqrt(float(bright.pooled_variance_adu2[is_good].mean()) / is_good.size)
    span = float(np.ptp(bright.frame_means_adu))
    return float(max(span - 2.0 * _CERTAIN * noise, 0.0) / max(signal, 1e-12))


def _block_medians(values: Floats) -> Floats:
    """Return the medians of 8 x 8 blocks; NaN where a block has no value."""
    rows, columns = (-(-length // _BLOCK_PX) for length in values.shape)
    padded = np.full((rows * _BLOCK_PX, columns * _BLOCK_PX), np.nan)
    padded[: values.shape[0], : values.shape[1]] = values
    blocks = padded.reshape(rows, _BLOCK_PX, columns, _BLOCK_PX).swapaxes(1, 2)
    flat = np.sort(blocks.reshape(rows, columns, -1), axis=-1)  # NaN last
    count = np.isfinite(flat).sum(axis=-1)
    middle = np.maximum(count - 1, 0) // 2
    return np.asarray(np.take_along_axis(flat, middle[..., None], axis=-1)[..., 0])
