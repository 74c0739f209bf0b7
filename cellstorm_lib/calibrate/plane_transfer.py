"""Photon transfer of one plane: from what its pixels did to the numbers of the camera."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cellstorm_lib.calibrate.dark_noise import DarkNoise, measure_dark_noise, uncut_offsets
from cellstorm_lib.calibrate.estimates import Estimate, estimate, inverse, root
from cellstorm_lib.calibrate.linear_range import Bend, find_bend, saturation_level
from cellstorm_lib.calibrate.pixel_statistics import Floats, PixelStatistics
from cellstorm_lib.calibrate.plane_remarks import dark_remarks, outlier_remarks
from cellstorm_lib.calibrate.response_spread import measure_response_spread
from cellstorm_lib.calibrate.steadiness import (
    measure_memory,
    measure_shaking,
    measure_steadiness,
)
from cellstorm_lib.calibrate.transfer_bins import (
    Mask,
    TransferBins,
    is_like_its_bin,
    is_usual,
    sort_into_bins,
)
from cellstorm_lib.calibrate.transfer_line import TransferLine, fit_line
from cellstorm_lib.errors import CalibrationError

#: Distance from the cut, in standard deviations, at which a bin's variance is untouched by it.
CLEAR_OF_CUT = 3.5
_LEAST_BINS = 2
_WORST_SLOPE_ERROR = 0.2
#: Shares of a series' pixels that may change, and of its variance that may come from movement.
_MOST_MOVING, _MOST_SHAKING = 0.005, 0.01
_NOTABLE_LIGHT_CHANGE = 0.005
#: A correlation of 0.05 with all four neighbours is about a tenth of the variance smoothed away.
_MOST_CORRELATION = 0.05


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlaneTransfer:
    """What photon transfer found for one plane.

    Attributes
    ----------
    numbers : mapping of str to Estimate
        By the names of `CameraCalibration`.
    noise : DarkNoise
        The dark series.
    bins : TransferBins
        The curve.
    line : TransferLine
        Its foot.
    bend : Bend
        Where it leaves the line.
    remarks : tuple of str
        What a reader should know.
    """

    numbers: Mapping[str, Estimate]
    noise: DarkNoise
    bins: TransferBins
    line: TransferLine
    bend: Bend
    remarks: tuple[str, ...]

    @property
    def is_linear(self) -> Mask:
        """Which bins lie in the linear range, clear of the cut in the dark."""
        return _is_clear(self.bins, self.noise) & (self.bins.signal_adu <= self.bend.signal_adu)

    @property
    def safe_signal_adu(self) -> float:
        """Mean signal up to which a pixel's noise stays within the linear range."""
        return _safe_signal(self.line, self.bend)


