"""Picasso's tables of the same frames, and its net gradient pixel by pixel."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from like_references import UNIT_CAMERA, fisher_bound_px, spot
from localize_scenes import expected_frame, exposed

from cellstorm_lib.localize.like.picasso import find_net_gradients, spots_like_picasso
from cellstorm_lib.localize.like.settings import PicassoSettings

DATA = Path(__file__).parents[2] / "data"
FRAMES = (
    np.fromfile(DATA / "storm-analysis" / "two_frames.dax", ">u2")
    .reshape(2, 256, 256)
    .astype(np.uint16)
)


@pytest.mark.parametrize(
    ("table", "estimator", "share"),
    [("two_frames_mle.csv", "maximum-likelihood", 0.99), ("two_frames_lq.csv", "least-squares", 1)],
)
def test_the_table_is_the_one_picasso_makes(table, estimator, share):
    theirs = np.genfromtxt(DATA / "picasso" / table, delimiter=",", names=True)
    ours = spots_like_picasso(FRAMES, UNIT_CAMERA, PicassoSettings(estimator=estimator))
    columns = ours.columns
    np.testing.assert_array_equal(ours.index, theirs["frame"])
    np.testing.assert_allclose(columns["net_gradient"], theirs["net_gradient"], atol=0.06)
    uncertainty = np.hypot(theirs["lpx"], theirs["lpy"]) / np.sqrt(2)
    apart = np.hypot(columns["x_nm"] - 0.5 - theirs["x"], columns["y_nm"] - 0.5 - theirs["y"])
    same = apart < 0.1 * uncertainty
    assert same.mean() >= share
    for name, their_name in (
        ("photons", "photons"),
        ("background_photons", "bg"),
        ("sigma_x_nm", "sx"),
        ("sigma_y_nm", "sy"),
        ("uncertainty_x_nm", "lpx"),
        ("uncertainty_y_nm", "lpy"),
    ):
        np.testing.assert_allclose(columns[name][same], theirs[their_name][same], rtol=0.02)


def test_the_net_gradient_is_the_sum_towards_the_middle():
    rng = np.random.default_rng(1)
    frame = rng.integers(100, 140, (40, 50)).astype(np.uint16)
    places, net_gradient = find_net_gradients(frame[None], box_px=7, least=0)
    expected = {}
    image = frame.astype(float)
    for row in range(3, 40 - 4):
        for column in range(3, 50 - 4):
            box = image[row - 3 : row + 4, column - 3 : column + 4]
            if box.argmax() != 24:
                continue
            total = 0.0
            for down in range(-3, 4):
                for across in range(-3, 4):
                    if (down, across) != (0, 0):
                        y, x = row + down, column + across
                        slope = np.array(
                            [image[y + 1, x] - image[y - 1, x], image[y, x + 1] - image[y, x - 1]]
                        )
                        total -= slope @ (down, across) / np.hypot(down, across)
            if total > 0:
                expected[row, column] = total
    assert len(expected) > 5
    found = dict(zip(map(tuple, places[1:].T.tolist()), net_gradient, strict=True))
    assert found.keys() == expected.keys()
    np.testing.assert_allclose(list(found.values()), list(expected.values()), rtol=1e-5)


def test_no_box_leaves_the_frame_and_the_gradient_must_be_exceeded():
    frame = np.full((1, 20, 20), 100, np.uint16)
    frame[0, 10, 10], frame[0, 1, 5], frame[0, 18, 18] = 200, 250, 250
    places, net_gradient = find_net_gradients(frame, box_px=7, least=0)
    assert places.T.tolist() == [[0, 10, 10]]
    above, _ = find_net_gradients(frame, box_px=7, least=float(net_gradient[0]))
    assert above.shape == (3, 0)


def phone_like(count=3):
    rng = np.random.default_rng(2)
    mean = expected_frame((40, 40), [(12.3, 14.6, 2000.0), (28.1, 25.5, 1500.0)])
    return np.stack([exposed(mean, UNIT_CAMERA, rng) for _ in range(count)])


@pytest.mark.parametrize("psf", ["gaussian", "integrated-gaussian"])
def test_the_uncertainty_is_the_bound_of_the_fitted_spot(psf):
    columns = spots_like_picasso(
        phone_like(), UNIT_CAMERA, PicassoSettings(min_net_gradient=400, psf=psf)
    ).columns
    is_integrated = psf != "gaussian"
    assert len(columns["x_nm"]) == 6
    for k in range(6):
        theta = np.array(
            [
                columns["x_nm"][k] % 1 + 3,
                columns["y_nm"][k] % 1 + 3,
                *(columns[name][k] for name in ("photons", "background_photons")),
                *(columns[name][k] for name in ("sigma_x_nm", "sigma_y_nm")),
            ]
        )
        bound = fisher_bound_px(theta, 7, is_integrated=is_integrated)
        stated = [columns[f"uncertainty_{axis}_nm"][k] for axis in "xy"]
        np.testing.assert_allclose(stated, bound, rtol=0.1)
        assert spot(theta, 7, is_integrated=is_integrated).sum() > 0


def test_multiplied_electrons_have_twice_the_variance():
    settings = PicassoSettings(min_net_gradient=400)
    plain = spots_like_picasso(phone_like(), UNIT_CAMERA, settings).columns
    em = spots_like_picasso(phone_like(), UNIT_CAMERA, replace(settings, has_em_gain=True)).columns
    np.testing.assert_allclose(
        em["uncertainty_x_nm"], np.sqrt(2) * plain["uncertainty_x_nm"], rtol=1e-9
    )


def test_least_squares_of_mere_noise_give_finite_numbers_only():
    noise = np.random.default_rng(3).poisson(3.0, (20, 64, 64)).astype(np.uint16)
    camera = replace(UNIT_CAMERA, offset_adu=2.0)
    for estimator in ("least-squares", "maximum-likelihood"):
        found = spots_like_picasso(
            noise, camera, PicassoSettings(min_net_gradient=1, estimator=estimator)
        )
        assert len(found.index) > 100
        assert found.candidates == len(found.index) + found.rejected["not_converged"]
        for values in found.columns.values():
            assert np.isfinite(values).all()
