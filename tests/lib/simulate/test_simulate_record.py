"""A recording appears whole, with everything needed to judge it."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from cellstorm_lib.camera import read_calibration
from cellstorm_lib.errors import ExportError
from cellstorm_lib.simulate.exposure import CameraSettings, calibration_of
from cellstorm_lib.simulate.fan_out import fan_out
from cellstorm_lib.simulate.record import (
    clean_step_e,
    clean_values,
    simulate_recording,
)
from cellstorm_lib.simulate.scene import FieldSettings, Scene, read_scene
from cellstorm_lib.simulate.sensor import SensorSettings
from cellstorm_lib.simulate.simulate import simulate_scene
from cellstorm_lib.simulate.stage import StageSettings
from cellstorm_lib.simulate.structures import RandomSettings
from cellstorm_lib.tables import read_emitters

SCENE = Scene(
    frame_count=40,
    field=FieldSettings(width_px=32, height_px=24),
    structure=RandomSettings(),
    stage=StageSettings(drift_nm=50.0),
)


def write_video(path, frames):
    with path.open("wb") as stream:
        np.save(stream, np.stack(list(frames)))


def write_stack(path, chunks, *, pixel_size_nm, description):
    with path.open("wb") as stream:
        np.save(stream, np.concatenate(list(chunks)))
        stream.write(f"{pixel_size_nm} {description}".encode())


def test_a_recording_holds_movie_stacks_truth_drift_camera_and_scene(tmp_path):
    steps = []
    out = tmp_path / "new" / "folder"
    recording = simulate_recording(
        SCENE,
        out,
        write_video=write_video,
        write_stack=write_stack,
        progress=lambda done, total: steps.append((done, total)),
    )
    simulation = simulate_scene(SCENE)
    chunk = simulation.chunk(range(40))
    np.testing.assert_array_equal(np.load(recording.movie), chunk.levels)
    np.testing.assert_array_equal(np.load(recording.camera_stack), chunk.levels)
    step_e = clean_step_e(SCENE.camera.sensor)
    np.testing.assert_allclose(
        np.load(recording.clean_stack) * step_e, chunk.expected_e, atol=0.51 * step_e
    )
    assert f"{step_e:.9g} photoelectrons".encode() in recording.clean_stack.read_bytes()
    pd.testing.assert_frame_equal(read_emitters(recording.truth).data, simulation.emitters.data)
    assert read_emitters(recording.truth).provenance["scene_digest"]
    drift = pd.read_parquet(recording.drift)
    np.testing.assert_array_equal(drift["frame"], np.arange(40))
    np.testing.assert_array_equal(drift[["x_nm", "y_nm"]], simulation.drift_nm)
    assert read_calibration(recording.camera) == calibration_of(SCENE.camera)
    assert recording.movie.name == "movie.mp4"
    assert read_scene(recording.scene) == SCENE
    assert steps[-1] == (40, 40)
    assert recording.emission_count == len(simulation.emitters)
    assert recording.molecule_count == simulation.emitters.data["emitter"].nunique()
    assert recording.bits_per_px == pytest.approx(8.0, rel=0.01)
    assert len(list(out.iterdir())) == 7


def test_raw_frames_are_recorded_as_they_are(tmp_path):
    """Without a codec the movie is the stack of frames, and no other movie is left behind."""
    raw = CameraSettings(sensor=SensorSettings(bit_depth=14, gain_spread=0.05), processing=None)
    scene = replace(SCENE, camera=raw, codec=None)
    (tmp_path / "movie.mp4").write_bytes(b"earlier")
    steps = []
    recording = simulate_recording(
        scene,
        tmp_path,
        write_video=None,
        write_stack=write_stack,
        progress=lambda done, total: steps.append((done, total)),
    )
    simulation = simulate_scene(scene)
    frames = np.load(recording.movie)
    assert frames.dtype == np.uint16
    np.testing.assert_array_equal(frames, simulation.chunk(range(40)).raw)
    assert recording.movie.name == "movie.ome.tif"
    assert recording.camera_stack == recording.movie
    assert not (tmp_path / "movie.mp4").exists()
    assert not (tmp_path / "camera.ome.tif").exists()
    assert np.load(recording.clean_stack).shape == frames.shape
    assert read_calibration(recording.camera) == calibration_of(raw, simulation.pattern)
    assert read_scene(recording.scene) == scene
    assert steps[-1] == (40, 40)
    assert recording.bits_per_px == pytest.approx(16.0, rel=0.01)


def test_only_the_stacks_asked_for_are_written(tmp_path):
    recording = simulate_recording(
        SCENE, tmp_path, write_video=write_video, write_stack=write_stack, stacks=("camera",)
    )
    assert recording.clean_stack is None
    assert recording.camera_stack.is_file()
    assert not (tmp_path / "clean.ome.tif").exists()


@pytest.mark.parametrize("failing", ["video", "stack"])
def test_a_writer_that_fails_leaves_the_folder_as_it_was(tmp_path, failing):
    def fail(path, frames, **_):
        path.write_bytes(b"half")
        next(iter(frames))
        raise ExportError("the disk is full")

    (tmp_path / "movie.mp4").write_bytes(b"earlier")
    with pytest.raises(ExportError, match="the disk is full"):
        simulate_recording(
            replace(SCENE, frame_count=20_000),
            tmp_path,
            write_video=fail if failing == "video" else write_video,
            write_stack=fail if failing == "stack" else write_stack,
            stacks=("camera",),
        )
    assert [path.name for path in tmp_path.iterdir()] == ["movie.mp4"]
    assert (tmp_path / "movie.mp4").read_bytes() == b"earlier"


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ExportError, match=r"cannot write into .*file.*choose a folder"):
        simulate_recording(
            SCENE, tmp_path / "file", write_video=write_video, write_stack=write_stack
        )


def test_clean_values_are_clipped_where_the_sensor_is():
    sensor = SCENE.camera.sensor
    values = clean_values(np.array([0.0, 1e6], np.float32), sensor)
    np.testing.assert_array_equal(values, [0, 65535])
    assert 65535 * clean_step_e(sensor) == pytest.approx((4095 - 4.074) * 0.34)
    multiplying = replace(sensor, em_gain=100.0)
    assert 65535 * clean_step_e(multiplying) == pytest.approx((4095 - 4.074) * 0.0034)
    assert 65535 * clean_step_e(replace(sensor, full_well_e=900.0)) == pytest.approx(900.0)


def test_every_consumer_gets_every_item_in_order():
    taken = [[], [], []]
    fan_out(range(100), [lambda items, into=into: into.extend(items) for into in taken])
    assert taken == [list(range(100))] * 3


def test_a_consumer_may_want_no_more():
    taken = []
    fan_out(range(100), [lambda items: next(items) and None, taken.extend])
    assert taken == list(range(100))


def test_an_error_in_the_stream_reaches_caller_and_consumers():
    seen = []

    def items():
        yield 1
        raise ValueError("no more light")

    def consume(stream):
        try:
            list(stream)
        except ValueError as error:
            seen.append(str(error))
            raise

    with pytest.raises(ValueError, match="no more light"):
        fan_out(items(), [consume, consume])
    assert seen == ["no more light"] * 2


def test_an_error_in_the_last_moment_of_a_consumer_is_raised():
    def consume(stream):
        list(stream)
        raise ValueError("could not finish")

    with pytest.raises(ValueError, match="could not finish"):
        fan_out(range(3), [consume, lambda stream: list(stream) and None])
