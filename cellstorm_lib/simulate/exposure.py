"""From light to the phone's grey values: sensor, then image signal processor."""

from dataclasses import dataclass, field

import numba
import numpy as np
from numpy.typing import NDArray

from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.simulate.noise import draw_raw
from cellstorm_lib.simulate.ranges import about, check_ranges


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorSettings:
    """The sensor: photons in, raw grey values out.

    The defaults are the HUAWEI P9's monochrome sensor at ISO 3200, as the paper measured it.

    References
    ----------
    Diederich et al., arXiv 1804.06244, Table 1 and Supplement B.
    """

    quantum_efficiency: float = field(
        default=0.75, metadata=about("photoelectrons per photon", above=0, at_most=1)
    )
    gain_e_per_adu: float = field(
        default=0.34, metadata=about("electrons per raw grey value", above=0)
    )
    offset_adu: float = field(
        default=4.074, metadata=about("mean raw grey value without light", at_least=0)
    )
    read_noise_e: float = field(
        default=1.23, metadata=about("read noise, electrons RMS", at_least=0)
    )
    fixed_pattern_e: float = field(
        default=0.343,
        metadata=about("spread of the pixels' own offsets, electrons RMS", at_least=0),
    )
    bit_depth: int = field(
        default=12, metadata=about("bits of a raw grey value", at_least=8, at_most=16)
    )

    def __post_init__(self) -> None:
        check_ranges(self)

    @property
    def top_adu(self) -> int:
        """Raw grey value at which a pixel is clipped."""
        return int(2**self.bit_depth) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessingSettings:
    """The image signal processor: raw grey values in, the 8-bit luma of the video out.

    The denoiser is an ideal one that smooths the noise and leaves the image: each axis averages
    a pixel's noise with its neighbours', so that the noise of neighbours is correlated as stated.
    """

    black_level_adu: float = field(
        default=0.0, metadata=about("raw grey value that becomes 0", at_least=0)
    )
    noise_correlation_x: float = field(
        default=0.0,
        metadata=about(
            "correlation of noise between neighbours in a row", at_least=0, at_most=0.66
        ),
    )
    noise_correlation_y: float = field(
        default=0.0,
        metadata=about(
            "correlation of noise between neighbours in a column", at_least=0, at_most=0.66
        ),
    )
    adu_per_level: float = field(
        default=2.0, metadata=about("raw grey values per 8-bit grey value", above=0)
    )

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraSettings:
    """A phone's camera up to the video encoder."""

    name: str = field(default="huawei-p9-video", metadata=about("what to call the camera"))
    sensor: SensorSettings = field(
        default_factory=SensorSettings, metadata=about("photons to raw grey values")
    )
    processing: ProcessingSettings = field(
        default_factory=ProcessingSettings, metadata=about("raw grey values to 8 bit")
    )


def calibration_of(camera: CameraSettings) -> CameraCalibration:
    """Return the calibration of the 8-bit frames this camera hands to the encoder.

    Read noise and fixed pattern are the sensor's; denoising and the codec lower what a single
    pixel of the video shows of them. Where the sensor clips its noise at 0, dark pixels are a
    little brighter than the offset stated here.
    """
    sensor, processing = camera.sensor, camera.processing
    return CameraCalibration(
        name=camera.name,
        source="the simulated camera's own settings",
        offset_adu=(sensor.offset_adu - processing.black_level_adu) / processing.adu_per_level,
        gain_e_per_adu=sensor.gain_e_per_adu * processing.adu_per_level,
        read_noise_e=sensor.read_noise_e,
        fixed_pattern_e=sensor.fixed_pattern_e,
        bit_depth=8,
        quantum_efficiency=sensor.quantum_efficiency,
        linear_to_adu=min(
            255.0, (sensor.top_adu - processing.black_level_adu) / processing.adu_per_level
        ),
    )


