"""Settings files of strangers: no code, no growth without end, one sentence."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cellstorm_lib.errors import RecordingError, SettingsError
from cellstorm_lib.pipeline.choice import RecordingChoice
from cellstorm_lib.settings import read_settings
from cellstorm_lib.simulate.cameras import read_camera
from cellstorm_lib.simulate.scene import read_scene
from cellstorm_lib.video.read import open_recording

LAUGHS = "a: &a [x, x]\n" + "".join(
    f"{name}: &{name} [*{before}, *{before}]\n"
    for before, name in zip("abcdefghijklmnopqrstuvwx", "bcdefghijklmnopqrstuvwxy", strict=True)
)


READERS = {
    "settings": lambda path: read_settings(RecordingChoice, path),
    "scene": read_scene,
    "camera": read_camera,
}


@pytest.mark.parametrize(
    "text",
    [
        LAUGHS,
        "camera: &a [*a]\n",
        "camera: !!python/object/apply:os.system ['true']\n",
        "camera: 2026-99-99\n",
        "pixel_size_nm: " + "1" * 5000 + "\n",
        "[" * 5000,
        "# " + "x" * (1 << 20),
        "camera: \x00\n",
        "? [a]\n: b\n",
        "&a : *a",
        "camera: !!int",
    ],
    ids=[
        "laughs",
        "circle",
        "code",
        "date",
        "digits",
        "deep",
        "large",
        "nul",
        "key",
        "alias",
        "tag",
    ],
)
@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_hostile_files_are_refused_in_one_short_sentence(
    tmp_path: Path, text: str, read: Callable[[Path], object]
) -> None:
    path = tmp_path / "film.mp4.cellstorm.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=r"film.mp4.cellstorm.yaml") as caught:
        read(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    "text", [LAUGHS, "Width: &a [*a]\n", "Width: !!python/name:os.system\n", "[" * 5000],
    ids=["laughs", "circle", "code", "deep"],
)  # fmt: skip
def test_the_description_of_a_raw_movie_is_read_as_plainly(tmp_path: Path, text: str) -> None:
    (tmp_path / "film.raw").write_bytes(bytes(100))
    (tmp_path / "film.yaml").write_text(text)
    with pytest.raises(RecordingError, match=r"film.yaml must give Width") as caught:
        open_recording(tmp_path / "film.raw")
    assert "\n" not in str(caught.value)


def test_only_the_first_of_several_descriptions_counts(tmp_path: Path) -> None:
    (tmp_path / "film.raw").write_bytes(bytes(24))
    text = "Width: 4\nHeight: 3\nFrames: 1\nData Type: uint16\n"
    (tmp_path / "film.yaml").write_text(f"{text}---\nWidth: 9\n")
    assert open_recording(tmp_path / "film.raw").facts.frame_width_px == 4


@pytest.mark.parametrize(("like", "place"), [("../out.yaml", "in"), ("link.yaml", "in")])
def test_a_camera_named_in_a_file_lies_in_its_folder(tmp_path: Path, like: str, place: str) -> None:
    folder = tmp_path / place
    folder.mkdir()
    (tmp_path / "out.yaml").write_text("camera: {name: secret}\n")
    (folder / "link.yaml").symlink_to(tmp_path / "out.yaml")
    (folder / "scene.yaml").write_text(f"camera: {like}\n")
    (folder / "camera.yaml").write_text(f"camera: {{like: {like}}}\n")
    for read, name in ((read_scene, "scene.yaml"), (read_camera, "camera.yaml")):
        with pytest.raises(SettingsError, match=rf"{name} .*must name a file in"):
            read(folder / name)
    with pytest.raises(SettingsError, match="must name a file in"):
        read_camera(str(tmp_path / "out.yaml"), folder=folder)


def test_a_pipe_is_no_settings_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "settings.yaml")
    with pytest.raises(SettingsError, match=r"settings.yaml .*not a file"):
        read_settings(RecordingChoice, tmp_path / "settings.yaml")


def test_a_number_beyond_all_bounds_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text(f"pixel_size_nm: {'9' * 400}\n")
    with pytest.raises(SettingsError, match=r"settings.yaml .*pixel_size_nm must be float"):
        read_settings(RecordingChoice, path)
