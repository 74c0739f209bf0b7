"""ThunderSTORM's published equations, evaluated independently by scipy on the same frames."""

from dataclasses import replace

import numpy as np
import pytest
from like_references import UNIT_CAMERA, thunderstorm_fits
from localize_scenes import expected_frame, exposed

from cellstorm_lib.localize.like.settings import ThunderstormSettings
from cellstorm_lib.localize.like.thunderstorm import spots_like_thunderstorm

CAMERA = replace(UNIT_CAMERA, gain_e_per_adu=0.5, read_noise_e=1.2)


def crowd(seed, count=3, side=48):
    rng = np.random.default_rng(seed)
    frames = []
    for _ in range(count):
        spots = [(*rng.uniform(2, side - 2, 2), rng.uniform(300, 2000)) for _ in range(10)]
        frames.append(exposed(expected_frame((side, side), spots), CAMERA, rng))
    return np.stack(frames)


@pytest.mark.parametrize(
    "estimator", ["weighted-least-squares", "least-squares", "maximum-likelihood"]
)
def test_spots_are_those_of_the_published_equations(estimator):
    frames = crowd(5, count=2 if estimator == "maximum-likelihood" else 6)
    settings = ThunderstormSettings(estimator=estimator, threshold="1.5*std(Wave.F1)")
    ours = spots_like_thunderstorm(frames, CAMERA, settings)
    expected = [
        (index, *fit)
        for index, frame in enumerate(frames)
        for fit in thunderstorm_fits(frame, CAMERA, estimator=estimator, factor=1.5)
    ]
    expected = np.array(expected)
    columns = ours.columns
    found = np.column_stack([
        ours.index, columns["x_nm"], columns["y_nm"], columns["photons"],
        columns["background_photons"], columns["sigma_nm"], columns["background_std_photons"],
    ])  # fmt: skip
    assert abs(len(found) - len(expected)) <= 1
    apart = np.hypot(*(found[:, None, 1:3] - expected[None, :, 1:3]).T).T
    apart[found[:, None, 0] != expected[None, :, 0]] = np.inf
    nearest = apart.argmin(axis=1)
    share = apart[np.arange(len(found)), nearest] / columns["uncertainty_nm"]
    assert np.mean(share < 0.1) >= 0.97
    same = share < 0.1
    theirs = expected[nearest]
    np.testing.assert_allclose(found[same, 3], theirs[same, 3], rtol=0.03)
    np.testing.assert_allclose(found[same, 4], theirs[same, 4], atol=0.3)
    np.testing.assert_allclose(found[same, 5], theirs[same, 5], rtol=0.03)
    np.testing.assert_allclose(found[same, 6], theirs[same, 6], rtol=0.03)


def one_spot(camera=CAMERA):
    mean = expected_frame((32, 32), [(16.2, 15.7, 1000.0)])
    return exposed(mean, camera, np.random.default_rng(6))[None]


@pytest.mark.parametrize(
    ("changes", "formula"),
    [
        ({}, lambda s, n, b: (s**2 + 1 / 12) / n + 8 * np.pi * s**4 * b**2 / n**2),
        (
            {"uncertainty": "later"},
            lambda s, n, b: (
                (s**2 + 1 / 12)
                / n
                * (1 + 4 * tau(s, n, b) + np.sqrt(2 * tau(s, n, b) / (1 + 4 * tau(s, n, b))))
            ),
        ),
        (
            {"uncertainty": "later", "estimator": "least-squares"},
            lambda s, n, b: (s**2 + 1 / 12) / n * (16 / 9 + 4 * tau(s, n, b)),
        ),
    ],
)
def test_the_uncertainty_is_that_of_its_version(changes, formula):
    settings = ThunderstormSettings(threshold="3*std(Wave.F1)", **changes)
    columns = spots_like_thunderstorm(one_spot(), CAMERA, settings).columns
    noise = columns["background_std_photons"] + CAMERA.read_noise_e
    expected = np.sqrt(formula(columns["sigma_nm"], columns["photons"], noise))
    np.testing.assert_allclose(columns["uncertainty_nm"], expected, rtol=1e-9)
    assert len(expected) == 1


