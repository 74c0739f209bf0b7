"""Our tables and stacks opened by the code of Picasso, Locan, bioio and ome-types.

None of them is a dependency. Each is run with the interpreter that has it: this one, or the one
that `CELLSTORM_TEST_PICASSO`, `CELLSTORM_TEST_LOCAN` or `CELLSTORM_TEST_OME` names, such as
`/path/of/a/venv/bin/python`.
"""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tifffile

from cellstorm_lib.export.formats import read_table, write_table
from cellstorm_lib.pipeline.lineage_files import Note, needed_note
from cellstorm_lib.tables import FieldOfView, Localizations
from cellstorm_lib.video.tiff import write_image, write_stack

SCRIPT = Path(__file__).with_name("open_elsewhere.py")
FIELD = FieldOfView(width_px=64, height_px=32, pixel_size_nm=120.0, frame_count=50)
COUNT = 400
#: What the tables say they were made from, as all do that cellstorm writes.
NOTE = Note(result="raw/spots", recording='a "<b>&.mp4', made_from={"film": "a.mp4 #ab12"})


def seen_by(program: str, packages: tuple[str, ...], file: Path) -> tuple[dict[str, Any], Any]:
    """Return what another program sees in a file; skip where it is not installed."""
    variable = f"CELLSTORM_TEST_{program.partition('_')[0].upper()}"
    python = os.environ.get(variable)
    if python is None and any(importlib.util.find_spec(name) is None for name in packages):
        pytest.skip(f"{' or '.join(packages)} is not installed here, and {variable} names no other")
    out = file.with_suffix(".npz")
    done = subprocess.run(
        [python or sys.executable, SCRIPT, program, file, out],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "HOME": str(file.parent)},  # where Picasso keeps its own settings
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1]), np.load(out)


@pytest.fixture(scope="module")
def table() -> Localizations:
    """Return molecules all over a field that is wider than high."""
    rng = np.random.default_rng(5)
    edge_nm = 150.0
    data = {
        "frame": np.sort(rng.integers(0, 50, COUNT)),
        "x_nm": rng.uniform(edge_nm, 64 * 120.0 - edge_nm, COUNT),
        "y_nm": rng.uniform(edge_nm, 32 * 120.0 - edge_nm, COUNT),
        "photons": rng.uniform(200, 5000, COUNT),
        "background_photons": rng.uniform(1, 9, COUNT),
        "uncertainty_nm": rng.uniform(5, 40, COUNT),
        "uncertainty_x_nm": rng.uniform(5, 40, COUNT),
        "uncertainty_y_nm": rng.uniform(5, 40, COUNT),
        "sigma_nm": rng.uniform(120, 180, COUNT),
    }
    provenance = {"lineage": NOTE.plain()}
    return Localizations(data=pd.DataFrame(data), field=FIELD, provenance=provenance)


@pytest.mark.slow
def test_picasso_loads_and_draws_our_table(table: Localizations, tmp_path: Path) -> None:
    file = tmp_path / "table.hdf5"
    write_table(table, file)
    told, seen = seen_by("picasso", ("picasso",), file)
    assert told == {
        "drawn": COUNT, "blurred": COUNT, "pixel_nm": 120.0, "width_px": 64, "height_px": 32,
    }  # fmt: skip
    # Picasso's whole numbers are centres of pixels, ours edges; float32 keeps 7 digits.
    for axis in "xy":
        expected = table.column(f"{axis}_nm") / 120.0 - 0.5
        np.testing.assert_allclose(seen[axis], expected, atol=1e-5)
    np.testing.assert_array_equal(seen["frame"], table.column("frame"))
    np.testing.assert_allclose(seen["photons"], table.column("photons"), rtol=1e-6)
    np.testing.assert_allclose(seen["lpx"], table.column("uncertainty_x_nm") / 120.0, rtol=1e-6)
    counted, *_ = np.histogram2d(
        seen["y"], seen["x"], bins=(np.arange(33.0), np.arange(65.0))
    )  # its renderer counts in pixels of its own positions
    np.testing.assert_array_equal(seen["image"], counted)


