"""Laser profile and drift are smooth and as large as stated."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.simulate.illumination import IlluminationSettings, relative_illumination
from cellstorm_lib.simulate.stage import StageSettings, stage_drift


def test_the_beam_falls_to_one_over_e_squared_at_its_waist():
    x_nm, y_nm = np.array([5000.0, 11_000.0, 5000.0]), np.array([4000.0, 4000.0, 10_000.0])
    found = relative_illumination(
        IlluminationSettings(waist_um=6.0), x_nm, y_nm, width_nm=10_000.0, height_nm=8000.0
    )
    np.testing.assert_allclose(found, [1.0, np.exp(-2), np.exp(-2)])
    flat = relative_illumination(
        IlluminationSettings(waist_um=6.0, flatness=5.0),
        x_nm,
        np.array([4000.0, 4000.0, 7000.0]),
        width_nm=10_000.0,
        height_nm=8000.0,
    )
    np.testing.assert_allclose(flat, [1.0, np.exp(-2), np.exp(-2 / 2**10)])
    even = relative_illumination(
        IlluminationSettings(), x_nm, y_nm, width_nm=10_000.0, height_nm=8000.0
    )
    np.testing.assert_array_equal(even, 1.0)


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32),
    drift_nm=st.floats(1, 1000),
    waves=st.integers(0, 5),
    frame_count=st.integers(2, 3000),
)
def test_drift_starts_at_rest_and_has_its_range(seed, drift_nm, waves, frame_count):
    drift = stage_drift(
        StageSettings(drift_nm=drift_nm, waves=waves),
        frame_count=frame_count,
        rng=np.random.default_rng(seed),
    )
    assert drift.shape == (frame_count, 2)
    np.testing.assert_array_equal(drift[0], 0.0)
    assert np.ptp(drift, axis=0).max() == pytest.approx(drift_nm)


def test_drift_is_smooth():
    drift = stage_drift(
        StageSettings(drift_nm=100.0), frame_count=3000, rng=np.random.default_rng(5)
    )
    assert np.abs(np.diff(drift, axis=0)).max() < 2 * np.pi * 2 * 100.0 / 3000
    assert np.abs(np.diff(drift, n=2, axis=0)).max() < (2 * np.pi * 2) ** 2 * 100.0 / 3000**2


def test_no_drift_and_a_single_frame_stay_at_rest():
    for settings_, frames in ((StageSettings(), 100), (StageSettings(drift_nm=50.0), 1)):
        rng = np.random.default_rng(6)
        np.testing.assert_array_equal(stage_drift(settings_, frame_count=frames, rng=rng), 0.0)


def test_impossible_light_is_refused():
    with pytest.raises(SettingsError, match="waist_um must be above 0, got 0"):
        IlluminationSettings(waist_um=0.0)
    with pytest.raises(SettingsError, match="flatness must be at least 1"):
        IlluminationSettings(flatness=0.5)
    with pytest.raises(SettingsError, match="drift_nm must be at least 0, got -3"):
        StageSettings(drift_nm=-3.0)
