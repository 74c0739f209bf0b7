"""`cellstorm fit-camera`: a camera file and a page from a video, or one sentence."""

import json
from pathlib import Path

import numpy as np
import pytest

from cellstorm_assets.commands import main
from cellstorm_lib.simulate.cameras import read_camera
from cellstorm_lib.video.write import EncoderSettings, write_video


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    frames = np.random.default_rng(1).normal(9, 2, (16, 64, 64)).clip(0, 255).astype(np.uint8)
    write_video(tmp_path / "dark.mp4", frames, EncoderSettings(bits_per_px=1.0, gop_frames=8))
    return tmp_path / "dark.mp4"


def run(capfd: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        main([str(word) for word in words])
    captured = capfd.readouterr()
    return int(left.value.code or 0), captured.out, captured.err


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELLSTORM_HOME", str(tmp_path / "home"))


def test_it_writes_a_camera_that_scenes_can_use_and_a_page(
    clip: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = clip.parent / "mine.yaml"
    code, printed, _ = run(capfd, "fit-camera", clip, "--out", out, "--json")
    assert code == 0
    told = json.loads(printed.strip().splitlines()[-1])
    assert told["camera"] == str(out)
    phone = read_camera(out)
    assert phone.camera.name == "mine"
    assert phone.codec is not None
    assert phone.codec.gop_frames == 8
    assert out.read_text().startswith("# Fitted to dark.mp4; no calibration.\n")
    page = Path(told["page"]).read_text(encoding="utf-8")
    assert page.count("<tr>") == len(told["rows"]) + 1
    assert "The phone was fitted to frames 0 to 7." in page


def test_a_clip_too_short_is_told_in_one_sentence_and_nothing_is_written(
    clip: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    short, out = clip.parent / "short.mp4", clip.parent / "mine.yaml"
    write_video(short, np.zeros((9, 64, 64), np.uint8), EncoderSettings())
    code, printed, errors = run(capfd, "fit-camera", short, "--out", out)
    assert code != 0
    assert printed == ""
    assert "short.mp4 has 9 frames, but at least 16 are needed" in errors
    assert "Traceback" not in errors
    assert not out.exists()
    assert not out.with_suffix(".html").exists()


def test_an_unknown_ending_is_refused(clip: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code, _, errors = run(capfd, "fit-camera", clip, "--out", clip.parent / "mine.txt")
    assert code != 0
    assert "--out must end in .yaml, as CAMERA.yaml, got mine.txt" in errors
