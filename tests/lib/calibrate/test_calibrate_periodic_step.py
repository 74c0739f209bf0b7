import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter
from scipy.stats import binom

from cellstorm_lib.calibrate.folding import fold
from cellstorm_lib.calibrate.periodic_step import (
    FALSE_ALARM_RATE,
    LEAST_STEP_ADU,
    find_periodic_step,
)


def noise(rng, count, *, kind="white"):
    """Return noise of standard deviation 1 with one of several spectra."""
    white = rng.standard_normal(count + 500)
    series = {
        "white": lambda: white,
        "lasting": lambda: lfilter([1], [1, -0.6], white),
        "long lasting": lambda: lfilter([1], [1, -0.95], white),
        "wandering": lambda: np.cumsum(white),
        "swinging": lambda: lfilter([1], [1, -1.8 * np.cos(2 * np.pi / 12), 0.81], white),
        "averaged": lambda: lfilter(np.ones(5), [1], white),
        "glitches": lambda: rng.standard_t(2.5, count + 500),
    }[kind]()[500:]
    return series / series.std()


KINDS = ("white", "lasting", "long lasting", "wandering", "swinging", "averaged", "glitches")


def sawtooth(time_s, period_s):
    """Return a drop of 1 at the start of every period, made up for until the next."""
    turn = time_s / period_s
    return turn - np.floor(turn)


def kept_frames(rng, count, *, share):
    """Return the times of frames at 20 Hz of which some were dropped."""
    return np.flatnonzero(rng.random(count) < share) / 20


@settings(max_examples=40, deadline=None)
@given(
    period_frames=st.integers(10, 40),
    periods=st.integers(16, 30),
    seed=st.integers(0, 2**32 - 1),
    kind=st.sampled_from(["white", "lasting"]),
    share=st.sampled_from([1.0, 0.97]),
)
def test_a_step_that_stands_out_is_found_in_time(period_frames, periods, seed, kind, share):
    rng = np.random.default_rng(seed)
    time_s = kept_frames(rng, int(periods * period_frames) + 12, share=share)
    values = sawtooth(time_s, period_frames / 20) + 0.04 * noise(rng, len(time_s), kind=kind)
    found = find_periodic_step(time_s, values)
    assert found is not None
    assert found.period_s * 20 == pytest.approx(period_frames, abs=0.5)


@pytest.mark.parametrize("kind", ["white", "lasting"])
def test_the_height_is_that_of_the_pattern_and_its_error_honest(kind):
    rng = np.random.default_rng(5)
    time_s = np.arange(420) / 20
    pattern = np.where(np.arange(420) % 21 == 0, 0.2, 0.0)
    found = [
        find_periodic_step(time_s, pattern + 0.03 * noise(rng, 420, kind=kind)) for _ in range(40)
    ]
    pulls = [(step.step_adu - 0.2) / step.step_error_adu for step in found if step is not None]
    assert len(pulls) == 40
    # the lowest of 20 equal phases is chosen by the other half: no bias
    assert abs(np.mean(pulls)) < 4 / np.sqrt(40)
    assert abs(np.std(pulls) - 1) < 4 / np.sqrt(80)


def test_key_frames_that_alternate_are_still_one_period():
    rng = np.random.default_rng(6)
    frame = np.arange(600)
    heights = np.where(frame // 15 % 2, 1.0, 0.7)
    values = np.where(frame % 15 == 0, heights, 0.0) + 0.1 * noise(rng, 600)
    found = find_periodic_step(frame / 20, values)
    assert found is not None
    assert found.period_s * 20 == pytest.approx(15, abs=0.1)


@pytest.mark.parametrize("count", [36, 150, 400])
def test_noise_of_any_colour_rarely_steps(count):
    rng = np.random.default_rng(7)
    series = [noise(rng, count, kind=kind) for kind in KINDS for _ in range(60)]
    alarms = sum(find_periodic_step(np.arange(count) / 20, values) is not None for values in series)
    # more alarms than this have a chance of 1 in 10,000 when the stated rate is true
    assert alarms <= binom.isf(1e-4, len(series), FALSE_ALARM_RATE)


@pytest.mark.slow
@pytest.mark.parametrize("count", [36, 100, 300, 1000])
def test_the_stated_rate_of_false_alarms_is_kept(count):
    rng = np.random.default_rng(8)
    time_s = kept_frames(rng, count, share=0.98)
    alarms = [
        find_periodic_step(time_s, noise(rng, len(time_s), kind=kind)) is not None
        for kind in KINDS
        for _ in range(150)
    ]
    assert np.sum(alarms) <= binom.isf(1e-4, len(alarms), FALSE_ALARM_RATE)


def test_what_is_too_small_to_matter_is_no_step():
    frame = np.arange(600)
    for height, is_found in ((0.8 * LEAST_STEP_ADU, False), (1.3 * LEAST_STEP_ADU, True)):
        values = height * (frame % 20 == 0) + 0.004 * noise(np.random.default_rng(9), 600)
        assert (find_periodic_step(frame / 20, values) is not None) == is_found


@pytest.mark.parametrize("count", [24, 200])
def test_a_level_that_never_changes_has_no_step(count):
    assert find_periodic_step(np.arange(count) / 20, np.full(count, 4.25)) is None


def test_a_single_jump_and_a_slope_are_no_periodic_step():
    frame = np.arange(500)
    small = 0.02 * noise(np.random.default_rng(10), 500)
    assert find_periodic_step(frame / 20, (frame > 260) * 1.0 + small) is None
    assert find_periodic_step(frame / 20, np.exp(-frame / 60) + small) is None


def test_folding_gives_the_pattern_back_whatever_is_missing():
    rng = np.random.default_rng(11)
    pattern = rng.normal(size=7)
    frame = np.flatnonzero(rng.random(700) < 0.8)
    folded = fold(3.0 + frame / 20, pattern[frame % 7], 0.35, 0.05, start_s=3.0)
    np.testing.assert_allclose(folded.mean_adu, pattern, atol=1e-12)
    np.testing.assert_allclose(folded.error_adu, 0, atol=1e-12)
    np.testing.assert_allclose(folded.phase_s, np.arange(7) / 20)


def test_folded_errors_are_those_of_a_mean():
    rng = np.random.default_rng(12)
    pulls = []
    for _ in range(50):
        folded = fold(np.arange(200) / 20, rng.normal(size=200), 0.5, 0.05, start_s=0.0)
        pulls.append(folded.mean_adu / folded.error_adu)
    # 500 values of Student's t with 19 degrees of freedom, of variance 19 / 17
    assert np.var(pulls) == pytest.approx(19 / 17, rel=4 * np.sqrt(2.4 / 500))


def test_phases_without_frames_or_with_one_are_told_apart():
    folded = fold(
        np.array([0.0, 0.1, 0.3, 0.4]), np.array([1.0, 2.0, 5.0, 3.0]), 0.4, 0.1, start_s=0.0
    )
    np.testing.assert_array_equal(folded.mean_adu, [2.0, 2.0, np.nan, 5.0])
    # the scatter of the only phase with two frames: variance 2, in all three means
    np.testing.assert_allclose(folded.error_adu, [1.0, np.sqrt(2), np.nan, np.sqrt(2)])
