"""How unequally pixels respond to the same light (PRNU), also when the light is not even."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from cellstorm_lib.calibrate.clusters import mean_covariance
from cellstorm_lib.calibrate.pixel_statistics import Floats, PixelStatistics
from cellstorm_lib.calibrate.transfer_bins import Mask, is_usual

#: Second difference along both axes, of unit energy: what light does from pixel to pixel through
#: a microscope out of focus does not get through, what differs between pixels keeps its variance.
_DIFFERENCE = np.array([1.0, -2.0, 1.0]) / np.sqrt(6.0)
_KERNEL = np.outer(_DIFFERENCE, _DIFFERENCE)
_LEAST_PIXELS = 500
#: Signals must be so many times their own error for a share of them to mean anything.
_LEAST_CERTAINTY = 5.0
_LEAST_VARIANCE = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseSpread:
    """Variance of the pixels' relative response; may come out below 0 where there is none."""

    variance: float
    error: float


def measure_response_spread(
    bright: Sequence[PixelStatistics],
    dark: PixelStatistics,
    dark_adu: Floats,
    *,
    is_good: Sequence[Mask],
    is_seam: Mask,
    below_adu: float,
) -> ResponseSpread | None:
    """Measure the spread of the response between neighbouring pixels.

    Parameters
    ----------
    bright : sequence of PixelStatistics
        The bright series.
    dark : PixelStatistics
        The dark one.
    dark_adu : (Y, X) float64
        Offset of each pixel.
    is_good : sequence of (Y, X) bool
        Pixels to use of each bright series.
    is_seam : (Y, X) bool
        Pixels whose neighbours in the array are not neighbours on the sensor.
    below_adu : float
        Signal up to which the camera is linear.

    Returns
    -------
    ResponseSpread or None
        Noise left in the means is taken off. None where too few pixels get enough light.

    Notes
    -----
    EMVA 1288 (Release 4.0, sec. 8) filters the image of even light for the same reason. Columns
    or rows that differ as a whole do not count here.
    """
    shape = dark_adu.shape
    certainty, total = np.zeros(shape), np.zeros(shape)
    for series, good in zip(bright, is_good, strict=True):
        signal = series.pooled_mean_adu - dark_adu
        noise = (
            series.pooled_variance_adu2 / series.frame_count
            + dark.pooled_variance_adu2 / dark.frame_count
        )
        local = np.maximum(ndimage.uniform_filter(signal, 3), 1e-12)
        usable = ndimage.binary_erosion(good, np.ones((3, 3), bool)) & ~is_seam
        usable &= (local > _LEAST_CERTAINTY * np.sqrt(noise)) & (local < below_adu)
        difference = ndimage.convolve(signal, _KERNEL) / local
        variance = ndimage.convolve(noise, _KERNEL**2) / local**2
        weight = np.where(usable, 1.0 / np.maximum(variance, _LEAST_VARIANCE), 0.0)
        certainty += weight
        total += weight * difference
    use = certainty > 0
    if np.count_nonzero(use) < _LEAST_PIXELS:
        return None
    chance = np.where(use, 1.0 / np.maximum(certainty, 1.0), 0.0)
    square = np.square(total * chance)
    found = ResponseSpread(variance=0.0, error=0.0)
    for _ in range(3):
        expected = chance + max(found.variance, 0.0)
        used = use.copy()
        used[use] = is_usual((total * chance)[use] / np.sqrt(expected[use]))
        weight = np.where(used, 1.0 / np.square(np.maximum(expected, _LEAST_VARIANCE)), 0.0)
        weight /= weight[used].mean()
        variance = float((weight * (square - chance))[used].mean())
        error = mean_covariance((weight * (square - chance - variance))[None], used)
        found = ResponseSpread(variance=variance, error=float(np.sqrt(error[0, 0])))
    return found
