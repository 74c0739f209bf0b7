"""Settings files of strangers: no code, no growth without end, one sentence."""

from pathlib import Path

import pytest

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.pipeline.choice import RecordingChoice
from cellstorm_lib.settings import read_settings

LAUGHS = "a: &a [x, x]\n" + "".join(
    f"{name}: &{name} [*{before}, *{before}]\n"
    for before, name in zip("abcdefghijklmnopqrstuvwx", "bcdefghijklmnopqrstuvwxy", strict=True)
)


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
def test_hostile_files_are_refused_in_one_short_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "film.mp4.cellstorm.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=r"film.mp4.cellstorm.yaml") as caught:
        read_settings(RecordingChoice, path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000
