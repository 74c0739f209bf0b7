"""A scene filmed holds what its camera and codec say, read back by the program's own readers."""

from dataclasses import replace

import numpy as np
import pytest

from cellstorm_lib.pipeline.film import encoder_of, film_scene
from cellstorm_lib.simulate.cameras import camera_names, read_camera
from cellstorm_lib.simulate.codec import CodecSettings
from cellstorm_lib.simulate.scatter import RandomSettings
from cellstorm_lib.simulate.scene import FieldSettings, Scene
from cellstorm_lib.simulate.simulate import simulate_scene
from cellstorm_lib.video.quantiser import frame_quantisers
from cellstorm_lib.video.read import open_recording

SCENE = Scene(
    frame_count=24, field=FieldSettings(width_px=48, height_px=32), structure=RandomSettings()
)


def frames_of(source):
    return np.concatenate([chunk.frames for chunk in source.chunks(10)])


@pytest.mark.parametrize("name", camera_names())
def test_every_named_camera_makes_a_recording_that_can_be_read(tmp_path, name):
    phone = read_camera(name)
    scene = replace(SCENE, camera=phone.camera, codec=phone.codec)
    film = film_scene(scene, tmp_path, stacks=("camera",))
    source = open_recording(film.movie)
    made = simulate_scene(scene).chunk(range(24)).levels
    np.testing.assert_array_equal(frames_of(open_recording(film.camera_stack)), made)
    assert source.facts.frame_count == 24
    if phone.codec is None:
        np.testing.assert_array_equal(frames_of(source), made)
        assert source.facts.pixel_size_nm == pytest.approx(scene.field.pixel_size_nm)
        assert source.facts.frame_rate_hz == pytest.approx(scene.frame_rate_hz)
    else:
        assert source.facts.kind == phone.codec.codec
        error = frames_of(source).astype(float) - made
        assert abs(error.mean()) < 0.5
        assert 0 < error.std() < made.std()


def test_a_lossless_codec_keeps_every_grey_value(tmp_path):
    scene = replace(SCENE, codec=CodecSettings(bits_per_px=None, qp=0))
    film = film_scene(scene, tmp_path, stacks=())
    np.testing.assert_array_equal(
        frames_of(open_recording(film.movie)), simulate_scene(scene).chunk(range(24)).levels
    )


def test_8_bit_raw_frames_may_become_a_video_and_processed_ones_a_stack(tmp_path):
    eight = replace(SCENE.camera, sensor=replace(SCENE.camera.sensor, bit_depth=8), processing=None)
    film = film_scene(replace(SCENE, camera=eight), tmp_path / "video", stacks=())
    assert open_recording(film.movie).facts.kind == "h264"
    film = film_scene(replace(SCENE, codec=None), tmp_path / "stack", stacks=())
    assert frames_of(open_recording(film.movie)).dtype == np.uint8


def test_all_the_settings_of_the_codec_reach_the_encoder(tmp_path):
    codec = CodecSettings(
        codec="hevc", bits_per_px=None, crf=22, tune="grain", gop_frames=7, ip_ratio=1.1,
        buffer_s=0.5, qp_min=3, qp_max=40, full_range=False, phone_like=False, preset="medium",
        extra_params="deblock=0,0",
    )  # fmt: skip
    encoder = encoder_of(codec, 25.0)
    for name in codec.__slots__:
        assert getattr(encoder, name) == getattr(codec, name)
    assert encoder.frame_rate_hz == 25.0
    film = film_scene(
        replace(SCENE, codec=CodecSettings(bits_per_px=None, qp=18, ip_ratio=2.0, gop_frames=6)),
        tmp_path,
        stacks=(),
    )
    quantisers = frame_quantisers(film.movie)
    np.testing.assert_array_equal(np.flatnonzero(quantisers.is_key), [0, 6, 12, 18])
    np.testing.assert_array_equal(quantisers.mean_qp, np.where(quantisers.is_key, 12, 18))
