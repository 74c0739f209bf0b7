"""The command `quality`: figures for people and programs, and reasons where there are none."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cellstorm_assets.commands import main
from cellstorm_lib.tables import FieldOfView, Localizations, write_localizations
from cellstorm_lib.video.tiff import write_image


@pytest.fixture
def table(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    sizes = rng.geometric(1 / 4, 1500)
    molecule = np.repeat(np.arange(1500), sizes)
    nth = np.arange(len(molecule)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    centres_nm = rng.uniform(200, 6200, (1500, 2))
    centres_nm[:, 1] = np.round(centres_nm[:, 1] / 640) * 640
    xy_nm = centres_nm[molecule] + rng.normal(0, 15, (len(molecule), 2))
    data = pd.DataFrame(
        {
            "frame": rng.integers(0, 1900, 1500)[molecule] + nth, "x_nm": xy_nm[:, 0],
            "y_nm": xy_nm[:, 1], "uncertainty_nm": np.full(len(molecule), 15.0),
        }
    )  # fmt: skip
    field = FieldOfView(width_px=64, height_px=64, pixel_size_nm=100.0, frame_count=2000)
    path = tmp_path / "spots.parquet"
    write_localizations(Localizations(data=data, field=field), path)
    return path


def figures_of(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, dict]:
    with pytest.raises(SystemExit) as left:
        main(["quality", *map(str, arguments), "--json"])
    assert not left.value.code
    return dict(json.loads(capsys.readouterr().out.strip().splitlines()[-1]))


def test_figures_are_told_with_their_reasons(table, capsys) -> None:
    figures = figures_of(capsys, table)
    assert set(figures) == {
        "resolution_nm", "precision", "repeats", "frc_map", "decorrelation", "error_map",
        "molecules", "codec_grid", "subpixel_bias", "lineage",
    }  # fmt: skip
    assert figures["precision"]["precision_nm"] == pytest.approx(15, rel=0.05)
    assert figures["error_map"]["rsp"] is None
    assert figures["error_map"]["reason"] == "no widefield image was given"
    del figures["resolution_nm"], figures["lineage"]
    assert all(entry["reason"] for entry in figures.values())


def test_a_widefield_image_is_compared(table, capsys, tmp_path: Path) -> None:
    data = pd.read_parquet(table)
    widefield = np.histogram2d(data["y_nm"], data["x_nm"], bins=64, range=((0, 6400),) * 2)[0]
    write_image(tmp_path / "wide.tif", widefield.astype(np.float32), pixel_size_nm=100.0)
    figures = figures_of(capsys, table, "--widefield", tmp_path / "wide.tif")
    assert figures["error_map"]["rsp"] > 0.8


def test_people_read_one_line_a_measure(table, capsys) -> None:
    with pytest.raises(SystemExit):
        main(["quality", str(table)])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 10
    assert lines[0].startswith("Localization precision, measured (NeNA)")


def test_a_file_that_is_no_picture_is_one_sentence(table, capsys) -> None:
    with pytest.raises(SystemExit) as left:
        main(["quality", str(table), "--widefield", str(table)])
    assert left.value.code == 2
    assert "cannot be read as a TIFF image" in capsys.readouterr().err
