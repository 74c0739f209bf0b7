"""Overlapping spots: told apart, not invented, placed without bias, with honest uncertainties."""

from dataclasses import replace

import numpy as np
import pytest
from localize_scenes import PHONE, SCIENTIFIC, Recording, expected_frame, exposed, shares
from scipy.stats import binom

from cellstorm_lib.localize.detect import DetectSettings
from cellstorm_lib.localize.fit import fit_candidates
from cellstorm_lib.localize.fit_settings import FitSettings
from cellstorm_lib.localize.localize import LocalizeSettings, localize
from cellstorm_lib.localize.overlap import fit_overlapping
from cellstorm_lib.localize.search import Candidates
from cellstorm_lib.localize.typical import TypicalSpot, typical_spot
from cellstorm_lib.pixel_maps import PixelMaps

TYPICAL = TypicalSpot(sigma_px=1.3, deviance=1.0, scatter=1.0, count=1000)
SETTINGS = FitSettings(box_px=9)
SIDE = 27


def candidates_at(index, places):
    """Return candidates in the middle of the pixels that hold places (x, y) of frames."""
    places = np.atleast_2d(places)
    order = np.lexsort([places[:, 0], np.floor(places[:, 1]), index])
    column, row = np.floor(places[order]).astype(np.int32).T
    offset_px = (places[order] - np.floor(places[order]) - 0.5).astype(np.float32)
    return Candidates(
        index=np.asarray(index, np.int32)[order], row=row, column=column, offset_px=offset_px
    )


def frames_of(spots, camera, rng, *, sigma=1.3):
    """Return one frame for each set of spots (count, spots, 3): x, y, photons."""
    mean = np.full((len(spots), SIDE, SIDE), 10.0)
    for k in range(spots.shape[1]):
        across, down = shares(spots[:, k, 0], SIDE, sigma), shares(spots[:, k, 1], SIDE, sigma)
        mean += spots[:, k, 2, None, None] * down[:, :, None] * across[:, None, :]
    return exposed(mean, camera, rng)


def pairs(count, distance_px, photons, rng):
    """Return pairs of spots around the middle of a frame, at any angle: (count, 2, 3)."""
    middle = SIDE / 2 + rng.uniform(-0.5, 0.5, (count, 2))
    angle = rng.uniform(0, 2 * np.pi, count)
    half = 0.5 * distance_px * np.column_stack([np.cos(angle), np.sin(angle)])
    out = np.empty((count, 2, 3))
    out[:, 0, :2], out[:, 1, :2] = middle - half, middle + half
    out[:, :, 2] = photons
    return out


def joint_bound_px(spots, camera, background=10.0, sigma=1.3, half=4):
    """Return the Cramer-Rao bounds of x and y of two spots fitted together, (2, 2)."""
    free = np.r_[spots.ravel(), background]
    noise = camera.pixel_noise_e**2
    ours = np.zeros((SIDE, SIDE), bool)
    for x, y, _ in spots:
        row, column = int(y), int(x)
        ours[row - half : row + half + 1, column - half : column + half + 1] = True

    def mean(p):
        return expected_frame((SIDE, SIDE), p[:6].reshape(2, 3), sigma=sigma, background=p[6])[ours]

    steps = 1e-4 * np.maximum(np.abs(free), 1.0)
    slopes = [(mean(free + step) - mean(free - step)) / (2 * step.max()) for step in np.diag(steps)]
    information = np.stack(slopes) / (mean(free) + noise) @ np.stack(slopes).T
    return np.sqrt(np.diag(np.linalg.inv(information))[:6].reshape(2, 3)[:, :2])


def pair_errors(fits, spots, index):
    """Return error and claim of x and y, and frame, of all frames in which two spots were found."""
    found = np.bincount(index, minlength=len(spots))
    errors, claims, frames = [], [], []
    for frame in np.flatnonzero(found == 2):
        here = np.flatnonzero(index == frame)
        xy = np.column_stack([fits.x_px[here], fits.y_px[here]])
        if (
            np.hypot(*(xy - spots[frame, ::-1, :2]).T).sum()
            < np.hypot(*(xy - spots[frame, :, :2]).T).sum()
        ):
            here, xy = here[::-1], xy[::-1]
        errors.append(xy - spots[frame, :, :2])
        claims.append(np.column_stack([fits.crlb_x_px[here], fits.crlb_y_px[here]]))
        frames.append(frame)
    return np.array(errors), np.array(claims), np.array(frames)


