"""Raw frames developed as a phone's image signal processor does it: 8-bit luma for the video.

The chain, each step as `ProcessingSettings` says: denoise along rows, columns and time; subtract
the black level, undo lens shading, scale to 8 bit; add the black level's shading, drift and
wobble; tone curve; sharpen; clip and round.

References
----------
Delbracio et al., Mobile Computational Photography: A Tour, arXiv 2102.09000, section 3: the steps
a phone has, and their order.
"""

import math

import numpy as np
from numpy.typing import NDArray

from cellstorm_lib.simulate import filters
from cellstorm_lib.simulate.noise import normal_per_frame, uniforms
from cellstorm_lib.simulate.processing import ProcessingSettings
from cellstorm_lib.simulate.sensor import (
    SensorSettings,
    mean_dark_e,
    squared_radius,
    vignetting,
)
from cellstorm_lib.simulate.tone import TABLE_STEPS, is_straight, tone_table

_FORGOTTEN_SHARE = 1.0 / 1024.0


def memory_frames(processing: ProcessingSettings) -> int:
    """Return how many earlier frames a frame is made of, by temporal denoising.

    Older ones would have a share below 1/1024; the recursion starts afresh with the oldest, so
    that a frame is the same whichever other frames are made.
    """
    if processing.temporal_share == 0.0:
        return 0
    return math.ceil(math.log(_FORGOTTEN_SHARE) / math.log(processing.temporal_share))


def develop(
    raw: NDArray[np.uint16],
    *,
    expected_e: NDArray[np.float32],
    sensor: SensorSettings,
    processing: ProcessingSettings,
    time_s: NDArray[np.float64],
    seeds: NDArray[np.uint64],
    lead: int = 0,
) -> NDArray[np.uint8]:
    """Return the 8-bit frames the image signal processor makes of raw frames.

    Parameters
    ----------
    raw : (N, Y, X) uint16
        Raw grey values from `expose`.
    expected_e : (N, Y, X) float32
        Expected photoelectrons of the same frames, before vignetting; tells an ideal denoiser
        the image from the noise.
    sensor, processing : SensorSettings, ProcessingSettings
    time_s : (N,) float64
        Time of each frame from the start of the recording.
    seeds : (N,) uint64
        One seed per frame, of a stream of its own.
    lead : int
        Leading frames that only serve temporal denoising and are left out of the result: the
        recording's first frames, or at least `memory_frames` of them.

    Returns
    -------
    (N - lead, Y, X) uint8
    """
    shape = raw.shape[1:]
    is_ideal = processing.denoises == "noise"
    image = _image_adu(expected_e, sensor) if is_ideal else None
    values = _spatially_denoised(raw, image, processing)
    values = _temporally_denoised(values, processing, lead)
    if image is not None:
        values += image[lead:]
    filters.scale(
        values,
        np.float32(processing.black_level_adu),
        (vignetting(sensor, shape) ** -processing.lens_shading_correction).astype(np.float32),
        np.float32(1.0 / processing.adu_per_level),
        black_shading(processing, shape).astype(np.float32),
        _black_change(processing, time_s, seeds)[lead:].astype(np.float32),
    )
    if not is_straight(processing):
        filters.bend(values, tone_table(processing), np.float32(TABLE_STEPS))
    if processing.sharpening_amount > 0.0:
        taps = _blur_taps(processing.sharpening_radius_px)
        filters.sharpen(values, np.float32(processing.sharpening_amount), taps)
    levels = np.empty(values.shape, np.uint8)
    if processing.dither:
        filters.dither(values, uniforms(seeds[lead:], shape), levels)
    else:
        filters.quantise(values, levels)
    return levels


def black_shading(processing: ProcessingSettings, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Return each pixel's black level above that of the frame's centre, (Y, X) linear levels."""
    narrowness = 0.5 / processing.black_shading_width**2
    fall = np.expm1(-narrowness * squared_radius(shape)) / np.expm1(-narrowness)
    return np.asarray(-processing.black_shading_levels * fall)


def neighbour_weight(correlation: float) -> float:
    """Return the weight a of the kernel [a, 1 - 2a, a] that correlates white noise as stated.

    Neighbours of smoothed noise correlate by 2a (1 - 2a) / ((1 - 2a)^2 + 2a^2), at most 2/3.
    """
    half = 2.0 * correlation + 1.0
    return (half - float(np.sqrt(1.0 - 2.0 * correlation**2))) / (6.0 * correlation + 4.0)


def _image_adu(expected_e: NDArray[np.float32], sensor: SensorSettings) -> NDArray[np.float32]:
    """Return the raw frames without noise and pattern, clipped where the sensor is."""
    shape = expected_e.shape[1:]
    image = expected_e * np.float32(sensor.adu_per_e)
    if sensor.corner_share < 1.0:
        image *= vignetting(sensor, shape).astype(np.float32)
    dark_adu = sensor.offset_adu + mean_dark_e(sensor, shape) * sensor.adu_per_e
    image += dark_adu.astype(np.float32)
    top = sensor.offset_adu + sensor.saturation_e * sensor.adu_per_e
    return np.asarray(np.minimum(image, np.float32(top)))


def _gate(processing: ProcessingSettings) -> np.float32:
    """Return what a squared difference in ADU is multiplied with to be 1 at an edge; 0: none."""
    if processing.edge_levels is None:
        return np.float32(0.0)
    return np.float32((processing.edge_levels * processing.adu_per_level) ** -2.0)


def _spatially_denoised(
    raw: NDArray[np.uint16], image: NDArray[np.float32] | None, processing: ProcessingSettings
) -> NDArray[np.float32]:
    """Return noise (given the image) or frames, smoothed along rows and columns, ADU."""
    values = np.empty(raw.shape, np.float32)
    filters.smooth(
        raw,
        np.zeros((0, 0, 0), np.float32) if image is None else image,
        np.float32(neighbour_weight(processing.noise_correlation_x)),
        np.float32(neighbour_weight(processing.noise_correlation_y)),
        _gate(processing),
        values,
    )
    return values


def _temporally_denoised(
    values: NDArray[np.float32], processing: ProcessingSettings, lead: int
) -> NDArray[np.float32]:
    """Return the frames after `lead`, each mixed with those before it."""
    if processing.temporal_share == 0.0:
        return values[lead:]
    mixed = np.empty((len(values) - lead, *values.shape[1:]), np.float32)
    share, memory = np.float32(processing.temporal_share), memory_frames(processing)
    filters.mix(values, lead, memory, share, _gate(processing), mixed)
    return mixed


def _black_change(
    processing: ProcessingSettings, time_s: NDArray[np.float64], seeds: NDArray[np.uint64]
) -> NDArray[np.float64]:
    """Return by how much the black level of each frame is changed, (N,) linear levels."""
    change = processing.black_drift_levels * np.exp(-time_s / processing.black_drift_s)
    if processing.black_wobble_levels > 0.0:
        change = change + processing.black_wobble_levels * normal_per_frame(seeds)
    return np.asarray(change)


def _blur_taps(sigma_px: float) -> NDArray[np.float32]:
    """Return the weights of a Gaussian blur, cut off at 3 standard deviations."""
    reach = math.ceil(3.0 * sigma_px)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma_px) ** 2)
    return np.asarray(weights / weights.sum(), np.float32)
