"""What is written comes back, within the precision of the format."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cellstorm_lib.export.formats import read_table, write_table
from cellstorm_lib.tables import COLUMNS, FieldOfView, Localizations

PIXEL_NM = 97.5
#: What a position may be off by, and which columns the format has no room for.
FORMATS = {
    ".parquet": (0.0, set()),
    ".csv": (0.51e-5, set()),
    ".smlm": (0.0, set()),
    ".hdf5": (0.01, set()),
    ".txt": (
        0.51e-5,
        {name for name in COLUMNS if name not in ("frame", "x_nm", "y_nm", "z_nm")}
        - {"sigma_nm", "sigma_x_nm", "sigma_y_nm", "photons", "background_photons"}
        - {"uncertainty_x_nm", "uncertainty_y_nm", "uncertainty_z_nm"},
    ),
}


def values_of(name: str, rows: int) -> st.SearchStrategy[list[float]]:
    dtype = COLUMNS[name][0]
    if dtype == "bool":
        element: st.SearchStrategy[float] = st.integers(0, 1)
    elif dtype.startswith("int"):
        element = st.integers(0, 2**31 - 2 if name != "molecule" else 2**50)
    elif name in ("x_nm", "y_nm", "z_nm"):
        element = st.floats(-1000, 5e4)
    else:
        element = st.floats(0.125, 1e6, width=32)
    return st.lists(element, min_size=rows, max_size=rows)


@st.composite
def tables(draw: st.DrawFn) -> Localizations:
    """Any table of our own columns: widths and uncertainties as our localizer writes them."""
    rows = draw(st.integers(0, 6))
    optional = draw(st.sets(st.sampled_from(sorted(set(COLUMNS) - {"frame", "x_nm", "y_nm"}))))
    uncertainty = {"uncertainty_nm", "uncertainty_x_nm", "uncertainty_y_nm"}
    if optional & uncertainty:
        optional |= uncertainty
    widths = {"sigma_nm", "sigma_x_nm", "sigma_y_nm"}
    if optional & widths - {"sigma_nm"}:
        optional |= widths
    columns = {name: draw(values_of(name, rows)) for name in ["frame", "x_nm", "y_nm", *optional]}
    columns["frame"] = [int(frame) % 1000 for frame in columns["frame"]]
    if "uncertainty_nm" in columns:
        axes = [np.array(columns[f"uncertainty_{axis}_nm"], float) for axis in "xy"]
        columns["uncertainty_nm"] = list(np.sqrt((axes[0] ** 2 + axes[1] ** 2) / 2))
    if "sigma_x_nm" in columns:
        axes = [np.array(columns[f"sigma_{axis}_nm"], float) for axis in "xy"]
        columns["sigma_nm"] = list(np.sqrt(axes[0] * axes[1]))
    field = FieldOfView(
        width_px=draw(st.integers(1, 4000)),
        height_px=draw(st.integers(1, 4000)),
        pixel_size_nm=PIXEL_NM,
        frame_count=draw(st.integers(1000, 20_000)),
    )
    return Localizations(data=pd.DataFrame(columns), field=field)


def check(table: Localizations, path: Path) -> None:
    off_nm, lost = FORMATS[path.suffix]
    write_table(table, path)
    back = read_table(path, pixel_size_nm=PIXEL_NM)
    assert len(back) == len(table)
    if "sigma_x_nm" in table and (table.column("sigma_x_nm") == table.column("sigma_y_nm")).all():
        lost = lost | {"sigma_x_nm", "sigma_y_nm"}  # one width for both axes says as much
    assert set(table.data.columns) - lost <= set(back.data.columns)
    assert set(back.data.columns) - {"sigma_x_nm", "sigma_y_nm", "uncertainty_nm"} <= set(
        table.data.columns
    )
    for name in set(table.data.columns) - lost:
        ours, theirs = table.column(name), back.column(name)
        assert ours.dtype == theirs.dtype
        if name in ("x_nm", "y_nm", "z_nm"):
            np.testing.assert_allclose(theirs, ours, atol=off_nm, rtol=1e-9 if off_nm else 0)
        elif ours.dtype.kind == "f":
            np.testing.assert_allclose(theirs, ours, rtol=1e-3 if off_nm else 0)
        else:
            np.testing.assert_array_equal(theirs, ours)
    if path.suffix != ".csv":
        assert back.field == table.field


@pytest.mark.parametrize("ending", [".parquet", ".csv", ".smlm", ".txt"])
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(table=tables())
def test_tables_come_back(
    table: Localizations, ending: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    check(table, tmp_path_factory.getbasetemp() / f"table{ending}")


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(table=tables())
def test_tables_come_back_from_hdf5(
    table: Localizations, tmp_path_factory: pytest.TempPathFactory
) -> None:
    z_is_single = table.data.assign(
        **{name: table.data[name].astype(np.float32) for name in ["z_nm"] if name in table}
    )
    check(table.with_data(z_is_single), tmp_path_factory.getbasetemp() / "table.hdf5")


@pytest.mark.parametrize("ending", sorted(FORMATS))
def test_a_table_without_rows_comes_back(tmp_path: Path, ending: str) -> None:
    names = ["frame", "x_nm", "y_nm", "photons", "uncertainty_nm", "sigma_nm"]
    field = FieldOfView(width_px=3, height_px=2, pixel_size_nm=PIXEL_NM, frame_count=1)
    empty = Localizations(data=pd.DataFrame({name: [] for name in names}), field=field)
    write_table(empty, tmp_path / f"table{ending}")
    back = read_table(tmp_path / f"table{ending}", pixel_size_nm=PIXEL_NM)
    assert len(back) == 0
    assert {"photons", "sigma_nm"} <= set(back.data.columns)


@pytest.mark.parametrize("ending", sorted(FORMATS))
def test_writing_twice_gives_the_same_bytes(tmp_path: Path, ending: str) -> None:
    data = pd.DataFrame({"frame": [1, 2], "x_nm": [1.0, 2.0], "y_nm": [3.0, 4.0]})
    field = FieldOfView(width_px=3, height_px=2, pixel_size_nm=PIXEL_NM, frame_count=3)
    table = Localizations(data=data, field=field)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_table(table, tmp_path / name / f"table{ending}")
    contents = [(tmp_path / name / f"table{ending}").read_bytes() for name in ("a", "b")]
    assert contents[0] == contents[1]
