"""Noise of known variance, correlation and pattern is measured back."""

import numpy as np
import pytest

from cellstorm_lib.evaluate.clip_noise import (
    CURVE_POINTS,
    correlation_in_time,
    measure_noise,
    over_frames,
    pattern_rms,
)

FRAMES, ROWS, COLUMNS = 24, 80, 96
ROUNDING = 1 / 12
SIGMAS = 5


def levels(values):
    return np.clip(np.rint(values), 0, 65535).astype(np.uint16)


def noise_of(still):
    return measure_noise(still, still.mean(axis=0).astype(np.float32))


def in_time(rng, count, share, noise):
    """Return frames of noise of variance noise**2, the correlation of neighbours in time given."""
    made = [rng.normal(0, noise, (ROWS, COLUMNS))]
    for _ in range(count - 1):
        fresh = rng.normal(0, noise * np.sqrt(1 - share**2), (ROWS, COLUMNS))
        made.append(share * made[-1] + fresh)
    return np.array(made)


def test_variance_grows_with_the_level_as_it_was_made():
    rng = np.random.default_rng(1)
    ramp = np.linspace(200, 1200, ROWS * COLUMNS).reshape(ROWS, COLUMNS)
    still = levels(ramp + rng.normal(0, 1, (FRAMES, ROWS, COLUMNS)) * np.sqrt(20 + 0.3 * ramp))
    noise = noise_of(still)
    assert noise.level_adu.shape == (CURVE_POINTS,)
    middle = ramp.ravel().reshape(CURVE_POINTS, -1).mean(axis=1)
    np.testing.assert_allclose(noise.level_adu, middle, atol=1.0)
    expected = 20 + 0.3 * middle + ROUNDING
    pulls = (noise.variance_adu2 - expected) / noise.variance_error_adu2
    assert np.abs(pulls).max() < SIGMAS
    # Errors are those of variances of normal noise: sqrt(2 / values).
    scatter = expected * np.sqrt(2 / (FRAMES * ROWS * COLUMNS / CURVE_POINTS))
    ratio = noise.variance_error_adu2 / scatter
    assert np.sqrt(np.mean(ratio**2)) == pytest.approx(1, abs=4 / np.sqrt(2 * 20 * (FRAMES - 1)))


@pytest.mark.parametrize(
    ("weight_x", "weight_y"), [(0.0, 0.0), (0.5, 0.0), (0.2, 0.7), (-0.3, 0.4)]
)
def test_correlation_of_neighbours_is_that_of_the_kernel(weight_x, weight_y):
    rng = np.random.default_rng(2)
    white = rng.normal(0, 20.0, (FRAMES, ROWS + 1, COLUMNS + 1))
    mixed = white[:, 1:] + weight_y * white[:, :-1]
    mixed = mixed[:, :, 1:] + weight_x * mixed[:, :, :-1]
    noise = noise_of(levels(2000 + mixed))
    # The frame's own mean is taken out of each frame: -1 / pixels; rounding: below 1/12/400.
    slack = 3 / (ROWS * COLUMNS) + ROUNDING / 400
    for found, weight in ((noise.correlation_x, weight_x), (noise.correlation_y, weight_y)):
        true = weight / (1 + weight**2)
        assert abs(found.value - true) < SIGMAS * found.error + slack
        assert 0 < found.error < 0.02


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6])
@pytest.mark.parametrize("count", [13, 40])
def test_correlation_in_time_is_not_biased_by_few_frames(share, count):
    rng = np.random.default_rng(3)
    found = correlation_in_time(levels(2000 + in_time(rng, count, share, 20.0)))
    # Frames 6 apart count as independent.
    expected = 1 - (1 - share) / (1 - share**6)
    assert found.value == pytest.approx(expected, abs=SIGMAS * 2 / np.sqrt(count * ROWS * COLUMNS))


def test_the_covariance_about_the_mean_would_be_biased():
    """Why it is not taken: with 6 frames it is -1/6 where nothing correlates."""
    rng = np.random.default_rng(4)
    still = levels(2000 + in_time(rng, 6, 0.0, 20.0))
    residual = still - still.mean(axis=0)
    naive = (residual[1:] * residual[:-1]).mean() / (residual**2).mean()
    scatter = SIGMAS * 2 / np.sqrt(6 * ROWS * COLUMNS)
    assert naive == pytest.approx(-1 / 5, abs=scatter)
    assert correlation_in_time(still).value == pytest.approx(0, abs=scatter)


@pytest.mark.parametrize("count", [8, 40])
@pytest.mark.parametrize("pattern", [1.0, 4.0])
def test_the_pattern_is_found_under_noise_larger_than_itself(count, pattern):
    rng = np.random.default_rng(5)
    slow = 500 + 200 * np.cos(np.linspace(0, 3, ROWS))[:, None]
    fixed = rng.normal(0, pattern, (ROWS, COLUMNS))
    found = pattern_rms(levels(slow + fixed + rng.normal(0, 6.0, (count, ROWS, COLUMNS))))
    # Without the mean of the 5 x 5 pixels around, each keeps 24/25 of its variance.
    expected = np.std(fixed) * np.sqrt(24 / 25)
    assert abs(found.value - expected) < SIGMAS * found.error + 0.02 * expected


def test_noise_alone_is_no_pattern():
    rng = np.random.default_rng(6)
    found = pattern_rms(levels(500 + rng.normal(0, 6.0, (20, ROWS, COLUMNS))))
    # The covariance is 0 within its error; 9 frames each side.
    error2 = 36 / 9 / np.sqrt(ROWS * COLUMNS)
    assert found.value**2 < SIGMAS * error2


def test_frames_that_never_change_have_no_noise():
    still = np.full((8, ROWS, COLUMNS), 7, np.uint16)
    noise = noise_of(still)
    assert np.all(noise.variance_adu2 == 0)
    assert noise.correlation_x.value == noise.correlation_y.value == 0
    assert np.isnan(noise.correlation_x.error)
    assert correlation_in_time(still).value == 0
    assert pattern_rms(still).value == 0


def test_mean_over_frames_and_its_error_leave_out_unknown_values():
    found = over_frames(np.array([1.0, np.nan, 3.0, 5.0]))
    assert (found.value, found.error) == pytest.approx((3.0, 2.0 / np.sqrt(3)))
    assert np.isnan(over_frames(np.array([2.0])).error)
    assert np.isnan(over_frames(np.array([np.nan])).value)
    assert np.isnan(over_frames(np.zeros(0)).value)
