"""Frames so crowded with spots that no place between them shows what noise alone looks like.

The noise is then read off dips between spots, which are no noise, and the threshold rises above the
spots themselves. In frames that no codec changed the camera tells the noise instead.
"""

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.localize.extrema import Extrema
from cellstorm_lib.localize.filters import wavelet_band

#: Maxima of band-passed white noise per 256 x 256 pixels, and the heights that so many exceed in
#: units of its standard deviation, counted in 200 frames.
_RATES = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
_HEIGHTS = (4.62, 4.37, 4.14, 3.86, 3.54, 3.20, 2.81)
#: Noise of few photons is skewed: its maxima are higher by at most this share.
_SKEW = 1.2
#: A frame is crowded that holds a maximum no noise makes in every so many pixels.
_PIXELS_PER_SPOT = 200.0
#: Noise is as deep as it is high. Where spots are crowded, their tops are higher than the dips
#: between them are deep, by at least this factor.
_TOPS_OVER_DIPS, _HIGHEST_SHARE = 1.2, 0.99


def camera_threshold(
    sample_e: npt.NDArray[np.float32], calibration: CameraCalibration, false_per_frame: float
) -> float:
    """Return the height that noise of the camera exceeds as often as is allowed.

    Parameters
    ----------
    sample_e : (N, Y, X) float32
        Frames, photoelectrons; the shot noise is that of their mean.
    calibration : CameraCalibration
        Its noise without light.
    false_per_frame : float
        Maxima allowed per 256 x 256 pixels.
    """
    light_e = max(float(sample_e.mean()), 0.0) if sample_e.size else 0.0
    noise = _share_of_noise() * float(np.sqrt(light_e + calibration.pixel_noise_e**2))
    height = np.interp(np.log(false_per_frame), np.log(_RATES), _HEIGHTS)
    return _SKEW * float(height) * noise


def is_crowded(maxima: Extrema, minima: Extrema, height: float, area_px: float) -> bool:
    """Return whether a sample holds so many spots that its noise cannot be seen.

    Parameters
    ----------
    maxima, minima : Extrema
        All of the sample.
    height : float
        What no noise exceeds, as `camera_threshold` returns it.
    area_px : float
        Pixels of the sample in which they were looked for.
    """
    if np.count_nonzero(maxima.height > height) * _PIXELS_PER_SPOT < area_px or not len(minima):
        return False
    top, dip = (float(np.quantile(some.height, _HIGHEST_SHARE)) for some in (maxima, minima))
    return top > _TOPS_OVER_DIPS * dip


@cache
def _share_of_noise() -> float:
    """Return the standard deviation of band-passed white noise of 1."""
    point: npt.NDArray[Any] = np.zeros((1, 31, 31), np.float32)
    point[0, 15, 15] = 1.0
    return float(np.sqrt(np.sum(wavelet_band(point).astype(np.float64) ** 2)))
