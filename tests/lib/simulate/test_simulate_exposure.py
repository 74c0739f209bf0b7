"""A camera's own calibration tells the truth about the frames it records."""

from dataclasses import replace

import numpy as np
import pytest

from cellstorm_lib.simulate.cameras import camera_names, read_camera
from cellstorm_lib.simulate.exposure import CameraSettings, calibration_of, recorded_frames
from cellstorm_lib.simulate.noise import expose, frame_seeds
from cellstorm_lib.simulate.processing import ProcessingSettings
from cellstorm_lib.simulate.sensor import SensorPattern, SensorSettings, draw_pattern
from cellstorm_lib.simulate.tone import is_straight

BRIGHT = SensorSettings(offset_adu=100.0)  # an offset that keeps the noise clear of 0


def recorded(camera, mean_e, *, shape=(8, 128, 128), pattern=None):
    expected_e = np.full(shape, mean_e, np.float32)
    raw = expose(
        expected_e,
        pattern=SensorPattern.even(shape[1:]) if pattern is None else pattern,
        sensor=camera.sensor,
        seeds=frame_seeds(1, range(shape[0]), stream=0),
    )
    return recorded_frames(
        raw,
        expected_e=expected_e,
        camera=camera,
        time_s=np.full(shape[0], 1e6),
        seeds=frame_seeds(1, range(shape[0]), stream=9),
    )


def pattern_of(camera, shape=(128, 128)):
    return draw_pattern(camera.sensor, shape=shape, rng=np.random.default_rng(3))


def test_the_calibration_turns_grey_values_back_into_photoelectrons():
    camera = CameraSettings(
        sensor=BRIGHT, processing=ProcessingSettings(black_level_adu=40.0, adu_per_level=3.0)
    )
    levels = recorded(camera, 60.0)
    calibration = calibration_of(camera)
    assert calibration.offset_adu == pytest.approx(20.0)
    assert calibration.gain_e_per_adu == pytest.approx(1.02)
    photoelectrons = calibration.photoelectrons(levels).astype(np.float64)
    noise_e = np.sqrt(60.0 + calibration.pixel_noise_e**2)
    assert abs(photoelectrons.mean() - 60.0) < 4 * noise_e / np.sqrt(levels.size)
    assert calibration.bit_depth == 8
    assert calibration.quantum_efficiency == 0.75
    assert calibration.linear_to_adu == 255.0
    assert calibration.linear_from_adu is None


def test_the_paper_camera_is_the_default_sensor():
    calibration = calibration_of(CameraSettings(processing=ProcessingSettings(adu_per_level=1.0)))
    assert (calibration.offset_adu, calibration.gain_e_per_adu) == (4.074, 0.34)
    assert (calibration.read_noise_e, calibration.fixed_pattern_e) == (1.23, 0.343)


@pytest.mark.parametrize("name", camera_names())
def test_every_named_camera_keeps_to_its_own_calibration(name):
    """Mean level in the dark, and light within the linear range, are those the calibration says."""
    camera = read_camera(name).camera
    steps = camera.processing and replace(
        camera.processing,
        black_level_adu=camera.processing.black_level_adu + 100,  # as the offset below
        black_shading_levels=0.0,  # under a bend, each pixel would have a gain of its own
    )
    quiet = replace(
        camera,
        sensor=replace(camera.sensor, offset_adu=camera.sensor.offset_adu + 100, hot_pixel_share=0),
        processing=steps,
    )
    calibration, pattern = calibration_of(quiet), pattern_of(quiet)
    dark = recorded(quiet, 0.0, shape=(40, 128, 128), pattern=pattern)
    dark_noise_adu = calibration.pixel_noise_e / calibration.gain_e_per_adu
    assert abs(dark.mean() - calibration.offset_adu) < 5 * dark_noise_adu / np.sqrt(128**2) + 0.02
    light_e = 0.7 * (calibration.linear_to_adu - calibration.offset_adu)
    light_e = min(light_e * calibration.gain_e_per_adu, 500.0)
    lit = recorded(quiet, light_e, shape=(40, 128, 128), pattern=pattern)
    found_e = (lit.mean() - dark.mean()) * calibration.gain_e_per_adu
    spread_e = np.sqrt(2 * light_e / lit.size) + light_e * camera.sensor.gain_spread / 128
    is_bent = steps is not None and not is_straight(steps)  # the slope is a mean over the noise
    departure = 0.05 if is_bent else 0.005
    assert found_e == pytest.approx(light_e, abs=4 * spread_e + departure * light_e)