def measure_plane(
    bright: Sequence[PixelStatistics],
    dark: PixelStatistics,
    *,
    is_seam: Mask,
    bend_share: float,
    top_adu: float,
) -> PlaneTransfer:
    """Measure one plane.

    Parameters
    ----------
    bright : sequence of PixelStatistics
        The bright series.
    dark : PixelStatistics
        The dark series.
    is_seam : (Y, X) bool
        Pixels whose neighbours are not neighbours on the sensor.
    bend_share : float
        Departure from the line that ends the linear range.
    top_adu : float
        Largest grey value the frames could hold.

    Raises
    ------
    CalibrationError
        When an object moves or shakes, the noise was smoothed, or the bright series are not
        brighter than the dark one.
    """
    is_good = is_usual(dark.pooled_mean_adu) & is_usual(np.cbrt(dark.pooled_variance_adu2))
    noise = measure_dark_noise(dark, is_good=is_good)
    dark_adu = uncut_offsets(dark.mean_adu, noise)
    remarks = [*dark_remarks(dark, noise, is_good)]
    mean_dark = dark_adu.mean(axis=0)
    steady = []
    for series in bright:
        is_still, said = _steady_pixels(series, mean_dark, is_good)
        steady.append(is_still)
        remarks += said
    usable = [
        is_like_its_bin(series, dark_adu, is_good=is_still)
        for series, is_still in zip(bright, steady, strict=True)
    ]
    bins = sort_into_bins(bright, dark_adu, is_good=usable)
    line = _foot(bright, bins, noise)
    bend = find_bend(bins, line, share=bend_share)
    safe_adu = _safe_signal(line, bend)
    for series, good, is_still in zip(bright, usable, steady, strict=True):
        remarks += outlier_remarks(series, is_still & ~good, mean_dark + safe_adu)
        _refuse_shaking(series, mean_dark, good & ~is_seam, safe_adu)
        _refuse_smoothed(series, good & ~is_seam & (series.pooled_mean_adu < mean_dark + safe_adu))
    spread = measure_response_spread(
        bright, dark, mean_dark, is_good=usable, is_seam=is_seam, below_adu=safe_adu
    )
    levels = np.stack([series.levels for series in bright]).sum(axis=0)
    linear_from, linear_to, said = _linear_range(noise, bend, levels, top_adu)
    remarks += said
    if not line.holds_dark:
        remarks.append(
            "the variance of the dark frames does not lie on the line of the bright ones; the gain "
            "is from these alone, and the dark frames may have been processed"
        )
    slope = estimate(line.slope_adu, line.slope_error_adu)
    numbers = {
        "offset_adu": estimate(noise.offset_adu, float(np.sqrt(noise.covariance[0, 0]))),
        "gain_e_per_adu": inverse(slope),
        "read_noise_e": _electrons(noise.read_variance_adu2, noise.covariance[1, 1], slope),
        "fixed_pattern_e": _electrons(noise.pattern_variance_adu2, noise.covariance[2, 2], slope),
        "linear_from_adu": linear_from,
        "linear_to_adu": linear_to,
    }
    if spread is None:
        remarks.append("the light does not suffice to measure how unequally the pixels respond")
    else:
        numbers["gain_spread"] = root(spread.variance, spread.error)
    return PlaneTransfer(
        numbers=numbers, noise=noise, bins=bins, line=line, bend=bend, remarks=tuple(remarks)
    )


def _foot(bright: Sequence[PixelStatistics], bins: TransferBins, noise: DarkNoise) -> TransferLine:
    """Fit the line; raise when nothing rises."""
    is_clear = _is_clear(bins, noise)
    names = ", ".join(series.name for series in bright)
    if np.count_nonzero(is_clear) < _LEAST_BINS:
        raise CalibrationError(
            f"{names} is hardly brighter than the dark frames; record the bright series with more "
            "light"
        )
    line = fit_line(
        bins,
        is_usable=is_clear,
        dark_variance_adu2=noise.variance_adu2,
        dark_error_adu2=float(np.sqrt(noise.covariance[1, 1])),
    )
    if not line.slope_error_adu < _WORST_SLOPE_ERROR * line.slope_adu:
        raise CalibrationError(
            f"the noise of {names} does not grow with the light (grey values per electron come out "
            f"as {line.slope_adu:.2g} +- {line.slope_error_adu:.2g}); record with more light, and "
            "with denoising switched off"
        )
    return line


def _safe_signal(line: TransferLine, bend: Bend) -> float:
    """Return the mean signal up to which noise stays within the linear range."""
    if not bend.is_found:
        return np.inf
    noise_adu = float(np.sqrt(line.line(np.array(bend.signal_adu))))
    return max(bend.signal_adu - CLEAR_OF_CUT * noise_adu, 0.5 * bend.signal_adu)


def _is_clear(bins: TransferBins, noise: DarkNoise) -> Mask:
    """Return which bins the cut at the dark end does not touch."""
    if not noise.is_cut:
        return np.ones(len(bins.signal_adu), bool)
    above = bins.signal_adu + noise.offset_adu - noise.cut_level
    return np.asarray(above > CLEAR_OF_CUT * np.sqrt(bins.variance_adu2))


