"""Offset, read variance and gain of every single pixel, as far as the frames can tell."""

from collections.abc import Mapping, Sequence

import numpy as np

from cellstorm_lib.calibrate.dark_noise import DarkNoise, cut_moments, uncut_offsets
from cellstorm_lib.calibrate.pixel_statistics import (
    Floats,
    PixelStatistics,
    merged,
    read_statistics,
)
from cellstorm_lib.calibrate.plane_transfer import CLEAR_OF_CUT, PlaneTransfer
from cellstorm_lib.calibrate.planes import planes_of
from cellstorm_lib.pixel_maps import PixelMaps
from cellstorm_lib.progress import Progress, in_parts
from cellstorm_lib.recording import FrameSource

_LEAST_LEVELS = 2
_TABLE = 1000
#: Pixels that differ from the usual by so many standard errors keep their own value.
_UNLIKE_OTHERS = 5.0
#: A pixel's gain is given within this factor of the camera's.
_MOST_UNLIKE = 4.0
_MAD_TO_DEVIATION = 1.4826


def measure_maps(
    bright: Sequence[FrameSource],
    dark: Sequence[FrameSource],
    found: Mapping[str, PlaneTransfer],
    *,
    progress: Progress | None = None,
) -> tuple[PixelMaps, list[str]]:
    """Measure what differs from pixel to pixel, over the whole region that is read.

    Every map is drawn towards the camera's own number by as much as chance explains the spread
    of its pixels (empirical Bayes), so that it is useful with 100 frames and is each pixel's own
    measurement with thousands. Pixels far from the usual keep theirs.

    Parameters
    ----------
    bright, dark : sequence of FrameSource
        The series; they are read once more, whole.
    found : mapping of str to PlaneTransfer
        The camera.
    progress : callable, optional
        Called with what is done and the whole.

    Returns
    -------
    (PixelMaps, list of str)
        Offset and read variance; with two bright series or more also the gain. Remarks.

    References
    ----------
    Huang et al., Nat. Methods 10, 653 (2013), Supplement 2. doi:10.1038/nmeth.2488
    """
    roi = bright[0].facts.roi
    planes = planes_of(bright[0].facts, most_pixels=None)
    wants_gain = len(bright) >= _LEAST_LEVELS
    shape = (roi.height_px, roi.width_px)
    offset, read_variance, slope = (np.zeros(shape, np.float32) for _ in range(3))
    lit = bright if wants_gain else ()
    told = in_parts(progress, *(float(source.facts.frame_count) for source in (*dark, *lit)))
    still = [
        read_statistics(source, planes=planes, progress=part)
        for source, part in zip(dark, told[: len(dark)], strict=True)
    ]
    darks = {name: merged([series[name] for series in still]) for name in planes}
    sums = {name: np.zeros((2, *plane.is_seam.shape)) for name, plane in planes.items()}
    offsets, variances = {}, {}
    for name, plane in planes.items():
        place = np.ix_(plane.rows, plane.columns)
        offsets[name], variances[name] = _dark_maps(darks[name], found[name].noise)
        offset[place] = offsets[name]
        read_variance[place] = variances[name] / found[name].line.slope_adu ** 2
    for source, part in zip(lit, told[len(dark) :], strict=True):
        for name, series in read_statistics(source, planes=planes, progress=part).items():
            sums[name] += _slope_sums(series, offsets[name], variances[name], found[name])
    for name, plane in planes.items():
        slope[np.ix_(plane.rows, plane.columns)] = _slopes(sums[name], found[name])
    maps = PixelMaps(
        offset_adu=offset,
        read_variance_e2=read_variance,
        gain_e_per_adu=(1.0 / slope).astype(np.float32) if wants_gain else None,
    )
    remark = "there is no map of the gain, which needs bright series of two levels or more"
    return maps, [] if wants_gain else [remark]


def _dark_maps(dark: PixelStatistics, noise: DarkNoise) -> tuple[Floats, Floats]:
    """Return each pixel's offset and read variance, in grey values, as they are before the cut."""
    offset = uncut_offsets(dark.pooled_mean_adu, noise)
    sigma = float(np.sqrt(noise.read_variance_adu2))
    above = offset - noise.cut_level
    table = np.linspace(above.min(), above.max() + sigma, _TABLE)
    _, seen = cut_moments(table, sigma)
    variance = dark.pooled_variance_adu2 * noise.read_variance_adu2 / np.interp(above, table, seen)
    root = np.cbrt(variance)
    usual = float(np.median(root))
    root = _drawn(root, usual, usual * np.sqrt(2.0 / (9.0 * dark.freedom)))
    offset = _drawn(offset, float(np.median(offset)), sigma / np.sqrt(dark.frame_count))
    return offset, root**3


def _slope_sums(
    bright: PixelStatistics, offset: Floats, read_variance: Floats, found: PlaneTransfer
) -> Floats:
    """Return weighted sums of signal * added variance and signal^2, (2, Y, X)."""
    signal = bright.pooled_mean_adu - offset
    dark_variance = read_variance + 1.0 / 12.0
    expected = dark_variance + found.line.slope_adu * np.maximum(signal, 0.0)
    weight = bright.freedom / (2.0 * np.square(expected))
    above = bright.pooled_mean_adu - found.noise.cut_level
    is_clear = (above > CLEAR_OF_CUT * np.sqrt(expected)) | (not found.noise.is_cut)
    weight[~is_clear | (signal <= 0) | (signal > found.safe_signal_adu)] = 0.0
    added = bright.pooled_variance_adu2 - dark_variance
    return np.stack([weight * signal * added, weight * np.square(signal)])


def _slopes(sums: Floats, found: PlaneTransfer) -> Floats:
    """Return each pixel's grey values per electron."""
    usual = found.line.slope_adu
    measured = np.where(sums[1] > 0, sums[0] / np.maximum(sums[1], 1e-300), usual)
    error = np.where(sums[1] > 0, 1.0 / np.sqrt(np.maximum(sums[1], 1e-300)), usual)
    return np.clip(_drawn(measured, usual, error), usual / _MOST_UNLIKE, usual * _MOST_UNLIKE)


def _drawn(values: Floats, usual: float, error: Floats | float) -> Floats:
    """Return values drawn towards the usual one by the share of their spread that is chance."""
    away = values - usual
    spread = (_MAD_TO_DEVIATION * float(np.median(np.abs(away)))) ** 2
    chance = np.square(error)
    true = max(spread - float(np.median(chance)), 0.0)
    kept = true / (true + chance)
    is_unlike = np.abs(away) > _UNLIKE_OTHERS * np.sqrt(true + chance)
    return np.asarray(usual + away * np.where(is_unlike, 1.0, kept))
