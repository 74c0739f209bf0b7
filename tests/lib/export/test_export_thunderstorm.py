"""CSV tables: ThunderSTORM's in all its spellings, and what cannot be read as one."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cellstorm_lib.errors import TableError
from cellstorm_lib.export.formats import read_table, write_table
from cellstorm_lib.tables import FieldOfView, Localizations

FIELD = FieldOfView(width_px=64, height_px=32, pixel_size_nm=100.0, frame_count=10)
HEADER = '"frame","x [nm]","y [nm]"'


def csv(folder: Path, text: str, name: str = "table.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


def localizations(**columns: object) -> Localizations:
    data = {"frame": [0, 6], "x_nm": [50.0, 1234.5], "y_nm": [150.0, 2345.6], **columns}
    return Localizations(data=pd.DataFrame(data), field=FIELD)


def test_frames_count_from_1_and_positions_from_the_corner(tmp_path: Path) -> None:
    table = read_table(csv(tmp_path, f"{HEADER}\n1,50.00000,150.00000\n7,1234.50000,2345.60000\n"))
    assert table.column("frame").tolist() == [0, 6]
    assert table.xy_nm.tolist() == [[50.0, 150.0], [1234.5, 2345.6]]


@pytest.mark.parametrize("spelling", ["uncertainty [nm]", "uncertainty_xy [nm]"])
@pytest.mark.parametrize("quote", ['"', ""])
def test_both_spellings_of_the_uncertainty_are_read(
    tmp_path: Path, spelling: str, quote: str
) -> None:
    labels = ["frame", "x [nm]", "y [nm]", spelling]
    header = ",".join(f"{quote}{label}{quote}" for label in labels)
    table = read_table(csv(tmp_path, f"{header}\r\n1,50,150,8.5\r\n"))
    for name in ("uncertainty_nm", "uncertainty_x_nm", "uncertainty_y_nm"):
        assert table.column(name).tolist() == [8.5]


def test_every_column_of_a_3d_table_has_its_place(tmp_path: Path) -> None:
    text = (
        '"id","frame","x [nm]","y [nm]","z [nm]","sigma1 [nm]","sigma2 [nm]","intensity [photon]",'
        '"offset [photon]","bkgstd [photon]","chi2","uncertainty_xy [nm]","uncertainty_z [nm]",'
        '"detections"\n9,3,1,2,-30,100,144,500,7,2.5,1.25,11,22,4\n'
    )
    row = read_table(csv(tmp_path, text)).data.iloc[0].to_dict()
    ours = {"frame": 2, "x_nm": 1, "y_nm": 2, "z_nm": -30, "photons": 500, "detections": 4}
    widths = {"sigma_x_nm": 100, "sigma_y_nm": 144, "sigma_nm": 120}
    background = {"background_photons": 7, "background_std_photons": 2.5, "chi_square": 1.25}
    uncertainty = {f"uncertainty{axis}_nm": 11 for axis in ("", "_x", "_y")}
    assert row == ours | widths | background | uncertainty | {"uncertainty_z_nm": 22}


def test_other_units_are_converted(tmp_path: Path) -> None:
    text = '"frame","x [um]","y [px]","intensity [ADU]"\n1,1.5,2.5,40\n'
    table = read_table(csv(tmp_path, text), pixel_size_nm=80.0)
    assert table.xy_nm.tolist() == [[1500.0, 200.0]]
    assert "photons" not in table
    assert table.column("intensity_adu").tolist() == [40.0]


def test_positions_in_pixels_ask_for_the_pixel_size(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"gives x in pixels; give .* --pixel-size-nm"):
        read_table(csv(tmp_path, '"frame","x [px]","y [px]"\n1,1,1\n'))


@pytest.mark.parametrize(("unit", "shown"), [("", "''"), (" [inch]", "'inch'")])
def test_a_position_without_a_length_is_refused(tmp_path: Path, unit: str, shown: str) -> None:
    with pytest.raises(TableError, match=f"gives x in {shown}; expected a length in nm"):
        read_table(csv(tmp_path, f"frame,x{unit},y{unit}\n1,1,1\n"))


@pytest.mark.parametrize(
    "text",
    [
        "frame;x [nm];y [nm]\n1;50,5;150,25\n",
        "frame;x [nm];y [nm]\n1;50.5;150.25\n",
        "frame\tx [nm]\ty [nm]\n1\t50.5\t150.25\n",
        "\ufeffframe, x [nm], y [nm]\n1, 50.5, 150.25",
        '"frame,""x [nm]"",""y [nm]"""\n1.0,50.5,150.25\n',
    ],
    ids=["semicolons", "semicolons and points", "tabs", "byte order mark", "mangled header"],
)
def test_headers_and_delimiters_of_other_savers_are_understood(tmp_path: Path, text: str) -> None:
    table = read_table(csv(tmp_path, text))
    assert table.column("frame").tolist() == [0]
    assert table.xy_nm.tolist() == [[50.5, 150.25]]


