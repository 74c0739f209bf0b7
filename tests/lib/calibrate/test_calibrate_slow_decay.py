import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter
from scipy.stats import binom

from cellstorm_lib.calibrate.slow_decay import fit_decay


@settings(max_examples=20, deadline=None)
@given(start=st.floats(0, 500), rate=st.floats(0.01, 2), sign=st.sampled_from([-1, 1]))
def test_an_exact_line_is_found(start, rate, sign):
    time_s = 7.0 + np.arange(300) / 20
    values = start + sign * rate * time_s
    decay = fit_decay(time_s, values)
    assert decay.kind == "linear"
    assert decay.rate_adu_per_s == pytest.approx(sign * rate, rel=1e-6)
    assert decay.fading_time_s is None
    np.testing.assert_allclose(decay.level_adu, values, rtol=1e-6, atol=1e-6)


@settings(max_examples=20, deadline=None)
@given(share=st.floats(0.05, 1.5), height=st.floats(0.1, 20), sign=st.sampled_from([-1, 1]))
def test_an_exact_exponential_is_found(share, height, sign):
    time_s = np.arange(400) / 20
    values = 4.0 + sign * height * np.exp(-time_s / (share * time_s[-1]))
    decay = fit_decay(time_s, values)
    assert decay.kind == "exponential"
    assert decay.fading_time_s == pytest.approx(share * time_s[-1], rel=0.01)
    expected = (values[-1] - values[0]) / time_s[-1]
    assert decay.rate_adu_per_s == pytest.approx(expected, rel=1e-2)


SHAPES = {
    "steady": lambda at: 0 * at,
    "linear": lambda at: -0.3 * at,
    "fading": lambda at: np.exp(-at / 0.3),
}


@pytest.mark.parametrize("follows", [0.0, 0.7])
@pytest.mark.parametrize("shape", SHAPES)
def test_intervals_hold_the_truth(shape, follows):
    rng = np.random.default_rng(3)
    at = np.linspace(0, 1, 300)
    true = SHAPES[shape](at)
    holds = []
    for _ in range(40):
        lasting = lfilter([np.sqrt(1 - follows**2)], [1, -follows], rng.standard_normal(500))[200:]
        decay = fit_decay(20 * at, true + 0.05 * lasting)
        holds.append(decay.rate_interval[0] <= (true[-1] - true[0]) / 20 <= decay.rate_interval[1])
        if shape == "fading":
            assert decay.fading_interval is not None
            holds.append(decay.fading_interval[0] <= 6 <= decay.fading_interval[1])
    # at the stated 95 % fewer than this have a chance of 1 in 1,000
    assert np.sum(holds) >= binom.ppf(1e-3, len(holds), 0.95) - 1


def test_a_steady_level_is_called_steady_and_is_one_number():
    rng = np.random.default_rng(4)
    decays = [fit_decay(np.arange(300) / 20, 4 + 0.1 * rng.standard_normal(300)) for _ in range(40)]
    kinds = [decay.kind for decay in decays]
    # 5 % of the lines and 1 % of the bends are due to chance
    assert kinds.count("none") >= binom.ppf(1e-3, 40, 0.94)
    steady = decays[kinds.index("none")]
    assert np.ptp(steady.level_adu) == 0
    assert steady.level_adu[0] == pytest.approx(4, abs=4 * 0.1 / np.sqrt(300))


def test_flashes_do_no_harm():
    rng = np.random.default_rng(5)
    time_s = np.arange(500) / 20
    values = 4 - 0.02 * time_s + 0.02 * rng.standard_normal(500)
    values[[3, 470, 471, 490]] += 30.0
    assert fit_decay(time_s, values).rate_adu_per_s == pytest.approx(-0.02, abs=0.001)


def test_a_long_recording_is_fitted_as_its_means():
    time_s = np.arange(30_000) / 20
    values = 4 + np.exp(-time_s / 200)
    decay = fit_decay(time_s, values)
    assert decay.fading_time_s == pytest.approx(200, rel=0.01)
    np.testing.assert_allclose(decay.level_adu, values, atol=1e-3)


def test_a_constant_is_steady():
    decay = fit_decay(np.arange(50) / 20, np.full(50, 4.5))
    assert decay.kind == "none"
    np.testing.assert_array_equal(decay.level_adu, 4.5)
