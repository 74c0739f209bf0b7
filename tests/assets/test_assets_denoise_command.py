"""`cellstorm denoise` and `export-model`: a stack that localize takes as it is, plain refusals."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile

from cellstorm_assets.commands import main
from cellstorm_lib.camera import read_calibration
from cellstorm_lib.simulate.record import SimulatedRecording
from cellstorm_lib.tables import read_localizations
from cellstorm_lib.video.read import open_recording

Run = Callable[..., tuple[int, str, str]]
FRAMES = 40


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return what runs a command: its exit code, what it printed, what it complained about."""
    monkeypatch.setenv("CELLSTORM_HOME", str(tmp_path / "home"))

    def call(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        printed = capfd.readouterr()
        return int(left.value.code or 0), printed.out, printed.err

    return call


@pytest.fixture(scope="module")
def stack(film: SimulatedRecording, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the first frames of a film, denoised by the network that comes with the program."""
    out = tmp_path_factory.mktemp("denoised") / "light.ome.tif"
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as left:
        patch.setenv("CELLSTORM_HOME", str(out.parent / "home"))
        arguments = ["denoise", film.movie, "--out", out, "--camera", film.camera,
                     "--pixel-size-nm", 97.5, "--frames", f":{FRAMES}"]  # fmt: skip
        main(list(map(str, arguments)))
    assert left.value.code == 0
    return out


def test_the_stack_says_what_it_holds(stack: Path, film: SimulatedRecording) -> None:
    facts = open_recording(stack).facts
    camera = read_calibration(film.camera)
    assert facts.is_denoised
    assert facts.frame_count == FRAMES
    assert facts.pixel_size_nm == pytest.approx(97.5)
    top_e = (camera.saturation_adu - camera.offset_adu) * camera.gain_e_per_adu
    assert facts.photons_per_adu == pytest.approx(2.0 * top_e / 65535)
    assert facts.details["calibration_digest"] == camera.digest
    assert facts.details["source_digest"] == open_recording(film.movie).facts.digest
    assert len(facts.details["model_digest"]) == 64
    assert facts.details["first_frame"] == 0


def test_other_programs_open_the_stack(stack: Path) -> None:
    with tifffile.TiffFile(stack) as tif:
        assert tif.is_ome
        assert tif.is_bigtiff
        assert tif.series[0].axes == "TYX"
        assert tif.series[0].dtype == np.uint16
        assert tif.pages.first.compression == tifffile.COMPRESSION.ADOBE_DEFLATE
        assert 'PhysicalSizeX="0.0975" PhysicalSizeXUnit="µm"' in str(tif.ome_metadata)
        assert tif.asarray().max() > 0


def test_localize_needs_no_flag_for_it(run: Run, stack: Path, film, tmp_path: Path) -> None:
    code, out, err = run("localize", stack, "--out", tmp_path / "t.parquet", "--json")
    assert (code, err) == (0, "")
    figures = json.loads(out.splitlines()[-1])
    spots = read_localizations(tmp_path / "t.parquet")
    assert figures["localizations"] == len(spots) > FRAMES
    assert spots.field.pixel_size_nm == pytest.approx(97.5)
    assert 50 < np.median(spots.column("photons")) < 5000


def test_denoise_tells_its_figures(run: Run, film: SimulatedRecording, tmp_path: Path) -> None:
    common = ["denoise", film.movie, "--pixel-size-nm", 100, "--frames", "5:12", "--json"]
    figures = []
    for name, more in (
        ("gated", ["--camera", film.camera]),
        ("whole", ["--camera", film.camera, "--no-gate", "--engine", "torch"]),
    ):
        code, out, _ = run(*common, "--out", tmp_path / f"{name}.ome.tif", *more)
        assert code == 0
        figures.append(json.loads(out.splitlines()[-1]))
    for told, engine in zip(figures, ("openvino ", "torch "), strict=True):
        assert told["frames"] == 7
        assert told["frames_per_second"] > 0
        assert told["model"].startswith("champion")
        assert told["engine"].startswith(engine)
    assert figures[0]["active_share"] < figures[1]["active_share"] == 1.0
    gated, whole = (open_recording(tmp_path / f"{name}.ome.tif") for name in ("gated", "whole"))
    assert gated.facts.details["first_frame"] == 5
    light = [next(iter(part.chunks(7))).frames.astype(np.float64) for part in (gated, whole)]
    shown = light[0] > 0
    np.testing.assert_allclose(light[0][shown].sum(), light[1][shown].sum(), rtol=0.02)


def test_denoise_says_when_the_camera_is_estimated(run: Run, film, tmp_path: Path) -> None:
    code, out, err = run(
        "denoise", film.movie, "--out", tmp_path / "d.ome.tif", "--pixel-size-nm", 100
    )
    assert code == 0
    assert "No camera was given" in err
    assert "estimated" in out


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--engine", "onnx"], "no engine 'onnx'; there are auto, torch, openvino, openvino-int8"),
        (["--device", "tpu"], "no device 'tpu'"),
        (["--model", "missing.safetensors"], "no model 'missing.safetensors'"),
        (["--model", "{pickle}"], "is no checkpoint in the safetensors format"),
        (["--frames", "9"], "--frames is written START:STOP"),
        (["--gain-e-per-adu", "1"], "--offset-adu and --gain-e-per-adu belong together"),
        (["--roi", "8x8+0+0"], "the network needs at least 16 x 16"),
    ],
)
def test_bad_input_is_one_sentence_and_nothing_is_written(
    run: Run, film: SimulatedRecording, tmp_path: Path, more: list[str], message: str
) -> None:
    pickled = tmp_path / "net.pt"
    pickled.write_bytes(pickle.dumps({"weights": [1.0]}))
    more = [part.format(pickle=pickled) for part in more]
    code, _, err = run(
        "denoise", film.movie, "--out", tmp_path / "d.ome.tif", "--pixel-size-nm", 100, *more
    )
    assert code == 2
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert not list(tmp_path.glob("*.tif"))


def test_what_is_denoised_or_named_wrongly_is_refused(
    run: Run, film, stack: Path, tmp_path: Path
) -> None:
    code, _, err = run("denoise", stack, "--out", tmp_path / "again.ome.tif")
    assert code == 2
    assert "is denoised already; give the recording it was made from" in err
    code, _, err = run("denoise", film.movie, "--out", tmp_path / "d.mp4", "--pixel-size-nm", 100)
    assert code == 2
    assert "must end in .ome.tif" in err
    code, _, err = run("denoise", film.movie, "--out", tmp_path / "d.ome.tif")
    assert code == 2
    assert "give --pixel-size-nm" in err


def test_export_model_refuses_other_endings(run: Run, tmp_path: Path) -> None:
    code, _, err = run("export-model", "champion", "--out", tmp_path / "net.pb")
    assert code == 2
    assert "must end in .onnx" in err


@pytest.mark.slow
def test_export_model_writes_one_file(run: Run, tmp_path: Path) -> None:
    code, out, err = run("export-model", "champion", "--out", tmp_path / "net.onnx")
    assert (code, err) == (0, "")
    assert "net.onnx" in out
    assert (tmp_path / "net.onnx").stat().st_size < 1_000_000
