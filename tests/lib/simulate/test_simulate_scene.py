"""A scene file holds everything, and says what is wrong with it."""

import runpy
from dataclasses import fields, is_dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.simulate.airy import AirySpotSettings
from cellstorm_lib.simulate.blinking import (
    BlinkingSettings,
    DarkStateSettings,
    blinking_from,
)
from cellstorm_lib.simulate.cameras import read_camera
from cellstorm_lib.simulate.codec import CodecSettings
from cellstorm_lib.simulate.exposure import calibration_of
from cellstorm_lib.simulate.pictures import MaskSettings, TextSettings
from cellstorm_lib.simulate.positions import PositionSettings
from cellstorm_lib.simulate.scene import (
    FieldSettings,
    Scene,
    plain_scene,
    preset_names,
    read_preset,
    read_scene,
    scene_files,
    write_scene,
)
from cellstorm_lib.simulate.spot_table import TableSpotSettings
from cellstorm_lib.simulate.structures import STRUCTURES

EXAMPLES = Path(__file__).parents[3] / "examples" / "scenes"


def scene_of(tmp_path, text):
    (tmp_path / "scene.yaml").write_text(text, encoding="utf-8")
    return read_scene(tmp_path / "scene.yaml")


def test_an_empty_file_is_the_default_scene(tmp_path):
    assert scene_of(tmp_path, "# nothing\n") == Scene()


@pytest.mark.parametrize("kind", list(STRUCTURES))
def test_a_written_scene_reads_back_the_same(tmp_path, kind):
    scene = Scene(name="μm", seed=2**62, structure=STRUCTURES[kind](), exposure_ms=12.5)
    if kind == "mask":
        scene = replace(scene, structure=MaskSettings(image=str(tmp_path.resolve() / "mask.png")))
    if kind == "table":
        scene = replace(scene, structure=PositionSettings(table=str(tmp_path.resolve() / "a.csv")))
    write_scene(scene, tmp_path / "out" / "scene.yaml")
    assert read_scene(tmp_path / "out" / "scene.yaml") == scene


@pytest.mark.parametrize(
    "values",
    [
        {"spot": AirySpotSettings(defocus_nm=-200.0)},
        {"spot": TableSpotSettings(image="/psf.npy")},
        {"blinking": BlinkingSettings(dark_states=(DarkStateSettings(), DarkStateSettings()))},
        {"blinking": blinking_from({"dye": "alexa-fluor-647-mea", "photons_per_frame": 9})},
    ],
)
def test_spots_dyes_and_dark_states_read_back_the_same(tmp_path, values):
    scene = Scene(**values)
    write_scene(scene, tmp_path / "scene.yaml")
    assert read_scene(tmp_path / "scene.yaml") == scene


def test_a_dye_and_a_camera_are_taken_by_name(tmp_path):
    scene = scene_of(
        tmp_path,
        "camera: andor-ixon-897\nblinking: {dye: alexa-fluor-647-dstorm, blinks: 5}\n"
        "spot: {kind: airy, numerical_aperture: 1.2}",
    )
    phone = read_camera("andor-ixon-897")
    assert (scene.camera, scene.codec) == (phone.camera, phone.codec)
    assert (scene.blinking.blinks, scene.blinking.on_ms) == (5.0, 58.7)
    assert scene.spot == AirySpotSettings(numerical_aperture=1.2)


def test_an_empty_field_and_a_codec_by_quality_read_back_the_same(tmp_path):
    scene = Scene(structure=None, codec=CodecSettings(bits_per_px=None, crf=33, tune="grain"))
    write_scene(scene, tmp_path / "scene.yaml")
    assert read_scene(tmp_path / "scene.yaml") == scene


def test_whole_numbers_are_fine_where_a_number_is_meant(tmp_path):
    scene = scene_of(tmp_path, "frame_rate_hz: 30\nspot: {sigma_px: 2}\nexposure_ms: null\n")
    assert scene == replace(Scene(), frame_rate_hz=30.0, spot=replace(Scene().spot, sigma_px=2.0))
    assert isinstance(scene.frame_rate_hz, float)


