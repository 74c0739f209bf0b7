"""Maps from screen to camera: inverse, recovered by a fit, and beads found for it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellstorm_lib.pairs.beads import fit_beads
from cellstorm_lib.pairs.lens import LensMap, coarse_map, fit_map

FRAME_PX = (640, 360)


def a_lens(k1=-0.03, k2=0.006, tilt=5e-5, angle=0.03):
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = np.eye(3)
    matrix[:2, :2] = 0.9 * turn
    matrix[:2, 2] = (20, 12)
    matrix[2, :2] = (tilt, -tilt)
    return LensMap(matrix=matrix, centre_px=np.array([331.0, 172.0]), radius_px=367.0, k1=k1, k2=k2)


def grid():
    x, y = np.meshgrid(np.linspace(30, 610, 18), np.linspace(30, 330, 10))
    return np.column_stack([x.ravel(), y.ravel()])


@given(st.floats(-0.1, 0.1), st.floats(-0.02, 0.02), st.floats(0, 2e-4), st.floats(-0.1, 0.1))
def test_there_and_back_is_where_one_was(k1, k2, tilt, angle):
    lens = a_lens(k1, k2, tilt, angle)
    points = grid()
    np.testing.assert_allclose(lens.to_screen(lens.to_camera(points)), points, atol=1e-6)


@settings(max_examples=15)
@given(st.floats(-0.06, 0.06), st.floats(-0.01, 0.01))
def test_exact_points_give_the_exact_map(k1, k2):
    lens, points = a_lens(k1, k2), grid()
    found = fit_map(points, lens.to_camera(points), FRAME_PX, model="lens")
    elsewhere = points + np.array([7.3, -4.1])
    np.testing.assert_allclose(found.to_camera(elsewhere), lens.to_camera(elsewhere), atol=1e-3)


def test_a_few_wrong_points_hardly_move_the_map():
    lens, points = a_lens(), grid()
    rng = np.random.default_rng(2)
    seen = lens.to_camera(points) + rng.normal(0, 0.005, points.shape)
    wrong = rng.choice(len(points), 9, replace=False)
    seen[wrong] += rng.normal(0, 2, (9, 2))
    found = fit_map(points, seen, FRAME_PX, model="lens")
    miss = np.delete(found.to_camera(points) - lens.to_camera(points), wrong, axis=0)
    assert np.sqrt((miss**2).sum(axis=1).mean()) < 0.005


def test_affine_map_fits_an_affine_world_and_no_barrel():
    straight, points = a_lens(0, 0, 0), grid()
    found = fit_map(points, straight.to_camera(points), FRAME_PX, model="affine")
    np.testing.assert_allclose(found.to_camera(points), straight.to_camera(points), atol=1e-6)
    assert found.k1 == 0
    barrel = a_lens()
    found = fit_map(points, barrel.to_camera(points), FRAME_PX, model="affine")
    miss = found.to_camera(points) - barrel.to_camera(points)
    assert np.sqrt((miss**2).sum(axis=1).mean()) > 0.13


def test_coarse_map_goes_through_its_corners():
    lens = a_lens()
    corners = np.array([[40.0, 40], [600, 40], [600, 320], [40, 320]])
    for k1 in (0.0, -0.03):
        found = coarse_map(corners, lens.to_camera(corners), FRAME_PX, k1=k1)
        np.testing.assert_allclose(found.to_camera(corners), lens.to_camera(corners), atol=1e-6)


def drawn(xy_px, sigma_px, height, shape=(120, 160)):
    rows, columns = np.indices(shape)
    image = np.zeros(shape)
    for x, y in xy_px:
        r2 = (columns + 0.5 - x) ** 2 + (rows + 0.5 - y) ** 2
        image += height * np.exp(-0.5 * r2 / sigma_px**2)
    return image


PLACES = np.stack(np.meshgrid(np.arange(20, 150, 24), np.arange(20, 110, 24)), -1)
PLACES = PLACES.reshape(-1, 2) + np.random.default_rng(4).uniform(-2, 2, (24, 2))


def test_beads_are_found_where_they_are():
    image = drawn(PLACES, 2.3, 100) + 5
    found = fit_beads(image, np.rint(PLACES) + 2, sigma_px=2.0, search_px=6)
    assert found.is_found.all()
    np.testing.assert_allclose(found.xy_px, PLACES, atol=1e-3)
    np.testing.assert_allclose(found.sigma_px, 2.3, rtol=1e-3)


def test_noise_moves_beads_as_much_as_it_must():
    rng, height, sigma_px, noise = np.random.default_rng(5), 100.0, 2.0, 3.0
    clean = drawn(PLACES, sigma_px, height)
    errors = [
        fit_beads(
            clean + rng.normal(0, noise, clean.shape), PLACES, sigma_px=sigma_px, search_px=3
        ).xy_px
        - PLACES
        for _ in range(40)
    ]
    # Cramer-Rao bound of a Gaussian's centre in white noise: sqrt(2 / pi) noise / height
    bound_px = np.sqrt(2 / np.pi) * noise / height
    count = np.size(errors)
    assert abs(np.mean(errors)) < 4 * bound_px / np.sqrt(count)
    assert np.std(errors) == pytest.approx(bound_px, rel=4 / np.sqrt(2 * count) + 0.03)


def test_places_without_beads_or_outside_are_not_found():
    image = drawn(PLACES[:20], 2.0, 100) + np.random.default_rng(6).normal(0, 1, (120, 160))
    guesses = np.concatenate([PLACES, [[-5.0, 3.0], [158.0, 60.0]]])
    found = fit_beads(image, guesses, sigma_px=2.0, search_px=4)
    assert found.is_found[:20].all()
    assert not found.is_found[20:].any()
