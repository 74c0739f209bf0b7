"""`localize --like` and `--protocol`: tables, notes and refusals on the command line."""

import json
from pathlib import Path

import numpy as np
import pytest

from cellstorm_assets.commands import main
from cellstorm_lib.export.formats import read_table
from cellstorm_lib.video.tiff import write_stack

DATA = Path(__file__).parents[1] / "data"
PROTOCOL = DATA / "cellstorm-pytorch" / "thunderstorm_result_realA-protocol.txt"
CAMERA = ("--offset-adu", 100, "--gain-e-per-adu", 0.5)


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    """Return 20 frames with two bright spots each, 80 nm a pixel."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:40, :48] + 0.5
    light = np.full((40, 48), 10.0)
    for x_px, y_px in ((12.3, 20.4), (33.6, 15.2)):
        distance2 = (x - x_px) ** 2 + (y - y_px) ** 2
        light += 3000 / (2 * np.pi * 1.3**2) * np.exp(-0.5 * distance2 / 1.3**2)
    grey = 100 + 2 * rng.poisson(light, (20, 40, 48))
    path = tmp_path / "frames.tif"
    write_stack(path, [grey.astype(np.uint16)], pixel_size_nm=80.0)
    return path


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CELLSTORM_HOME", str(tmp_path / "home"))

    def call(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main(["localize", *map(str, arguments)])
        said = capfd.readouterr()
        return int(left.value.code or 0), said.out, said.err

    return call


@pytest.mark.parametrize(
    ("program", "given", "ending"),
    [
        ("thunderstorm", (), ".csv"),
        ("picasso", ("min_net_gradient=1500",), ".hdf5"),
        ("rapidstorm", ("fwhm_nm=245", "amplitude_adu=2000"), ".txt"),
    ],
)
def test_a_program_is_imitated_into_its_own_format(run, stack, tmp_path, program, given, ending):
    out = tmp_path / f"table{ending}"
    settings = [word for setting in given for word in ("--like-settings", setting)]
    code, said, _ = run(stack, "--out", out, "--like", program, *settings, *CAMERA, "--json")
    assert code == 0
    figures = json.loads(said.splitlines()[-1])
    assert figures["method"] == f"like {program}"
    table = read_table(out, pixel_size_nm=80.0)
    assert len(table) == figures["localizations"]
    near = np.hypot(table.column("x_nm") - 12.3 * 80, table.column("y_nm") - 20.4 * 80) < 40
    assert near.sum() == 20
    assert np.median(table.column("photons")[near]) == pytest.approx(3000, rel=0.05)


def test_a_table_says_which_program_and_settings_made_it(run, stack, tmp_path):
    out = tmp_path / "table.parquet"
    given = ("--like-settings", "min_net_gradient=1500")
    assert run(stack, "--out", out, "--like", "picasso", *given, *CAMERA)[0] == 0
    provenance = read_table(out).provenance
    assert provenance["like"] == "picasso"
    assert provenance["settings"]["min_net_gradient"] == 1500


def protocol(tmp_path: Path, **camera: float) -> Path:
    """Write the real protocol with another camera."""
    text = PROTOCOL.read_text()
    for old, new in (("414.0", 100.0), ("3.6", 0.5), ("80.0", camera.get("pixel", 80.0))):
        text = text.replace(old, str(new))
    path = tmp_path / "p-protocol.txt"
    path.write_text(text)
    return path


def test_a_protocol_brings_settings_camera_and_pixel_size(run, stack, tmp_path):
    out = tmp_path / "table.parquet"
    code, _, notes = run(stack, "--out", out, "--protocol", protocol(tmp_path, pixel=107.0))
    assert code == 0
    table = read_table(out)
    assert table.field.pixel_size_nm == 107.0
    assert table.provenance["settings"]["estimator"] == "maximum-likelihood"
    assert table.provenance["calibration"]["offset_adu"] == 100.0
    assert "Cross correlation" in notes
    assert np.median(table.column("photons")) == pytest.approx(3000, rel=0.05)


def test_what_is_given_goes_before_the_protocol_and_is_noted(run, stack, tmp_path):
    out = tmp_path / "table.parquet"
    code, _, notes = run(
        stack, "--out", out, "--protocol", protocol(tmp_path), "--pixel-size-nm", 100,
        "--offset-adu", 90, "--gain-e-per-adu", 1, "--like-settings", "sigma_px=1.2",
    )  # fmt: skip
    assert code == 0
    assert "p-protocol.txt: its camera is not used" in notes
    assert "its pixel of 80 nm is not used" in notes
    provenance = read_table(out).provenance
    assert provenance["settings"]["sigma_px"] == 1.2
    assert provenance["calibration"]["offset_adu"] == 90


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--like-settings", "box_px=7"), "name it with --like"),
        (("--like", "picasso", "--protocol", PROTOCOL), "of ThunderSTORM, not of picasso"),
        (("--like", "picasso", "--threshold", "3"), "not for --like picasso"),
        (("--like", "picasso", "--own-flat-field"), "not for --like picasso"),
        (("--like", "picasso", "--z-calibration", "z.json"), "not for --like picasso"),
        (("--like", "rapidstorm"), "give fwhm_nm"),
        (("--protocol", "none.txt"), "none.txt does not exist"),
        (("--protocol", PROTOCOL), "the offset is 414, above the signal"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(run, stack, tmp_path, options, message):
    out = tmp_path / "table.csv"
    code, _, error = run(stack, "--out", out, *options)
    assert code == 2
    assert message in error
    assert len(error.strip().splitlines()) == 1
    assert not out.exists()
