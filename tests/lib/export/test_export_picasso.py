"""Picasso's HDF5 and YAML: half a pixel, the metadata, and files that are something else."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
import yaml

from cellstorm_lib.errors import ExportError, TableError
from cellstorm_lib.export.formats import read_table, write_table
from cellstorm_lib.tables import FieldOfView, Localizations

FIELD = FieldOfView(
    width_px=64, height_px=32, pixel_size_nm=100.0, frame_count=10, roi_x_px=8, roi_y_px=4
)
METADATA = {"Width": 64, "Height": 32, "Frames": 10, "Pixelsize": 100.0}
ROWS = np.array(
    [(0, 0.0, 1.0, 0.04, 0.05), (6, 11.845, 22.956, 0.04, 0.05)],
    dtype=[("frame", "u4"), ("x", "f4"), ("y", "f4"), ("lpx", "f4"), ("lpy", "f4")],
)


def picasso(folder: Path, rows: Any = ROWS, **datasets: Any) -> Path:
    path = folder / "table.hdf5"
    with h5py.File(path, "w") as file:
        if rows is not None:
            file["locs"] = rows
        for name, content in datasets.items():
            file[name] = content
    return path


def sidecar(folder: Path, *documents: object) -> None:
    (folder / "table.yaml").write_text(yaml.safe_dump_all(documents))


def localizations(**columns: object) -> Localizations:
    data = {"frame": [0, 6], "x_nm": [50.0, 1234.5], "y_nm": [150.0, 2345.6], **columns}
    return Localizations(data=pd.DataFrame(data), field=FIELD, provenance={"seed": 3})


def test_pixel_centres_lie_at_whole_numbers_and_frames_start_at_0(tmp_path: Path) -> None:
    sidecar(tmp_path, METADATA)
    table = read_table(picasso(tmp_path))
    assert table.column("frame").tolist() == [0, 6]
    np.testing.assert_allclose(table.xy_nm, [[50.0, 150.0], [1234.5, 2345.6]], atol=1e-3)
    np.testing.assert_allclose(table.column("uncertainty_x_nm"), 4.0, rtol=1e-6)
    np.testing.assert_allclose(table.column("uncertainty_nm"), np.sqrt((16 + 25) / 2), rtol=1e-6)
    assert (table.field.width_px, table.field.height_px) == (64, 32)
    assert (table.field.frame_count, table.field.is_inferred) == (10, False)


def test_the_last_document_with_a_key_wins(tmp_path: Path) -> None:
    sidecar(tmp_path, METADATA, {"Pixelsize": 130, "Box Size": 7, "Long": "x" * 300})
    table = read_table(picasso(tmp_path))
    assert table.field.pixel_size_nm == 130.0
    np.testing.assert_allclose(table.xy_nm[0], [65.0, 195.0], atol=1e-4)
    assert table.provenance["picasso"][1] == {"Pixelsize": "130", "Box Size": "7"}


def test_a_given_pixel_size_wins_and_that_is_said(tmp_path: Path) -> None:
    sidecar(tmp_path, METADATA)
    table = read_table(picasso(tmp_path), pixel_size_nm=80.0)
    np.testing.assert_allclose(table.xy_nm[0], [40.0, 120.0], atol=1e-4)
    assert table.field.pixel_size_nm == 80.0
    assert "instead of the 100 it states" in table.provenance["imported"]["notes"][0]


def test_metadata_inside_the_file_serve_where_there_is_no_yaml(tmp_path: Path) -> None:
    path = picasso(tmp_path, metadata=json.dumps([METADATA]))
    assert read_table(path).field.width_px == 64
    sidecar(tmp_path, {**METADATA, "Width": 99})
    assert read_table(path).field.width_px == 99


@pytest.mark.parametrize("text", ["[1, {}]", "{", "3", "[" * 100_000])
def test_metadata_of_another_kind_are_none(tmp_path: Path, text: str) -> None:
    with pytest.raises(TableError, match="--pixel-size-nm"):
        read_table(picasso(tmp_path, metadata=text))


def test_a_table_without_metadata_needs_the_pixel_size(tmp_path: Path) -> None:
    path = picasso(tmp_path)
    with pytest.raises(TableError, match=r"has no \.yaml beside it; give .* --pixel-size-nm"):
        read_table(path)
    field = read_table(path, pixel_size_nm=100.0).field
    assert (field.width_px, field.height_px, field.is_inferred) == (13, 24, True)
    sidecar(tmp_path, {"Width": 3})
    with pytest.raises(TableError, match="has no Pixelsize in its metadata"):
        read_table(path)


def test_the_field_covers_more_frames_than_the_metadata_say(tmp_path: Path) -> None:
    sidecar(tmp_path, {**METADATA, "Frames": 2})
    assert read_table(picasso(tmp_path)).field.frame_count == 7


def test_other_columns_keep_their_names(tmp_path: Path) -> None:
    rows = np.array(
        [(3, 1, 2, 500, 1.0, 1.44, 10, -80, 20, 4, 9.5)],
        dtype=[
            *(("frame", "i8"), ("x", "f8"), ("y", "f8"), ("photons", "f4"), ("sx", "f4")),
            *(("sy", "f4"), ("bg", "f4"), ("z", "f4"), ("lpz", "f4"), ("n", "i4")),
            ("net_gradient", "f4"),
        ],
    )
    sidecar(tmp_path, METADATA)
    row = read_table(picasso(tmp_path, rows)).data.iloc[0].to_dict()
    expected = {"photons": 500, "background_photons": 10, "z_nm": -80, "uncertainty_z_nm": 20}
    widths = {"sigma_x_nm": 100, "sigma_y_nm": 144, "sigma_nm": 120}
    expected |= widths | {"detections": 4, "net_gradient": 9.5}
    assert {name: row[name] for name in expected} == pytest.approx(expected)


def test_equal_widths_are_one_width(tmp_path: Path) -> None:
    rows = np.array([(0, 1, 1, 1.25, 1.25)], [(n, "f4") for n in ("frame", "x", "y", "sx", "sy")])
    sidecar(tmp_path, METADATA)
    table = read_table(picasso(tmp_path, rows))
    assert table.column("sigma_nm").tolist() == [125.0]
    assert "sigma_x_nm" not in table


def test_a_table_without_rows_may_have_one_width_only(tmp_path: Path) -> None:
    rows = np.zeros(0, [(n, "f4") for n in ("frame", "x", "y", "sx")])
    sidecar(tmp_path, METADATA)
    assert len(read_table(picasso(tmp_path, rows))) == 0


def test_what_is_written_is_what_picasso_expects(tmp_path: Path) -> None:
    table = localizations(
        photons=[1000.0, 900.0],
        sigma_nm=[130.0, 140.0],
        background_photons=[10.0, 11.0],
        uncertainty_nm=[8.0, 9.0],
        molecule=[5, 6],
        is_copied=[True, False],
    )
    path = tmp_path / "table.hdf5"
    write_table(table, path)
    with h5py.File(path) as file:
        rows = file["locs"][:]
        embedded = json.loads(file["metadata"][()])
    assert rows.dtype.names == (
        *("frame", "x", "y", "photons", "sx", "sy", "bg", "lpx", "lpy", "molecule", "is_copied"),
    )
    assert rows.dtype["frame"] == np.uint32
    assert all(rows.dtype[name] == np.float32 for name in rows.dtype.names[1:9])
    np.testing.assert_allclose(rows["x"], [0.0, 11.845], atol=1e-6)
    np.testing.assert_allclose(rows["sx"], [1.3, 1.4], rtol=1e-6)
    np.testing.assert_allclose(rows["lpy"], [0.08, 0.09], rtol=1e-6)
    documents = list(yaml.safe_load_all((tmp_path / "table.yaml").read_text()))
    assert len(documents) == 2
    assert {key: documents[0][key] for key in METADATA} == METADATA
    assert embedded[:2] == documents


def test_field_and_provenance_come_back(tmp_path: Path) -> None:
    path = tmp_path / "table.h5"
    write_table(localizations(), path)
    back = read_table(path)
    assert back.field == FIELD
    assert back.provenance["seed"] == 3
    first = path.read_bytes()
    write_table(localizations(), path)
    assert path.read_bytes() == first


def test_the_place_in_the_frame_is_dropped_when_the_yaml_was_edited(tmp_path: Path) -> None:
    write_table(localizations(), tmp_path / "table.hdf5")
    sidecar(tmp_path, {**METADATA, "Width": 50})
    field = read_table(tmp_path / "table.hdf5").field
    assert (field.width_px, field.roi_x_px) == (50, 0)


def test_a_table_whose_pixel_size_is_assumed_is_not_written(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text('"frame","x [nm]","y [nm]"\n1,50,150\n')
    with pytest.raises(TableError, match=r"needs the camera's pixel size, which in\.csv does not"):
        write_table(read_table(tmp_path / "in.csv"), tmp_path / "out.hdf5")
    assert {path.name for path in tmp_path.iterdir()} == {"in.csv"}


def test_nothing_is_left_when_writing_fails(tmp_path: Path) -> None:
    (tmp_path / "table.yaml").mkdir()
    with pytest.raises(ExportError, match=r"table\.yaml is a folder"):
        write_table(localizations(), tmp_path / "table.hdf5")
    assert [path.name for path in tmp_path.iterdir()] == ["table.yaml"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (None, "holds 'other' but no table /locs"),
        (np.zeros((3, 3)), "but no table /locs"),
        (np.zeros(3, [("a", "f4")]), "without frame, x_nm, y_nm: it has 'a'"),
    ],
)
def test_other_hdf5_files_are_refused(tmp_path: Path, rows: Any, message: str) -> None:
    sidecar(tmp_path, METADATA)
    with pytest.raises(TableError, match=message):
        read_table(picasso(tmp_path, rows, other=[1]))


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"Width": "wide"}, "Width = 'wide' in its metadata; expected a number above 0"),
        ({"Pixelsize": 0}, "Pixelsize = '0' in its metadata"),
        ({"Pixelsize": float("nan")}, r"Pixelsize = '\.nan' in its metadata"),
        ({"Height": 1e12}, "Height = '1000000000000.0' in its metadata"),
    ],
)
def test_metadata_that_make_no_sense_are_refused(
    tmp_path: Path, entry: dict[str, object], message: str
) -> None:
    sidecar(tmp_path, METADATA | entry)
    with pytest.raises(TableError, match=message):
        read_table(picasso(tmp_path))


@pytest.mark.parametrize(
    "text",
    ["a: [1", "a: b: c", "[" * 100_000, "{a: " * 50_000, "\0", "&" * 1000, "x" * (5 << 20)],
    ids=["unclosed", "colons", "deep lists", "deep maps", "NUL", "anchors", "huge"],
)
def test_yaml_that_is_none_is_refused_at_once(tmp_path: Path, text: str) -> None:
    path = picasso(tmp_path)
    (tmp_path / "table.yaml").write_text(text)
    with pytest.raises(TableError, match=r"table\.yaml is (not valid YAML|larger than)"):
        read_table(path)


def test_yaml_builds_no_objects_and_follows_no_aliases(tmp_path: Path) -> None:
    path = picasso(tmp_path)
    evil = "a: !!python/object/apply:os.system ['touch evil']\n"
    bomb = "b: &b [x, x]\nc: &c [*b, *b]\nd: *c\n? [1, 2]\n: {Pixelsize: 3}\n"
    (tmp_path / "table.yaml").write_text(f"{evil}{bomb}Pixelsize: 100\n")
    table = read_table(path)
    assert table.field.pixel_size_nm == 100.0
    assert table.provenance["picasso"] == [{"Pixelsize": "100"}]


def test_links_to_other_files_are_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "secret.hdf5", "w") as file:
        file["locs"] = ROWS
    with h5py.File(tmp_path / "table.hdf5", "w") as file:
        file["locs"] = h5py.ExternalLink("secret.hdf5", "/locs")
    with pytest.raises(TableError, match="'locs' is a link to another place"):
        read_table(tmp_path / "table.hdf5", pixel_size_nm=100.0)


def test_content_in_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret.raw").write_bytes(ROWS.tobytes())
    with h5py.File(tmp_path / "table.hdf5", "w") as file:
        external = [(str(tmp_path / "secret.raw"), 0, ROWS.nbytes)]
        file.create_dataset("locs", shape=ROWS.shape, dtype=ROWS.dtype, external=external)
    with pytest.raises(TableError, match="'locs' is kept in other files"):
        read_table(tmp_path / "table.hdf5", pixel_size_nm=100.0)


def test_a_table_that_claims_more_than_it_can_hold_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "table.hdf5", "w") as file:
        file.create_dataset("locs", shape=(10**12,), dtype=ROWS.dtype, chunks=(1000,))
    with pytest.raises(TableError, match="'locs' claims 1000000000000 values, more than the file"):
        read_table(tmp_path / "table.hdf5", pixel_size_nm=100.0)
