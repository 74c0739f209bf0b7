"""Pixel maps: shapes and values are checked, files belong together, regions are cut out."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile

from cellstorm_lib.camera import CameraCalibration, read_calibration, write_calibration
from cellstorm_lib.errors import CalibrationError
from cellstorm_lib.pixel_maps import PixelMaps, read_map
from cellstorm_lib.recording import Roi

RNG = np.random.default_rng(3)
OFFSET = RNG.normal(100.0, 2.0, (6, 8)).astype(np.float32)
VARIANCE = RNG.gamma(2.0, 1.0, (6, 8)).astype(np.float32)
GAIN = RNG.uniform(0.4, 0.6, (6, 8)).astype(np.float32)


def camera(maps: PixelMaps | None) -> CameraCalibration:
    return CameraCalibration(
        name="c", source="s", offset_adu=100.0, gain_e_per_adu=0.5, read_noise_e=1.4, maps=maps,
        bit_depth=16,
    )  # fmt: skip


def test_a_camera_with_maps_survives_its_files(tmp_path: Path) -> None:
    maps = PixelMaps(offset_adu=OFFSET, read_variance_e2=VARIANCE, gain_e_per_adu=GAIN)
    write_calibration(camera(maps), tmp_path / "CAL.json")
    back = read_calibration(tmp_path / "CAL.json")
    assert back == camera(maps)
    assert back.digest == camera(maps).digest
    assert back.maps is not None
    assert hash(back.maps) == hash(maps)
    np.testing.assert_array_equal(back.maps.gain_e_per_adu, GAIN)
    assert {path.name for path in tmp_path.iterdir()} == {
        "CAL.json", "CAL.offset_adu.tif", "CAL.read_variance_e2.tif", "CAL.gain_e_per_adu.tif",
    }  # fmt: skip


def test_every_pixel_is_converted_by_its_own_numbers() -> None:
    grey = RNG.integers(90, 400, (3, 6, 8)).astype(np.uint16)
    maps = PixelMaps(offset_adu=OFFSET, gain_e_per_adu=GAIN)
    np.testing.assert_allclose(
        camera(maps).photoelectrons(grey),
        (grey - OFFSET.astype(float)) * GAIN,
        rtol=1e-5,
        atol=1e-4,
    )
    np.testing.assert_allclose(
        camera(PixelMaps(read_variance_e2=VARIANCE)).photoelectrons(grey), (grey - 100.0) * 0.5
    )


def test_one_changed_pixel_is_another_calibration() -> None:
    changed = GAIN.copy()
    changed[0, 0] += 1e-3
    one, other = PixelMaps(gain_e_per_adu=GAIN), PixelMaps(gain_e_per_adu=changed)
    assert one != other
    assert camera(one).digest != camera(other).digest != camera(None).digest
    assert one == PixelMaps(gain_e_per_adu=GAIN.copy())
    assert one != "maps"


def test_a_region_is_cut_out_of_all_maps() -> None:
    roi = Roi(width_px=3, height_px=2, x_px=4, y_px=1)
    cropped = camera(PixelMaps(offset_adu=OFFSET, gain_e_per_adu=GAIN)).cropped(roi)
    assert cropped.maps is not None
    assert cropped.maps.shape == (2, 3)
    np.testing.assert_array_equal(cropped.maps.offset_adu, OFFSET[1:3, 4:7])
    assert camera(None).cropped(roi) == camera(None)
    with pytest.raises(CalibrationError, match=r"hold 8 x 6 pixels, but .* 3x2\+6\+1; calibrate"):
        camera(PixelMaps(offset_adu=OFFSET)).cropped(replace(roi, x_px=6))


@pytest.mark.parametrize(
    ("maps", "words"),
    [
        ({}, "at least one map"),
        ({"offset_adu": OFFSET, "gain_e_per_adu": GAIN[:3]}, "one shape"),
        ({"offset_adu": OFFSET[0]}, "one shape"),
        ({"gain_e_per_adu": GAIN * 0}, "gain_e_per_adu must be above 0 everywhere"),
        ({"relative_sensitivity": -GAIN}, "relative_sensitivity must be above 0"),
        ({"read_variance_e2": -VARIANCE}, "read_variance_e2 must be 0 or more"),
        ({"offset_adu": OFFSET * np.nan}, "pixels that are not finite"),
    ],
)
def test_impossible_maps_are_refused(maps: dict[str, np.ndarray], words: str) -> None:
    with pytest.raises(CalibrationError, match=words):
        PixelMaps(**maps)


def test_maps_that_do_not_belong_to_the_file_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "CAL.json"
    write_calibration(camera(PixelMaps(offset_adu=OFFSET)), path)
    write_calibration(camera(PixelMaps(offset_adu=OFFSET + 1)), tmp_path / "other.json")
    (tmp_path / "other.offset_adu.tif").replace(tmp_path / "CAL.offset_adu.tif")
    with pytest.raises(CalibrationError, match=r"CAL.offset_adu.tif is not the map that CAL.json"):
        read_calibration(path)
    (tmp_path / "CAL.offset_adu.tif").write_bytes(b"no tiff")
    with pytest.raises(
        CalibrationError, match=r"CAL.offset_adu.tif is to be a map of a camera.* cannot be read"
    ):
        read_calibration(path)
    (tmp_path / "CAL.offset_adu.tif").unlink()
    with pytest.raises(CalibrationError, match="put it back, or calibrate again"):
        read_calibration(path)
    path.write_text(path.read_text().replace('"offset_adu": {', '"shine": {'))
    with pytest.raises(CalibrationError, match="unknown map 'shine'"):
        read_calibration(path)


@pytest.mark.parametrize("name", ["../other.offset_adu.tif", "/etc/passwd", "", "a:b", "CON", None])
def test_a_map_that_does_not_lie_beside_its_file_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "below" / "CAL.json"
    write_calibration(camera(PixelMaps(offset_adu=OFFSET)), path)
    write_calibration(camera(PixelMaps(offset_adu=OFFSET)), tmp_path / "other.json")
    content = json.loads(path.read_text())
    content["maps"]["offset_adu"]["file"] = name
    path.write_text(json.dumps(content))
    with pytest.raises(CalibrationError, match=r"CAL\.json") as raised:
        read_calibration(path)
    assert "\n" not in str(raised.value)


def test_an_empty_map_is_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "map.tif", np.ones((3, 4, 5), np.float32), photometric="minisblack")
    with pytest.raises(CalibrationError, match=r"map.tif .* several images, but one"):
        read_map(tmp_path / "map.tif")
    with pytest.raises(CalibrationError, match=r"no file"):
        read_map(tmp_path)