def test_a_mask_lies_beside_its_scene(tmp_path):
    Image.fromarray(np.full((4, 4), 255, np.uint8)).save(tmp_path / "dots.png")
    scene = scene_of(tmp_path, "structure: {kind: mask, image: dots.png, sites: 5}")
    assert scene.structure == MaskSettings(image=str((tmp_path / "dots.png").resolve()), sites=5)


def test_all_files_of_a_scene_lie_beside_it(tmp_path):
    scene = scene_of(
        tmp_path,
        "structure: {kind: table, table: sub/a.csv}\nspot: {kind: table, image: /far/psf.tif}",
    )
    assert scene_files(scene) == {
        "structure.table": tmp_path.resolve() / "sub" / "a.csv",
        "spot.image": Path("/far/psf.tif"),
    }
    assert scene_files(Scene(structure=None)) == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("spot: {sigma: 2}", r"unknown setting spot\.sigma"),
        ("spots: {}", "unknown setting spots"),
        ("spot: {sigma_px: -2}", "sigma_px must be at least 0.2 and at most 50, got -2"),
        ("structure: {kind: web}", r"structure.kind must be one of \['filaments'.*'web'"),
        ("structure: {kind: [grid]}", r"structure\.kind must be one of"),
        ("structure: grid", "structure must be names with values, got 'grid'"),
        ("spot: {kind: disc}", r"spot\.kind must be one of \['gaussian', 'airy', 'table'\]"),
        ("spot: {kind: airy, sigma_px: 1}", r"unknown setting spot\.sigma_px"),
        ("spot: {kind: airy, refractive_index: 1.3}", "numerical_aperture must be below refr"),
        ("blinking: {dye: cy9}", "there is no dye 'cy9'; there are alexa-fluor-647-dstorm"),
        ("blinking: {photons_per_s: 1, photons_per_frame: 1}", "exclude each other"),
        ("labelling: {dyes_per_antibody: 0}", "dyes_per_antibody must be at least 1"),
        (
            "structure: null\nbackground: {autofluorescence_share: 0.5}",
            "autofluorescence_share must be 0 in a scene without structure",
        ),
        ("camera: nikon", "there is no camera 'nikon'; give a camera file or one of .*huawei-p9"),
        ("camera: huawei-p9-raw\ncodec: {}", "codec must be empty for the camera"),
        ("structure: {kind: grid, spacing_nm: 0}", "spacing_nm must be above 0"),
        ("structure: {kind: grid, pitch_nm: 9}", r"unknown setting structure\.pitch_nm"),
        ("seed: 1.5", "seed must be int, got 1.5"),
        ("seed: -1", "seed must be at least 0"),
        ("frame_count: 0", "frame_count must be at least 1"),
        ("frame_rate_hz: fast", "frame_rate_hz must be float, got 'fast'"),
        ("frame_rate_hz: .nan", "frame_rate_hz must be above 0 and at most 10000, got nan"),
        ("exposure_ms: 80", "exposure_ms must be at most the frame time of 50 ms .* got 80"),
        ("field: {width_px: 255}", "width_px must be even, got 255"),
        ("field: {pixel_size_nm: 0}", "pixel_size_nm must be at least 1"),
        ("codec: {crf: 30}", "bits_per_px, crf and qp exclude each other.* got bits_per_px 0.4"),
        ("codec: {bits_per_px: null}", "one is needed"),
        ("codec: {tune: film}", "tune must be grain or empty, got 'film'"),
        ("codec: {codec: vp9}", r"codec\.codec must be one of \['h264', 'hevc'\], got 'vp9'"),
        ("blinking: {first_blink: now}", r"blinking\.first_blink must be one of"),
        ("camera: {sensor: {gain_e_per_adu: 0}}", "gain_e_per_adu must be above 0"),
        ("- 1\n- 2", "must be names with values"),
        ("a: b: c", "is not YAML: .* line 1, column 5"),
    ],
)
def test_what_is_wrong_is_named_with_the_file(tmp_path, text, message):
    with pytest.raises(SettingsError, match=rf"scene\.yaml.*{message}"):
        scene_of(tmp_path, text)


