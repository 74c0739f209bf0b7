"""Insight3 lists and storm-analysis HDF5: pixels whose centres are at 1 and at 0."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from cellstorm_lib.errors import TableError
from cellstorm_lib.export.formats import read_table

FLOATS = ("x", "y", "xc", "yc", "h", "a", "w", "phi", "ax", "bg", "i")
MOLECULE = np.dtype(
    [(name, "<f4") for name in FLOATS]
    + [(name, "<i4") for name in ("c", "fi", "fr", "tl", "lk")]
    + [("z", "<f4"), ("zc", "<f4")]
)


def insight3(folder: Path, count: int = 2) -> Path:
    rows = np.zeros(2, MOLECULE)
    rows["xc"], rows["yc"], rows["fr"] = [1.0, 12.845], [2.0, 23.956], [1, 7]
    rows["a"], rows["bg"], rows["w"] = 1000, 10, 260
    path = folder / "table.bin"
    header = b"M425" + np.array([1, 6, count], "<i4").tobytes()
    path.write_bytes(header + rows.tobytes())
    return path


def test_insight3_counts_pixels_and_frames_from_1(tmp_path: Path) -> None:
    table = read_table(insight3(tmp_path), pixel_size_nm=100.0)
    assert table.column("frame").tolist() == [0, 6]
    np.testing.assert_allclose(table.xy_nm, [[50, 150], [1234.5, 2345.6]], atol=1e-3)
    assert table.column("photons").tolist() == [1000, 1000]
    assert table.column("sigma_nm").tolist() == [130, 130]


def test_insight3_refusals(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"counts positions in pixels; give .* --pixel-size-nm"):
        read_table(insight3(tmp_path))
    with pytest.raises(TableError, match="holds 2 of the 5 molecules it claims; it is cut short"):
        read_table(insight3(tmp_path, count=5), pixel_size_nm=100.0)
    (tmp_path / "other.bin").write_bytes(b"MZ\0\1 is no list")
    with pytest.raises(TableError, match=r"starts with b'MZ\\x00\\x01'; expected an Insight3"):
        read_table(tmp_path / "other.bin", pixel_size_nm=100.0)


def frames(folder: Path, groups: dict[str, dict[str, list[float]]]) -> Path:
    path = folder / "table.hdf5"
    with h5py.File(path, "w") as file:
        for group, columns in groups.items():
            file.create_group(group)
            for name, values in columns.items():
                file[group][name] = np.array(values, np.float32)
    return path


def test_storm_analysis_counts_pixels_and_frames_from_0(tmp_path: Path) -> None:
    path = frames(
        tmp_path,
        {
            "fr_10": {"x": [11.845], "y": [22.956], "z": [0.5], "sum": [900]},
            "fr_2": {"x": [0, 1], "y": [1, 1], "z": [0, 0], "sum": [1, 2], "xsigma": [1, 1]},
            "fr_3": {},
            "tracks": {"x": [5]},
        },
    )
    table = read_table(path, pixel_size_nm=100.0)
    assert table.column("frame").tolist() == [2, 2, 10]
    np.testing.assert_allclose(table.xy_nm[2], [1234.5, 2345.6], atol=1e-3)
    assert table.column("z_nm").tolist() == [0, 0, 500]
    assert table.column("photons").tolist() == [1, 2, 900]
    assert "sigma_x_nm" not in table


def test_storm_analysis_without_molecules_has_no_rows(tmp_path: Path) -> None:
    assert len(read_table(frames(tmp_path, {"fr_0": {}}), pixel_size_nm=100.0)) == 0


def test_storm_analysis_refusals(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="counts positions in pixels; give"):
        read_table(frames(tmp_path, {"fr_0": {"x": [1], "y": [1]}}))
    with pytest.raises(TableError, match="the columns of 'fr_0' differ in length"):
        read_table(frames(tmp_path, {"fr_0": {"x": [1], "y": [1, 2]}}), pixel_size_nm=100.0)
    with pytest.raises(TableError, match="without y_nm: it has 'frame', 'x_nm'"):
        read_table(frames(tmp_path, {"fr_0": {"x": [1]}}), pixel_size_nm=100.0)