def test_noise_without_light_is_that_of_the_calibration():
    sensor = SensorSettings(
        offset_adu=300.0, gain_e_per_adu=5.0, read_noise_e=40.0, em_gain=100.0, bit_depth=16,
        fixed_pattern_e=20.0, dark_current_e=0.02, clock_induced_e=0.03, read_noise_spread=0.2,
    )  # fmt: skip
    camera = CameraSettings(sensor=sensor, processing=None)
    calibration = calibration_of(camera)
    frames = recorded(camera, 0.0, shape=(200, 128, 128), pattern=pattern_of(camera))
    dark_e = frames.astype(np.float64) * calibration.gain_e_per_adu
    noise_e = np.sqrt(dark_e.var(axis=0, ddof=1).mean() - calibration.gain_e_per_adu**2 / 12)
    assert calibration.gain_e_per_adu == pytest.approx(0.05)
    assert noise_e == pytest.approx(calibration.read_noise_e, rel=0.02)
    assert frames.mean() == pytest.approx(calibration.offset_adu, abs=0.2)
    pattern_e = np.sqrt(dark_e.mean(axis=0).var() - noise_e**2 / 200)
    assert pattern_e == pytest.approx(calibration.fixed_pattern_e, rel=0.05)


def test_electron_multiplication_is_told():
    camera = read_camera("andor-ixon-897").camera
    calibration = calibration_of(camera)
    assert calibration.gain_e_per_adu == pytest.approx(0.06)
    assert calibration.read_noise_e == pytest.approx(0.2, abs=0.02)
    assert "doubles the shot noise" in calibration.source
    assert "doubles" not in calibration_of(CameraSettings()).source
    frames = recorded(camera, 100.0, shape=(60, 128, 128))
    slope = frames.astype(np.float64).var() / (frames.mean() - calibration.offset_adu)
    assert 1 / slope == pytest.approx(0.5 * calibration.gain_e_per_adu, rel=0.02)


def test_a_bent_response_is_linear_only_where_it_is_said_to_be():
    # little noise, so that its mean through the bend is that of the bend
    sensor = replace(BRIGHT, gain_e_per_adu=34.0, read_noise_e=34.0)
    camera = CameraSettings(sensor=sensor, processing=ProcessingSettings(gamma=0.8, dither=True))
    calibration = calibration_of(camera)
    assert calibration.linear_to_adu < 255
    assert calibration.linear_from_adu > 0

    def gain_at(light_e, step_e=100.0):
        shape = (50, 128, 128)
        ends = (light_e - step_e / 2, light_e + step_e / 2)
        low, high = (recorded(camera, end, shape=shape).mean() for end in ends)
        return step_e / (high - low)

    inside_e = (calibration.linear_to_adu - calibration.offset_adu) * calibration.gain_e_per_adu
    # near the dark level 50 e are 0.7 of 50 grey values, and change the slope by 0.3 %
    assert gain_at(50.0) / calibration.gain_e_per_adu == pytest.approx(1.003, abs=0.003)
    assert gain_at(inside_e) / calibration.gain_e_per_adu == pytest.approx(1.02, abs=0.003)
    assert gain_at(5 * inside_e) > 1.06 * calibration.gain_e_per_adu


def test_black_level_and_its_shading_are_in_the_offset():
    processing = ProcessingSettings(
        adu_per_level=2.0, black_shading_levels=9.0, black_shading_width=0.4, black_drift_levels=5.0
    )
    camera = CameraSettings(sensor=replace(BRIGHT, fixed_pattern_e=0.0), processing=processing)
    frames = recorded(camera, 0.0)
    assert frames.mean() == pytest.approx(calibration_of(camera).offset_adu, abs=0.02)
    assert calibration_of(camera).offset_adu < 50 - 3