def test_a_missing_or_unreadable_scene_is_named(tmp_path):
    with pytest.raises(SettingsError, match=r"nowhere\.yaml does not exist; .* one of dark, demo"):
        read_scene(tmp_path / "nowhere.yaml")
    (tmp_path / "movie.yaml").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(SettingsError, match=r"movie\.yaml cannot be read"):
        read_scene(tmp_path / "movie.yaml")
    with pytest.raises(SettingsError, match=f"{tmp_path.name} cannot be read"):
        read_scene(tmp_path)


def test_every_preset_reads_and_bears_its_name():
    assert set(preset_names()) >= {"demo", "text", "fig7", "dark"}
    for name in preset_names():
        assert read_preset(name).name == name
    with pytest.raises(SettingsError, match="there is no scene 'moon'; there are dark, demo"):
        read_preset("moon")


def test_the_presets_are_what_they_say():
    demo, text, fig7, dark = (read_preset(name) for name in ("demo", "text", "fig7", "dark"))
    assert (demo.frame_count, demo.frame_rate_hz, demo.codec.bits_per_px) == (3000, 20.0, 0.4)
    assert (demo.field.width_px, demo.field.pixel_size_nm) == (256, 100.0)
    assert 100 <= demo.stage.drift_nm <= 150
    assert calibration_of(demo.camera).gain_e_per_adu == pytest.approx(0.68)
    assert isinstance(text.structure, TextSettings)
    assert text.structure.text.replace("\n", "") == "CELLSTORM"
    assert (fig7.codec.crf, fig7.codec.tune) == (38, "grain")
    assert calibration_of(fig7.camera).gain_e_per_adu == pytest.approx(0.34)
    assert dark.structure is None
    assert dark.background.photons == 0


def test_the_example_scenes_are_the_packaged_demo_and_every_setting_there_is():
    assert read_scene(EXAMPLES / "demo.yaml") == read_preset("demo")
    text = (EXAMPLES / "every-setting.yaml").read_text(encoding="utf-8")
    assert yaml.safe_load(text) == plain_scene(Scene())
    made = runpy.run_path(str(EXAMPLES.parent / "every_setting.py"))["every_setting"]()
    assert text == made, "run examples/every_setting.py"


def test_a_written_scene_explains_itself(tmp_path):
    scene = Scene(
        name='it: has # odd, "signs"',
        structure=TextSettings(text="two\nlines: 'here'"),
        blinking=BlinkingSettings(dark_states=(DarkStateSettings(), DarkStateSettings(name="b"))),
    )
    write_scene(scene, tmp_path / "scene.yaml")
    assert read_scene(tmp_path / "scene.yaml") == scene
    text = (tmp_path / "scene.yaml").read_text(encoding="utf-8")
    assert "  on_ms: 75.0  # mean time a blink shines, its interruptions not counted\n" in text
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_example_reads(path):
    assert read_scene(path).name in (path.stem, "scene")


def test_every_setting_says_what_it_is():
    def check(kind):
        for entry in fields(kind):
            if entry.name != "kind":
                assert entry.metadata["about"], f"{kind.__name__}.{entry.name} has no description"
            value = entry.default_factory() if callable(entry.default_factory) else None
            if is_dataclass(value):
                check(type(value))

    check(Scene)
    kinds = (*STRUCTURES.values(), AirySpotSettings, TableSpotSettings, DarkStateSettings)
    for kind in kinds:
        check(kind)


def test_the_field_of_view_is_the_field():
    scene = Scene(field=FieldSettings(width_px=64, height_px=32, pixel_size_nm=80), frame_count=7)
    view = scene.field_of_view
    assert (view.width_nm, view.height_nm, view.frame_count) == (5120.0, 2560.0, 7)
