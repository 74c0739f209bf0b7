"""Spots are Gaussians integrated over pixels, and hold the light they are given."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import erf

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.simulate.spot import SpotSettings, add_spots


def drawn(shape, x_px, y_px, photons, sigma_px, frame=None):
    frames = np.zeros(shape, np.float32)
    spots = [np.atleast_1d(np.asarray(value, np.float64)) for value in (x_px, y_px, photons)]
    frame = np.zeros(len(spots[0]), np.int64) if frame is None else np.asarray(frame)
    add_spots(
        frames, frame=frame, x_px=spots[0], y_px=spots[1], photons=spots[2], sigma_px=sigma_px
    )
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
def test_a_spot_is_the_integral_of_its_gaussian_over_each_pixel(x_px, y_px, sigma_px, photons):
    expected = photons * np.outer(
        gaussian_shares(30, y_px, sigma_px), gaussian_shares(40, x_px, sigma_px)
    )
    found = drawn((1, 30, 40), x_px, y_px, photons, sigma_px)[0]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-7 * photons)


@settings(deadline=None)
@given(x_px=st.floats(14, 18), y_px=st.floats(14, 18), photons=st.floats(1, 1e5))
def test_a_spot_inside_holds_all_its_photons(x_px, y_px, photons):
    found = drawn((1, 32, 32), x_px, y_px, photons, 1.3).sum(dtype=np.float64)
    np.testing.assert_allclose(found, photons, rtol=1e-5)


def test_a_spot_on_the_edge_leaves_half_its_light_outside():
    found = drawn((1, 32, 32), 0.0, 16.3, 1000.0, 1.3).sum(dtype=np.float64)
    np.testing.assert_allclose(found, 500.0, rtol=1e-5)


def test_spots_go_into_their_frames_and_add_up():
    both = drawn((3, 24, 24), [12.2, 13.0, 8.0], [11.0, 12.7, 8.0], [500, 300, 9], 1.3, [2, 2, 0])
    one = drawn((1, 24, 24), 12.2, 11.0, 500, 1.3) + drawn((1, 24, 24), 13.0, 12.7, 300, 1.3)
    np.testing.assert_allclose(both[2], one[0], rtol=1e-5)
    assert both[1].sum() == 0
    np.testing.assert_allclose(both[0].sum(), 9, rtol=1e-5)


def test_a_spot_far_outside_leaves_the_frame_alone():
    assert drawn((1, 16, 16), [-500.0, 900.0], [8.0, 8.0], [1e6, 1e6], 1.3).sum() == 0


def test_an_impossible_width_is_refused():
    with pytest.raises(SettingsError, match="sigma_px must be at least 0.2 and at most 50, got 0"):
        SpotSettings(sigma_px=0.0)
