"""A camera: the chain from light to the frames that are recorded, and its own calibration."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.pixel_maps import PixelMaps
from cellstorm_lib.simulate.develop import black_shading, develop, memory_frames
from cellstorm_lib.simulate.processing import ProcessingSettings
from cellstorm_lib.simulate.ranges import about
from cellstorm_lib.simulate.sensor import (
    SensorPattern,
    SensorSettings,
    mean_dark_e,
    vignetting,
)
from cellstorm_lib.simulate.tone import TOP, linear_range, tone_curve

_GRID = (65, 65)


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraSettings:
    """A camera up to the video encoder, or up to the raw file."""

    name: str = field(default="huawei-p9-video", metadata=about("what to call the camera"))
    sensor: SensorSettings = field(
        default_factory=SensorSettings, metadata=about("photons to raw grey values")
    )
    processing: ProcessingSettings | None = field(
        default_factory=ProcessingSettings,
        metadata=about("raw grey values to 8 bit; empty: the raw frames are recorded"),
    )

    @property
    def frame_bit_depth(self) -> int:
        """Bits of a grey value of the frames that are recorded."""
        return self.sensor.bit_depth if self.processing is None else 8

    @property
    def memory_frames(self) -> int:
        """Earlier frames that a frame depends on."""
        return 0 if self.processing is None else memory_frames(self.processing)


def recorded_frames(
    raw: NDArray[np.uint16],
    *,
    expected_e: NDArray[np.float32],
    camera: CameraSettings,
    time_s: NDArray[np.float64],
    seeds: NDArray[np.uint64],
    lead: int = 0,
) -> NDArray[Any]:
    """Return the frames a camera hands on: raw ones, or developed by its processor.

    Parameters
    ----------
    raw : (N, Y, X) uint16
        From `noise.expose`.
    expected_e, time_s, seeds, lead
        As in `develop.develop`.
    camera : CameraSettings

    Returns
    -------
    (N - lead, Y, X) uint8, or uint16 for raw frames of more than 8 bits
    """
    if camera.processing is None:
        return raw[lead:].astype(np.uint8 if camera.frame_bit_depth == 8 else np.uint16, copy=False)
    return develop(
        raw,
        expected_e=expected_e,
        sensor=camera.sensor,
        processing=camera.processing,
        time_s=time_s,
        seeds=seeds,
        lead=lead,
    )


def calibration_of(
    camera: CameraSettings, pattern: SensorPattern | None = None
) -> CameraCalibration:
    """Return the calibration of the frames this camera records before any codec.

    What it states is true late in a recording, at the frame's mean dark level: the offset is the
    mean grey value without light (dark electrons included), the gain that of the light of the
    centre, the linear range where the slope of the tone curve departs by less than
    2 % from that at the dark level. The read noise is the noise of a pixel without light, RMS
    over the pixels, hot ones left out: with the shot noise of dark electrons.

    Denoising, sharpening and the codec change what a single pixel of the video shows of noise
    and pattern; the sensor's are stated. Where the sensor clips its noise at 0, dark pixels are a
    little brighter than the offset stated. An emCCD's gain counts photoelectrons before their
    multiplication; a photon transfer curve of it, whose shot noise is doubled, shows half of it.

    Parameters
    ----------
    camera : CameraSettings
    pattern : SensorPattern or None
        The sensor's pixels; for raw frames, their maps are then part of the calibration.
    """
    sensor, processing = camera.sensor, camera.processing
    multiplication = sensor.em_gain or 1.0
    excess = 1.0 if sensor.em_gain is None else 2.0
    read_noise_e = sensor.read_noise_e * np.exp(sensor.read_noise_spread**2) / multiplication
    dark_e = float(mean_dark_e(sensor, _GRID if sensor.glow_e > 0 else (1, 1)).mean())
    if processing is None:
        offset_adu = sensor.offset_adu + dark_e * sensor.adu_per_e
        slope, range_adu = 1.0, (0.0, _top_adu(sensor))
    else:
        offset_adu, slope, range_adu = _developed(sensor, processing)
    maps = None if pattern is None or processing is not None else _maps(sensor, pattern)
    note = "" if excess == 1.0 else ", whose electron multiplication doubles the shot noise"
    return CameraCalibration(
        name=camera.name,
        source=f"the simulated camera's own settings{note}",
        offset_adu=offset_adu,
        gain_e_per_adu=1.0 / (sensor.adu_per_e * slope),
        read_noise_e=float(np.sqrt(read_noise_e**2 + excess * dark_e)),
        fixed_pattern_e=sensor.fixed_pattern_e / multiplication,
        gain_spread=sensor.gain_spread,
        bit_depth=camera.frame_bit_depth,
        quantum_efficiency=sensor.quantum_efficiency,
        linear_from_adu=range_adu[0] if range_adu[0] > 0 else None,
        linear_to_adu=range_adu[1],
        frame_width_px=None if maps is None else maps.shape[1],
        frame_height_px=None if maps is None else maps.shape[0],
        maps=maps,
    )


def _top_adu(sensor: SensorSettings) -> float:
    """Return the raw grey value at which full well or converter clips."""
    return sensor.offset_adu + sensor.saturation_e * sensor.adu_per_e


def _developed(
    sensor: SensorSettings, processing: ProcessingSettings
) -> tuple[float, float, tuple[float, float]]:
    """Return offset, grey values per raw grey value and linear range of developed frames."""
    gains_differ = processing.lens_shading_correction > 0 or processing.black_shading_levels != 0
    grid = _GRID if gains_differ or sensor.glow_e > 0 else (1, 1)
    per_adu = vignetting(sensor, grid) ** -processing.lens_shading_correction
    per_adu /= processing.adu_per_level
    black = black_shading(processing, grid) - processing.black_level_adu * per_adu
    dark = (sensor.offset_adu + mean_dark_e(sensor, grid) * sensor.adu_per_e) * per_adu + black
    top = float((_top_adu(sensor) * per_adu + black).min())
    slope, low, high = linear_range(processing, float(dark.mean()))
    high = min(high, float(tone_curve(processing, np.array([top]))[0]))
    offset_adu = float(np.clip(tone_curve(processing, dark), 0.0, TOP).mean())
    return offset_adu, slope / processing.adu_per_level, (low, high)


def _maps(sensor: SensorSettings, pattern: SensorPattern) -> PixelMaps:
    """Return the maps of raw frames.

    The sensitivity is relative to a mean pixel in the centre, as the scene's photons are.
    """
    multiplication = sensor.em_gain or 1.0
    excess = 1.0 if sensor.em_gain is None else 2.0
    read_noise_e = sensor.read_noise_e / multiplication * pattern.read_noise_ratio
    offset_adu = sensor.offset_adu + pattern.offset_e / sensor.gain_e_per_adu
    return PixelMaps(
        offset_adu=(offset_adu + pattern.dark_e * sensor.adu_per_e).astype(np.float32),
        read_variance_e2=(read_noise_e**2 + excess * pattern.dark_e).astype(np.float32),
        relative_sensitivity=pattern.response,
    )