def test_a_pair_seen_as_one_spot_is_told_apart_without_bias():
    rng = np.random.default_rng(1)
    spots = pairs(600, 2.6, 900.0, rng)
    frames = frames_of(spots, SCIENTIFIC, rng)
    middle = candidates_at(np.arange(600), spots[:, :, :2].mean(1))
    alone = fit_candidates(frames, middle, SCIENTIFIC, SETTINGS)
    assert len(alone) <= 600
    fits = fit_overlapping(frames, middle, SCIENTIFIC, SETTINGS, typical=TYPICAL)
    errors, claims, frames_found = pair_errors(fits, spots, middle.index[fits.rows])
    assert len(errors) > 0.97 * 600
    np.testing.assert_array_equal(fits.further["spots_together"][:10], 2)
    assert fits.added >= len(errors)
    pulls = errors / claims
    # along the line that joins them, where bias would show
    line = spots[frames_found, 1, :2] - spots[frames_found, 0, :2]
    line /= np.hypot(*line.T)[:, None]
    stretch = ((errors[:, 1] - errors[:, 0]) * line).sum(1)
    assert abs(stretch.mean()) < 4 * stretch.std() / np.sqrt(len(stretch)) + 0.02
    assert abs(pulls.std() - 1) < 0.08
    bound = np.array([joint_bound_px(spots[k], SCIENTIFIC) for k in frames_found[:60]])
    np.testing.assert_allclose(claims[:60].mean(), bound.mean(), rtol=0.05)


@pytest.mark.parametrize("camera", [SCIENTIFIC, PHONE])
def test_neighbours_found_both_do_not_draw_each_other(camera):
    rng = np.random.default_rng(2)
    spots = pairs(500, 4.5, 700.0, rng)
    frames = frames_of(spots, camera, rng)
    index = np.repeat(np.arange(500), 2)
    both = candidates_at(index, spots[:, :, :2].reshape(-1, 2))
    fits = fit_overlapping(frames, both, camera, SETTINGS, typical=TYPICAL)
    errors, claims, at = pair_errors(fits, spots, both.index[fits.rows])
    assert len(errors) > 480
    assert abs((errors / claims).std() - 1) < 0.08
    line = spots[at, 1, :2] - spots[at, 0, :2]
    stretch = ((errors[:, 1] - errors[:, 0]) * line).sum(1) / np.hypot(*line.T)
    assert abs(stretch.mean()) < 4 * stretch.std() / np.sqrt(len(stretch))
    alone = fit_candidates(frames, both, camera, SETTINGS)
    found_alone, _, _ = pair_errors(alone, spots, both.index[alone.rows])
    assert errors.std() < 0.8 * found_alone.std()


@pytest.mark.parametrize("p_value", [0.1, 0.01])
def test_single_spots_are_split_no_more_often_than_stated(p_value):
    rng = np.random.default_rng(3)
    count = 3000
    spots = pairs(count, 0.0, 600.0, rng)[:, :1]
    frames = frames_of(spots, SCIENTIFIC, rng)
    where = candidates_at(np.arange(count), spots[:, 0, :2])
    settings = replace(SETTINGS, split_p_value=p_value)
    fits = fit_overlapping(frames, where, SCIENTIFIC, settings, typical=TYPICAL)
    assert len(fits) >= count
    assert fits.added <= binom.isf(1e-4, count, p_value)
    # and those that are not split are the spots that were fitted alone
    alone = fit_candidates(frames, where, SCIENTIFIC, settings)
    lone = fits.further["spots_together"] == 1
    np.testing.assert_array_equal(fits.x_px[lone], alone.x_px[np.isin(alone.rows, fits.rows[lone])])


def test_a_spot_out_of_focus_is_one_spot():
    rng = np.random.default_rng(4)
    spots = pairs(300, 0.0, 2000.0, rng)[:, :1]
    frames = frames_of(spots, SCIENTIFIC, rng, sigma=1.9)
    where = candidates_at(np.arange(300), spots[:, 0, :2])
    fits = fit_overlapping(frames, where, SCIENTIFIC, SETTINGS, typical=TYPICAL)
    assert fits.added <= 3
    assert abs(np.median(fits.sigma_px) / 1.9 - 1) < 0.03


