import json
from dataclasses import replace

import numpy as np
import pytest
from astigmatic_beads import LENS, true_widths_px
from hypothesis import given, settings
from hypothesis import strategies as st

from cellstorm_lib.errors import CalibrationError
from cellstorm_lib.z_calibration import (
    DefocusCurve,
    read_z_calibration,
    width_and_slope,
    write_z_calibration,
)

curves = st.builds(
    DefocusCurve,
    width_px=st.floats(0.5, 3),
    centre_nm=st.floats(-400, 400),
    depth_nm=st.floats(100, 900),
    cubic=st.floats(-0.2, 0.2),
    quartic=st.floats(0, 0.2),
    quintic=st.floats(-0.005, 0.005),
    sextic=st.floats(0, 0.01),
)


@given(curve=curves, z_nm=st.floats(-500, 500))
@settings(deadline=None)
def test_width_and_slope_are_those_of_the_formula(curve, z_nm):
    width, slope = width_and_slope(z_nm, curve.numbers)
    assert width == pytest.approx(float(true_widths_px(curve, z_nm)), rel=1e-12)
    after, before = (float(true_widths_px(curve, z_nm + step)) for step in (0.5, -0.5))
    assert slope == pytest.approx(after - before, abs=2e-5)
    np.testing.assert_allclose(curve.sigma_px([z_nm, z_nm]), width, rtol=1e-12)


def test_a_width_never_vanishes_far_from_the_focus():
    curve = DefocusCurve(width_px=1.0, centre_nm=0.0, depth_nm=100.0, quartic=-1.0)
    assert (curve.sigma_px([-5000.0, 5000.0]) > 0.2).all()


@given(along_x=curves, along_y=curves, factor=st.floats(0.5, 1.5))
@settings(deadline=None)
def test_a_calibration_comes_back_from_its_file(tmp_path_factory, along_x, along_y, factor):
    path = tmp_path_factory.getbasetemp() / "Z.json"
    ours = replace(LENS, along_x=along_x, along_y=along_y, mismatch_factor=factor)
    write_z_calibration(ours, path)
    back = read_z_calibration(path)
    assert back == ours
    assert back.digest == ours.digest


def test_every_number_changes_the_digest():
    changed = [
        replace(LENS, z_to_nm=449.0),
        replace(LENS, mismatch_factor=0.9),
        replace(LENS, along_x=replace(LENS.along_x, cubic=0.11)),
    ]
    assert len({LENS.digest, *(other.digest for other in changed)}) == 4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pixel_size_nm": 0.0}, "pixel_size_nm must be above 0"),
        ({"z_from_nm": 500.0}, "z_from_nm must lie below z_to_nm, got 500.0 and 450.0"),
        ({"z_to_nm": np.inf}, "z_from_nm must lie below z_to_nm"),
        ({"residual_nm": -1.0}, "residual_nm must be 0 or more"),
        ({"systematic_nm": np.nan}, "systematic_nm must be 0 or more"),
        ({"box_px": 8}, "box_px must be odd and between 5 and 15, got 8"),
        ({"mismatch_factor": 0.0}, "mismatch_factor must lie between 0.1 and 10"),
    ],
)
def test_impossible_calibrations_are_refused(changes, message):
    with pytest.raises(CalibrationError, match=message):
        replace(LENS, **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width_px": 0.0}, "width_px and depth_nm of a defocus curve must be above 0"),
        ({"depth_nm": -1.0}, "width_px and depth_nm of a defocus curve must be above 0"),
        ({"cubic": np.nan}, "a defocus curve needs finite numbers"),
    ],
)
def test_impossible_curves_are_refused(changes, message):
    with pytest.raises(CalibrationError, match=message):
        replace(LENS.along_x, **changes)


def broken(**changes):
    return json.dumps({**LENS.plain(), **changes})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not a z calibration: .*; make one with `cellstorm calibrate-z`"),
        ("[1]", "holds no z calibration; make one with `cellstorm calibrate-z`"),
        ('{"name": "camera"}', "holds no z calibration"),
        (broken(zoom=1), r"has unknown entries \['zoom'\]; known are"),
        (broken(along_x=3), "is not a z calibration"),
        (broken(along_x={"width_px": 1.0}), "is not a z calibration: .*missing"),
        (broken(z_from_nm="low"), "is not a z calibration"),
        (broken(z_from_nm=900.0), "is not a z calibration: z_from_nm must lie below"),
    ],
)
def test_other_files_are_no_calibration(tmp_path, text, message):
    path = tmp_path / "Z.json"
    path.write_text(text)
    with pytest.raises(CalibrationError, match=message) as raised:
        read_z_calibration(path)
    assert str(path) in str(raised.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CalibrationError, match=r"none\.json does not exist; make one with"):
        read_z_calibration(tmp_path / "none.json")


def test_another_magnification_is_refused():
    LENS.check_pixel_size(101.0)
    with pytest.raises(CalibrationError, match="pixels of 100 nm, but .* pixels of 80 nm"):
        LENS.check_pixel_size(80.0)
