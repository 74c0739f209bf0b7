"""The .smlm format: manifests of other writers, several tables, bombs and contradictions."""

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cellstorm_lib.errors import TableError
from cellstorm_lib.export.formats import read_table, write_table
from cellstorm_lib.tables import FieldOfView, Localizations

FIELD = FieldOfView(
    width_px=64, height_px=32, pixel_size_nm=100.0, frame_count=10, roi_x_px=8, roi_y_px=4
)
FORMAT = {
    "type": "table",
    "mode": "binary",
    "columns": 3,
    "headers": ["frame", "x", "y"],
    "dtype": ["uint32", "float32", "float32"],
    "shape": [1, 1, 1],
    "units": ["frame", "nm", "nm"],
}
FILE = {"name": "t.bin", "type": "table", "format": "f", "rows": 2, "offset": {}}
ROWS = np.array([(0, 50, 150), (6, 1234.5, 2345.5)], "<u4,<f4,<f4").tobytes()


def smlm(
    folder: Path,
    *,
    described: dict[str, Any] | None = None,
    file: dict[str, Any] | None = None,
    rows: bytes = ROWS,
    **manifest: Any,
) -> Path:
    content = {
        "format_version": "0.2",
        "formats": {"f": FORMAT | (described or {})},
        "files": [FILE | (file or {})],
    }
    path = folder / "table.smlm"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", json.dumps(content | manifest))
        archive.writestr("t.bin", rows)
        archive.writestr("thunderstorm_table.bin", rows)
    return path


def test_the_specifications_table_is_read(tmp_path: Path) -> None:
    table = read_table(smlm(tmp_path))
    assert table.column("frame").tolist() == [0, 6]
    assert table.xy_nm.tolist() == [[50.0, 150.0], [1234.5, 2345.5]]
    assert table.field.is_inferred


def test_quoted_counts_offsets_and_other_units_are_understood(tmp_path: Path) -> None:
    path = smlm(
        tmp_path,
        described={"units": ["", "um", "px"], "shape": ["1", 1, [1]]},
        file={"rows": "2", "offset": {"x": 1, "frame": -0.0, "y": "no number"}},
    )
    assert read_table(path, pixel_size_nm=80.0).xy_nm[0].tolist() == [51_000.0, 12_000.0]
    with pytest.raises(TableError, match="gives 'y' in pixels; give"):
        read_table(path)


def test_thunderstorms_exporter_counts_frames_from_1(tmp_path: Path) -> None:
    rows = np.array([(1, 50, 150), (7, 1234.5, 2345.5)], "<u4,<f4,<f4").tobytes()
    path = smlm(tmp_path, file={"name": "thunderstorm_table.bin"}, rows=rows)
    assert read_table(path).column("frame").tolist() == [0, 6]


def test_counts_that_are_no_photons_keep_their_name(tmp_path: Path) -> None:
    names = {"headers": ["frame", "x", "y", "intensity"], "shape": [1] * 4}
    names["dtype"] = ["uint32", "float32", "float32", "float32"]
    rows = np.array([(0, 1, 2, 9)], "<u4,<f4,<f4,<f4").tobytes()
    for unit, ours in (("photons", "photons"), ("", "intensity"), ("ADU", "intensity")):
        described = names | {"units": ["", "nm", "nm", unit]}
        path = smlm(tmp_path, described=described, rows=rows, file={"rows": 1})
        assert read_table(path).column(ours).tolist() == [9.0]


def test_images_in_rows_are_left_out(tmp_path: Path) -> None:
    described = {"headers": ["frame", "patch", "x", "y"], "shape": [1, [2, 2], 1, 1]}
    described["dtype"] = ["uint32", "uint8", "float32", "float32"]
    rows = np.array([(3, [1, 2, 3, 4], 7, 8)], "<u4,(4,)u1,<f4,<f4").tobytes()
    table = read_table(smlm(tmp_path, described=described, rows=rows, file={"rows": 1}))
    assert table.data.to_dict("list") == {"frame": [3], "x_nm": [7.0], "y_nm": [8.0]}


def test_several_tables_are_one_below_the_other(tmp_path: Path) -> None:
    image = {"name": "i.png", "type": "image"}
    path = smlm(tmp_path, files=[FILE, image, FILE | {"rows": 2}])
    table = read_table(path)
    assert table.column("frame").tolist() == [0, 0, 6, 6]
    assert table.column("channel").tolist() == [0, 1, 0, 1]


def test_field_provenance_and_types_come_back(tmp_path: Path) -> None:
    data = pd.DataFrame(
        {
            "frame": [0, 6],
            "x_nm": [50.0, 1234.56789],
            "y_nm": [150.0, 2345.6],
            "photons": [1000.0, 900.0],
            "background_photons": [1.5, 2.5],
            "uncertainty_x_nm": [8.0, 9.0],
            "uncertainty_y_nm": [7.0, 6.0],
            "sigma_nm": [130.0, 131.0],
            "molecule": [2**40, 1],
            "is_copied": [True, False],
            "detections": [1, 4],
            "own": [0.25, 0.5],
        }
    )
    table = Localizations(data=data, field=FIELD, provenance={"seed": 3})
    path = tmp_path / "table.smlm"
    write_table(table, path)
    back = read_table(path)
    assert back.field == FIELD
    assert back.provenance["seed"] == 3
    pd.testing.assert_frame_equal(back.data[data.columns], table.data, check_dtype=False)
    assert back.column("molecule").dtype == np.int64
    assert back.column("is_copied").dtype == bool
    first = path.read_bytes()
    write_table(table, path)
    assert path.read_bytes() == first


