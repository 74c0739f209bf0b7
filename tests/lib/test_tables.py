"""Tables keep their columns, units, field and provenance, and refuse what makes no sense."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cellstorm_lib.errors import TableError
from cellstorm_lib.tables import (
    COLUMNS,
    Emitters,
    FieldOfView,
    Localizations,
    read_emitters,
    read_localizations,
    write_emitters,
    write_localizations,
)

FIELD = FieldOfView(width_px=64, height_px=32, pixel_size_nm=100.0, frame_count=10)


def table(**columns: object) -> Localizations:
    data = {"frame": [3, 1], "x_nm": [50.0, 6400.0], "y_nm": [150.0, 0.0], **columns}
    return Localizations(data=pd.DataFrame(data), field=FIELD, provenance={"seed": 1})


def test_rows_are_sorted_by_frame_with_fixed_types() -> None:
    locs = table(photons=[1, 2], is_copied=[0, 1])
    assert locs.column("frame").tolist() == [1, 3]
    assert locs.column("frame").dtype == np.int32
    assert locs.column("photons").dtype == np.float32
    assert locs.column("is_copied").dtype == bool
    assert len(locs) == 2
    assert "photons" in locs
    assert "z_nm" not in locs


def test_a_table_survives_its_file_with_field_and_provenance(tmp_path: Path) -> None:
    locs = table(photons=[1.5, 2.5], my_own_column=[7, 8])
    write_localizations(locs, tmp_path / "t.parquet")
    back = read_localizations(tmp_path / "t.parquet")
    pd.testing.assert_frame_equal(back.data, locs.data)
    assert back.field == FIELD
    assert back.provenance == {"seed": 1}


def test_the_file_itself_says_what_its_columns_mean(tmp_path: Path) -> None:
    write_localizations(table(), tmp_path / "t.parquet")
    metadata = json.loads(pq.read_schema(tmp_path / "t.parquet").metadata[b"cellstorm"])
    assert metadata["columns"]["x_nm"] == {"unit": "nm", "meaning": COLUMNS["x_nm"][2]}
    assert metadata["field"]["pixel_size_nm"] == 100.0
    assert metadata["format_version"] == 1


def test_a_foreign_table_gets_an_inferred_field(tmp_path: Path) -> None:
    data = pd.DataFrame({"frame": [0, 4], "x_nm": [50.0, 950.0], "y_nm": [10.0, 20.0]})
    data.to_parquet(tmp_path / "foreign.parquet")
    field = read_localizations(tmp_path / "foreign.parquet").field
    assert field.is_inferred
    assert (field.width_px, field.height_px, field.frame_count) == (10, 1, 5)


def test_an_empty_table_is_normal(tmp_path: Path) -> None:
    empty = Localizations(data=pd.DataFrame({"frame": [], "x_nm": [], "y_nm": []}), field=FIELD)
    write_localizations(empty, tmp_path / "e.parquet")
    assert len(read_localizations(tmp_path / "e.parquet")) == 0


def test_rows_are_taken_by_mask_and_by_index() -> None:
    locs = table()
    assert locs.take(np.array([False, True])).column("frame").tolist() == [3]
    assert locs.take(np.array([1, 0])).column("frame").tolist() == [1, 3]
    assert locs.with_columns(molecule=np.array([0, 0])).column("molecule").dtype == np.int64


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"frame": [0], "x_nm": [1.0]}, "'y_nm'] are missing"),
        ({"frame": [0], "x_nm": [np.nan], "y_nm": [1.0]}, "hold NaN or infinity"),
        ({"frame": [-1], "x_nm": [1.0], "y_nm": [1.0]}, "frames start at 0"),
    ],
)
def test_meaningless_tables_are_refused(data: dict[str, list[float]], message: str) -> None:
    with pytest.raises(TableError, match=message.replace("]", r"\]")):
        Localizations(data=pd.DataFrame(data), field=FIELD)


def test_a_missing_column_is_named() -> None:
    with pytest.raises(TableError, match="no column 'photons'; it has"):
        table().column("photons")


@pytest.mark.parametrize("pixel_size_nm", [0.0, -5.0, float("nan")])
def test_a_field_needs_a_pixel_size(pixel_size_nm: float) -> None:
    with pytest.raises(TableError, match="pixel_size_nm must be above 0"):
        FieldOfView(width_px=1, height_px=1, pixel_size_nm=pixel_size_nm, frame_count=1)


def test_files_that_are_no_tables_are_named(tmp_path: Path) -> None:
    junk = tmp_path / "junk.parquet"
    junk.write_bytes(b"x" * 100)
    with pytest.raises(TableError, match=r"junk.parquet is not a Parquet table"):
        read_localizations(junk)
    with pytest.raises(TableError, match="does not exist"):
        read_localizations(tmp_path / "none.parquet")
    pq.write_table(pa.table({"a": [1]}), tmp_path / "other.parquet")
    with pytest.raises(TableError, match=r"other.parquet.*lacks the columns"):
        read_localizations(tmp_path / "other.parquet")


def test_a_newer_format_is_refused_with_the_remedy(tmp_path: Path) -> None:
    schema = pa.schema([("frame", pa.int32())], metadata={b"cellstorm": b'{"format_version": 99}'})
    pq.write_table(pa.table({"frame": pa.array([0], pa.int32())}, schema=schema), tmp_path / "n")
    with pytest.raises(TableError, match=r"format version 99; .*upgrade cellstorm"):
        read_localizations(tmp_path / "n")


def test_emitters_survive_their_file(tmp_path: Path) -> None:
    data = pd.DataFrame(
        {"frame": [1, 0], "emitter": [5, 5], "x_nm": [1.0, 1.0], "y_nm": [2.0, 2.0], "photons": 9.0}
    )
    emitters = Emitters(data=data, field=FIELD, provenance={"scene": "demo"})
    write_emitters(emitters, tmp_path / "truth.parquet")
    back = read_emitters(tmp_path / "truth.parquet")
    pd.testing.assert_frame_equal(back.data, emitters.data)
    assert back.column("frame").tolist() == [0, 1]
    assert back.field == FIELD
    assert back.provenance == {"scene": "demo"}


def test_a_table_without_emitters_is_no_truth(tmp_path: Path) -> None:
    write_localizations(table(), tmp_path / "t.parquet")
    with pytest.raises(TableError, match="is no table of emitters"):
        read_emitters(tmp_path / "t.parquet")