def draw_pattern(
    sensor: SensorSettings, *, shape: tuple[int, int], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return the offset of every pixel against the mean, (Y, X) float32 electrons."""
    return (rng.standard_normal(shape) * sensor.fixed_pattern_e).astype(np.float32)


def expose(
    expected_e: NDArray[np.float32],
    *,
    pattern_e: NDArray[np.float32],
    sensor: SensorSettings,
    seeds: NDArray[np.uint64],
) -> NDArray[np.uint16]:
    """Return the sensor's raw frames.

    Parameters
    ----------
    expected_e : (N, Y, X) float32
        Expected photoelectrons: photons already multiplied by the quantum efficiency.
    pattern_e : (Y, X) float32
        Fixed pattern from `draw_pattern`.
    sensor : SensorSettings
    seeds : (N,) uint64
        One seed per frame, from `noise.frame_seeds`.

    Returns
    -------
    (N, Y, X) uint16
        Raw grey values, clipped at 0 and at the sensor's top.
    """
    return draw_raw(
        expected_e,
        pattern_e=pattern_e,
        offset_adu=sensor.offset_adu,
        gain_e_per_adu=sensor.gain_e_per_adu,
        read_noise_e=sensor.read_noise_e,
        top_adu=sensor.top_adu,
        seeds=seeds,
    )


def process_raw(
    raw: NDArray[np.uint16], *, expected_e: NDArray[np.float32], camera: CameraSettings
) -> NDArray[np.uint8]:
    """Return the 8-bit frames the image signal processor makes of raw frames.

    Parameters
    ----------
    raw : (N, Y, X) uint16
        Raw grey values from `expose`.
    expected_e : (N, Y, X) float32
        Expected photoelectrons of the same frames; tells the ideal denoiser image from noise.
    camera : CameraSettings

    Returns
    -------
    (N, Y, X) uint8
    """
    sensor, processing = camera.sensor, camera.processing
    levels = np.empty(raw.shape, np.uint8)
    _process_raw(
        raw,
        expected_e,
        np.array([sensor.offset_adu, 1.0 / sensor.gain_e_per_adu], np.float32),
        np.array([processing.black_level_adu, 1.0 / processing.adu_per_level], np.float32),
        np.float32(neighbour_weight(processing.noise_correlation_x)),
        np.float32(neighbour_weight(processing.noise_correlation_y)),
        levels,
    )
    return levels


def neighbour_weight(correlation: float) -> float:
    """Return the weight a of the kernel [a, 1 - 2a, a] that correlates white noise as stated.

    Neighbours of smoothed noise correlate by 2a (1 - 2a) / ((1 - 2a)^2 + 2a^2), at most 2/3.
    """
    half = 2.0 * correlation + 1.0
    return (half - float(np.sqrt(1.0 - 2.0 * correlation**2))) / (6.0 * correlation + 4.0)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _process_raw(raw, expected_e, sensor, processing, weight_x, weight_y, levels):  # type: ignore[no-untyped-def]
    """Smooth each frame's noise along rows, then columns; scale, round and clip."""
    offset_adu, adu_per_e = sensor
    black_level_adu, levels_per_adu = processing
    height, width = raw.shape[1:]
    image = np.empty((height, width), np.float32)
    noise = np.empty((height, width), np.float32)
    along_x = np.empty((height, width), np.float32)
    half = np.float32(0.5)
    for frame in range(raw.shape[0]):
        for row in range(height):
            for column in range(width):
                image[row, column] = offset_adu + expected_e[frame, row, column] * adu_per_e
                noise[row, column] = np.float32(raw[frame, row, column]) - image[row, column]
            for column in range(width):
                left, right = max(column - 1, 0), min(column + 1, width - 1)
                centre = noise[row, column]
                along_x[row, column] = centre + weight_x * (
                    noise[row, left] + noise[row, right] - centre - centre
                )
        for row in range(height):
            above, below = max(row - 1, 0), min(row + 1, height - 1)
            for column in range(width):
                centre = along_x[row, column]
                smooth = centre + weight_y * (
                    along_x[above, column] + along_x[below, column] - centre - centre
                )
                grey = (image[row, column] + smooth - black_level_adu) * levels_per_adu + half
                grey = min(max(grey, np.float32(0.0)), np.float32(255.0))
                levels[frame, row, column] = np.uint8(grey)