def test_a_candidate_without_light_of_its_own_is_left_out_and_counted():
    rng = np.random.default_rng(5)
    spots = np.full((40, 1, 3), [13.4, 13.6, 3000.0])
    frames = frames_of(spots, SCIENTIFIC, rng)
    places = np.tile([[13.4, 13.6], [13.4, 16.5]], (40, 1))
    where = candidates_at(np.repeat(np.arange(40), 2), places)
    fits = fit_overlapping(frames, where, SCIENTIFIC, SETTINGS, typical=TYPICAL)
    assert 40 <= len(fits) <= 42
    left_out = fits.rejected["merged_with_neighbour"] + fits.rejected["faint_beside_neighbour"]
    assert left_out > 30
    assert len(where) + fits.added == len(fits) + sum(fits.rejected.values())


def test_crowds_larger_than_one_fit_are_placed_too():
    rng = np.random.default_rng(6)
    line = np.arange(7, 62, 6.0)  # 4.6 widths: all boxes touch
    gx, gy = (axis.ravel() for axis in np.meshgrid(line, line))
    truth = np.column_stack([gx, gy]) + rng.uniform(-0.3, 0.3, (gx.size, 2))
    mean = expected_frame((66, 66), [(*xy, 900.0) for xy in truth])
    frames = exposed(np.repeat(mean[None], 5, 0), SCIENTIFIC, rng)
    where = candidates_at(np.repeat(np.arange(5), len(truth)), np.tile(truth, (5, 1)))
    fits = fit_overlapping(frames, where, SCIENTIFIC, SETTINGS, typical=TYPICAL)
    alone = fit_candidates(frames, where, SCIENTIFIC, SETTINGS)

    def errors(found):
        away = np.column_stack([found.x_px, found.y_px])[:, None] - truth
        nearest = np.argmin(np.hypot(*away.transpose(2, 0, 1)), axis=1)
        return away[np.arange(len(found)), nearest]

    assert abs(len(fits) / len(where) - 1) < 0.03
    assert errors(fits).std() < 0.9 * errors(alone).std()
    claims = np.column_stack([fits.crlb_x_px, fits.crlb_y_px])
    assert abs((errors(fits) / claims).std() - 1) < 0.12
    assert fits.further["spots_together"].max() <= SETTINGS.max_emitters


def test_pixel_maps_that_say_nothing_new_change_nothing():
    rng = np.random.default_rng(7)
    spots = pairs(50, 3.0, 900.0, rng)
    frames = frames_of(spots, PHONE, rng)
    where = candidates_at(np.arange(50), spots[:, :, :2].mean(1))
    offset_adu = np.full((SIDE, SIDE), PHONE.offset_adu, np.float32)
    mapped = replace(PHONE, maps=PixelMaps(offset_adu=offset_adu))
    plain = fit_overlapping(frames, where, PHONE, SETTINGS, typical=TYPICAL)
    by_pixel = fit_overlapping(frames, where, mapped, SETTINGS, typical=TYPICAL)
    np.testing.assert_array_equal(by_pixel.rows, plain.rows)
    np.testing.assert_allclose(by_pixel.x_px, plain.x_px, atol=2e-3)
    np.testing.assert_allclose(by_pixel.relative_sensitivity, 1.0)


