"""The fit of all three estimators, against scipy and the bound."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from like_references import fisher_bound_px, spot
from scipy.optimize import least_squares

from cellstorm_lib.localize.like.gaussian import ESTIMATORS, GaussianFit, fit_gaussians

SIDE = 9
MIDDLE = np.array([[0], [SIDE // 2], [SIDE // 2]])


def how(estimator="maximum-likelihood", **changes):
    defaults = {"is_integrated": True, "width": "elliptic", "side": SIDE, "sigma_px": 1.3}
    return GaussianFit(estimator=estimator, **{**defaults, **changes})


def noisy_boxes(rng, count, theta, *, is_integrated=True):
    mean = spot(theta, SIDE, is_integrated=is_integrated)
    return rng.poisson(mean, (count, SIDE, SIDE)).astype(np.float32)


def places(count):
    return np.repeat(MIDDLE, count, axis=1) + np.array([np.arange(count), *2 * [np.zeros(count)]])


def fit(boxes, settings):
    return fit_gaussians(boxes, places(len(boxes)).astype(np.int64), settings)


@settings(deadline=None)
@given(
    x=st.floats(3.5, 5.5),
    y=st.floats(3.5, 5.5),
    photons=st.floats(100, 1e5),
    sigma_x=st.floats(0.8, 2.0),
    sigma_y=st.floats(0.8, 2.0),
)
@pytest.mark.parametrize("is_integrated", [True, False])
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_spot_without_noise_is_found_exactly(
    estimator, is_integrated, x, y, photons, sigma_x, sigma_y
):
    theta = (x, y, photons, 20.0, sigma_x, sigma_y)
    box = spot(theta, SIDE, is_integrated=is_integrated)[None].astype(np.float32)
    found = fit(box, how(estimator, is_integrated=is_integrated))
    assert found.has_converged[0]
    numbers = (found.x_px, found.y_px, found.photons, found.background)
    widths = (found.sigma_x_px, found.sigma_y_px)
    np.testing.assert_allclose(np.ravel((*numbers, *widths)), theta, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("estimator", ["least-squares", "weighted-least-squares"])
def test_noisy_spots_are_fitted_as_scipy_fits_them(estimator):
    rng = np.random.default_rng(1)
    boxes = noisy_boxes(rng, 20, (4.3, 4.6, 900.0, 10.0, 1.2, 1.5))
    found = fit(boxes, how(estimator, is_integrated=False))
    for k, box in enumerate(boxes.astype(float)):
        weights = np.ones_like(box)
        if estimator != "least-squares":
            with np.errstate(divide="ignore"):
                weights = np.minimum(1 / box, 1000 / box.max())
        theirs = least_squares(
            lambda t, box=box, weights=weights: (
                np.sqrt(weights) * (box - spot(t, SIDE, is_integrated=False))
            ).ravel(),
            (4.5, 4.5, 800, 8, 1.3, 1.3),
            x_scale=(1, 1, 500, 5, 1, 1),
            xtol=1e-12,
            ftol=1e-12,
        )
        ours = (found.x_px[k], found.y_px[k], found.sigma_x_px[k], found.sigma_y_px[k])
        np.testing.assert_allclose(ours, theirs.x[[0, 1, 4, 5]], atol=1e-3)
        np.testing.assert_allclose(found.photons[k], theirs.x[2], rtol=1e-3)


def test_squares_are_what_the_model_leaves():
    boxes = noisy_boxes(np.random.default_rng(2), 5, (4.5, 4.5, 500.0, 10.0, 1.3, 1.3))
    found = fit(boxes, how("least-squares"))
    for k, box in enumerate(boxes):
        theta = [found.x_px[k], found.y_px[k], found.photons[k], found.background[k]]
        left = box - spot([*theta, found.sigma_x_px[k], found.sigma_y_px[k]], SIDE)
        np.testing.assert_allclose(found.squares[k], np.sum(left**2), rtol=1e-6)


@pytest.mark.parametrize("is_integrated", [True, False])
def test_the_likelihood_states_the_bound_and_reaches_it(is_integrated):
    theta = np.array([4.4, 4.7, 1000.0, 10.0, 1.2, 1.4])
    count = 2000
    boxes = noisy_boxes(np.random.default_rng(3), count, theta, is_integrated=is_integrated)
    found = fit(boxes, how(is_integrated=is_integrated))
    bound_x, bound_y = fisher_bound_px(theta, SIDE, is_integrated=is_integrated)
    np.testing.assert_allclose(np.median(np.sqrt(found.variance_x_px2)), bound_x, rtol=0.01)
    np.testing.assert_allclose(np.median(np.sqrt(found.variance_y_px2)), bound_y, rtol=0.01)
    pulls = (found.x_px - theta[0]) / np.sqrt(found.variance_x_px2)
    assert abs(pulls.mean()) < 4 / np.sqrt(count)
    assert abs(pulls.std() - 1) < 4 / np.sqrt(2 * count)


def test_a_fixed_width_stays_and_a_round_one_is_one():
    boxes = noisy_boxes(np.random.default_rng(4), 10, (4.5, 4.5, 900.0, 10.0, 1.1, 1.5))
    fixed = fit(boxes, how(width="fixed"))
    np.testing.assert_array_equal(fixed.sigma_x_px, 1.3)
    assert fixed.has_converged.all()
    one = fit(boxes, how(width="round"))
    np.testing.assert_array_equal(one.sigma_x_px, one.sigma_y_px)
    assert np.ptp(one.sigma_x_px) > 0


def test_neither_photons_nor_background_go_below_their_least():
    box = spot((4.5, 4.5, 500.0, -5.0, 1.3, 1.3), SIDE)[None].astype(np.float32)
    held = fit(box, how("least-squares", width="round"))
    assert held.background[0] == 0
    assert held.has_converged[0]
    free = fit(box, how("least-squares", width="round", least_background=-np.inf))
    np.testing.assert_allclose(free.background[0], -5.0, atol=1e-3)


def test_positions_count_from_the_corner_of_the_frame():
    frame = np.full((1, 40, 50), 10.0, np.float32)
    frame[0, 20:29, 30:39] = spot((4.5, 4.5, 900.0, 10.0, 1.3, 1.3), SIDE)
    found = fit_gaussians(frame, np.array([[0], [24], [34]]), how())
    np.testing.assert_allclose([found.x_px[0], found.y_px[0]], [34.5, 24.5], atol=1e-3)
    assert found.shift_px[0] < 1e-3


def test_frames_of_one_value_give_no_sound_spot_or_a_finite_one():
    found = fit(np.full((1, SIDE, SIDE), 7.0, np.float32), how("weighted-least-squares"))
    numbers = [found.x_px[0], found.photons[0], found.variance_x_px2[0]]
    assert np.isfinite(numbers).all() or not found.is_sound[0]


def test_nothing_to_fit_is_no_error():
    assert len(fit(np.empty((0, SIDE, SIDE), np.float32), how()).photons) == 0