def tau(s, n, b):
    return 2 * np.pi * b**2 * (s**2 + 1 / 12) / n


def test_multiplied_electrons_have_twice_the_shot_noise_and_no_read_noise():
    settings = ThunderstormSettings(threshold="3*std(Wave.F1)", has_em_gain=True)
    columns = spots_like_thunderstorm(one_spot(), CAMERA, settings).columns
    s, n, b = (columns[k] for k in ("sigma_nm", "photons", "background_std_photons"))
    expected = (2 * s**2 + 1 / 12) / n + 8 * np.pi * s**4 * b**2 / n**2
    np.testing.assert_allclose(columns["uncertainty_nm"], np.sqrt(expected), rtol=1e-9)


def test_a_frame_below_the_offset_is_raised_as_a_whole():
    frames = one_spot()
    high = replace(CAMERA, offset_adu=float(frames.min()) + 50)
    settings = ThunderstormSettings(threshold="3*std(Wave.F1)")
    raised = spots_like_thunderstorm(frames, high, settings).columns
    level = spots_like_thunderstorm(
        frames, replace(CAMERA, offset_adu=float(frames.min())), settings
    ).columns
    np.testing.assert_allclose(raised["x_nm"], level["x_nm"])
    np.testing.assert_allclose(raised["background_photons"], level["background_photons"])


def test_equal_neighbours_are_both_maxima_and_four_neighbours_find_more():
    frame = np.full((1, 32, 32), 110, np.uint16)
    frame[0, 16, 15:17] = 400
    settings = ThunderstormSettings(threshold="3*std(Wave.F1)")
    assert spots_like_thunderstorm(frame, CAMERA, settings).candidates == 2
    noise = np.random.default_rng(7).poisson(20.0, (4, 64, 64)).astype(np.uint16) + 100
    four = ThunderstormSettings(threshold="0.1", neighbours=4)
    eight = ThunderstormSettings(threshold="0.1")
    assert (
        spots_like_thunderstorm(noise, CAMERA, four).candidates
        > spots_like_thunderstorm(noise, CAMERA, eight).candidates
    )


def test_the_threshold_rejects_noise_at_the_published_rate():
    noise = np.random.default_rng(8).poisson(10.0, (20, 128, 128)).astype(np.uint16)
    camera = replace(UNIT_CAMERA, offset_adu=0.0)
    found = [
        spots_like_thunderstorm(
            noise, camera, ThunderstormSettings(threshold=f"{factor}*std(Wave.F1)")
        )
        for factor in (0.5, 1.0, 2.0)
    ]
    counts = [spots.candidates - spots.rejected["border"] for spots in found]
    # 437 a frame of 256 x 256 by an evaluation of the published filter that is not ours
    per_large_frame = np.array(counts) / len(noise) * (250 / 122) ** 2
    assert per_large_frame[0] == pytest.approx(437, rel=0.05)
    assert per_large_frame[1] < 3
    assert counts[2] == 0


def test_candidates_at_the_border_and_fits_that_leave_are_counted():
    frames = one_spot()
    frames[0, 1, 1] = 2000
    settings = ThunderstormSettings(threshold="std(Wave.F1)")
    found = spots_like_thunderstorm(frames, CAMERA, settings)
    assert found.rejected["border"] >= 1
    assert found.candidates == len(found.index) + sum(found.rejected.values())


def test_the_plain_gaussian_is_wider_by_the_pixel():
    wanted = {"threshold": "3*std(Wave.F1)"}
    over_pixels = spots_like_thunderstorm(one_spot(), CAMERA, ThunderstormSettings(**wanted))
    at_centres = spots_like_thunderstorm(
        one_spot(), CAMERA, ThunderstormSettings(psf="gaussian", **wanted)
    )
    np.testing.assert_allclose(
        at_centres.columns["sigma_nm"] ** 2 - over_pixels.columns["sigma_nm"] ** 2,
        1 / 12,
        rtol=0.05,
    )
