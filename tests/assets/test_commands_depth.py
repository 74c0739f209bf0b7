"""z on the command line: calibrated with beads, found in a recording, and measured in slices."""

import json

import numpy as np
import pytest
from astigmatic_beads import CAMERA, LENS, bead_stack, exposed, scene
from PIL import Image

from cellstorm_assets.commands import main
from cellstorm_lib.export.formats import read_table
from cellstorm_lib.video.tiff import write_stack
from cellstorm_lib.z_calibration import read_z_calibration, write_z_calibration

NUMBERS = ("--offset-adu", "100", "--gain-e-per-adu", "0.25", "--read-noise-e", "1.5")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with a stack of beads and one of molecules at known heights."""
    at, rng = tmp_path_factory.mktemp("depth"), np.random.default_rng(0)
    beads = bead_stack(rng, planes=41, step_nm=30.0, side=96)[0]
    write_stack(at / "beads.tif", [beads], pixel_size_nm=100.0)
    frame = np.repeat(np.arange(30), 4)
    x, y = np.tile([[20.0, 20.0, 60.0, 60.0], [20.0, 60.0, 20.0, 60.0]], 30)
    z_nm = np.tile([-300.0, -100.0, 100.0, 300.0], 30)
    expected = scene(frame, x, y, z_nm, np.full(120, 4000.0), shape=(80, 80), frames=30)
    write_stack(at / "blinks.tif", [exposed(expected, CAMERA, rng)], pixel_size_nm=100.0)
    write_z_calibration(LENS, at / "lens.json")
    return at


@pytest.fixture
def run(capfd, tmp_path, monkeypatch):
    monkeypatch.setenv("CELLSTORM_HOME", str(tmp_path / "home"))

    def call(*arguments):
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        return int(left.value.code or 0), capfd.readouterr()

    return call


def test_beads_become_a_calibration_and_blinks_a_table_with_depth(run, folder, tmp_path):
    out, spots = tmp_path / "Z.json", tmp_path / "spots.csv"
    code, said = run(
        "calibrate-z", folder / "beads.tif", "--z-step-nm", 30, *NUMBERS, "--out", out, "--json"
    )
    assert code == 0, said.err
    figures = json.loads(said.out.strip().splitlines()[-1])
    found = read_z_calibration(out)
    assert figures["beads"] == found.bead_count == 9
    assert figures["z_from_nm"] == found.z_from_nm < -350
    assert found.name == "Z"
    with Image.open(out.with_suffix(".png")) as picture:
        assert picture.width == 600
    code, said = run(
        "localize", folder / "blinks.tif", *NUMBERS, "--z-calibration", out, "--out", spots
    )
    assert code == 0, said.err
    assert '"z [nm]","sigma1 [nm]","sigma2 [nm]"' in spots.read_text().splitlines()[0]
    table = read_table(spots, pixel_size_nm=100.0)
    place = np.rint(table.xy_nm / 4000.0 - 0.5).astype(int) @ [2, 1]
    for corner, z_nm in enumerate((-300.0, -100.0, 100.0, 300.0)):
        mine = table.column("z_nm")[place == corner]
        assert len(mine) == 30
        # z = 0 lies 23 nm lower in the drawn lens; 15 nm of noise in 30 spots, and the calibration
        assert mine.mean() == pytest.approx(z_nm + 23.0, abs=12.0)


@pytest.mark.parametrize("ending", [".parquet", ".hdf5", ".smlm", ".txt"])
def test_every_format_keeps_z(run, folder, tmp_path, ending):
    csv, out = tmp_path / "spots.parquet", tmp_path / f"other{ending}"
    run("localize", folder / "blinks.tif", *NUMBERS, "--z-calibration", folder / "lens.json",
        "--out", csv)  # fmt: skip
    code, said = run("convert", csv, out)
    assert code == 0, said.err
    ours, theirs = read_table(csv), read_table(out, pixel_size_nm=100.0)
    for name in ("z_nm", "uncertainty_z_nm"):
        np.testing.assert_allclose(theirs.column(name), ours.column(name), rtol=1e-4, atol=1e-3)


def test_the_mismatch_factor_shrinks_what_is_stated(run, folder, tmp_path):
    out = tmp_path / "Z.json"
    code, said = run("calibrate-z", folder / "beads.tif", "--z-step-nm", 30, *NUMBERS,
                     "--mismatch-factor", 0.8, "--name", "oil", "--out", out)  # fmt: skip
    assert code == 0, said.err
    assert read_z_calibration(out).mismatch_factor == 0.8
    assert read_z_calibration(out).name == "oil"


def test_an_image_is_coloured_by_height(run, folder, tmp_path):
    spots, out = tmp_path / "spots.parquet", tmp_path / "image.png"
    run("localize", folder / "blinks.tif", *NUMBERS, "--z-calibration", folder / "lens.json",
        "--out", spots)  # fmt: skip
    code, said = run("render", spots, "--by-z", "--out", out)
    assert code == 0, said.err
    with Image.open(out) as picture:
        assert picture.mode == "RGB"
    code, said = run("render", spots, "--by-z", "--out", tmp_path / "image.tif")
    assert code == 2
    assert "--by-z gives colours, which need a .png" in said.err


def test_slices_have_their_own_resolution(run, folder, tmp_path):
    spots = tmp_path / "spots.parquet"
    run("localize", folder / "blinks.tif", *NUMBERS, "--z-calibration", folder / "lens.json",
        "--out", spots)  # fmt: skip
    code, said = run("frc", spots, "--planes-nm", 200, "--json")
    assert code == 0, said.err
    planes = json.loads(said.out.strip().splitlines()[-1])["planes"]
    assert [plane["z_from_nm"] for plane in planes] == [-400.0, -200.0, 0.0, 200.0]
    assert [plane["localizations"] for plane in planes] == [30, 30, 30, 30]
    assert "z -400 to -200 nm  none: " in said.out
    code, said = run("frc", spots, "--json")
    assert "planes" not in json.loads(said.out.strip().splitlines()[-1])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["calibrate-z", "beads.tif", "--out", "Z.txt", "--z-step-nm", "30"], "--out must end in"),
        (["calibrate-z", "beads.tif", "--out", "Z.json", "--z-step-nm", "0"], "z_step_nm is the"),
        (
            ["calibrate-z", "blinks.tif", "--out", "Z.json", "--z-step-nm", "30"],
            "blinks.tif",
        ),
        (["calibrate-z", "none.tif", "--out", "Z.json", "--z-step-nm", "30"], "does not exist"),
        (
            ["localize", "blinks.tif", "--out", "t.csv", "--z-calibration", "none.json"],
            "none.json does not exist; make one with `cellstorm calibrate-z`",
        ),
        (
            ["localize", "blinks.tif", "--out", "t.csv", "--z-calibration", "lens.json",
             "--pixel-size-nm", "160"],
            "but the recording has pixels of 160 nm",
        ),
        (
            ["localize", "blinks.tif", "--out", "t.csv", "--z-calibration", "lens.json",
             "--like", "picasso"],
            "--z-calibration are not for --like picasso",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_said_in_one_sentence(run, folder, arguments, sentence):
    before = sorted(folder.iterdir())
    names = {path.name for path in before} | {"Z.txt", "Z.json", "t.csv", "none.tif", "none.json"}
    placed = [folder / word if word in names else word for word in arguments]
    code, said = run(*placed, *NUMBERS)
    assert code == 2
    assert sentence in said.err
    assert said.err.startswith("cellstorm: ")
    assert said.err.count("\n") == 1
    assert sorted(folder.iterdir()) == before
