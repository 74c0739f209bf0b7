"""A table that rapidSTORM 3 made of a recording, and the rules of its manual."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from like_references import UNIT_CAMERA
from localize_scenes import expected_frame, exposed

from cellstorm_lib.localize.like.rapidstorm import spots_like_rapidstorm
from cellstorm_lib.localize.like.settings import RapidstormSettings

LOCAN = Path(__file__).parents[2] / "data" / "locan"
#: Of the recording, from the size of its field in the table's header.
PIXEL_NM = 133.5
FWHM = 2 * np.sqrt(2 * np.log(2))


def test_the_table_is_the_one_rapidstorm_made():
    # columns: x, y, frame, amplitude, FWHM x and y, sum of squares, background
    theirs = np.loadtxt(LOCAN / "rapidSTORM_from_images.txt")
    frames = tifffile.imread(LOCAN / "images.tif")
    theirs = theirs[theirs[:, 2] < len(frames)]
    # both widths were fitted within the limits of the header; the threshold is not stated, and
    # the dimmest row of the whole table has 1878
    settings = RapidstormSettings(
        is_width_fitted=True, least_fwhm_nm=250, most_fwhm_nm=580, amplitude_adu=1500
    )
    ours = spots_like_rapidstorm(frames, UNIT_CAMERA, PIXEL_NM, settings)
    columns = ours.columns
    np.testing.assert_array_equal(ours.index, theirs[:, 2])
    # rapidSTORM counts from the centre of the first pixel
    apart_x = columns["x_nm"] - 0.5 - theirs[:, 0] / PIXEL_NM
    apart_y = columns["y_nm"] - 0.5 - theirs[:, 1] / PIXEL_NM
    assert (np.abs(apart_x) < 0.1 * columns["uncertainty_x_nm"]).all()
    assert (np.abs(apart_y) < 0.1 * columns["uncertainty_y_nm"]).all()
    np.testing.assert_allclose(columns["amplitude_adu"], theirs[:, 3], rtol=0.05)
    np.testing.assert_allclose(columns["sigma_x_nm"] * FWHM * PIXEL_NM, theirs[:, 4], rtol=0.03)
    np.testing.assert_allclose(columns["sigma_y_nm"] * FWHM * PIXEL_NM, theirs[:, 5], rtol=0.03)
    np.testing.assert_allclose(columns["background_adu"], theirs[:, 7], rtol=0.006)


def film(spots, count=1, background=10.0, seed=1, side=64):
    rng = np.random.default_rng(seed)
    mean = expected_frame((side, side), spots, background=background)
    return np.stack([exposed(mean, UNIT_CAMERA, rng) for _ in range(count)])


FIXED = RapidstormSettings(fwhm_nm=1.3 * FWHM * 100)


def test_spots_of_known_width_are_found_with_their_light():
    true = [(12.3, 14.6, 4000.0), (40.1, 25.5, 3000.0), (50.7, 50.2, 2000.0)]
    found = spots_like_rapidstorm(film(true, count=50), UNIT_CAMERA, 100.0, FIXED)
    columns = found.columns
    assert len(found.index) == 150
    first = np.hypot(columns["x_nm"] - 12.3, columns["y_nm"] - 14.6) < 1
    assert first.sum() == 50
    # sampled at pixel centres, a spot of fixed width that is really integrated keeps its light
    assert columns["amplitude_adu"][first].mean() == pytest.approx(4000, rel=0.05)
    pulls = (columns["x_nm"][first] - 12.3) / columns["uncertainty_x_nm"][first]
    assert abs(pulls.mean()) < 4 / np.sqrt(50)
    assert abs(pulls.std() - 1) < 4 / np.sqrt(2 * 50)
    np.testing.assert_array_equal(columns["sigma_x_nm"], 1.3)


def test_spots_of_a_frame_come_in_the_order_of_their_height():
    true = [(12.3, 14.6, 2000.0), (40.1, 25.5, 6000.0), (50.7, 50.2, 4000.0)]
    columns = spots_like_rapidstorm(film(true), UNIT_CAMERA, 100.0, FIXED).columns
    assert (np.diff(columns["amplitude_adu"]) < 0).all()


def test_photoelectrons_come_from_the_camera():
    true = [(12.3, 14.6, 4000.0)]
    camera = replace(UNIT_CAMERA, gain_e_per_adu=0.5)
    columns = spots_like_rapidstorm(film(true), camera, 100.0, FIXED).columns
    np.testing.assert_allclose(columns["photons"], 0.5 * columns["amplitude_adu"])
    np.testing.assert_allclose(
        columns["background_photons"], 0.5 * (columns["background_adu"] - 100)
    )


def test_three_failures_in_a_row_end_a_frame():
    frames = film([], count=4)
    for motivation in (3, 5):
        found = spots_like_rapidstorm(
            frames, UNIT_CAMERA, 100.0, replace(FIXED, motivation=motivation)
        )
        failed = sum(found.rejected.values()) - found.rejected["border"]
        assert failed == motivation * len(frames)
        assert len(found.index) == 0


def test_a_weak_maximum_near_a_strong_one_is_not_fitted():
    two = [(20.5, 30.5, 9000.0), (26.5, 30.5, 8000.0)]
    near = spots_like_rapidstorm(
        film(two), UNIT_CAMERA, 100.0, replace(FIXED, spot_distance_nm=800.0)
    )
    far = spots_like_rapidstorm(film(two), UNIT_CAMERA, 100.0, FIXED)
    assert len(near.index) == 1
    assert len(far.index) == 2


def test_spots_at_the_border_dim_ones_and_those_that_move_are_counted():
    true = [(2.0, 30.0, 9000.0), (30.0, 30.0, 5000.0)]
    found = spots_like_rapidstorm(film(true), UNIT_CAMERA, 100.0, FIXED)
    assert found.rejected["border"] >= 1
    assert len(found.index) == 1
    assert found.candidates == len(found.index) + sum(found.rejected.values())
    none = spots_like_rapidstorm(
        film(true), UNIT_CAMERA, 100.0, replace(FIXED, amplitude_adu=20_000.0)
    )
    assert len(none.index) == 0
    fixed = spots_like_rapidstorm(film(true), UNIT_CAMERA, 100.0, replace(FIXED, max_move_nm=1.0))
    assert fixed.rejected["left_the_box"] >= 1


def test_fitted_widths_beyond_their_range_are_no_spots():
    wide = replace(FIXED, is_width_fitted=True, least_fwhm_nm=500.0, motivation=30)
    found = spots_like_rapidstorm(film([(30.0, 30.0, 5000.0)]), UNIT_CAMERA, 100.0, wide)
    assert found.rejected["sigma_out_of_range"] >= 1
    assert (found.columns["sigma_x_nm"] * FWHM * 100 >= 500).all()
