"""What cannot be calibrated or simulated: exit code 2, one sentence, and nothing written."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cellstorm_assets.commands import main
from cellstorm_lib.video.tiff import write_stack
from cellstorm_lib.video.write import EncoderSettings, write_video

SIDE = 64


def stack(
    path: Path, light_e: float, *, frames: int = 30, offset: float = 100.0, shift: int = 0,
    side: int = SIDE,
) -> Path:  # fmt: skip
    """Write frames of a smooth object that moves by `shift` pixels from frame to frame."""
    rng = np.random.default_rng(frames + side)
    y, x = np.mgrid[:side, :side] / side
    light = light_e * (0.1 + np.sin(2 * np.pi * x) ** 2 * np.sin(np.pi * y))
    lights = np.stack([np.roll(light, shift * number, axis=1) for number in range(frames)])
    adu = offset + (rng.poisson(lights) + rng.normal(0, 2.0, lights.shape)) / 0.5
    grey = np.rint(adu).clip(0, 4095).astype(np.uint16)
    write_stack(path, [grey], pixel_size_nm=100.0)
    return path


def video(path: Path) -> Path:
    """Write a video from which nothing can be measured."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    light = 30 * (0.2 + np.sin(np.pi * x) * np.sin(np.pi * y))
    frames = (rng.poisson(light).astype(np.uint8) for _ in range(60))
    write_video(path, frames, EncoderSettings(bits_per_px=0.1, gop_frames=3))
    return path


CASES: dict[str, tuple[Callable[[Path], dict[str, Path | None]], str]] = {
    "too few frames": (
        lambda at: {"bright": stack(at / "b.tif", 800, frames=6), "dark": stack(at / "d.tif", 0)},
        "b.tif has 6 frames, but at least 10 are needed",
    ),
    "saturated": (
        lambda at: {"bright": stack(at / "b.tif", 1e5), "dark": stack(at / "d.tif", 0)},
        "the bright series b.tif is saturated",
    ),
    "clipped": (
        lambda at: {
            "bright": stack(at / "b.tif", 800, offset=-4),
            "dark": stack(at / "d.tif", 0, offset=-4),
        },
        "the dark series d.tif is clipped",
    ),
    "moving": (
        lambda at: {"bright": stack(at / "b.tif", 800, shift=1), "dark": stack(at / "d.tif", 0)},
        "so something moves",
    ),
    "no dark": (
        lambda at: {"bright": stack(at / "b.tif", 800), "dark": None},
        "Missing option '--dark'",
    ),
    "sizes": (
        lambda at: {"bright": stack(at / "b.tif", 800), "dark": stack(at / "d.tif", 0, side=48)},
        "b.tif and d.tif differ in",
    ),
    "a video that was compressed": (
        lambda at: {"bright": video(at / "b.mp4"), "dark": video(at / "d.mp4")},
        "the camera cannot be calibrated from this recording, d.mp4, because the codec rounds",
    ),
    "no such file": (
        lambda at: {"bright": at / "none.tif", "dark": stack(at / "d.tif", 0)},
        "none.tif does not exist",
    ),
    "no light": (
        lambda at: {"bright": stack(at / "b.tif", 0), "dark": stack(at / "d.tif", 0)},
        "b.tif is hardly brighter than the dark frames",
    ),
    "no such flat field": (
        lambda at: {
            "bright": stack(at / "b.tif", 800),
            "dark": stack(at / "d.tif", 0),
            "flat": at / "none.tif",
        },
        "none.tif does not exist",
    ),
    "a flat field of something": (
        lambda at: {
            "bright": stack(at / "b.tif", 800),
            "dark": stack(at / "d.tif", 0),
            "flat": at / "b.tif",
        },
        "the light of b.tif is not even",
    ),
}


def refused(arguments: list[object], capfd: pytest.CaptureFixture[str]) -> str:
    """Return the one sentence of a command that must leave with exit code 2."""
    with pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    said = capfd.readouterr()
    assert left.value.code == 2
    assert said.out == ""
    assert said.err.count("\n") == 1
    return said.err


@pytest.mark.parametrize("case", CASES)
def test_series_that_tell_nothing(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CELLSTORM_HOME", str(tmp_path / "home"))
    make, sentence = CASES[case]
    given = make(tmp_path)
    before = sorted(tmp_path.iterdir())
    options = [word for name, path in given.items() if path for word in (f"--{name}", path)]
    assert sentence in refused(["calibrate", *options, "--out", tmp_path / "CAL.json"], capfd)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("scene", "sentence"),
    [
        ("codec:\n  bits_per_px: 0.4\n  crf: 20\n", "bits_per_px, crf and qp exclude each other"),
        ("codec:\n  qp_min: 40\n  qp_max: 20\n", "qp_min must be at most qp_max"),
        ("frame_count: 0\n", "frame_count must be"),
        ("blinking:\n  photons_per_s: 9\n  photons_per_frame: 9\n", "photons_per"),
        ("camera:\n  bit_depth: 12\n  gain_e_per_adu: -1\n", "scene.yaml"),
        ("structure:\n  kind: spaghetti\n", "spaghetti"),
        ("frame_count: many\n", "frame_count"),
        ("colour: red\n", "colour"),
        ("{", "scene.yaml"),
    ],
)
def test_scenes_that_contradict_themselves(
    scene: str, sentence: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "scene.yaml"
    path.write_text(scene)
    said = refused(["simulate", path, "--out", tmp_path / "film"], capfd)
    assert "scene.yaml" in said
    assert sentence in said
    assert sorted(tmp_path.iterdir()) == [path]


def test_a_missing_scene_is_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    said = refused(["simulate", tmp_path / "none.yaml", "--out", tmp_path / "film"], capfd)
    assert "none.yaml" in said
    assert not list(tmp_path.iterdir())


def test_a_background_without_light_tells_no_flat_field(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CELLSTORM_HOME", str(tmp_path / "home"))
    film = stack(tmp_path / "film.tif", 0)
    camera = ["--offset-adu", 100, "--gain-e-per-adu", 0.5, "--read-noise-e", 2]
    out = tmp_path / "spots.csv"
    said = refused(["localize", film, "--out", out, *camera, "--own-flat-field"], capfd)
    assert "a flat field cannot be told because" in said
    assert not out.exists()
