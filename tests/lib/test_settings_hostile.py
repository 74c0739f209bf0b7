"""Settings files of strangers: no code, no growth without end, one sentence."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.pipeline.choice import RecordingChoice
from cellstorm_lib.settings import read_settings
from cellstorm_lib.simulate.cameras import read_camera
from cellstorm_lib.simulate.scene import read_scene

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
    ],
    ids=["laughs", "circle", "code", "date", "digits", "deep", "large", "nul", "key", "alias"],
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
