from dataclasses import replace

import numpy as np
import pytest
from localize_scenes import (
    PHONE,
    SCIENTIFIC,
    assert_honest,
    expected_frame,
    exposed,
    spot_boxes,
)

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.localize.blocks import fit_spots
from cellstorm_lib.localize.fit import fit_candidates
from cellstorm_lib.localize.fit_settings import FitSettings
from cellstorm_lib.localize.judge import REJECTIONS, judge
from cellstorm_lib.localize.search import Candidates

ALL = FitSettings(min_photons=0.0, duplicate_px=0.0)


def candidates_at(index, row, column, offset_px=None):
    index, row, column = (
        np.atleast_1d(np.asarray(part, np.int32)) for part in (index, row, column)
    )
    offset_px = np.zeros((len(index), 2), np.float32) if offset_px is None else offset_px
    return Candidates(index=index, row=row, column=column, offset_px=offset_px)


def fits_of_boxes(frames, camera=SCIENTIFIC, settings=ALL):
    count, side = len(frames), frames.shape[1]
    middle = np.full(count, side // 2)
    return fit_candidates(frames, candidates_at(np.arange(count), middle, middle), camera, settings)


def test_positions_reach_the_bound_and_say_so():
    frames, x, y = spot_boxes(np.random.default_rng(1), 8000, camera=SCIENTIFIC)
    fits = fits_of_boxes(frames)
    assert len(fits) == 8000
    error = np.hypot(fits.x_px - x, fits.y_px - y)
    # 1.18 is the median of a Rayleigh distribution of unit width; 3 % of it are 2.6 s.d. here
    assert abs(np.median(error) / (1.1774 * np.median(fits.crlb_x_px)) - 1) < 0.03
    assert 0.97 < np.std((fits.x_px - x) / fits.crlb_x_px) < 1.03
    assert_honest(fits.x_px - x, fits.crlb_x_px)
    assert_honest(fits.y_px - y, fits.crlb_y_px)
    assert abs(fits.photons.mean() / 1000 - 1) < 0.01
    assert abs(fits.background.mean() / 10 - 1) < 0.02
    assert abs(fits.sigma_px.mean() / 1.3 - 1) < 0.005


@pytest.mark.parametrize("x_px", [3.0, 3.125, 3.25, 3.375, 3.5, 3.625, 3.75, 3.875])
def test_no_place_within_a_pixel_is_preferred(x_px):
    rng = np.random.default_rng(int(8 * x_px))
    mean = expected_frame((7, 7), [(x_px, 7 - x_px, 1000)])
    fits = fits_of_boxes(exposed(np.repeat(mean[None], 4000, 0), SCIENTIFIC, rng))
    # 0.01 px are 10 standard deviations of the mean
    assert abs(fits.x_px.mean() - x_px) < 0.005
    assert abs(fits.y_px.mean() - (7 - x_px)) < 0.005


@pytest.mark.parametrize("sigma_px", [0.7, 1.0, 1.8, 2.4])
def test_the_width_is_found_from_a_wrong_start(sigma_px):
    frames, _, _ = spot_boxes(
        np.random.default_rng(2), 500, sigma=sigma_px, photons=4000, box=11, camera=SCIENTIFIC
    )
    fits = fits_of_boxes(frames, settings=replace(ALL, box_px=11))
    assert len(fits) > 495
    assert abs(np.median(fits.sigma_px) / sigma_px - 1) < 0.02


def test_a_kept_width_is_kept():
    frames, x, _ = spot_boxes(np.random.default_rng(3), 2000, photons=300, camera=SCIENTIFIC)
    fits = fits_of_boxes(frames, settings=replace(ALL, is_sigma_fitted=False))
    np.testing.assert_array_equal(fits.sigma_px, np.float32(1.3))
    assert_honest(fits.x_px - x[fits.rows], fits.crlb_x_px)


def test_spots_brighter_than_the_camera_can_see_are_measured():
    frames, x, y = spot_boxes(np.random.default_rng(4), 3000, photons=2000, camera=PHONE)
    assert (frames == 255).any((1, 2)).all()
    fits = fits_of_boxes(frames, PHONE)
    assert len(fits) > 2950
    assert abs(np.median(fits.photons) / 2000 - 1) < 0.03
    assert abs(np.median(fits.sigma_px) / 1.3 - 1) < 0.02
    pulls = np.concatenate(
        [(fits.x_px - x[fits.rows]) / fits.crlb_x_px, (fits.y_px - y[fits.rows]) / fits.crlb_y_px]
    )
    assert 0.95 < pulls.std() < 1.06


def test_positions_count_from_the_corner_of_the_frame():
    frame = expected_frame((40, 60), [(41.3, 12.8, 3000)])
    grey = np.rint(frame / SCIENTIFIC.gain_e_per_adu + SCIENTIFIC.offset_adu).astype(np.uint16)
    fits = fit_candidates(grey[None], candidates_at(0, 12, 41), SCIENTIFIC, FitSettings())
    assert abs(fits.x_px[0] - 41.3) < 0.01
    assert abs(fits.y_px[0] - 12.8) < 0.01


def test_boxes_that_leave_the_frame_are_counted():
    frames = np.full((1, 20, 30), 140, np.uint16)
    fits = fit_candidates(
        frames, candidates_at([0] * 4, [2, 17, 10, 10], [15, 15, 2, 27]), SCIENTIFIC, FitSettings()
    )
    assert len(fits) == 0
    assert fits.rejected["border"] == 4
    assert tuple(fits.rejected) == REJECTIONS


def test_two_maxima_of_one_spot_are_one_spot():
    frame = expected_frame((21, 21), [(10.5, 10.9, 3000)])
    grey = np.rint(frame / SCIENTIFIC.gain_e_per_adu + SCIENTIFIC.offset_adu).astype(np.uint16)
    rows = candidates_at([0, 0, 1], [10, 11, 11], [10, 10, 10])
    stack = np.stack([grey, grey])
    fits = fit_candidates(stack, rows, SCIENTIFIC, FitSettings())
    np.testing.assert_array_equal(fits.rows, [0, 2])  # the nearer one; other frames do not matter
    assert fits.rejected["duplicate"] == 1
    both = fit_candidates(stack, rows, SCIENTIFIC, FitSettings(duplicate_px=0.0))
    assert len(both) == 3


def test_each_reason_is_counted_by_its_name():
    believed = {
        "x_px": 3.5,
        "y_px": 3.5,
        "photons": 500.0,
        "background": 5.0,
        "sigma_px": 1.3,
        "is_active": 0.0,
        "variance_x": 0.01,
        "variance_y": 0.01,
        "iterations": 4.0,
        "log_likelihood_ratio": 44.0,
    }
    changes = [
        ({}, None),
        ({"is_active": 1.0}, "not_converged"),
        ({"photons": np.nan}, "not_converged"),
        ({"variance_x": 1e12}, "not_converged"),
        ({"x_px": 5.6}, "left_the_box"),
        ({"y_px": 1.4}, "left_the_box"),
        ({"photons": 3.0}, "photons_out_of_range"),
        ({"photons": 1e8}, "photons_out_of_range"),
        ({"sigma_px": 0.4}, "sigma_out_of_range"),
        ({"sigma_px": 4.0}, "sigma_out_of_range"),
    ]
    spots = {
        name: np.array([{**believed, **change}[name] for change, _ in changes], np.float32)
        for name in believed
    }
    where = np.stack([np.arange(len(changes)), np.full(len(changes), 9), np.full(len(changes), 9)])
    reasons = judge(spots, where.astype(np.int32), FitSettings())
    expected = [1 + REJECTIONS.index(name) if name else 0 for _, name in changes]
    np.testing.assert_array_equal(reasons, expected)


def test_how_spots_are_gathered_changes_no_result(monkeypatch):
    rng = np.random.default_rng(6)
    frames, _, _ = spot_boxes(rng, 700, photons=120, spread=1.5, camera=SCIENTIFIC)
    where = np.stack([np.arange(700), np.full(700, 3), np.full(700, 3)]).astype(np.int32)
    offsets = np.zeros((700, 2), np.float32)
    whole = fit_spots(frames, where, offsets, SCIENTIFIC, FitSettings())
    monkeypatch.setattr("cellstorm_lib.localize.blocks._BATCH", 37)
    parts = fit_spots(frames, where, offsets, SCIENTIFIC, FitSettings())
    for name, values in whole.items():
        np.testing.assert_array_equal(values, parts[name])


def test_nothing_to_fit_is_no_error():
    frames = np.zeros((2, 20, 20), np.uint8)
    fits = fit_candidates(frames, candidates_at([], [], []), PHONE, FitSettings())
    assert len(fits) == 0
    assert sum(fits.rejected.values()) == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"box_px": 6}, "box_px must be odd and between 5 and 15, got 6"),
        ({"box_px": 17}, "box_px must be odd"),
        ({"sigma_px": 9.0}, "min_sigma_px <= sigma_px <= max_sigma_px"),
        ({"min_photons": -1.0}, "0 <= min_photons < max_photons"),
        ({"max_shift_px": 4.0}, "max_shift_px must be between 0.5 and half the box"),
        ({"duplicate_px": -1.0}, "duplicate_px must be 0 or more"),
        ({"max_steps": 0}, "max_steps must be between 1 and 1000"),
        ({"max_emitters": 0}, "max_emitters must be between 1 and 10, got 0"),
        ({"max_emitters": 11}, "max_emitters must be between 1 and 10"),
        ({"split_p_value": 0.0}, "split_p_value must be above 0 and at most 0.5, got 0.0"),
        ({"split_p_value": 0.6}, "split_p_value must be above 0 and at most 0.5"),
        ({"common_sigma_px": 9.0}, "common_sigma_px must be between min_sigma_px and max_sigma_px"),
    ],
)
def test_impossible_settings_are_refused(changes, message):
    with pytest.raises(SettingsError, match=message):
        FitSettings(**changes)
