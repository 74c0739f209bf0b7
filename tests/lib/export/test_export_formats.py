"""One door for all formats: endings, refusals, Parquet, ground truth, the shared example."""

import sys
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cellstorm_lib.errors import ExportError, SettingsError, TableError
from cellstorm_lib.export import formats
from cellstorm_lib.export.formats import (
    READ_ENDINGS,
    WRITE_ENDINGS,
    read_table,
    read_truth,
    require_ending,
    write_table,
)
from cellstorm_lib.tables import Emitters, FieldOfView, Localizations, write_emitters

FIELD = FieldOfView(width_px=64, height_px=32, pixel_size_nm=100.0, frame_count=10)
THUNDERSTORM = (
    '"frame","x [nm]","y [nm]","sigma [nm]","intensity [photon]","offset [photon]",'
    '"bkgstd [photon]","uncertainty_xy [nm]"\n'
    "1,50.00000,150.00000,130.00000,1000.00000,10.00000,3.00000,8.00000\n"
    "7,1234.50000,2345.60000,130.00000,900.00000,10.00000,3.00000,9.00000\n"
)


def localizations(**columns: object) -> Localizations:
    data = {"frame": [0, 6], "x_nm": [50.0, 1234.5], "y_nm": [150.0, 2345.6], **columns}
    return Localizations(data=pd.DataFrame(data), field=FIELD)