def test_a_latin_1_micrometre_is_a_micrometre(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes("frame,x [µm],y [µm]\n1,1,2\n".encode("latin-1"))
    assert read_table(path).xy_nm.tolist() == [[1000.0, 2000.0]]


def test_frames_that_start_at_0_are_taken_so_and_that_is_said(tmp_path: Path) -> None:
    table = read_table(csv(tmp_path, f"{HEADER}\n0,1,1\n5,1,1\n"))
    assert table.column("frame").tolist() == [0, 5]
    assert "start at 0 where ThunderSTORM starts at 1" in table.provenance["imported"]["notes"][0]


def test_rows_without_numbers_are_dropped_and_counted(tmp_path: Path) -> None:
    text = (
        f'{HEADER},"uncertainty [nm]","chi2","sigma [nm]","comment"\n'
        "1,1,1,5,1,NaN,good\n2,NaN,1,5,1,,good\n3,1,1,Infinity,1,\ufffd,good\n4,1,1,6,NaN,NaN,bad\n"
    )
    table = read_table(csv(tmp_path, text))
    assert table.column("frame").tolist() == [0, 3]
    imported = table.provenance["imported"]
    assert imported["rows"] == 4
    assert imported["rows_dropped"] == 2
    assert imported["columns_left_out"] == ["comment", "chi_square", "sigma_nm"]


def test_a_table_with_only_a_header_has_no_rows(tmp_path: Path) -> None:
    for text in (HEADER, f"{HEADER}\n", f"{HEADER}\r\n\r\n"):
        table = read_table(csv(tmp_path, text))
        assert len(table) == 0
        assert table.field.frame_count == 0


def test_whole_numbers_followed_by_fractions_are_one_column(tmp_path: Path) -> None:
    rows = "1,5,5\n" * 300_000  # more than one block of the parser
    table = read_table(csv(tmp_path, f"{HEADER}\n{rows}2,5.5,5\n"))
    assert table.column("x_nm")[-1] == 5.5


def test_the_protocol_beside_a_table_gives_its_pixel_size(tmp_path: Path) -> None:
    data = Path(__file__).parents[2] / "data/cellstorm-pytorch"
    protocol = (data / "thunderstorm_result_realA-protocol.txt").read_bytes()
    (tmp_path / "table-protocol.txt").write_bytes(protocol)
    path = csv(tmp_path, f"{HEADER}\n1,790,10\n")
    assert read_table(path).field == FieldOfView(
        width_px=10, height_px=1, pixel_size_nm=80.0, frame_count=1, is_inferred=True
    )
    assert read_table(path, pixel_size_nm=100.0).field.pixel_size_nm == 100.0
    (tmp_path / "table-protocol.txt").write_text('"pixelSize": -+e')
    assert read_table(path).field.pixel_size_nm == 100.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('"a","b"\n1,2\n', "has the columns 'a', 'b'; expected a frame and both positions"),
        (f"{HEADER}\n1,2\n", "damaged or cut short: expected 3 numbers in every row"),
        (f"{HEADER}\n1,2,abc\n", r"holds text in the column 'y \[nm\]'; expected numbers"),
        (
            f"{HEADER}\n1.5,2,3\n",
            "holds frame 0.5 when counted from 0; expected whole numbers from 0 to",
        ),
        (f"{HEADER}\n1e12,2,3\n", r"holds frame 1e\+12 when counted from 0"),
        (f"{HEADER}\n-3,2,3\n", "holds frame -4 when counted from 0"),
        (f"{HEADER}\n1,1e12,3\n", "a position of 1e\\+12 nm in x_nm, more than a metre; are the"),
        (f"{HEADER}\n1,NaN,3\n2,,3\n", "holds no number in x_nm"),
        ("\0\1\2\n\0\n", "its first line is no header but binary data"),
        ('"' + "a" * 200_000 + '"\n', "its first line is no header"),
        (
            ",".join(["frame", "x [nm]", "y [nm]"] + [f"t{i}" for i in range(40)])
            + "\n1,1,1"
            + ",a" * 40
            + "\n",
            "holds text in more than 30 columns",
        ),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(TableError, match=message) as caught:
        read_table(csv(tmp_path, text))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500 + len(str(tmp_path))


def test_the_file_is_written_as_thunderstorm_writes_it(tmp_path: Path) -> None:
    table = localizations(
        sigma_nm=[130.0, 131.25],
        photons=[1000.0, 900.0],
        background_photons=[10.0, 11.0],
        uncertainty_nm=[8.1, 9.0],
        uncertainty_x_nm=[8.1, 9.0],
        uncertainty_y_nm=[8.0, 9.5],
        detections=[1, 3],
        is_copied=[True, False],
    )
    write_table(table, tmp_path / "table.csv")
    lines = (tmp_path / "table.csv").read_text().splitlines()
    assert lines[0] == (
        '"frame","x [nm]","y [nm]","sigma [nm]","intensity [photon]","offset [photon]",'
        '"uncertainty_xy [nm]","detections","uncertainty_y_nm","is_copied"'
    )
    assert lines[1] == "1,50,150,130,1000,10,8.1,1,8,1"
    assert lines[2] == "7,1234.5,2345.6,131.25,900,11,9,3,9.5,0"


def test_a_3d_table_gets_both_widths(tmp_path: Path) -> None:
    write_table(localizations(z_nm=[1.0, 2.0], sigma_nm=[5.0, 6.0]), tmp_path / "table.csv")
    lines = (tmp_path / "table.csv").read_text().splitlines()
    assert lines[0] == '"frame","x [nm]","y [nm]","z [nm]","sigma1 [nm]","sigma2 [nm]"'
    back = read_table(tmp_path / "table.csv")
    np.testing.assert_allclose(back.column("sigma_nm"), [5, 6], rtol=1e-6)


def test_a_million_rows_survive_a_csv_file(tmp_path: Path) -> None:
    rows = 1_000_000
    rng = np.random.default_rng(1)
    data = pd.DataFrame({name: rng.uniform(0, 5e4, rows) for name in ("x_nm", "y_nm", "photons")})
    data["frame"] = np.sort(rng.integers(0, 10_000, rows))
    write_table(Localizations(data=data, field=FIELD), tmp_path / "table.csv")
    back = read_table(tmp_path / "table.csv")
    np.testing.assert_allclose(back.column("x_nm"), data["x_nm"], atol=0.5e-5)


def test_nanoimager_and_challenge_and_our_own_names_are_read(tmp_path: Path) -> None:
    nanoimager = "Channel,Frame,X (nm),Y (nm),Z (nm),Photons,Background\n1,4,10,20,0,300,2\n"
    challenge = "Ground-truth,frame,xnano,ynano,znano,intensity \n1, 5, 10, 20, 0, 300\n"
    ours = "frame,x_nm,y_nm,z_nm,photons,molecule\n4,10,20,0,300,7\n"
    for text in (nanoimager, challenge, ours):
        row = read_table(csv(tmp_path, text)).data.iloc[0]
        assert [row[name] for name in ("frame", "x_nm", "y_nm", "z_nm", "photons")] == [
            *(4, 10, 20, 0, 300)
        ]


def test_a_column_named_twice_counts_once(tmp_path: Path) -> None:
    table = read_table(csv(tmp_path, f'{HEADER},"x [nm]"\n1,2,3,4\n'))
    assert table.xy_nm.tolist() == [[2.0, 3.0]]
    assert table.provenance["imported"]["columns_left_out"] == ["x [nm]"]
