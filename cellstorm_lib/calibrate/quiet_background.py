"""What a recording shows where and while no molecule shines."""

from typing import Any

import numpy as np
import numpy.typing as npt

from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.errors import CalibrationError
from cellstorm_lib.recording import FrameSource

_LEAST_FRAMES, _MOST_FRAMES = 16, 64
_MOST_VALUES = 64_000_000
_BAND_VALUES = 4_000_000
#: The mean of the middle half of values that scatter like photons and read noise lies below their
#: mean by this part of (their third moment / their variance); by the expansion of Cornish and
#: Fisher, 1/6 * (1 - E[z^2 | |z| < 0.6745]).
_SKEW_SHARE = (1.0 - 0.1427) / 6.0


def spread_frames(source: FrameSource) -> npt.NDArray[Any]:
    """Read single frames spread evenly over a recording.

    Parameters
    ----------
    source : FrameSource
        Up to 64 frames of it are read, fewer of large ones; of a video key frames, when it has
        at least 16.

    Returns
    -------
    (N, Y, X) uint8 or uint16
        Grey values, without frames that may be wrong.

    Raises
    ------
    CalibrationError
        When fewer than 16 frames can be had.
    """
    roi, numbers = source.facts.roi, source.frame_range
    keys = source.key_frames()
    keys = keys[(keys >= numbers.start) & (keys < numbers.stop)]
    if len(keys) < _LEAST_FRAMES:
        keys = np.arange(numbers.start, numbers.stop)
    fitting = max(_MOST_VALUES // (roi.width_px * roi.height_px), _LEAST_FRAMES)
    count = min(_MOST_FRAMES, fitting, len(keys))
    places = ((np.arange(count) + 0.5) * len(keys) / max(count, 1)).astype(np.int64)
    found = [
        chunk.frames[~chunk.is_tainted]
        for number in keys[places].tolist()
        for chunk in source.part(number, number + 1).chunks(1)
    ]
    frame_count = sum(map(len, found))
    if frame_count < _LEAST_FRAMES:
        raise CalibrationError(
            f"{source.facts.name}: a flat field cannot be told because only {frame_count} frames "
            f"can be read and {_LEAST_FRAMES} are needed to tell molecules from background; take "
            "a series of even light"
        )
    return np.concatenate(found)


def quiet_background_adu(
    frames: npt.NDArray[Any], calibration: CameraCalibration
) -> npt.NDArray[np.float64]:
    """Return the background of each pixel of a recording.

    It is the mean of the middle half of the pixel's values over time, which a molecule that
    shines in less than a quarter of the frames hardly moves, corrected for being below the mean
    of photon noise.

    Parameters
    ----------
    frames : (N, Y, X) uint8 or uint16
        At least 4 frames, far enough apart that most molecules are new in each.
    calibration : CameraCalibration
        For the correction.

    Returns
    -------
    (Y, X) float64
        Grey values, the offset included.
    """
    quarter = len(frames) // 4
    background = np.empty(frames.shape[1:])
    band = max(_BAND_VALUES // (len(frames) * frames.shape[2]), 1)
    for row in range(0, len(background), band):
        ordered = np.sort(frames[:, row : row + band], axis=0)
        middle = ordered[quarter : len(frames) - quarter]
        background[row : row + band] = middle.mean(axis=0, dtype=np.float64)
    electrons = calibration.gain_e_per_adu * np.maximum(background - calibration.offset_adu, 0.0)
    photon_share = electrons / np.maximum(electrons + calibration.read_noise_e**2, 1e-9)
    return np.asarray(background + _SKEW_SHARE * photon_share / calibration.gain_e_per_adu)