def test_the_written_manifest_follows_the_specification(tmp_path: Path) -> None:
    data = pd.DataFrame({"frame": [2], "x_nm": [1.0], "y_nm": [2.0], "photons": [3.0]})
    write_table(Localizations(data=data, field=FIELD), tmp_path / "table.smlm")
    with zipfile.ZipFile(tmp_path / "table.smlm") as archive:
        manifest = json.loads(archive.read("manifest.json"))
        rows = archive.read("table-0.bin")
    assert manifest["format_version"] == "0.2"
    described = manifest["formats"][manifest["files"][0]["format"]]
    assert described["headers"] == ["frame", "x", "y", "intensity"]
    assert described["dtype"] == ["uint32", "float64", "float64", "float32"]
    assert described["units"] == ["frame", "nm", "nm", "photon"]
    assert np.frombuffer(rows, "<u4,<f8,<f8,<f4")[0].tolist() == (2, 1.0, 2.0, 3.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format_version": "9"}, "has format version '9' in its manifest.json; expected one of"),
        ({"files": []}, "names no table in its manifest.json"),
        ({"files": {"a": 1}}, "names no table in its manifest.json"),
        ({"file": {"name": "../../etc/passwd"}}, "is a zip file without '../../etc/passwd'"),
        ({"file": {"rows": 3}}, "holds 24 bytes in 't.bin' where .* claims 3 rows of 12"),
        ({"file": {"rows": -1}}, "claims '-1' rows"),
        ({"file": {"rows": 10**15}}, "claims '1000000000000000' rows of 12 bytes"),
        ({"file": {"rows": None}}, "claims 'None' rows"),
        ({"file": {"format": "other"}}, "has a table in the format 'other'; expected a binary"),
        ({"formats": 3}, "has a table in the format 'f'"),
        ({"described": {"mode": "text"}}, "has a table in the format 'f'"),
        ({"described": {"dtype": ["uint32"]}}, "by 3 headers, 1 types and 3 shapes that do not"),
        ({"described": {"dtype": ["O", "f4", "f4"]}}, "3 types and 3 shapes that do not make"),
        ({"described": {"dtype": [["uint8"], 1, 2]}}, "3 types and 3 shapes that do not make"),
        ({"described": {"shape": [1, 1, [0]]}}, "that do not make a table"),
        ({"described": {"shape": [1, 1, [2**40, 2**40]]}}, "that do not make a table"),
        ({"described": {"headers": ["frame", "x", "x"]}}, "without y_nm"),
        ({"described": {"units": ["", "nm", "inch"]}}, "gives 'y' in 'inch'; expected a length"),
    ],
)
def test_contradictions_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(TableError, match=message):
        read_table(smlm(tmp_path, **changes))


@pytest.mark.parametrize("text", ["{", "[]", "[" * 100_000, "3"])
def test_manifests_that_are_none_are_refused(tmp_path: Path, text: str) -> None:
    with zipfile.ZipFile(tmp_path / "table.smlm", "w") as archive:
        archive.writestr("manifest.json", text)
    with pytest.raises(TableError, match="not JSON|has format version 'None'"):
        read_table(tmp_path / "table.smlm")


def test_a_zip_of_something_else_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "table.smlm", "w") as archive:
        archive.writestr("readme", "")
    with pytest.raises(TableError, match="is a zip file without 'manifest.json'; expected an"):
        read_table(tmp_path / "table.smlm")


@pytest.mark.parametrize(
    "ours",
    [
        3,
        {"field": 3, "provenance": 3},
        {"field": {"width_px": "wide"}},
        {"field": {"width_px": 1.5, "height_px": 1, "pixel_size_nm": 1, "frame_count": 1}},
        {"field": {"width_px": 10**12, "height_px": 1, "pixel_size_nm": 1, "frame_count": 1}},
    ],
)
def test_a_field_that_is_none_is_inferred(tmp_path: Path, ours: Any) -> None:
    assert read_table(smlm(tmp_path, cellstorm=ours)).field.is_inferred


def test_bombs_are_refused_before_they_unpack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cellstorm_lib.export.smlm._ALWAYS_ALLOWED_BYTES", 1 << 20)
    path = smlm(tmp_path, rows=bytes(6 << 20), file={"rows": (6 << 20) // 12})
    assert path.stat().st_size < 20_000
    with pytest.raises(TableError, match="which its size cannot hold; it is damaged"):
        read_table(path)
    with pytest.raises(TableError, match="claims 6291456 bytes in 't.bin', which its size"):
        read_table(smlm(tmp_path, rows=bytes(6 << 20)))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", b" " * (9 << 20))
    with pytest.raises(TableError, match="claims 9437184 bytes in 'manifest.json'"):
        read_table(path)