def test_one_molecule_is_at_its_place_in_every_format(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text(THUNDERSTORM)
    table = read_table(tmp_path / "in.csv", pixel_size_nm=100.0)
    for ending in WRITE_ENDINGS:
        write_table(table, tmp_path / f"out{ending}")
    parquet = pd.read_parquet(tmp_path / "out.parquet")
    assert parquet["frame"].tolist() == [0, 6]
    np.testing.assert_allclose(parquet["x_nm"], [50.0, 1234.5])
    with h5py.File(tmp_path / "out.hdf5") as file:
        rows = file["locs"][:]
    assert rows["frame"].tolist() == [0, 6]
    np.testing.assert_allclose(rows["x"], [0.0, 12.345 - 0.5], atol=1e-5)
    csv = pd.read_csv(tmp_path / "out.csv")
    assert csv["frame"].tolist() == [1, 7]
    np.testing.assert_allclose(csv["x [nm]"], [50.0, 1234.5])
    text = np.loadtxt(tmp_path / "out.txt")
    np.testing.assert_allclose(text[:, :2], [[0, 100], [1184.5, 2295.6]])


@pytest.mark.parametrize("ending", sorted(READ_ENDINGS))
def test_missing_empty_and_folders_are_refused(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"table{ending.upper()}"
    with pytest.raises(TableError, match="does not exist; check its name"):
        read_table(path)
    path.touch()
    with pytest.raises(TableError, match=r"is empty \(0 bytes\); expected a table"):
        read_table(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(TableError, match="is a folder; give the table file in it"):
        read_table(path)


def test_unknown_endings_are_refused_with_those_known(tmp_path: Path) -> None:
    known = r"known are \.parquet \(cellstorm\), \.csv \(ThunderSTORM"
    with pytest.raises(TableError, match=f"ending '.xls', which is no table .* reads; {known}"):
        read_table(tmp_path / "table.xls")
    for name in ("table.xls", "table", "table.bin"):
        with pytest.raises(ExportError, match=f"which is no table this program writes; {known}"):
            write_table(localizations(), tmp_path / name)
        with pytest.raises(ExportError, match="which is no table this program writes"):
            require_ending(tmp_path / name)
    for ending in WRITE_ENDINGS:
        require_ending(tmp_path / f"table{ending.upper()}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("pixel_size_nm", [0.0, -5.0, float("nan"), float("inf")])
def test_an_impossible_pixel_size_is_refused(tmp_path: Path, pixel_size_nm: float) -> None:
    with pytest.raises(SettingsError, match="pixel_size_nm must be above 0, got .*; are the units"):
        read_table(tmp_path / "table.csv", pixel_size_nm=pixel_size_nm)


def test_a_file_that_cannot_be_opened_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(path: Path, **_: object) -> Localizations:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setitem(formats._READERS, ".csv", locked)
    (tmp_path / "table.csv").write_text("x")
    with pytest.raises(TableError, match="cannot be read: Permission denied; check that you may"):
        read_table(tmp_path / "table.csv")


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for ending in WRITE_ENDINGS:
        with pytest.raises(ExportError, match="cannot write .*; choose a folder with space"):
            write_table(localizations(), tmp_path / "file" / f"table{ending}")


def test_elyra_and_other_text_is_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "table.txt"
    path.write_text("just some notes\n1 2 3\n")
    with pytest.raises(TableError, match=r"expected a frame .* in a rapidSTORM file, or Elyra's"):
        read_table(path)
    path.write_bytes(
        b"Index\tFirst Frame\tPosition X [nm]\tPosition Y [nm]\tPrecision [nm]\r\n"
        b"1\t5\t10.5\t20.5\t8\r\n\0\r\nVoxelSizeX : 0.1\r\n"
    )
    row = read_table(path).data.iloc[0]
    assert row.tolist() == [4, 10.5, 20.5, 8, 8, 8]


def test_parquet_of_our_own_keeps_its_field(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    write_table(localizations(), path)
    assert read_table(path).field == FIELD
    assert read_table(path, pixel_size_nm=100.0).field == FIELD
    with pytest.raises(TableError, match="was made with 100 nm a pixel, which 80 nm contradicts"):
        read_table(path, pixel_size_nm=80.0)


def test_parquet_of_others_gets_a_field_of_the_given_pixels(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    pq.write_table(pa.table({"frame": [0], "x_nm": [950.0], "y_nm": [10.0]}), path)
    table = read_table(path)
    assert (table.field.width_px, table.field.is_inferred) == (10, True)
    with pytest.raises(TableError, match=r"needs the camera's pixel size, which table\.parquet"):
        write_table(table, tmp_path / "out.hdf5")
    table = read_table(path, pixel_size_nm=50.0)
    assert (table.field.width_px, table.field.pixel_size_nm) == (20, 50.0)
    write_table(table, tmp_path / "out.hdf5")


def test_an_assumed_pixel_size_stays_assumed_through_parquet(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text(THUNDERSTORM)
    write_table(read_table(tmp_path / "in.csv"), tmp_path / "mid.parquet")
    with pytest.raises(TableError, match=r"which in\.csv does not say; give it with"):
        write_table(read_table(tmp_path / "mid.parquet"), tmp_path / "out.txt")


def test_provenance_remembers_the_file_before(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text(THUNDERSTORM)
    write_table(read_table(tmp_path / "in.csv", pixel_size_nm=100), tmp_path / "mid.smlm")
    imported = read_table(tmp_path / "mid.smlm").provenance["imported"]
    assert (imported["format"], imported["before"]["format"]) == (".smlm", "ThunderSTORM CSV")
    assert imported["before"]["file"] == "in.csv"


def test_truth_comes_from_any_table(tmp_path: Path) -> None:
    (tmp_path / "truth.csv").write_text(THUNDERSTORM)
    truth = read_truth(tmp_path / "truth.csv")
    assert truth.column("emitter").tolist() == [0, 1]
    assert truth.column("photons").tolist() == [1000.0, 900.0]
    assert truth.column("frame").tolist() == [0, 6]


def test_truth_without_photons_counts_every_molecule_as_one(tmp_path: Path) -> None:
    path = tmp_path / "truth.csv"
    path.write_text("frame,x_nm,y_nm,molecule\n3,1,2,17\n")
    truth = read_truth(path)
    assert truth.data.iloc[0].tolist() == [3, 17, 1.0, 2.0, 1.0]


def test_truth_of_our_own_keeps_emitters_and_field(tmp_path: Path) -> None:
    data = pd.DataFrame(
        {"frame": [0], "emitter": [2**40], "x_nm": [1.0], "y_nm": [2.0], "photons": [3.0]}
    )
    emitters = Emitters(data=data, field=FIELD, provenance={"seed": 1})
    write_emitters(emitters, tmp_path / "truth.parquet")
    back = read_truth(tmp_path / "truth.parquet")
    pd.testing.assert_frame_equal(back.data, emitters.data)
    assert (back.field, back.provenance) == (FIELD, {"seed": 1})


def test_reading_changes_no_file(tmp_path: Path) -> None:
    for ending in WRITE_ENDINGS:
        write_table(localizations(), tmp_path / f"table{ending}")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for ending in WRITE_ENDINGS:
        read_table(tmp_path / f"table{ending}", pixel_size_nm=100.0)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_hdf5_that_takes_without_end_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    endless = tmp_path / "endless.py"
    endless.write_text("while True: pass\n")
    crashing = tmp_path / "crashing.py"
    crashing.write_text("import os, signal\nos.abort()\n")
    (tmp_path / "table.hdf5").write_bytes(b"x")
    monkeypatch.setattr("cellstorm_lib.export.hdf5._PATIENCE_S", 0.5)
    for script, message in ((endless, "takes without end"), (crashing, "makes the HDF5 library")):
        monkeypatch.setattr("cellstorm_lib.export.hdf5._CHILD", script)
        if script is crashing:
            monkeypatch.setattr("cellstorm_lib.export.hdf5._PATIENCE_S", 60)
        with pytest.raises(TableError, match=f"cannot be read as HDF5: .*{message}"):
            read_table(tmp_path / "table.hdf5")


@pytest.mark.skipif(sys.platform == "win32", reason="the system has no limit of processor time")
def test_the_hdf5_reader_ends_itself() -> None:
    import resource
    import subprocess

    script = "import sys; sys.path.insert(0, sys.argv[1]); import hdf5_child; "
    script += "hdf5_child._CPU_SECONDS = 1; hdf5_child.limit_time(0)\nwhile True: pass"
    folder = str(Path(formats.__file__).parent)
    done = subprocess.run([sys.executable, "-c", script, folder], check=False, timeout=60)
    assert done.returncode < 0
    assert resource.getrlimit(resource.RLIMIT_CPU)[0] != 1


@pytest.mark.skipif(sys.platform != "linux", reason="the memory of a child is limited and told")
def test_a_text_in_hdf5_that_claims_to_be_huge_takes_no_such_memory(tmp_path: Path) -> None:
    import subprocess

    import h5py

    path, text = tmp_path / "table.hdf5", "Width: 32\n" * 1000
    with h5py.File(path, "w") as file:
        file["locs"] = np.zeros(3, [("frame", "<u4"), ("x", "<f4"), ("y", "<f4")])
        file["metadata"] = text
    content = path.read_bytes()
    length = len(text).to_bytes(4, "little")
    assert content.count(length) >= 1
    path.write_bytes(content.replace(length, (3 << 29).to_bytes(4, "little")))
    script = (
        "import resource, sys\nfrom pathlib import Path\n"
        "from cellstorm_lib.errors import TableError\n"
        "from cellstorm_lib.export.formats import read_table\n"
        "try:\n    read_table(Path(sys.argv[1]))\nexcept TableError as error:\n    print(error)\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], check=True, capture_output=True, text=True
    )
    message, peak_kb = done.stdout.splitlines()
    assert "table.hdf5 cannot be read as HDF5" in message
    assert int(peak_kb) < 1 << 20
