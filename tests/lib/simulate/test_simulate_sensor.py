"""What differs from pixel to pixel has the spread it is said to have, and is seen in raw frames."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.simulate.noise import expose, frame_seeds
from cellstorm_lib.simulate.sensor import (
    SensorPattern,
    SensorSettings,
    draw_pattern,
    squared_radius,
    vignetting,
)

BRIGHT = SensorSettings(offset_adu=100.0, bit_depth=16)  # an offset that keeps noise clear of 0
EVEN = replace(BRIGHT, fixed_pattern_e=0.0)


def raw_frames(sensor, mean_e, *, shape=(8, 128, 128), pattern=None):
    return expose(
        np.full(shape, mean_e, np.float32),
        pattern=SensorPattern.even(shape[1:]) if pattern is None else pattern,
        sensor=sensor,
        seeds=frame_seeds(1, range(shape[0]), stream=0),
    )


def pattern_of(sensor, shape=(128, 128), seed=4):
    return draw_pattern(sensor, shape=shape, rng=np.random.default_rng(seed))


@pytest.mark.parametrize("mean_e", [0.0, 5.0, 50.0, 500.0])
def test_raw_mean_and_variance_lie_on_the_photon_transfer_line(mean_e):
    raw = raw_frames(BRIGHT, mean_e)
    mean_adu = 100.0 + mean_e / 0.34
    variance_adu2 = (mean_e + 1.23**2) / 0.34**2 + 1 / 12
    assert abs(raw.mean() - mean_adu) < 4 * np.sqrt(variance_adu2 / raw.size)
    spread = np.sqrt((2 * variance_adu2**2 + mean_e / 0.34**4) / raw.size)
    assert abs(raw.var(dtype=np.float64) - variance_adu2) < 4 * spread


def test_readings_are_clipped_at_both_ends():
    dark = raw_frames(SensorSettings(), 0.0)
    lit = raw_frames(SensorSettings(), 5000.0)
    assert dark.min() == 0
    assert (dark == 0).mean() > 0.05
    assert (lit == 4095).all()


def test_a_camera_without_patterns_has_even_pixels():
    pattern, even = pattern_of(EVEN), SensorPattern.even((128, 128))
    for name in ("offset_e", "response", "dark_e", "read_noise_ratio"):
        np.testing.assert_array_equal(getattr(pattern, name), getattr(even, name))


def test_another_spread_of_one_map_leaves_the_others():
    one = pattern_of(replace(BRIGHT, gain_spread=0.01, read_noise_spread=0.3, hot_pixel_share=0.1))
    two = pattern_of(replace(BRIGHT, gain_spread=0.05, read_noise_spread=0.3, hot_pixel_share=0.1))
    for name in ("offset_e", "dark_e", "read_noise_ratio"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    np.testing.assert_allclose(two.response - 1, 5 * (one.response - 1), atol=1e-6)


def test_fixed_pattern_has_its_spread_and_shifts_each_pixel():
    pattern = pattern_of(replace(BRIGHT, fixed_pattern_e=0.5))
    assert abs(pattern.offset_e.std() - 0.5) < 4 * 0.5 / np.sqrt(2 * pattern.offset_e.size)
    raw = raw_frames(BRIGHT, 0.0, shape=(400, 128, 128), pattern=pattern)
    expected = 100.0 + pattern.offset_e / 0.34
    deviation = (raw.mean(axis=0) - expected) / (np.sqrt(1.23**2 / 0.34**2 + 1 / 12) / 20)
    assert np.abs(deviation).max() < 5.5


def test_response_has_its_spread_and_scales_the_light_of_each_pixel():
    pattern = pattern_of(replace(EVEN, gain_spread=0.03))
    assert abs(pattern.response.std() - 0.03) < 4 * 0.03 / np.sqrt(2 * pattern.response.size)
    assert abs(pattern.response.mean() - 1.0) < 4 * 0.03 / np.sqrt(pattern.response.size)
    raw = raw_frames(EVEN, 400.0, shape=(100, 128, 128), pattern=pattern)
    light_e = (raw.mean(axis=0) - 100.0) * 0.34
    deviation = (light_e - 400.0 * pattern.response) / np.sqrt(400.0 / 100)
    assert abs(deviation.std() - 1.0) < 4 / np.sqrt(2 * deviation.size) + 0.02
    # measured as the standards do: spread of the means of the pixels, less what is left of noise
    assert np.sqrt(light_e.var() - 402.0 / 100) / 400.0 == pytest.approx(0.03, rel=0.03)


def test_read_noise_differs_log_normally_about_its_median():
    sensor = replace(EVEN, read_noise_e=2.0, read_noise_spread=0.4)
    pattern = pattern_of(sensor)
    logarithm = np.log(pattern.read_noise_ratio.ravel())
    assert stats.kstest(logarithm / 0.4, "norm").pvalue > 1e-4
    raw = raw_frames(sensor, 0.0, shape=(200, 128, 128), pattern=pattern)
    measured_e2 = raw.var(axis=0, ddof=1) * 0.34**2
    expected_e2 = (2.0 * pattern.read_noise_ratio.astype(np.float64)) ** 2 + 0.34**2 / 12
    deviation = (measured_e2 / expected_e2 - 1) / np.sqrt(2 / 199)
    assert abs(deviation.mean()) < 4 / np.sqrt(deviation.size)
    assert abs(deviation.std() - 1) < 0.05
    assert np.sqrt(measured_e2.mean()) == pytest.approx(2.0 * np.exp(0.4**2), rel=0.03)


def test_hot_pixels_have_their_share_and_their_electrons():
    sensor = replace(EVEN, hot_pixel_share=0.01, hot_pixel_e=200.0, dark_current_e=0.5)
    pattern = pattern_of(sensor, shape=(256, 256))
    is_hot = pattern.dark_e > 0.5
    count = is_hot.sum()
    assert abs(count - 655.36) < 4 * np.sqrt(655.36)
    assert abs((pattern.dark_e[is_hot] - 0.5).mean() - 200.0) < 4 * 200.0 / np.sqrt(count)
    raw = raw_frames(sensor, 0.0, shape=(50, 256, 256), pattern=pattern)
    level_e = (raw.mean(axis=0) - 100.0) * 0.34
    assert abs(level_e[~is_hot].mean() - 0.5) < 4 * 1.45 / np.sqrt(50 * 65_000)
    far = is_hot & (pattern.dark_e > 10)
    assert (level_e[far] > 7).all()


def test_vignetting_follows_the_fourth_power_of_the_cosine():
    shade = vignetting(replace(BRIGHT, corner_share=0.4), (300, 400))
    radius = np.sqrt(squared_radius((300, 400)))
    # the corner's angle follows from its share, that of all others from their distance
    tangent = np.tan(np.arccos(0.4**0.25)) * radius
    np.testing.assert_allclose(shade, np.cos(np.arctan(tangent)) ** 4, rtol=1e-12)
    assert shade[0, 0] == pytest.approx(0.4, rel=0.01)
    assert shade.max() == pytest.approx(1.0, abs=1e-4)


def test_vignetting_takes_the_light_but_not_the_dark_electrons_of_the_corners():
    sensor = replace(EVEN, corner_share=0.25, dark_current_e=10.0)
    pattern = pattern_of(sensor, shape=(64, 64))
    light_e = (raw_frames(sensor, 100.0, shape=(300, 64, 64), pattern=pattern) - 100.0) * 0.34
    corner_e = light_e[:, :4, :4].mean()
    expected_e = 10.0 + 100.0 * pattern.response[:4, :4].mean()
    assert abs(corner_e - expected_e) < 4 * np.sqrt((expected_e + 1.6) / (16 * 300))
    assert expected_e < 40


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"quantum_efficiency": 1.2}, "quantum_efficiency must be above 0 and at most 1"),
        ({"em_gain": 1.0}, "em_gain must be above 1, got 1"),
        ({"corner_share": 0.0}, "corner_share must be above 0 and at most 1"),
        ({"hot_pixel_share": 1.5}, "hot_pixel_share must be at least 0 and at most 1"),
        ({"full_well_e": 0.0}, "full_well_e must be above 0"),
        ({"bit_depth": 17}, "bit_depth must be at least 8 and at most 16"),
    ],
)
def test_impossible_sensors_are_refused(settings, message):
    with pytest.raises(SettingsError, match=message):
        SensorSettings(**settings)
