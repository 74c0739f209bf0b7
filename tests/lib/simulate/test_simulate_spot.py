"""Spots are point spread functions integrated over pixels, and hold the light they are given."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import erf

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.simulate.airy import AirySpotSettings
from cellstorm_lib.simulate.gaussian import GaussianSpotSettings
from cellstorm_lib.simulate.spot import add_spots, prepared_spot

SPOTS = {
    "gaussian": GaussianSpotSettings(sigma_px=1.3),
    "airy": AirySpotSettings(),
    "defocused": AirySpotSettings(defocus_nm=500.0),
}


@cache
def ready_spot(spot):
    return prepared_spot(spot, pixel_size_nm=100.0)


def drawn(shape, x_px, y_px, photons, spot, frame=None):
    frames = np.zeros(shape, np.float32)
    spots = [np.atleast_1d(np.asarray(value, np.float64)) for value in (x_px, y_px, photons)]
    frame = np.zeros(len(spots[0]), np.int64) if frame is None else np.asarray(frame)
    ready = ready_spot(spot)
    add_spots(frames, frame=frame, x_px=spots[0], y_px=spots[1], photons=spots[2], spot=ready)
    return frames


def gaussian_shares(count, centre_px, sigma_px):
    edges = erf((np.arange(count + 1) - centre_px) / (np.sqrt(2) * sigma_px))
    return 0.5 * np.diff(edges)


@settings(deadline=None)
@given(
    x_px=st.floats(-5, 45),
    y_px=st.floats(-5, 35),
    sigma_px=st.floats(0.3, 4.0),
    photons=st.floats(1, 1e5),
)
def test_a_gaussian_is_its_integral_over_each_pixel(x_px, y_px, sigma_px, photons):
    expected = photons * np.outer(
        gaussian_shares(30, y_px, sigma_px), gaussian_shares(40, x_px, sigma_px)
    )
    spot = GaussianSpotSettings(sigma_px=sigma_px)
    found = drawn((1, 30, 40), x_px, y_px, photons, spot)[0]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-7 * photons)


@pytest.mark.parametrize("name", list(SPOTS))
@settings(deadline=None, max_examples=25)
@given(x_px=st.floats(32, 34), y_px=st.floats(32, 34), photons=st.floats(1, 1e5))
def test_a_spot_inside_holds_all_its_photons_about_its_position(name, x_px, y_px, photons):
    found = drawn((1, 66, 66), x_px, y_px, photons, SPOTS[name])[0].astype(np.float64)
    np.testing.assert_allclose(found.sum(), photons, rtol=1e-5)
    rows, columns = np.indices(found.shape) + 0.5
    assert (found * columns).sum() / found.sum() == pytest.approx(x_px, abs=0.01)
    assert (found * rows).sum() / found.sum() == pytest.approx(y_px, abs=0.01)


@pytest.mark.parametrize("name", list(SPOTS))
def test_a_spot_on_the_edge_leaves_half_its_light_outside(name):
    found = drawn((1, 66, 66), 0.0, 33.3, 1000.0, SPOTS[name]).sum(dtype=np.float64)
    np.testing.assert_allclose(found, 500.0, rtol=1e-5)


@pytest.mark.parametrize("name", list(SPOTS))
def test_spots_go_into_their_frames_and_add_up(name):
    spot = SPOTS[name]
    both = drawn((3, 64, 64), [32.2, 33.0, 31.0], [31.0, 30.7, 32], [500, 300, 9], spot, [2, 2, 0])
    one = drawn((1, 64, 64), 32.2, 31.0, 500, spot) + drawn((1, 64, 64), 33.0, 30.7, 300, spot)
    np.testing.assert_allclose(both[2], one[0], rtol=1e-5)
    assert both[1].sum() == 0
    np.testing.assert_allclose(both[0].sum(), 9, rtol=1e-5)


@pytest.mark.parametrize("name", list(SPOTS))
def test_a_spot_far_outside_leaves_the_frame_alone(name):
    assert drawn((1, 16, 16), [-500.0, 900.0], [8.0, 8.0], [1e6, 1e6], SPOTS[name]).sum() == 0


@pytest.mark.parametrize("name", list(SPOTS))
def test_a_small_frame_is_a_window_on_a_large_one(name):
    small = drawn((1, 12, 20), 7.3, 5.1, 1000.0, SPOTS[name])[0]
    large = drawn((1, 92, 100), 47.3, 45.1, 1000.0, SPOTS[name])[0]
    np.testing.assert_allclose(small, large[40:52, 40:60], rtol=1e-4, atol=1e-4)


def test_an_impossible_width_is_refused():
    with pytest.raises(SettingsError, match="sigma_px must be at least 0.2 and at most 50, got 0"):
        GaussianSpotSettings(sigma_px=0.0)
