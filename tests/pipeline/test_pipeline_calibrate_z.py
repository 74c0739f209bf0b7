"""A stack of beads becomes a calibration with which heights are found."""

from dataclasses import replace

import numpy as np
import pytest
from astigmatic_beads import (
    CAMERA,
    LENS,
    bead_stack,
    boxes,
    exposed,
    scene,
    true_widths_px,
)
from scipy.optimize import brentq
from scipy.spatial import cKDTree

from cellstorm_lib.calibrate.astigmatism import AstigmatismReport, AstigmatismSettings
from cellstorm_lib.errors import CalibrationError
from cellstorm_lib.localize.astigmatic import fit_settings_in_depth, fit_spots_in_depth
from cellstorm_lib.localize.fit_settings import FitSettings
from cellstorm_lib.localize.localize import LocalizeSettings, localize
from cellstorm_lib.pipeline.calibrate_z import calibrate_z
from cellstorm_lib.pixel_maps import PixelMaps
from cellstorm_lib.video.array import ArraySource

STEP_NM = 25.0


def calibrated(frames, camera=CAMERA, **changes):
    return calibrate_z(
        ArraySource(frames, name="beads.tif"),
        camera,
        pixel_size_nm=100.0,
        name="lens",
        settings=replace(AstigmatismSettings(z_step_nm=STEP_NM), **changes),
    )


def stack(seed=0, **changes):
    given = {"planes": 49, "step_nm": STEP_NM, "side": 128, **changes}
    return bead_stack(np.random.default_rng(seed), **given)[0]


@pytest.fixture(scope="module")
def report() -> AstigmatismReport:
    return calibrated(stack())


def equal_at():
    return brentq(
        lambda z: true_widths_px(LENS.along_x, z) - true_widths_px(LENS.along_y, z), -150, 150
    )


def test_the_curves_of_the_lens_are_found(report):
    found = report.calibration
    assert found.bead_count == 16
    assert (found.name, found.source, found.pixel_size_nm) == ("lens", "beads.tif", 100.0)
    assert len(found.source_digest) == 64
    assert found.z_from_nm < -400
    assert found.z_to_nm > 400
    z_nm = np.linspace(found.z_from_nm, found.z_to_nm, 25)
    for curve, true in ((found.along_x, LENS.along_x), (found.along_y, LENS.along_y)):
        off = curve.sigma_px(z_nm) / true_widths_px(true, z_nm + equal_at()) - 1
        assert np.abs(off).max() < 0.005
    assert found.residual_nm < 8
    assert found.systematic_nm < 3


def test_molecules_localized_with_it_have_their_heights(report):
    rng, frames, side, count = np.random.default_rng(1), 40, 96, 400
    grid = np.stack(np.meshgrid(np.arange(14.0, side - 8, 27), np.arange(14.0, side - 8, 27)))
    places = grid.reshape(2, -1)
    frame = np.repeat(np.arange(frames), places.shape[1])[:count]
    x, y = np.tile(places, frames)[:, :count] + rng.uniform(-3, 3, (2, len(frame)))
    z_nm = rng.uniform(-350, 350, len(frame))
    expected = scene(frame, x, y, z_nm, np.full(len(x), 3000.0), shape=(side, side), frames=frames)
    table, _ = localize(
        ArraySource(exposed(expected, CAMERA, rng)),
        CAMERA,
        pixel_size_nm=100.0,
        settings=LocalizeSettings(z_calibration=report.calibration),
    )
    found = np.column_stack([table.xy_nm / 100.0, 1000.0 * table.column("frame")])
    apart, nearest = cKDTree(found).query(np.column_stack([x, y, 1000.0 * frame]))
    is_found = apart < 1.0
    assert is_found.mean() > 0.99
    error_nm = (table.column("z_nm")[nearest] - (z_nm - equal_at()))[is_found]
    pulls = error_nm / table.column("uncertainty_z_nm")[nearest][is_found]
    # the noise of 360 spots, and the calibration's own error, a tenth of a spot's
    assert abs(pulls.mean()) < 4 / np.sqrt(len(pulls)) + 0.1
    assert pulls.std() == pytest.approx(1, abs=4 / np.sqrt(2 * len(pulls)))


def test_a_negative_step_turns_z_around(report):
    turned = calibrated(stack(), z_step_nm=-STEP_NM).calibration
    z_nm = np.linspace(-300, 300, 13)
    np.testing.assert_allclose(
        turned.along_x.sigma_px(-z_nm), report.calibration.along_x.sigma_px(z_nm), rtol=0.003
    )


def test_several_frames_of_a_plane_belong_together(report):
    frames = stack()
    twice = np.repeat(frames, 2, axis=0)
    found = calibrated(twice, frames_per_plane=2).calibration
    z_nm = np.linspace(-300, 300, 13)
    np.testing.assert_allclose(
        found.along_y.sigma_px(z_nm), report.calibration.along_y.sigma_px(z_nm), rtol=0.003
    )
    assert found.plane_count == report.calibration.plane_count


