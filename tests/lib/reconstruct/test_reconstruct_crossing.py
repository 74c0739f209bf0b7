"""A curve crosses where it says, and only when it had risen beyond its noise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellstorm_lib.reconstruct.crossing import (
    SMOOTHING_SHARE,
    Smoothing,
    correlation,
    first_crossing,
    noise_of,
)
from cellstorm_lib.reconstruct.rings import RingSums

RINGS = 300
FREQUENCY = np.arange(RINGS) / 10_000.0
SAMPLES = 2 * np.pi * np.maximum(np.arange(RINGS), 1.0)


def sums(products=None):
    return RingSums(
        frequency_per_nm=FREQUENCY,
        products=np.zeros((RINGS, 2, 2)) if products is None else products,
        samples=SAMPLES,
        pixel_nm=16.0,
    )


@settings(deadline=None)
@given(
    resolution_nm=st.floats(40, 500),
    threshold=st.floats(0.1, 0.5),
    height=st.floats(0.6, 1),
)
def test_a_straight_fall_is_crossed_where_it_passes_the_threshold(resolution_nm, threshold, height):
    curve = threshold - (FREQUENCY - 1 / resolution_nm) * (height - threshold) * resolution_nm
    found = first_crossing(FREQUENCY, curve, SAMPLES * 100, threshold)
    assert found.has_risen
    assert found.frequency_per_nm == pytest.approx(1 / resolution_nm, rel=1e-9)
    slope = (height - threshold) * resolution_nm
    expected = (1 - threshold**2) / np.sqrt(100 * SAMPLES[int(1e4 / resolution_nm) + 1]) / slope
    assert found.spread_per_nm == pytest.approx(min(expected, 0.5 / resolution_nm), rel=0.05)


def test_smoothing_keeps_parabolas():
    smoothing = Smoothing.of(sums())
    curve = 0.9 - 30 * FREQUENCY + 400 * FREQUENCY**2
    np.testing.assert_allclose(smoothing.weights @ curve, curve, atol=1e-9)


def test_smoothed_noise_is_that_of_the_stated_samples():
    rng, smoothing = np.random.default_rng(0), Smoothing.of(sums())
    noise = rng.normal(0, 1, (400, RINGS)) / np.sqrt(SAMPLES)
    pulls = (noise @ smoothing.weights.T * np.sqrt(smoothing.samples))[:, 3:]
    assert np.abs(pulls.std(axis=0) - 1).max() < 5 / np.sqrt(2 * 400)
    assert (smoothing.samples[10:] > 1.5 * SAMPLES[10:]).all()


def test_smoothing_reaches_a_fixed_share_of_the_frequency():
    weights = Smoothing.of(sums()).weights
    for ring in (50, 100, 200):
        reach = np.flatnonzero(weights[ring])
        assert reach[0] == pytest.approx(ring * (1 - SMOOTHING_SHARE), abs=1)
        assert reach[-1] == pytest.approx(ring * (1 + SMOOTHING_SHARE), abs=1)


def test_what_is_left_of_the_mean_density_is_ignored():
    curve = np.zeros(RINGS)
    curve[0] = 1e6
    np.testing.assert_array_equal(Smoothing.of(sums()).weights @ curve, 0)


def test_a_rise_within_the_noise_is_none():
    curve = np.where(np.arange(RINGS) < 8, 0.4, 0.0)
    assert not first_crossing(FREQUENCY, curve, SAMPLES, 1 / 7).has_risen
    found = first_crossing(FREQUENCY, curve, 10 * SAMPLES, 1 / 7)
    assert found.has_risen
    assert found.frequency_per_nm is not None


def test_the_first_rise_that_counts_ends_the_search():
    ring = np.arange(RINGS)
    curve = np.select([ring < 5, ring < 40, ring < 90, ring < 120], [0.2, 0.0, 0.8, 0.0], 0.9)
    found = first_crossing(FREQUENCY, curve, SAMPLES, 1 / 7)
    assert FREQUENCY[89] < found.frequency_per_nm < FREQUENCY[90]


def test_a_curve_that_never_falls_is_not_crossed():
    found = first_crossing(FREQUENCY, np.full(RINGS, 0.5), SAMPLES, 1 / 7)
    assert found.has_risen
    assert found.frequency_per_nm is None


def test_a_correlation_of_equal_halves_is_one_and_of_an_empty_half_none():
    products = np.ones((RINGS, 2, 2))
    np.testing.assert_allclose(correlation(sums(products), np.array([1.0, 0.0])), 1)
    products[:, 1] = products[:, :, 1] = 0
    np.testing.assert_array_equal(correlation(sums(products), np.array([1.0, 0.0])), 0)


@given(seed=st.integers(0, 1000))
def test_swapping_the_halves_changes_nothing(seed):
    rng = np.random.default_rng(seed)
    roots = rng.normal(size=(RINGS, 4, 6))
    products, half = roots @ roots.transpose(0, 2, 1), np.array([1.0, 0, 1, 0])
    four = RingSums(frequency_per_nm=FREQUENCY, products=products, samples=SAMPLES, pixel_nm=16.0)
    np.testing.assert_allclose(correlation(four, half), correlation(four, 1 - half), atol=1e-12)
    assert (np.abs(correlation(four, half)) <= 1 + 1e-12).all()


@pytest.mark.parametrize("true", [0.0, 0.3, 0.8])
def test_the_noise_is_that_of_a_correlation_coefficient(true):
    rng, count, trials = np.random.default_rng(2), 400, 1000
    shared, own = rng.normal(size=(trials, 1, count)), rng.normal(size=(trials, 2, count))
    pairs = np.sqrt(true) * shared + np.sqrt(1 - true) * own
    found = np.array([np.corrcoef(one)[0, 1] for one in pairs])
    expected = noise_of(np.array(true), np.array(float(count)))
    assert abs(found.std() / expected - 1) < 4 / np.sqrt(2 * trials)
