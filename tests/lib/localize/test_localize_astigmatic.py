"""Heights are unbiased, as uncertain as stated, and as certain as they can be."""

from dataclasses import replace

import numpy as np
import pytest
from astigmatic_beads import CAMERA, LENS, boxes, exposed, pixel_shares, scene, true_widths_px
from hypothesis import given, settings
from hypothesis import strategies as st
from localize_scenes import assert_honest
from scipy.spatial import cKDTree

from cellstorm_lib.errors import CalibrationError
from cellstorm_lib.localize.astigmatic import (
    fit_candidates_in_depth,
    fit_settings_in_depth,
    fit_spots_in_depth,
    fit_widths,
)
from cellstorm_lib.localize.fit_settings import FitSettings
from cellstorm_lib.localize.localize import LocalizeSettings, localize
from cellstorm_lib.localize.pixels import PixelResponse
from cellstorm_lib.localize.search import Candidates
from cellstorm_lib.pixel_maps import PixelMaps
from cellstorm_lib.video.array import ArraySource

FIT = fit_settings_in_depth(FitSettings(min_photons=0.0, duplicate_px=0.0), LENS)
BOX = FIT.box_px
IN_DEPTH = LocalizeSettings(z_calibration=LENS)


def middles(count, box=BOX):
    return np.stack([np.arange(count), *(np.full(count, box // 2),) * 2]).astype(np.int32)


def fitted(frames, camera=CAMERA, lens=LENS, pixels=None):
    """Return the fits of boxes, one spot each, started in the middle."""
    count = len(frames)
    return fit_spots_in_depth(
        frames, middles(count), np.zeros((count, 2), np.float32), camera, FIT, pixels,
        z=lens, pixel_size_nm=100.0,
    )  # fmt: skip


def bounds(z_nm, photons, background, noise_e2, *, lens=LENS, box=BOX):
    """Return the Cramer-Rao bounds of x, y (px), z (nm) of a centred spot, by differences."""

    def expected(p):
        x, y, z, light, level = p
        across = pixel_shares([x], box, true_widths_px(lens.along_x, z))[0]
        down = pixel_shares([y], box, true_widths_px(lens.along_y, z))[0]
        return light * np.outer(down, across) + level

    at = np.array([box / 2, box / 2, z_nm, photons, background], float)
    steps = np.array([1e-3, 1e-3, 0.1, 1.0, 0.01])
    slopes = [
        (expected(at + step) - expected(at - step)) / (2 * step.sum()) for step in np.diag(steps)
    ]
    mean = expected(at) + noise_e2
    information = [[(a * b / mean).sum() for b in slopes] for a in slopes]
    return np.sqrt(np.diag(np.linalg.inv(information))[:3])


@pytest.mark.parametrize("z_nm", [-400.0, -200.0, 0.0, 200.0, 400.0])
def test_heights_are_unbiased_and_as_uncertain_as_the_bound_says(z_nm):
    rng = np.random.default_rng(int(z_nm) + 500)
    frames, x, y = boxes(rng, np.full(3000, z_nm), box=BOX, photons=3000.0)
    found = fitted(frames)
    assert (found["is_active"] == 0).all()
    error_nm = found["z_nm"] - z_nm
    assert_honest(error_nm, found["crlb_z_nm"])
    assert_honest(found["x_px"] - x, np.sqrt(found["variance_x"]))
    assert_honest(found["y_px"] - y, np.sqrt(found["variance_y"]))
    bound_nm = bounds(z_nm, 3000.0, 10.0, CAMERA.pixel_noise_e**2)[2]
    # the bound is of a spot in the middle of a pixel; those elsewhere differ by a percent
    assert np.median(found["crlb_z_nm"]) == pytest.approx(bound_nm, rel=0.02)
    assert error_nm.std() / bound_nm == pytest.approx(1, abs=4 / np.sqrt(2 * 3000) + 0.02)
    assert found["photons"].mean() == pytest.approx(3000, rel=0.005)
    assert found["background"].mean() == pytest.approx(10, rel=0.01)


def test_the_bounds_are_those_of_the_fisher_information_of_all_five():
    for z_nm in (-350.0, 50.0):
        across = pixel_shares([BOX / 2], BOX, true_widths_px(LENS.along_x, z_nm))[0]
        down = pixel_shares([BOX / 2], BOX, true_widths_px(LENS.along_y, z_nm))[0]
        bright = replace(CAMERA, gain_e_per_adu=0.02, read_noise_e=0.0, bit_depth=16)
        expected = 500.0 * np.outer(down, across) + 5.0
        frame = np.rint(expected / 0.02 + 100).astype(np.uint16)[None]
        found = fitted(frame, bright)
        ours = np.sqrt([found["variance_x"][0], found["variance_y"][0]]).tolist()
        truth = bounds(z_nm, 500.0, 5.0, max(bright.pixel_noise_e**2, 0.01))
        np.testing.assert_allclose([*ours, found["crlb_z_nm"][0]], truth, rtol=0.01)
        assert found["z_nm"][0] == pytest.approx(z_nm, abs=0.5)


def test_faint_spots_are_put_on_the_right_side_of_the_focus():
    rng = np.random.default_rng(3)
    z_nm = rng.uniform(-420, 420, 4000)
    frames, _, _ = boxes(rng, z_nm, box=BOX, photons=500.0, background=4.0)
    found = fitted(frames)
    assert np.mean(found["is_active"] == 0) > 0.995
    far = np.abs(found["z_nm"] - z_nm) > 6 * found["crlb_z_nm"]
    assert far.mean() < 0.002


@given(z_nm=st.floats(-440, 440), light=st.floats(800, 20_000), shift=st.floats(-0.5, 0.5))
@settings(deadline=None, max_examples=40)
def test_frames_without_noise_give_the_height_back(z_nm, light, shift):
    across = pixel_shares([BOX / 2 + shift], BOX, true_widths_px(LENS.along_x, z_nm))[0]
    down = pixel_shares([BOX / 2 - shift], BOX, true_widths_px(LENS.along_y, z_nm))[0]
    expected = light * np.outer(down, across) + 5.0
    frame = np.rint(expected / CAMERA.gain_e_per_adu + CAMERA.offset_adu).astype(np.uint16)
    found = fitted(frame[None])
    # rounding, and the step at which a fit stops
    assert abs(found["z_nm"][0] - z_nm) < 0.15 * found["crlb_z_nm"][0]
    assert found["sigma_x_nm"][0] == pytest.approx(
        100 * LENS.along_x.sigma_px(found["z_nm"][0]), rel=1e-4
    )


def test_a_mirrored_frame_has_the_same_height():
    rng = np.random.default_rng(4)
    frames, _, _ = boxes(rng, rng.uniform(-400, 400, 200), box=BOX)
    ours, mirrored = fitted(frames), fitted(np.ascontiguousarray(frames[:, ::-1, ::-1]))
    error = (ours["z_nm"] - mirrored["z_nm"]) / ours["crlb_z_nm"]
    assert np.abs(error).max() < 0.1
    np.testing.assert_allclose(ours["x_px"], BOX - mirrored["x_px"], atol=0.02)


def test_a_turned_frame_has_the_height_of_the_turned_lens():
    rng = np.random.default_rng(5)
    frames, _, _ = boxes(rng, rng.uniform(-400, 400, 200), box=BOX)
    turned = replace(LENS, along_x=LENS.along_y, along_y=LENS.along_x)
    other = fitted(np.ascontiguousarray(frames.transpose(0, 2, 1)), lens=turned)
    ours = fitted(frames)
    assert (np.abs(ours["z_nm"] - other["z_nm"]) / ours["crlb_z_nm"]).max() < 0.1


def test_saturated_pixels_count_as_at_least_that_bright():
    rng = np.random.default_rng(6)
    camera = replace(CAMERA, bit_depth=10)  # 231 electrons above the offset
    frames, _, _ = boxes(rng, np.full(1500, 100.0), box=BOX, photons=5000.0, camera=camera)
    found = fitted(frames, camera)
    assert (found["out_of_range_px"] > 0).mean() > 0.9
    pulls = (found["z_nm"] - 100.0) / found["crlb_z_nm"]
    assert abs(pulls.mean()) < 0.15
    assert 0.9 < pulls.std() < 1.1
    assert found["photons"].mean() == pytest.approx(5000, rel=0.02)


def test_a_camera_of_unequal_pixels_is_taken_into_account():
    rng = np.random.default_rng(7)
    shape = (BOX, BOX)
    is_hot = rng.random(shape) < 0.06
    maps = PixelMaps(
        offset_adu=rng.normal(100, 3, shape).astype("f4"),
        gain_e_per_adu=rng.uniform(0.2, 0.3, shape).astype("f4"),
        read_variance_e2=np.where(is_hot, 400.0, 2.0).astype("f4"),
        relative_sensitivity=np.linspace(0.7, 1.3, BOX)[None].repeat(BOX, 0).astype("f4"),
    )
    camera = replace(CAMERA, maps=maps)
    z_nm = rng.uniform(-400, 400, 3000)
    x, y = BOX / 2 + rng.uniform(-0.5, 0.5, (2, 3000))
    across = pixel_shares(x, BOX, true_widths_px(LENS.along_x, z_nm))
    down = pixel_shares(y, BOX, true_widths_px(LENS.along_y, z_nm))
    expected = 3000.0 * down[:, :, None] * across[:, None, :] + 10.0
    electrons = rng.poisson(expected * maps.relative_sensitivity)
    electrons = electrons + rng.normal(0, np.sqrt(maps.read_variance_e2), expected.shape)
    adu = np.rint(electrons / maps.gain_e_per_adu + maps.offset_adu)
    frames = np.clip(adu, 0, 65535).astype(np.uint16)
    found = fitted(frames, camera, pixels=PixelResponse.of(camera))
    assert_honest(found["z_nm"] - z_nm, found["crlb_z_nm"])
    assert_honest(found["x_px"] - x, np.sqrt(found["variance_x"]))
    relative = found["photons"] / found["relative_sensitivity"]
    assert relative.mean() == pytest.approx(3000, rel=0.01)
    blind = fitted(frames, replace(CAMERA, read_noise_e=5.0))
    assert np.std(blind["z_nm"] - z_nm) > 1.1 * np.std(found["z_nm"] - z_nm)


def test_uncertainty_holds_the_calibrations_error_and_z_the_mismatch():
    frames, _, _ = boxes(np.random.default_rng(8), np.linspace(-300, 300, 50), box=BOX)
    plain = fitted(frames)
    np.testing.assert_array_equal(plain["uncertainty_z_nm"], plain["crlb_z_nm"])
    other = fitted(frames, lens=replace(LENS, systematic_nm=12.0, mismatch_factor=0.8))
    np.testing.assert_allclose(other["z_nm"], 0.8 * plain["z_nm"], rtol=1e-5)
    np.testing.assert_allclose(other["crlb_z_nm"], 0.8 * plain["crlb_z_nm"], rtol=1e-5)
    np.testing.assert_allclose(
        other["uncertainty_z_nm"], 0.8 * np.hypot(plain["crlb_z_nm"], 12.0), rtol=1e-5
    )


@pytest.mark.parametrize("factor", [1.0, 0.5])
def test_heights_beyond_the_range_are_left_out_and_counted(factor):
    lens = replace(LENS, z_from_nm=-200.0, z_to_nm=200.0, mismatch_factor=factor)
    z_nm = np.array([-420.0, -350.0, 0.0, 100.0, 350.0, 420.0])
    frames, _, _ = boxes(np.random.default_rng(9), z_nm, box=BOX, photons=20_000.0)
    middle = np.full(6, BOX // 2, np.int32)
    candidates = Candidates(
        index=np.arange(6, dtype=np.int32), row=middle, column=middle,
        offset_px=np.zeros((6, 2), np.float32),
    )  # fmt: skip
    fits = fit_candidates_in_depth(frames, candidates, CAMERA, FIT, z=lens, pixel_size_nm=100.0)
    np.testing.assert_array_equal(fits.rows, [2, 3])
    assert fits.rejected["z_out_of_range"] == 4
    assert fits.further["z_nm"][1] == pytest.approx(100 * factor, abs=25)
    assert len(fits.x_px) == len(fits.further["crlb_z_nm"]) == 2


def test_the_box_suits_the_widest_spot_unless_one_was_asked_for():
    assert LENS.widest_px == pytest.approx(3.0, abs=0.3)
    assert 2 * int(np.ceil(2 * LENS.widest_px)) + 1 == BOX
    assert fit_settings_in_depth(FitSettings(box_px=11), LENS).box_px == 11
    assert fit_settings_in_depth(FitSettings(), replace(LENS, box_px=9)).box_px == 9
    assert fit_settings_in_depth(FitSettings(max_sigma_px=3.0), LENS).max_sigma_px == 3.0


@pytest.mark.parametrize(("sigma_x_px", "sigma_y_px"), [(1.2, 1.2), (1.0, 2.4), (3.0, 1.5)])
def test_both_widths_are_found_and_as_uncertain_as_stated(sigma_x_px, sigma_y_px):
    rng, count, box = np.random.default_rng(10), 1500, 15
    x, y = box / 2 + rng.uniform(-0.5, 0.5, (2, count))
    across, down = pixel_shares(x, box, sigma_x_px), pixel_shares(y, box, sigma_y_px)
    frames = exposed(5000.0 * down[:, :, None] * across[:, None, :] + 10.0, CAMERA, rng)
    found = fit_widths(frames, middles(count, box), CAMERA, FitSettings(box_px=15))
    assert (found["is_active"] == 0).all()
    for axis, sigma_px in (("x", sigma_x_px), ("y", sigma_y_px)):
        errors = found[f"sigma_{axis}_px"] - sigma_px
        assert_honest(errors, np.sqrt(found[f"variance_sigma_{axis}"]))


def test_a_recording_becomes_a_table_with_z():
    rng = np.random.default_rng(11)
    count, frames, side = 900, 60, 96
    grid = np.stack(np.meshgrid(np.arange(12.0, side - 8, 24), np.arange(12.0, side - 8, 24)))
    x, y = grid.reshape(2, -1).repeat(60, axis=1)[:, :count] + rng.uniform(-3, 3, (2, count))
    frame = np.tile(np.arange(frames), 16)[:count]
    z_nm, photons = rng.uniform(-400, 400, count), rng.uniform(1000, 4000, count)
    expected = scene(frame, x, y, z_nm, photons, shape=(side, side), frames=frames)
    source = ArraySource(exposed(expected, CAMERA, rng))
    table, report = localize(source, CAMERA, pixel_size_nm=100.0, settings=IN_DEPTH)
    found = np.column_stack([table.xy_nm / 100.0, 1000.0 * table.column("frame")])
    apart, nearest = cKDTree(found).query(np.column_stack([x, y, 1000.0 * frame]))
    is_found = apart < 1.0
    assert is_found.mean() > 0.99
    assert report.rejected["z_out_of_range"] <= 0.01 * count
    assert_honest(
        (table.column("z_nm")[nearest] - z_nm)[is_found],
        table.column("uncertainty_z_nm")[nearest][is_found],
    )
    np.testing.assert_allclose(
        table.column("sigma_nm"),
        np.sqrt(table.column("sigma_x_nm") * table.column("sigma_y_nm")),
        rtol=1e-5,
    )
    by_threads, _ = localize(source, CAMERA, pixel_size_nm=100.0, settings=IN_DEPTH, threads=1)
    np.testing.assert_array_equal(by_threads.column("z_nm"), table.column("z_nm"))


def test_without_a_calibration_there_is_no_z():
    frames = exposed(np.full((3, 40, 40), 10.0), CAMERA, np.random.default_rng(12))
    table, report = localize(ArraySource(frames), CAMERA, pixel_size_nm=100.0)
    assert "z_nm" not in table
    assert "z_out_of_range" not in report.rejected
    empty, _ = localize(ArraySource(frames), CAMERA, pixel_size_nm=100.0, settings=IN_DEPTH)
    assert "z_nm" in empty


def test_denoised_frames_and_another_magnification_are_refused():
    frames = np.full((3, 40, 40), 10, np.uint16)
    denoised = ArraySource(frames, name="stack", denoised_photons_per_adu=0.1)
    with pytest.raises(CalibrationError, match="stack is denoised, and the widths of its spots"):
        localize(denoised, CAMERA, pixel_size_nm=100.0, settings=IN_DEPTH)
    with pytest.raises(CalibrationError, match="the recording has pixels of 160 nm"):
        localize(ArraySource(frames), CAMERA, pixel_size_nm=160.0, settings=IN_DEPTH)