def test_unequal_pixels_are_calibrated_with_their_maps(report):
    rng, shape = np.random.default_rng(2), (128, 128)
    maps = PixelMaps(gain_e_per_adu=rng.uniform(0.2, 0.3, shape).astype("f4"))
    frames = (stack().astype(float) - 100.0) * 0.25 / maps.gain_e_per_adu + 100.0
    frames = np.rint(frames.clip(0, 65535)).astype(np.uint16)
    found = calibrated(frames, replace(CAMERA, maps=maps)).calibration
    z_nm = np.linspace(-300, 300, 13)
    np.testing.assert_allclose(
        found.along_x.sigma_px(z_nm), report.calibration.along_x.sigma_px(z_nm), rtol=0.003
    )


def test_progress_is_told():
    told = []
    calibrate_z(
        ArraySource(stack()),
        CAMERA,
        pixel_size_nm=100.0,
        name="lens",
        settings=AstigmatismSettings(z_step_nm=STEP_NM),
        progress=lambda done, total: told.append((done, total)),
    )
    assert told[-1] == (98, 98)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_saturated_beads_are_refused():
    camera = replace(CAMERA, bit_depth=10)
    frames = stack(photons=60_000.0, camera=camera)
    with pytest.raises(CalibrationError, match=r"0 beads that can be used.*16 saturated.*none of"):
        calibrated(frames, camera)


def test_a_round_lens_is_refused():
    frames = stack(lens=replace(LENS, along_y=LENS.along_x))
    with pytest.raises(CalibrationError, match="nearly as wide along x as along y"):
        calibrated(frames)


def test_a_recording_without_beads_is_refused():
    frames = exposed(np.full((40, 80, 80), 20.0), CAMERA, np.random.default_rng(3))
    with pytest.raises(CalibrationError, match=r"beads.tif has 0 beads that can be used"):
        calibrated(frames)
    with pytest.raises(CalibrationError, match=r"beads.tif has 0 beads that can be used"):
        calibrated(np.full((40, 80, 80), 120, np.uint16))


def test_too_few_planes_small_frames_and_denoised_ones_are_refused():
    with pytest.raises(CalibrationError, match="beads.tif has 6 planes, but 10 are needed"):
        calibrated(stack(planes=6))
    with pytest.raises(CalibrationError, match="beads.tif has 4 planes"):
        calibrated(stack(planes=49), frames_per_plane=12)
    with pytest.raises(CalibrationError, match="frames of 15 x 15 pixels, too small for beads"):
        calibrated(stack()[:, :15, :15])
    denoised = ArraySource(stack(), name="d.tif", denoised_photons_per_adu=0.1)
    with pytest.raises(CalibrationError, match="d.tif is denoised, and the widths of its spots"):
        calibrate_z(denoised, CAMERA, pixel_size_nm=100.0, name="lens")


def with_halo(lens):
    """Return the lens of a halo twice as wide as the spot."""
    return replace(
        lens,
        along_x=replace(lens.along_x, width_px=2 * lens.along_x.width_px),
        along_y=replace(lens.along_y, width_px=2 * lens.along_y.width_px),
    )


def test_spots_that_are_no_gaussians_have_their_heights_at_the_stated_background():
    count = 1500
    core, halo = (
        bead_stack(
            np.random.default_rng(0), planes=49, step_nm=STEP_NM, side=128, spread_nm=1e-6,
            lens=lens, photons=photons, background=10.0,
        )[0].astype(np.int64)
        for lens, photons in ((LENS, 15_000.0), (with_halo(LENS), 5000.0))
    )  # fmt: skip
    frames = (core + halo - 100).astype(np.uint16)
    bias_nm = {}
    for share in (0.0, 0.01):
        found = calibrated(frames, background_share=share).calibration
        box = found.suited_box_px
        errors = []
        for z_nm in (-250.0, 250.0):
            parts = [
                boxes(np.random.default_rng(9), np.full(count, z_nm), box=box, lens=lens,
                      photons=photons, background=5.0)[0].astype(np.int64)
                for lens, photons in ((LENS, 750.0), (with_halo(LENS), 250.0))
            ]  # fmt: skip
            middle = np.full(count, box // 2)
            spots = fit_spots_in_depth(
                (parts[0] + parts[1] - 100).astype(np.uint16),
                np.stack([np.arange(count), middle, middle]).astype(np.int32),
                np.zeros((count, 2), np.float32),
                CAMERA,
                fit_settings_in_depth(FitSettings(), found),
                z=found,
                pixel_size_nm=100.0,
            )
            errors.append(np.median(spots["z_nm"]) - (z_nm - equal_at()))
        bias_nm[share] = (errors[1] - errors[0]) / 2  # towards the focus or away from it
    assert abs(bias_nm[0.01]) < 0.5 * abs(bias_nm[0.0])
