"""The curves behind drawn widths are found, and widths that do not tell z are refused."""

from dataclasses import replace

import numpy as np
import pytest
from astigmatic_beads import LENS, true_widths_px
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from cellstorm_lib.calibrate.astigmatism import AstigmatismSettings, calibrate_astigmatism
from cellstorm_lib.calibrate.defocus_curves import BeadWidths
from cellstorm_lib.errors import CalibrationError, SettingsError
from cellstorm_lib.z_calibration import DefocusCurve

STEP_NM = 25.0


def drawn(rng, *, lens=LENS, beads=8, planes=45, error=0.01, spread_nm=80.0, step_nm=STEP_NM):
    """Return widths of beads at random heights, and the stage position of each bead's z = 0."""
    zero_nm = rng.normal(0, spread_nm, beads)
    stage_nm = step_nm * (np.arange(planes) - (planes - 1) / 2)
    bead, plane = np.divmod(np.arange(beads * planes), planes)
    z_nm = stage_nm[plane] - zero_nm[bead]
    true = np.stack([true_widths_px(c, z_nm) for c in (lens.along_x, lens.along_y)], axis=1)
    error_px = error * true
    widths = BeadWidths(
        bead=bead,
        stage_nm=stage_nm[plane],
        sigma_px=true + error_px * rng.normal(size=true.shape),
        error_px=error_px,
    )
    return widths, zero_nm


def calibrated(widths, **changes):
    return calibrate_astigmatism(
        widths, name="lens", source="beads.tif", pixel_size_nm=100.0,
        settings=replace(AstigmatismSettings(z_step_nm=STEP_NM), **changes),
    )  # fmt: skip


def equal_at(lens):
    """Return the height at which a lens draws spots as wide along x as along y."""
    return brentq(
        lambda z: true_widths_px(lens.along_x, z) - true_widths_px(lens.along_y, z), -150, 150
    )


def test_the_curves_are_found_though_every_bead_lies_elsewhere():
    widths, zero_nm = drawn(np.random.default_rng(1), beads=12)
    report = calibrated(widths)
    found, origin_nm = report.calibration, equal_at(LENS)
    assert found.z_from_nm < -350
    assert found.z_to_nm > 350
    z_nm = np.linspace(found.z_from_nm, found.z_to_nm, 30)
    for curve, true in ((found.along_x, LENS.along_x), (found.along_y, LENS.along_y)):
        off = curve.sigma_px(z_nm) / true_widths_px(true, z_nm + origin_nm) - 1
        # 1 % of 12 beads x 45 planes over five numbers: 0.1 %; four of that, and the heights
        assert np.abs(off).max() < 0.008
    assert found.along_x.sigma_px(0.0) == pytest.approx(found.along_y.sigma_px(0.0), rel=1e-3)
    assert found.bead_count == 12
    assert report.left_out == {}
    # the stage is counted from where each bead is as wide along x as along y
    for bead in range(12):
        stage_nm = widths.stage_nm[widths.bead == bead].min()
        from_zero_nm = stage_nm - zero_nm[bead] - origin_nm
        mine = report.widths.stage_nm[report.widths.bead == bead]
        off = (mine - from_zero_nm) / STEP_NM
        assert np.abs(off - np.rint(off)).max() < 0.25


def test_the_residual_is_that_of_the_noise_and_nothing_is_systematic():
    widths, _ = drawn(np.random.default_rng(2), beads=20, error=0.02)
    report = calibrated(widths)
    found = report.calibration
    # 2 % of either width, by the slopes of the true curves
    z_nm = np.linspace(found.z_from_nm, found.z_to_nm, 200) + equal_at(LENS)
    slopes = [
        np.gradient(np.log(true_widths_px(c, z_nm)), z_nm) for c in (LENS.along_x, LENS.along_y)
    ]
    noise_nm = 0.02 / np.hypot(*slopes)
    assert found.residual_nm == pytest.approx(np.sqrt(np.mean(noise_nm**2)), rel=0.15)
    assert found.systematic_nm < 0.35 * found.residual_nm
    assert np.abs(report.held_out.bias_nm).max() < 0.6 * found.residual_nm
    total = np.sqrt(np.mean(report.held_out.rms_nm**2))
    assert total == pytest.approx(found.residual_nm, rel=0.2)


def test_beads_of_another_shape_show_as_systematic_error():
    rng = np.random.default_rng(3)
    lenses = [
        replace(LENS, along_x=replace(LENS.along_x, centre_nm=LENS.along_x.centre_nm + shift))
        for shift in (-60.0, -20.0, 20.0, 60.0)
    ]
    parts = [drawn(rng, lens=lens, beads=3, error=0.005)[0] for lens in lenses]
    widths = BeadWidths(
        bead=np.concatenate([3 * n + part.bead for n, part in enumerate(parts)]),
        stage_nm=np.concatenate([part.stage_nm for part in parts]),
        sigma_px=np.concatenate([part.sigma_px for part in parts]),
        error_px=np.concatenate([part.error_px for part in parts]),
    )
    found = calibrated(widths).calibration
    assert found.systematic_nm > 5.0
    assert found.systematic_nm == pytest.approx(found.residual_nm, rel=0.2)


