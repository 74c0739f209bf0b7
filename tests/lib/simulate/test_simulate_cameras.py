"""Cameras come by name, from files and from scenes, and say what is wrong with them."""

from dataclasses import fields, replace

import pytest
import yaml

from cellstorm_lib.camera import CAMERA_PRESETS
from cellstorm_lib.errors import SettingsError
from cellstorm_lib.simulate.cameras import (
    PhoneSettings,
    camera_from,
    camera_names,
    read_camera,
    refuse_codec_of_raw_frames,
    write_camera,
)
from cellstorm_lib.simulate.codec import CodecSettings
from cellstorm_lib.simulate.exposure import CameraSettings, calibration_of
from cellstorm_lib.simulate.processing import ProcessingSettings
from cellstorm_lib.simulate.sensor import SensorSettings

RAW = CameraSettings(name="raw", processing=None)


def test_every_named_camera_bears_its_name_and_a_raw_one_has_no_codec():
    assert set(camera_names()) >= {
        "huawei-p9-video", "huawei-p9-raw", "pixel-like", "andor-ixon-897", "andor-zyla-4.2",
    }  # fmt: skip
    for name in camera_names():
        phone = read_camera(name)
        assert phone.camera.name == name
        assert (phone.codec is None) == (phone.camera.processing is None)


@pytest.mark.parametrize("name", sorted(set(CAMERA_PRESETS) & set(camera_names())))
def test_named_cameras_agree_with_the_calibrations_of_the_same_name(name):
    simulated, stated = calibration_of(read_camera(name).camera), CAMERA_PRESETS[name]
    for number in ("offset_adu", "gain_e_per_adu", "read_noise_e"):
        assert getattr(simulated, number) == pytest.approx(getattr(stated, number), rel=0.06)
    assert (simulated.bit_depth, simulated.quantum_efficiency) == (
        stated.bit_depth, stated.quantum_efficiency,
    )  # fmt: skip


def test_the_paper_phone_is_the_default_camera_with_a_little_denoising():
    phone = read_camera("huawei-p9-video")
    steps = replace(phone.camera.processing, noise_correlation_x=0.0, noise_correlation_y=0.0)
    assert replace(phone, camera=replace(phone.camera, processing=steps)) == PhoneSettings()


def test_a_written_camera_reads_back_the_same(tmp_path):
    phone = PhoneSettings(
        camera=CameraSettings(
            name="mine",
            sensor=SensorSettings(em_gain=20.0, full_well_e=None),
            processing=ProcessingSettings(denoises="image", edge_levels=3.0, dither=True),
        ),
        codec=CodecSettings(bits_per_px=None, qp=14, ip_ratio=1.1, extra_params="deblock=0,0"),
    )
    write_camera(phone, tmp_path / "new" / "mine.yaml", comment="fitted to\na clip")
    assert read_camera(tmp_path / "new" / "mine.yaml") == phone
    assert read_camera("mine.yaml", folder=tmp_path / "new") == phone
    text = (tmp_path / "new" / "mine.yaml").read_text(encoding="utf-8")
    assert text.startswith("# fitted to\n# a clip\ncamera:\n")
    write_camera(PhoneSettings(camera=RAW, codec=None), tmp_path / "raw.yaml")
    assert read_camera(tmp_path / "raw.yaml") == PhoneSettings(camera=RAW, codec=None)


def test_what_a_scene_says_of_its_camera_may_be_nothing_a_name_a_file_or_settings(tmp_path):
    write_camera(PhoneSettings(camera=RAW, codec=None), tmp_path / "raw.yaml")
    assert camera_from(None) == PhoneSettings()
    assert camera_from("pixel-like") == read_camera("pixel-like")
    assert camera_from("raw.yaml", folder=tmp_path) == PhoneSettings(camera=RAW, codec=None)
    given = {"sensor": {"offset_adu": 9.0}, "name": "other"}
    expected = CameraSettings(name="other", sensor=SensorSettings(offset_adu=9.0))
    assert camera_from(given) == PhoneSettings(camera=expected)
    assert camera_from({"name": "raw", "processing": None}).codec is None


def test_a_camera_like_another_differs_in_what_is_given_only():
    pixel = read_camera("pixel-like")
    other = camera_from({"like": "pixel-like", "processing": {"gamma": 0.45}})
    assert other.codec == pixel.codec
    assert other.camera == replace(
        pixel.camera, processing=replace(pixel.camera.processing, gamma=0.45)
    )
    raw = camera_from({"like": "pixel-like", "processing": None})
    assert (raw.camera.sensor, raw.camera.processing, raw.codec) == (
        pixel.camera.sensor,
        None,
        None,
    )
    again = camera_from({"like": "huawei-p9-raw", "processing": {"adu_per_level": 3.0}})
    assert again.camera.processing == ProcessingSettings(adu_per_level=3.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("camera: {sensor: {gain: 2}}", r"unknown setting camera\.sensor\.gain"),
        ("camera: {like: moon}", r"there is no camera 'moon'; give a camera file or one of andor"),
        ("camera: {name: raw, processing: null}\ncodec: {qp: 3, bits_per_px: null}",
         r"codec must be empty for the camera 'raw', which records raw frames of 12 bits"),
        ("camera: {}\nlens: {}", "unknown setting lens"),
        ("sensor: {}", "must hold `camera` and may hold `codec`"),
        ("- 1", "must hold `camera`"),
        ("camera: [1]", r"camera must be the name of a camera, a file or settings, got \[1\]"),
        ("camera: [", "cannot be read as YAML"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_the_file(tmp_path, text, message):
    (tmp_path / "bad.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=rf"bad\.yaml.*{message}"):
        read_camera(tmp_path / "bad.yaml")


def test_a_missing_camera_is_named():
    with pytest.raises(SettingsError, match=r"there is no camera 'moon'; .* one of andor-ixon-897"):
        read_camera("moon")


def test_raw_frames_of_more_than_8_bits_cannot_become_a_video():
    with pytest.raises(SettingsError, match="codec must be empty .* write `codec: null`"):
        refuse_codec_of_raw_frames(RAW, CodecSettings())
    eight = replace(RAW, sensor=SensorSettings(bit_depth=8))
    refuse_codec_of_raw_frames(eight, CodecSettings())
    refuse_codec_of_raw_frames(RAW, None)


def test_every_setting_says_what_it_is():
    for kind in (PhoneSettings, CameraSettings, SensorSettings, ProcessingSettings, CodecSettings):
        for entry in fields(kind):
            assert entry.metadata["about"], f"{kind.__name__}.{entry.name} has no description"


def test_a_camera_file_is_a_piece_of_a_scene_file(tmp_path):
    write_camera(read_camera("pixel-like"), tmp_path / "camera.yaml")
    content = yaml.safe_load((tmp_path / "camera.yaml").read_text(encoding="utf-8"))
    assert list(content) == ["camera", "codec"]
