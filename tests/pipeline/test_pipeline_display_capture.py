"""A scene shown, filmed and cut into pairs, from file to file."""

from dataclasses import replace

import numpy as np
import pytest
from filmed_displays import CAMERA, DISPLAY, filmed

from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.errors import RecordingError, SettingsError
from cellstorm_lib.pairs.displayed_clips import ClipSettings
from cellstorm_lib.pipeline.display_capture import DisplayRecipe, capture_display, show_scene
from cellstorm_lib.simulate.scene import read_preset
from cellstorm_lib.simulate.simulate import simulate_scene
from cellstorm_lib.video.read import open_recording

RECIPE = DisplayRecipe(clips=ClipSettings(side_px=64, frames=6, clips=12))
PHONE = CameraCalibration(
    name="phone", source="stated", offset_adu=CAMERA.offset_adu, bit_depth=8,
    gain_e_per_adu=CAMERA.gain_e_per_adu, read_noise_e=CAMERA.read_noise_e,
)  # fmt: skip


def a_scene():
    demo = read_preset("demo")
    return replace(demo, frame_count=12, field=replace(demo.field, width_px=160, height_px=160))


@pytest.fixture(scope="module")
def captured(tmp_path_factory):
    folder = tmp_path_factory.mktemp("capture")
    plan = show_scene(a_scene(), folder / "movie", DISPLAY)
    filmed(plan, folder / "movie", folder / "film.mp4")
    return folder, plan


def test_molecules_alone_are_shown(captured):
    folder, plan = captured
    simulation = simulate_scene(a_scene())
    background = simulation.background_e * simulation.background_factor[:, None, None]
    light = np.maximum(simulation.expected_e(range(12)) - background, 0)
    assert plan.truth_count == 12
    assert plan.full_scale_photons == pytest.approx(light.max())
    shown = next(iter(open_recording(folder / "movie" / plan.shown).chunks(99))).frames
    darkest = shown.min()
    assert (shown[light < 1e-3 * light.max()] <= darkest + 1).all()
    assert shown.max() == 235


def test_film_becomes_pairs_of_the_given_camera(captured):
    folder, _ = captured
    seen = []
    found = capture_display(
        folder / "film.mp4", folder / "movie", RECIPE, camera=PHONE,
        progress=lambda *at: seen.append(at),
    )  # fmt: skip
    assert found.read.report.held_out_rms_px < 0.03
    assert found.pairs.filmed.shape[1:] == (6, 64, 64)
    assert (found.pairs.gain_e_per_adu == np.float32(CAMERA.gain_e_per_adu)).all()
    assert (found.pairs.offset_adu == np.float32(CAMERA.offset_adu)).all()
    assert found.notes == ()
    assert seen[-1][0] == seen[-1][1]


def test_without_a_camera_black_is_measured_and_the_gain_estimated(captured):
    folder, _ = captured
    found = capture_display(folder / "film.mp4", folder / "movie", RECIPE)
    assert found.calibration.source.startswith("estimated")
    assert "No camera was given" in found.notes[0]
    assert found.pairs.offset_adu[0] == np.float32(found.read.report.black_adu)
    assert found.pairs.gain_e_per_adu[0] == np.float32(found.calibration.gain_e_per_adu)


def test_what_is_missing_is_named(captured, tmp_path):
    folder, _ = captured
    with pytest.raises(RecordingError, match=r"nowhere.mp4 does not exist; show .*display.mp4"):
        capture_display(folder / "nowhere.mp4", folder / "movie", RECIPE)
    with pytest.raises(SettingsError, match="give the display.json that was made"):
        capture_display(folder / "film.mp4", tmp_path, RECIPE)
    with pytest.raises(SettingsError, match="must be the name of a file in the dataset's folder"):
        DisplayRecipe(film="../film.mp4")