def test_raw_frames_come_with_their_pixels_maps():
    sensor = SensorSettings(
        offset_adu=100.0, bit_depth=16, read_noise_spread=0.4, gain_spread=0.05, corner_share=0.6,
        hot_pixel_share=0.01, hot_pixel_e=30.0, glow_e=1.0,
    )  # fmt: skip
    camera = CameraSettings(sensor=sensor, processing=None)
    pattern = pattern_of(camera, (64, 64))
    calibration = calibration_of(camera, pattern)
    assert (calibration.frame_width_px, calibration.frame_height_px) == (64, 64)
    assert calibration.bit_depth == 16
    frames = recorded(camera, 200.0, shape=(400, 64, 64), pattern=pattern)
    photons_e = calibration.photoelectrons(frames) / calibration.maps.relative_sensitivity
    spread_e = np.sqrt(
        200 * calibration.maps.relative_sensitivity + calibration.maps.read_variance_e2
    ) / np.sqrt(400)
    deviation = (photons_e.mean(axis=0) - 200) / (spread_e / calibration.maps.relative_sensitivity)
    assert np.abs(deviation).max() < 5.5
    assert abs(deviation.std() - 1) < 0.05
    dark = recorded(camera, 0.0, shape=(400, 64, 64), pattern=pattern)
    variance_e2 = dark.var(axis=0, ddof=1) * 0.34**2 - 0.34**2 / 12
    is_plain = pattern.dark_e < 2
    assert variance_e2[is_plain].mean() == pytest.approx(
        calibration.maps.read_variance_e2[is_plain].mean(), rel=0.02
    )
    phone = CameraSettings(sensor=sensor)
    assert calibration_of(phone, pattern).maps is None


@pytest.mark.parametrize(("bit_depth", "dtype"), [(8, np.uint8), (10, np.uint16), (16, np.uint16)])
def test_a_camera_without_processing_records_its_raw_frames(bit_depth, dtype):
    camera = CameraSettings(sensor=replace(BRIGHT, bit_depth=bit_depth), processing=None)
    frames = recorded(camera, 20.0, shape=(2, 32, 32))
    assert frames.dtype == dtype
    assert camera.frame_bit_depth == bit_depth
    assert camera.memory_frames == 0
    assert frames.mean() == pytest.approx(100 + 20 / 0.34, abs=2)


@pytest.mark.parametrize("processing", [None, ProcessingSettings(adu_per_level=1.0)])
def test_the_glow_counts_as_dark_electrons(processing):
    sensor = SensorSettings(offset_adu=100.0, glow_e=6.0, glow_width=0.4, fixed_pattern_e=0.0)
    camera = CameraSettings(sensor=sensor, processing=processing)
    frames = recorded(camera, 0.0, shape=(100, 128, 128), pattern=pattern_of(camera))
    calibration = calibration_of(camera)
    noise_e2 = (frames.var(axis=0, ddof=1) * 0.34**2).mean() - 0.34**2 / 12
    assert frames.mean() == pytest.approx(calibration.offset_adu, abs=0.02)
    assert np.sqrt(noise_e2) == pytest.approx(calibration.read_noise_e, rel=0.01)
    middle_e = (frames[:, 60:68, 60:68].mean() - 100.0) * 0.34
    assert middle_e == pytest.approx(6.0, abs=4 * np.sqrt(7.5 / 6400) + 0.05)


def test_full_well_and_converter_end_the_linear_range():
    raw = CameraSettings(sensor=replace(BRIGHT, full_well_e=500.0), processing=None)
    assert calibration_of(raw).linear_to_adu == pytest.approx(100 + 500 / 0.34)
    assert calibration_of(replace(raw, sensor=BRIGHT)).linear_to_adu == pytest.approx(4095)
    phone = CameraSettings(sensor=replace(BRIGHT, full_well_e=100.0))
    assert calibration_of(phone).linear_to_adu == pytest.approx((100 + 100 / 0.34) / 2)
