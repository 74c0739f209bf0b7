"""Grey values become photoelectrons, and impossible cameras are refused."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellstorm_lib.camera import (
    CAMERA_PRESETS,
    CameraCalibration,
    read_calibration,
    write_calibration,
)
from cellstorm_lib.errors import CalibrationError

PHONE = CAMERA_PRESETS["huawei-p9-raw"]


def camera(**changes: float) -> CameraCalibration:
    values: dict[str, float] = {"offset_adu": 4.0, "gain_e_per_adu": 0.5, "read_noise_e": 1.0}
    return CameraCalibration(name="x", source="given", **{**values, **changes})  # type: ignore[arg-type]


@given(st.integers(0, 4095))
def test_photoelectrons_are_linear_in_grey_values(adu: int) -> None:
    electrons = PHONE.photoelectrons(np.full((1, 2, 3), adu, np.uint16))
    assert electrons.dtype == np.float32
    np.testing.assert_allclose(electrons, (adu - 4.074) * 0.34, rtol=1e-5, atol=1e-5)


def test_pixel_noise_adds_read_pattern_and_rounding_in_squares() -> None:
    noise_e = camera(read_noise_e=3.0, fixed_pattern_e=4.0, gain_e_per_adu=1e-9).pixel_noise_e
    np.testing.assert_allclose(noise_e, 5.0)
    np.testing.assert_allclose(
        camera(read_noise_e=0.0, gain_e_per_adu=2.0).pixel_noise_e, np.sqrt(4 / 12)
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gain_e_per_adu": 0.0}, "gain_e_per_adu must be above 0 e- per grey value, got 0.0"),
        ({"read_noise_e": -1.0}, "read_noise_e must be 0 or more"),
        ({"offset_adu": float("nan")}, "offset_adu must be a finite number"),
        ({"quantum_efficiency": 1.5}, "quantum_efficiency must be above 0 and at most 1"),
        ({"bit_depth": 0}, "bit_depth must be 1 to 32"),
    ],
)
def test_impossible_cameras_are_refused(changes: dict[str, float], message: str) -> None:
    with pytest.raises(CalibrationError, match=message):
        camera(**changes)


def test_a_calibration_survives_its_file(tmp_path: Path) -> None:
    path = tmp_path / "CAL.json"
    measured = CameraCalibration(
        name="phone",
        source="measured",
        offset_adu=4.0,
        gain_e_per_adu=0.34,
        read_noise_e=1.2,
        intervals={"gain_e_per_adu": (0.33, 0.35)},
    )
    write_calibration(measured, path)
    assert read_calibration(path) == measured
    assert read_calibration(path).digest == measured.digest


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("not json", "is not a calibration"),
        ("[1, 2]", "holds no calibration"),
        ('{"offset": 4}', "unknown entries"),
        ('{"name": "x"}', "is not a calibration"),
    ],
)
def test_a_wrong_calibration_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "CAL.json"
    path.write_text(text)
    with pytest.raises(CalibrationError, match=message) as caught:
        read_calibration(path)
    assert "CAL.json" in str(caught.value)


def test_a_missing_calibration_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match="does not exist; give a CAL.json or a preset"):
        read_calibration(tmp_path / "none.json")


def test_a_negative_read_noise_in_a_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "CAL.json"
    content = {"name": "x", "source": "s", "offset_adu": 1, "gain_e_per_adu": 1, "read_noise_e": -1}
    path.write_text(json.dumps(content))
    with pytest.raises(CalibrationError, match="read_noise_e must be 0 or more"):
        read_calibration(path)


def test_presets_are_the_papers_cameras() -> None:
    assert (PHONE.offset_adu, PHONE.gain_e_per_adu, PHONE.read_noise_e) == (4.074, 0.34, 1.23)
    assert PHONE.bit_depth == 12
    assert CAMERA_PRESETS["andor-ixon-897"].read_noise_e == 0.2


def test_a_spread_of_0_that_nobody_measured_is_told_from_one_that_was():
    plain = CameraCalibration(
        name="c", source="stated", offset_adu=0.0, gain_e_per_adu=1.0, read_noise_e=1.0
    )
    assert not plain.knows_gain_spread
    assert replace(plain, gain_spread=0.01).knows_gain_spread
    assert replace(plain, intervals={"gain_spread": (0.0, 0.002)}).knows_gain_spread
