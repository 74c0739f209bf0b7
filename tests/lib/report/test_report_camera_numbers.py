"""The numbers of a camera as a reader meets them: units, intervals, planes, and what is unknown."""

from dataclasses import replace

import pytest

from cellstorm_lib.camera import CAMERA_PRESETS, CameraCalibration
from cellstorm_lib.report.camera_numbers import camera_rows, frames_text, plane_grid
from cellstorm_lib.report.page import recording_page

MEASURED = CameraCalibration(
    name="phone",
    source="measured: photon transfer, 100 bright and 100 dark frames",
    offset_adu=4.0784,
    gain_e_per_adu=0.3392,
    read_noise_e=1.228,
    fixed_pattern_e=0.343,
    bit_depth=12,
    iso=3200,
    linear_from_adu=1.0,
    linear_to_adu=3238.0,
    intervals={"gain_e_per_adu": (0.3373, 0.3411), "linear_to_adu": (3234.0, 3242.0)},
    frame_width_px=256,
    frame_height_px=128,
    planes={
        "R": {"offset_adu": 4.1, "offset_adu_low": 4.05, "offset_adu_high": 4.15,
              "linear_to_adu": 2419.0, "linear_to_adu_low": 2419.0, "linear_to_adu_high": 4095.0},
        "G1": {"offset_adu": 4.0, "offset_adu_low": 3.95, "offset_adu_high": 4.05,
               "linear_to_adu": 3238.0, "linear_to_adu_low": 3234.0, "linear_to_adu_high": 3242.0},
    },
)  # fmt: skip


def row_of(calibration: CameraCalibration, name: str) -> tuple[str, str]:
    return next((row.value, row.remark) for row in camera_rows(calibration) if row.name == name)


def test_numbers_come_with_unit_and_interval() -> None:
    gain = ("0.3392 e⁻/grey value", "95 % interval 0.3373 to 0.3411")
    assert row_of(MEASURED, "Gain") == gain
    assert row_of(MEASURED, "Offset") == ("4.078 grey values", "")
    assert row_of(MEASURED, "Clipped at") == ("4,095 grey values", "")
    electrons = (3238.0 - 4.0784) * 0.3392
    value, remark = row_of(MEASURED, "Linear range")
    assert value == f"1 to 3,238 grey values ({electrons:,.0f} e⁻)"
    assert remark == "95 % interval of its end 3,234 to 3,242"


def test_a_range_seen_only_in_part_says_so() -> None:
    part = replace(MEASURED, intervals={"linear_to_adu": (3238.0, 4095.0)})
    assert row_of(part, "Linear range")[1].endswith("it may reach further")
    none = replace(MEASURED, linear_to_adu=None, intervals={})
    assert row_of(none, "Linear range")[0] == "not measured"
    stated = replace(MEASURED, intervals={})
    assert row_of(stated, "Linear range")[1] == ""


def test_a_spread_that_was_not_measured_is_not_called_zero() -> None:
    assert row_of(MEASURED, "Spread of the pixels' response") == ("not measured", "taken as 0")
    spread = replace(MEASURED, gain_spread=0.012, intervals={"gain_spread": (0.011, 0.013)})
    assert row_of(spread, "Spread of the pixels' response") == (
        "0.012 of the response",
        "95 % interval 0.011 to 0.013",
    )


def test_planes_stand_side_by_side() -> None:
    grid = plane_grid(MEASURED)
    assert grid is not None
    assert grid.headings == ("number", "R", "G1")
    rows = {row[0]: row[1:] for row in grid.rows}
    assert rows["Offset, grey values"] == ("4.1 (4.05 to 4.15)", "4 (3.95 to 4.05)")
    assert rows["Linear to, grey values"] == ("2,419 or more", "3,238 (3,234 to 3,242)")
    assert rows["Gain, e⁻/grey value"] == ("none", "none")
    assert plane_grid(CAMERA_PRESETS["huawei-p9-raw"]) is None


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({}, "12 bit, ISO 3200, 256 x 128 px, uncompressed"),
        (
            {"codec": "h264", "bits_per_px": 4.711, "bit_depth": 8, "iso": None},
            "8 bit, 256 x 128 px, h264 video at 4.711 bit/px",
        ),
        ({"source": "a data sheet", "frame_width_px": None}, "12 bit, ISO 3200"),
    ],
)
def test_the_frames_a_camera_was_measured_on_are_named(change: dict, text: str) -> None:
    assert frames_text(replace(MEASURED, **change)) == text


def test_the_report_shows_the_camera_what_differs_and_pixels_out_of_range(result, parsed) -> None:
    branch = result.branches["raw"]
    report = replace(branch.localize_report, spots_out_of_range=30, pixels_out_of_range=77)
    note = "film.mp4 was taken at ISO 800, phone calibrated at 3200; photon numbers may be off."
    shown = replace(
        result,
        calibration=MEASURED,
        notes=(note,),
        branches={"raw": replace(branch, localize_report=report)},
    )
    page = recording_page(shown)
    text = " ".join(parsed(page).text.split())
    assert "0.3392 e⁻/grey value95 % interval 0.3373 to 0.3411" in text
    assert "2,419 or more" in text
    assert "Planes ·" not in text
    assert text.count(note) == 2
    assert "Of them with pixels out of range30 (1.0%)77 pixels clipped" in text
    none = recording_page(replace(shown, branches={"raw": branch}))
    assert "no pixel was clipped or beyond the linear range" in parsed(none).text
