"""The camera chain keeps to its own calibration."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.simulate.exposure import (
    CameraSettings,
    ProcessingSettings,
    SensorSettings,
    calibration_of,
    draw_pattern,
    expose,
    neighbour_weight,
    process_raw,
)
from cellstorm_lib.simulate.noise import frame_seeds

BRIGHT = SensorSettings(offset_adu=100.0)  # an offset that keeps the noise clear of 0


def raw_frames(sensor, mean_e, *, shape=(8, 128, 128), pattern_e=None):
    expected_e = np.full(shape, mean_e, np.float32)
    raw = expose(
        expected_e,
        pattern_e=np.zeros(shape[1:], np.float32) if pattern_e is None else pattern_e,
        sensor=sensor,
        seeds=frame_seeds(1, range(shape[0]), stream=0),
    )
    return raw, expected_e


@pytest.mark.parametrize("mean_e", [0.0, 5.0, 50.0, 500.0])
def test_raw_mean_and_variance_lie_on_the_photon_transfer_line(mean_e):
    raw, _ = raw_frames(BRIGHT, mean_e)
    mean_adu = 100.0 + mean_e / 0.34
    variance_adu2 = (mean_e + 1.23**2) / 0.34**2 + 1 / 12
    assert abs(raw.mean() - mean_adu) < 4 * np.sqrt(variance_adu2 / raw.size)
    spread = np.sqrt((2 * variance_adu2**2 + mean_e / 0.34**4) / raw.size)
    assert abs(raw.var(dtype=np.float64) - variance_adu2) < 4 * spread


def test_readings_are_clipped_at_both_ends():
    dark, _ = raw_frames(SensorSettings(), 0.0)
    lit, _ = raw_frames(SensorSettings(), 5000.0)
    assert dark.min() == 0
    assert (dark == 0).mean() > 0.05
    assert (lit == 4095).all()


def test_the_pattern_has_its_spread_and_shifts_each_pixel():
    pattern_e = draw_pattern(
        SensorSettings(fixed_pattern_e=0.5), shape=(128, 128), rng=np.random.default_rng(4)
    )
    assert abs(pattern_e.std() - 0.5) < 4 * 0.5 / np.sqrt(2 * pattern_e.size)
    raw, _ = raw_frames(BRIGHT, 0.0, shape=(400, 32, 32), pattern_e=pattern_e[:32, :32].copy())
    expected = 100.0 + pattern_e[:32, :32] / 0.34
    deviation = (raw.mean(axis=0) - expected) / (np.sqrt(1.23**2 / 0.34**2 + 1 / 12) / 20)
    assert np.abs(deviation).max() < 5


def test_plain_processing_scales_rounds_and_clips():
    camera = CameraSettings(processing=ProcessingSettings(black_level_adu=10.0, adu_per_level=4.0))
    raw = np.array([[[0, 10, 13, 15, 1000, 4000]]], np.uint16)
    levels = process_raw(raw, expected_e=np.full(raw.shape, 3.0, np.float32), camera=camera)
    np.testing.assert_array_equal(levels, [[[0, 0, 1, 1, 248, 255]]])


def test_the_calibration_turns_grey_values_back_into_photoelectrons():
    camera = CameraSettings(
        sensor=BRIGHT, processing=ProcessingSettings(black_level_adu=40.0, adu_per_level=3.0)
    )
    raw, expected_e = raw_frames(BRIGHT, 60.0)
    levels = process_raw(raw, expected_e=expected_e, camera=camera)
    calibration = calibration_of(camera)
    assert calibration.offset_adu == pytest.approx(20.0)
    assert calibration.gain_e_per_adu == pytest.approx(1.02)
    photoelectrons = calibration.photoelectrons(levels).astype(np.float64)
    noise_e = np.sqrt(60.0 + calibration.pixel_noise_e**2)
    assert abs(photoelectrons.mean() - 60.0) < 4 * noise_e / np.sqrt(levels.size)
    assert calibration.bit_depth == 8
    assert calibration.quantum_efficiency == 0.75
    assert calibration.linear_to_adu == 255.0


def test_the_paper_camera_is_the_default_sensor():
    calibration = calibration_of(CameraSettings(processing=ProcessingSettings(adu_per_level=1.0)))
    assert (calibration.offset_adu, calibration.gain_e_per_adu) == (4.074, 0.34)
    assert (calibration.read_noise_e, calibration.fixed_pattern_e) == (1.23, 0.343)


@given(correlation=st.floats(0, 0.66))
def test_the_kernel_correlates_neighbours_as_stated(correlation):
    weight = neighbour_weight(correlation)
    kernel = np.array([weight, 1 - 2 * weight, weight])
    found = (kernel[1:] * kernel[:-1]).sum() / (kernel**2).sum()
    assert found == pytest.approx(correlation, abs=1e-9)


def test_denoising_correlates_noise_along_each_axis_and_keeps_the_image():
    camera = CameraSettings(
        sensor=SensorSettings(offset_adu=600.0, gain_e_per_adu=0.05, read_noise_e=1.0),
        processing=ProcessingSettings(
            noise_correlation_x=0.3, noise_correlation_y=0.5, adu_per_level=5.0
        ),
    )
    raw, expected_e = raw_frames(camera.sensor, 0.0, shape=(8, 200, 200))
    expected_e[:, 100, 100] += 20.0  # a bright point, in the light and so in the raw frames
    raw[:, 100, 100] += 400
    levels = process_raw(raw, expected_e=expected_e, camera=camera).astype(np.float64)
    assert abs(levels[:, 100, 100].mean() - 200.0) < 4 * 4 / np.sqrt(8)
    assert levels[:, 100, 101].mean() < 130
    noise = levels[:, 1:99, 1:99] - levels[:, 1:99, 1:99].mean()
    variance = noise.var()
    along_x = (noise[..., 1:] * noise[..., :-1]).mean() / variance
    along_y = (noise[:, 1:] * noise[:, :-1]).mean() / variance
    # rounding to whole levels adds 1/12 of white noise
    share = 1 - 1 / 12 / variance
    assert along_x == pytest.approx(0.3 * share, abs=0.02)
    assert along_y == pytest.approx(0.5 * share, abs=0.02)
    assert abs(levels[:, :99].mean() - 120.0) < 4 * np.sqrt(16 + 1 / 12) / np.sqrt(8 * 99 * 200)


def test_impossible_cameras_are_refused():
    with pytest.raises(SettingsError, match="quantum_efficiency must be above 0 and at most 1"):
        SensorSettings(quantum_efficiency=1.2)
    with pytest.raises(SettingsError, match="noise_correlation_x must be at least 0 and at most"):
        ProcessingSettings(noise_correlation_x=0.9)
    with pytest.raises(SettingsError, match="adu_per_level must be above 0, got 0"):
        ProcessingSettings(adu_per_level=0)
