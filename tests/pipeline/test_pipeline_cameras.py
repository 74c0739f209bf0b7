"""The cameras of a project: presets, stated ones, measured ones, and their flat fields."""

from pathlib import Path

import numpy as np
import pytest

from cellstorm_lib.camera import CAMERA_PRESETS, CameraCalibration, write_calibration
from cellstorm_lib.errors import CalibrationError, SettingsError
from cellstorm_lib.pipeline.cameras import CameraShelf
from cellstorm_lib.pixel_maps import write_map

PHONE = CameraCalibration(
    name="phone", source="measured", offset_adu=2.0, gain_e_per_adu=0.7, read_noise_e=1.5
)


@pytest.fixture
def shelf(tmp_path: Path) -> CameraShelf:
    return CameraShelf(
        folder=tmp_path / "cameras", measured=tmp_path / "measured", flat_fields=tmp_path / "flat"
    )


def test_presets_and_stated_cameras_are_found_by_name(shelf: CameraShelf) -> None:
    assert shelf.names() == ()
    assert shelf.camera("huawei-p9-raw") is CAMERA_PRESETS["huawei-p9-raw"]
    write_calibration(PHONE, shelf.folder / "phone.json")
    (shelf.folder / "mine.yaml").write_text("preset: huawei-p9-raw\noffset_adu: 5\n")
    (shelf.folder / ".hidden.yaml").write_text("nonsense")
    assert shelf.names() == ("mine", "phone")
    assert shelf.camera("phone") == PHONE
    mine = shelf.camera("mine")
    assert (mine.name, mine.offset_adu, mine.gain_e_per_adu) == ("mine", 5.0, 0.34)


def test_only_a_person_may_name_a_calibration_file_anywhere(
    shelf: CameraShelf, tmp_path: Path
) -> None:
    path = tmp_path / "CAL.json"
    write_calibration(PHONE, path)
    assert shelf.camera_or_file(str(path)) == PHONE
    for name in (str(path), "../CAL.json"):
        with pytest.raises(
            CalibrationError, match=r"no camera .* or put a CAL.json into .*cameras"
        ):
            shelf.camera(name)


def test_the_file_of_a_camera_is_known_by_its_name_in_the_folder(shelf: CameraShelf) -> None:
    write_calibration(PHONE, shelf.folder / "phone.json")
    assert shelf.camera("phone.json") == shelf.camera("phone") == PHONE
    assert shelf.camera_or_file("phone.json") == shelf.camera_or_file("phone") == PHONE
    assert shelf.camera_or_file("huawei-p9-raw") is CAMERA_PRESETS["huawei-p9-raw"]
    with pytest.raises(CalibrationError, match="no camera 'nokia'"):
        shelf.camera_or_file("nokia")


def test_a_flat_field_of_another_size_is_said_with_its_file(shelf: CameraShelf) -> None:
    write_calibration(PHONE, shelf.folder / "phone.json")
    write_map(np.zeros((4, 5), np.float32), shelf.flat_fields / "phone.tif")
    with pytest.raises(CalibrationError, match=r"phone.tif is no flat field .*above 0 everywhere"):
        shelf.camera("phone")


def test_a_link_to_nowhere_is_said_with_its_name(shelf: CameraShelf) -> None:
    shelf.folder.mkdir()
    (shelf.folder / "lost.yaml").symlink_to("gone.yaml")
    (shelf.folder / "last.json").symlink_to("gone.json")
    with pytest.raises(SettingsError, match=r"lost.yaml does not exist"):
        shelf.camera("lost")
    with pytest.raises(CalibrationError, match=r"last.json does not exist"):
        shelf.camera("last")


@pytest.mark.parametrize("name", ["CON", "nul", "lpt1", "phone.", "con.x"])
def test_names_that_windows_keeps_for_itself_are_no_cameras(shelf: CameraShelf, name: str) -> None:
    write_calibration(PHONE, shelf.folder / f"{name}.json")
    assert shelf.names() == ()
    with pytest.raises(CalibrationError, match="no camera"):
        shelf.camera(name)
    assert shelf.look_of(name) == ""


def test_unknown_cameras_are_answered_with_the_known_ones(shelf: CameraShelf) -> None:
    write_calibration(PHONE, shelf.folder / "phone.json")
    with pytest.raises(CalibrationError, match="no camera 'nokia'; known are .*huawei.*phone"):
        shelf.camera("nokia")
    for name in ("..", "../phone", "a/b", ""):
        with pytest.raises(CalibrationError, match="no camera"):
            shelf.camera(name)


def test_a_stated_camera_needs_all_its_numbers_or_a_preset(shelf: CameraShelf) -> None:
    shelf.folder.mkdir()
    (shelf.folder / "half.yaml").write_text("offset_adu: 5\ngain_e_per_adu: 0.5\n")
    with pytest.raises(SettingsError, match=r"half.yaml: .*'bit_depth', 'read_noise_e'.* missing"):
        shelf.camera("half")
    (shelf.folder / "odd.yaml").write_text("preset: huawei-p9-raw\ngain_e_per_adu: 0\n")
    with pytest.raises(SettingsError, match=r"odd.yaml: gain_e_per_adu must be above 0"):
        shelf.camera("odd")
    (shelf.folder / "other.yaml").write_text("preset: nokia\n")
    with pytest.raises(SettingsError, match=r"other.yaml: there is no preset 'nokia'; there are"):
        shelf.camera("other")


def test_series_are_the_folders_of_a_camera(shelf: CameraShelf) -> None:
    for level in ("level-1", "level-2", ".trash"):
        (shelf.folder / "p9" / "bright" / level).mkdir(parents=True)
    (shelf.folder / "p9" / "dark").mkdir()
    (shelf.folder / "p9" / "dark" / "dark.tif").touch()
    series = shelf.series("p9")
    assert series is not None
    assert [path.name for path in series.bright] == ["level-1", "level-2"]
    assert [path.name for path in series.dark] == ["dark"]
    assert (series.flat, series.dark_video) == ((), None)
    assert shelf.series("other") is None
    with pytest.raises(CalibrationError, match="p9 has series in .* not calibrated yet; mater"):
        shelf.camera("p9")
    write_calibration(PHONE, shelf.measured / "p9.json")
    assert shelf.camera("p9") == PHONE


def test_only_one_dark_video_is_taken(shelf: CameraShelf) -> None:
    folder = shelf.folder / "p9" / "dark-video"
    folder.mkdir(parents=True)
    (folder / "a.mp4").touch()
    series = shelf.series("p9")
    assert series is not None
    assert series.dark_video == folder / "a.mp4"
    (folder / "b.mp4").touch()
    with pytest.raises(CalibrationError, match="must hold one recording, found 2"):
        shelf.series("p9")


def test_a_measured_flat_field_comes_with_the_camera(shelf: CameraShelf) -> None:
    write_calibration(PHONE, shelf.folder / "phone.json")
    flat = np.linspace(0.9, 1.1, 12, dtype=np.float32).reshape(3, 4)
    write_map(flat, shelf.flat_fields / "phone.tif")
    camera = shelf.camera("phone")
    assert camera.maps is not None
    np.testing.assert_array_equal(camera.maps.relative_sensitivity, flat)
    assert camera.digest != PHONE.digest