def test_light_is_stated_as_detected_where_the_field_is_not_flat():
    rng = np.random.default_rng(8)
    spots = pairs(200, 3.2, 1500.0, rng)
    slope = np.tile(np.linspace(0.7, 1.3, SIDE, dtype=np.float32), (SIDE, 1))
    mean = np.stack([expected_frame((SIDE, SIDE), pair) for pair in spots]) * slope
    frames = exposed(mean, SCIENTIFIC, rng)
    camera = replace(SCIENTIFIC, maps=PixelMaps(relative_sensitivity=slope))
    where = candidates_at(np.arange(200), spots[:, :, :2].mean(1))
    fits = fit_overlapping(frames, where, camera, SETTINGS, typical=TYPICAL)
    errors, claims, _ = pair_errors(fits, spots, where.index[fits.rows])
    assert len(errors) > 190
    assert abs((errors / claims).std() - 1) < 0.12
    expected = slope[SIDE // 2, np.floor(fits.x_px).astype(int)]
    np.testing.assert_allclose(fits.relative_sensitivity, expected, atol=0.04)
    corrected = fits.photons / fits.relative_sensitivity
    assert abs(np.median(corrected) / 1500 - 1) < 0.03


def crowded_recording(rng, *, frames=40):
    """Return frames with 30 spots each, in which neighbours overlap, and an even camera."""
    stack = []
    for _ in range(frames):
        spots = [(*rng.uniform(5, 91, 2), rng.uniform(400, 1500)) for _ in range(30)]
        stack.append(expected_frame((96, 96), spots))
    return Recording(frames=exposed(stack, PHONE, rng), kind="tiff")


def test_threads_and_chunks_change_nothing_and_the_report_counts():
    recording = crowded_recording(np.random.default_rng(9))
    table, report = localize(recording, PHONE, pixel_size_nm=100.0, threads=1)
    again, _ = localize(recording.in_chunks_of(7), PHONE, pixel_size_nm=100.0, threads=3)
    assert table.data.equals(again.data)
    together = table.column("spots_together")
    assert report.spots_together == np.count_nonzero(together > 1) > 0
    assert report.spots_added > 0
    assert report.candidates == len(table) + sum(report.rejected.values())
    assert table.data["frame"].is_monotonic_increasing
    one = LocalizeSettings(fit=FitSettings(max_emitters=1))
    alone, told = localize(recording, PHONE, pixel_size_nm=100.0, settings=one)
    assert "spots_together" not in alone
    assert told.spots_together == told.spots_added == 0
    assert len(alone) < len(table)


def test_the_typical_spot_is_that_of_lone_spots():
    rng = np.random.default_rng(10)
    lone, double = pairs(150, 0.0, 900.0, rng)[:, :1], pairs(20, 3.0, 900.0, rng)
    frames = np.concatenate(
        [frames_of(lone, SCIENTIFIC, rng, sigma=1.5), frames_of(double, SCIENTIFIC, rng, sigma=1.5)]
    )
    middles = np.concatenate([lone[:, 0, :2], double[:, :, :2].mean(1)])
    where = candidates_at(np.arange(170), middles)
    typical = typical_spot(frames, where, SCIENTIFIC, SETTINGS)
    assert typical is not None
    assert abs(typical.sigma_px / 1.5 - 1) < 0.02
    assert abs(typical.deviance - 1) < 0.1
    assert typical.scatter < 1.3
    given = typical_spot(frames, where, SCIENTIFIC, replace(SETTINGS, common_sigma_px=1.4))
    assert given is not None
    assert given.sigma_px == 1.4


def test_spots_that_are_no_round_gaussian_are_not_taken_for_several():
    rng = np.random.default_rng(13)
    spots = pairs(1200, 0.0, 1.0, rng)[:, :1]
    spots[:, 0, 2] = rng.uniform(500, 6000, 1200)
    across = shares(spots[:, 0, 0], SIDE, 1.3 * 1.1)
    down = shares(spots[:, 0, 1], SIDE, 1.3 / 1.1)
    mean = 10.0 + spots[:, 0, 2, None, None] * down[:, :, None] * across[:, None, :]
    frames = exposed(mean, SCIENTIFIC, rng)
    where = candidates_at(np.arange(1200), spots[:, 0, :2])
    typical = typical_spot(frames, where, SCIENTIFIC, SETTINGS)
    assert typical is not None
    assert typical.deviance_per_photon > 1e-4
    fits = fit_overlapping(frames, where, SCIENTIFIC, SETTINGS, typical=typical)
    assert fits.added <= binom.isf(1e-4, 1200, SETTINGS.split_p_value)
    trusting = replace(typical, deviance=1.0, deviance_per_photon=0.0, scatter=1.0)
    naive = fit_overlapping(frames, where, SCIENTIFIC, SETTINGS, typical=trusting)
    assert naive.added > 100


def test_too_few_or_too_different_spots_have_no_type():
    rng = np.random.default_rng(11)
    spots = pairs(60, 0.0, 2000.0, rng)[:, :1]
    wide = np.concatenate(
        [frames_of(spots[k : k + 1], SCIENTIFIC, rng, sigma=1.0 + k / 40) for k in range(60)]
    )
    where = candidates_at(np.arange(60), spots[:, 0, :2])
    assert typical_spot(wide, where, SCIENTIFIC, SETTINGS) is None
    few = where.take(np.arange(20))
    assert typical_spot(wide, few, SCIENTIFIC, SETTINGS) is None
    assert typical_spot(wide[:0], where.take(np.arange(0)), SCIENTIFIC, SETTINGS) is None


def test_frames_with_few_spots_are_fitted_one_by_one():
    rng = np.random.default_rng(12)
    frames = exposed([expected_frame((40, 40), [(20.3, 19.6, 900.0)])] * 8, PHONE, rng)
    settings = LocalizeSettings(detect=DetectSettings(threshold_photons=8.0))
    table, report = localize(
        Recording(frames=frames, kind="tiff"), PHONE, pixel_size_nm=100.0, settings=settings
    )
    assert len(table) == 8
    assert report.spots_together == 0