@given(
    width_px=st.floats(0.9, 2.0),
    distance_nm=st.floats(300, 600),
    depth_nm=st.floats(250, 500),
    is_turned=st.booleans(),
)
@settings(deadline=None, max_examples=15)
def test_heights_come_back_whatever_the_lens(width_px, distance_nm, depth_nm, is_turned):
    half_nm = -distance_nm / 2 if is_turned else distance_nm / 2
    lens = replace(
        LENS,
        along_x=DefocusCurve(width_px=width_px, centre_nm=-half_nm, depth_nm=depth_nm),
        along_y=DefocusCurve(width_px=width_px, centre_nm=half_nm, depth_nm=depth_nm),
    )
    widths, _ = drawn(np.random.default_rng(4), lens=lens, error=0.003, beads=5)
    report = calibrated(widths)
    z_nm = np.linspace(report.calibration.z_from_nm, report.calibration.z_to_nm, 9)
    along_x = report.calibration.along_x.sigma_px(z_nm)
    np.testing.assert_allclose(along_x, true_widths_px(lens.along_x, z_nm), rtol=0.02)
    assert report.calibration.z_from_nm < 0 < report.calibration.z_to_nm


def test_the_range_ends_where_the_ratio_of_the_widths_turns_back():
    lens = replace(
        LENS,
        along_x=DefocusCurve(width_px=1.3, centre_nm=-150.0, depth_nm=250.0),
        along_y=DefocusCurve(width_px=1.3, centre_nm=150.0, depth_nm=250.0),
    )
    widths, _ = drawn(np.random.default_rng(5), lens=lens, planes=121, error=0.003)
    found = calibrated(widths, largest_uncertainty=50.0).calibration
    # ln ratio of two hyperbolas turns where u^2 = depth^2 + centre^2
    turn_nm = np.hypot(150.0, 250.0)
    assert found.z_to_nm == pytest.approx(turn_nm, rel=0.05)
    assert found.z_from_nm == pytest.approx(-turn_nm, rel=0.05)
    narrower = calibrated(widths, largest_uncertainty=1.2, min_planes=6).calibration
    assert narrower.z_to_nm < found.z_to_nm
    by_x, by_y = (
        np.gradient(np.log(curve.sigma_px(np.arange(-400.0, 401.0))))
        for curve in (narrower.along_x, narrower.along_y)
    )
    uncertainty = 1 / np.hypot(by_x, by_y)
    inside = np.abs(np.arange(-400, 401)) < narrower.z_to_nm - 2
    assert uncertainty[inside].max() < 1.22 * uncertainty.min()


def test_single_beads_that_disagree_are_left_out():
    rng = np.random.default_rng(6)
    widths, _ = drawn(rng, beads=8)
    sigma_px = widths.sigma_px.copy()
    sigma_px[widths.bead == 2] = sigma_px[widths.bead == 2][:, ::-1]
    sigma_px[widths.bead == 5] = 1.5
    keep = (widths.bead != 7) | (np.abs(widths.stage_nm) < 3 * STEP_NM)
    report = calibrated(replace(widths, sigma_px=sigma_px).rows(keep))
    assert report.calibration.bead_count == 5
    assert report.left_out.pop("unlike the others") == 1
    assert sum(report.left_out.values()) == 2


def test_few_beads_are_refused():
    widths, _ = drawn(np.random.default_rng(7), beads=2)
    with pytest.raises(CalibrationError, match="beads.tif has 2 beads that can be used, but 3 are"):
        calibrated(widths)
    with pytest.raises(CalibrationError, match=r"0 beads .*\(left out: 5 saturated\)"):
        calibrate_astigmatism(
            widths.rows(np.zeros(len(widths.bead), bool)), name="lens", source="beads.tif",
            pixel_size_nm=100.0, settings=AstigmatismSettings(), left_out={"saturated": 5},
        )  # fmt: skip


def test_a_lens_without_astigmatism_is_refused():
    round_lens = replace(LENS, along_y=LENS.along_x)
    widths, _ = drawn(np.random.default_rng(8), lens=round_lens)
    with pytest.raises(CalibrationError, match="nearly as wide along x as along y in all planes"):
        calibrated(widths)


def test_planes_on_one_side_of_the_focus_are_refused():
    widths, _ = drawn(np.random.default_rng(9), planes=61)
    with pytest.raises(CalibrationError, match="or never in focus"):
        calibrated(widths.rows(widths.stage_nm > 300))


def test_few_planes_are_refused():
    widths, _ = drawn(np.random.default_rng(10), planes=14, step_nm=100.0)
    with pytest.raises(CalibrationError, match=r"beads.tif tell z only over \d+ nm, \d planes"):
        calibrated(widths, z_step_nm=100.0, largest_uncertainty=1.2)
    widths, _ = drawn(np.random.default_rng(11), planes=8, step_nm=150.0)
    with pytest.raises(CalibrationError, match="8 seen in few planes"):
        calibrated(widths, z_step_nm=150.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"z_step_nm": 0.0}, "z_step_nm is the distance of two planes"),
        ({"z_step_nm": np.nan}, "z_step_nm is the distance of two planes"),
        ({"frames_per_plane": 0}, "frames_per_plane must be 1 or more"),
        ({"min_beads": 1}, "min_beads must be 2 or more"),
        ({"min_planes": 3}, "min_planes must be 6 or more"),
        ({"largest_uncertainty": 1.0}, "largest_uncertainty must lie between"),
        ({"background_share": -0.1}, "background_share must lie between 0 and 1"),
        ({"mismatch_factor": 20.0}, "mismatch_factor must lie between 0.1 and 10"),
    ],
)
def test_impossible_settings_are_refused(changes, message):
    with pytest.raises(SettingsError, match=message):
        AstigmatismSettings(**changes)