def _steady_pixels(
    series: PixelStatistics, dark_adu: Floats, is_good: Mask
) -> tuple[Mask, list[str]]:
    """Return the pixels that stay the same, and remarks; raise when the picture does not."""
    steadiness = measure_steadiness(series, dark_adu, is_good=is_good)
    share = float(steadiness.is_moving.mean())
    if share > _MOST_MOVING or steadiness.slow_share > _MOST_SHAKING:
        what = (
            f"changes in {share:.1%} of its area" if share > _MOST_MOVING else
            f"changes slowly, which adds {steadiness.slow_share:.1%} to the variance"
        )  # fmt: skip
        raise CalibrationError(
            f"the picture of {series.name} {what} while it is recorded, so something moves; record "
            "an object and a lamp that stay as they are"
        )
    remarks = []
    if share > 0:
        remarks.append(f"{series.name}: {share:.2%} of the area changed and was left out")
    if steadiness.light_change > _NOTABLE_LIGHT_CHANGE:
        remarks.append(
            f"{series.name}: the light changed by up to {steadiness.light_change:.1%}, which was "
            "taken out frame by frame"
        )
    return is_good & ~steadiness.is_moving, remarks


def _refuse_shaking(
    series: PixelStatistics, dark_adu: Floats, is_good: Mask, below_adu: float
) -> None:
    """Raise when the variance is larger where the picture is steep."""
    shaking = measure_shaking(series, dark_adu, is_good=is_good, below_adu=below_adu)
    if shaking.share > _MOST_SHAKING:
        raise CalibrationError(
            f"the object in {series.name} moves by {shaking.displacement_px:.2g} pixels RMS, which "
            f"adds {shaking.share:.1%} to the variance; fix camera and object, or defocus more"
        )


def _refuse_smoothed(series: PixelStatistics, is_good: Mask) -> None:
    """Raise when noise goes together from pixel to pixel or from frame to frame."""
    memory = measure_memory(series, is_good=is_good)
    if max(abs(memory.along_x), abs(memory.along_y), abs(memory.in_time)) > _MOST_CORRELATION:
        raise CalibrationError(
            f"the camera cannot be calibrated from {series.name}, because its noise goes together "
            f"(correlation {memory.along_x:.2f} with the next pixel in a row, {memory.along_y:.2f} "
            f"in a column, {memory.in_time:.2f} with the frame before), so it was smoothed and no "
            "longer counts electrons; record raw frames, or switch denoising and sharpening off"
        )


def _electrons(variance_adu2: float, error2: float, slope: Estimate) -> Estimate:
    """Return a noise in electrons from its variance in grey values."""
    square = variance_adu2 / slope.value**2
    error = np.hypot(np.sqrt(error2) / slope.value**2, 2 * square * slope.error / slope.value)
    return root(square, float(error))


def _linear_range(
    noise: DarkNoise, bend: Bend, levels: npt.NDArray[np.int64], top_adu: float
) -> tuple[Estimate, Estimate, list[str]]:
    """Return where the linear range begins and ends, in grey values, and remarks."""
    begin = float(noise.cut_level + 1 if noise.is_cut else 0)
    offset = noise.offset_adu
    cut = saturation_level(levels)
    remarks = []
    if cut is not None:
        remarks.append(f"grey values are cut off at {cut}")
    highest = float(cut - 1) if cut is not None else top_adu
    if not bend.is_found:
        end = min(offset + bend.signal_adu, highest)
        remarks.append(
            f"the curve is straight up to {end:.0f} grey values, the brightest measured; the "
            "linear range may reach further"
        )
        return Estimate(begin, begin, begin), Estimate(end, end, highest), remarks
    low, end, high = (
        min(offset + number, highest) for number in (bend.low_adu, bend.signal_adu, bend.high_adu)
    )
    if end < highest:
        remarks.append(
            f"above {end:.0f} grey values the noise grows "
            f"{'faster' if bend.is_upward else 'slower'} than the light"
        )
    return Estimate(begin, begin, begin), Estimate(end, low, high), remarks