@pytest.mark.slow
def test_what_picasso_saves_of_our_table_still_says_what_it_was_made_from(
    table: Localizations, tmp_path: Path
) -> None:
    file = tmp_path / "table.hdf5"
    write_table(table, file)
    told, seen = seen_by("picasso_filter", ("picasso",), file)
    kept = tmp_path / "table_filter.hdf5"
    np.testing.assert_allclose(read_table(kept).column("photons"), seen["photons"])
    assert told["kept"] == COUNT // 2
    notes = [needed_note(kept)]
    kept.with_suffix(".yaml").unlink()
    notes.append(needed_note(kept))
    for note in notes:
        assert (note.result, note.recording) == ("Picasso Filter", NOTE.recording)
        assert note.made_from["film"] == NOTE.made_from["film"]
        assert note.made_from["later step 1"].startswith("Picasso Filter #")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ending", "first_frame", "origin_nm"),
    [(".csv", 1, 0.0), (".smlm", 0, 0.0), (".txt", 0, 60.0)],
)  # Locan keeps ThunderSTORM's count of frames, and rapidSTORM's origin: the first pixel's centre
def test_locan_reads_our_tables(
    table: Localizations, tmp_path: Path, ending: str, first_frame: int, origin_nm: float
) -> None:
    file = tmp_path / f"table{ending}"
    write_table(table, file)
    assert needed_note(file) == NOTE
    told, seen = seen_by("locan", ("locan",), file)
    assert told["count"] == COUNT
    assert told["in histogram"] >= COUNT - 2  # its last bin leaves out the largest x and y
    for axis in "xy":
        np.testing.assert_allclose(
            seen[f"position_{axis}"] + origin_nm, table.column(f"{axis}_nm"), rtol=1e-5, atol=0.01
        )
    np.testing.assert_array_equal(seen["frame"], table.column("frame") + first_frame)
    np.testing.assert_allclose(seen["intensity"], table.column("photons"), rtol=1e-3)


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    """Return frames that are wider than high, none like another."""
    return np.random.default_rng(6).integers(0, 4096, (7, 20, 30)).astype(np.uint16)


def written_stack(frames: np.ndarray, folder: Path) -> Path:
    """Write a stack with everything it can say."""
    path = folder / "stack.ome.tif"
    write_stack(
        path, [frames[:4], frames[4:]], pixel_size_nm=117.5, frame_rate_hz=20.0,
        photons_per_adu=0.01, is_denoised=True,
        description='light of <molecules> & "more", 1 grey value is 0.01 photoelectrons',
    )  # fmt: skip
    return path


@pytest.mark.slow
def test_a_stack_is_valid_ome_and_read_with_its_scale(frames: np.ndarray, tmp_path: Path) -> None:
    told, seen = seen_by("ome", ("bioio", "ome_types"), written_stack(frames, tmp_path))
    np.testing.assert_array_equal(seen["pixels"], frames)
    assert told["order"] == "TCZYX"
    assert told["shape"] == [7, 1, 1, 20, 30]
    assert (told["x_um"], told["y_um"]) == pytest.approx((0.1175, 0.1175))
    assert told["dtype"] == "uint16"
    assert told["time_increment"] == pytest.approx({"s": 0.05, "ms": 50.0}[told["time_unit"]])


def test_a_stack_keeps_the_rules_that_fiji_reads_by(frames: np.ndarray, tmp_path: Path) -> None:
    path = written_stack(frames, tmp_path)
    with tifffile.TiffFile(path) as tif:
        assert tif.is_ome
        assert tif.is_bigtiff  # Bio-Formats reads it; plain ImageJ would stop at 4 GB
        assert tif.series[0].axes == "TYX"
        text = tif.pages[0].description
        assert text.startswith("<?xml")
        pages = [page.asarray() for page in tif.pages]
        assert tif.pages[0].samplesperpixel == 1
    np.testing.assert_array_equal(pages, frames)
    assert 'PhysicalSizeX="' in text
    assert 'SizeT="7"' in text


def test_an_image_keeps_the_rules_that_fiji_reads_by(tmp_path: Path) -> None:
    image = np.random.default_rng(7).random((20, 30)).astype(np.float32)
    path = tmp_path / "image.tif"
    write_image(path, image, pixel_size_nm=10.0)
    with tifffile.TiffFile(path) as tif:
        assert tif.is_imagej
        assert not tif.is_bigtiff
        assert tif.imagej_metadata["unit"] == "um"
        x_resolution = tif.pages[0].tags["XResolution"].value
        np.testing.assert_array_equal(tif.asarray(), image)
    assert x_resolution[0] / x_resolution[1] == pytest.approx(100.0)  # pixels per um
