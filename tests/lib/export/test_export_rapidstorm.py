"""rapidSTORM's text tables: half a pixel, the header's units, and damaged headers."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cellstorm_lib.errors import TableError
from cellstorm_lib.export.formats import read_table, write_table
from cellstorm_lib.tables import FieldOfView, Localizations

FIELD = FieldOfView(width_px=64, height_px=32, pixel_size_nm=100.0, frame_count=10)


def entry(identifier: str, unit: str = "nanometer", limits: str = "") -> str:
    return f'<field identifier="{identifier}" syntax="integer" unit="{unit}" {limits}/>'


POSITIONS = entry("Position-0-0") + entry("Position-1-0") + entry("ImageNumber-0-0", "frame")


def rapidstorm(folder: Path, fields: str, rows: str) -> Path:
    path = folder / "table.txt"
    path.write_text(f'# <localizations insequence="true">{fields}</localizations>\n{rows}')
    return path


def test_the_first_pixel_centre_is_0_and_so_is_the_first_frame(tmp_path: Path) -> None:
    path = rapidstorm(tmp_path, POSITIONS, "0 100 0\n1184.5 2295.6 6\n")
    table = read_table(path, pixel_size_nm=100.0)
    assert table.column("frame").tolist() == [0, 6]
    np.testing.assert_allclose(table.xy_nm, [[50.0, 150.0], [1234.5, 2345.6]])
    assert table.field.is_inferred


def test_the_pixel_size_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"centre of the first pixel; give .* --pixel-size-nm"):
        read_table(rapidstorm(tmp_path, POSITIONS, "0 0 0\n"))


def test_units_widths_and_amplitudes_are_understood(tmp_path: Path) -> None:
    fields = (
        entry("Position-0-0", "micrometer")
        + entry("Position-1-0", "meter")
        + entry("ImageNumber-0-0", "frame")
        + entry("Amplitude-0-0", "A/D count")
        + entry("PSFWidth-0-0")
        + entry("PSFWidth-1-0")
        + entry("LocalBackground-0-0", "A/D count")
        + entry("Position-0-0-uncertainty")
        + entry("Position-1-0-uncertainty")
        + entry("TwoKernelImprovement-0-0", "dimensionless")
    )
    fwhm = 2 * np.sqrt(2 * np.log(2))
    rows = f"1.5 2e-006 3 2213 {100 * fwhm} {144 * fwhm} 530 3 4 0.25\n"
    row = read_table(rapidstorm(tmp_path, fields, rows), pixel_size_nm=100.0).data.iloc[0].to_dict()
    expected = {"frame": 3, "x_nm": 1550, "y_nm": 2050, "sigma_nm": 120, "sigma_x_nm": 100}
    expected |= {"amplitude_adu": 2213, "background_adu": 530, "twokernelimprovement_0_0": 0.25}
    expected |= {"uncertainty_x_nm": 3, "uncertainty_y_nm": 4}
    assert {name: row[name] for name in expected} == pytest.approx(expected)
    assert "photons" not in row


def test_the_header_states_the_field(tmp_path: Path) -> None:
    fields = (
        entry("Position-0-0", limits='min="0 m" max="6.3e-006 m"')
        + entry("Position-1-0", limits='min="0 m" max="3.1e-006 m"')
        + entry("ImageNumber-0-0", "frame", 'min="0 fr" max="9 fr"')
    )
    path = rapidstorm(tmp_path, fields, "0 0 0\n")
    assert read_table(path, pixel_size_nm=100.0).field == FIELD
    doubt = read_table(path, pixel_size_nm=95.0).provenance["imported"]["notes"]
    assert doubt[0] == "the header's image is 67.32 pixels of 95 nm: is that size right?"


@pytest.mark.parametrize("limit", ["1e400 m", "-3 m", "1 m", "6.3 km", "e m"])
def test_a_limit_that_is_none_is_passed_over(tmp_path: Path, limit: str) -> None:
    fields = POSITIONS.replace("/>", f'max="{limit}" />')
    assert read_table(rapidstorm(tmp_path, fields, "0 0 0\n"), pixel_size_nm=100).field.is_inferred


def test_text_and_repeated_columns_are_left_out(tmp_path: Path) -> None:
    fields = POSITIONS + entry("Comment-0-0") + entry("Position-0-0")
    table = read_table(rapidstorm(tmp_path, fields, "1 2 0 good 7\n"), pixel_size_nm=100.0)
    assert table.xy_nm.tolist() == [[51.0, 52.0]]
    assert table.provenance["imported"]["columns_left_out"] == ["Comment-0-0", "Position-0-0"]


def test_what_is_written_reads_back(tmp_path: Path) -> None:
    data = pd.DataFrame(
        {
            "frame": [0, 6],
            "x_nm": [50.0, 1234.5],
            "y_nm": [150.0, 2345.6],
            "photons": [1000.0, 900.0],
            "sigma_nm": [130.0, 131.0],
            "chi_square": [1.0, 2.0],
            "background_photons": [10.0, 11.0],
            "uncertainty_nm": [8.0, 9.0],
        }
    )
    path = tmp_path / "table.txt"
    write_table(Localizations(data=data, field=FIELD), path)
    lines = path.read_text().splitlines()
    assert lines[0].startswith("# <localizations ")
    assert lines[0].count("<field ") == 10
    assert lines[1].startswith("0 100 8 8 0 1000 ")
    back = read_table(path, pixel_size_nm=100.0)
    assert back.field == FIELD
    for name in data.columns:
        np.testing.assert_allclose(back.column(name), data[name], atol=1e-4)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("# <localizations><field", "does not start with a whole rapidSTORM header"),
        ("# <localizations></localizations>\n", "names no columns in its rapidSTORM header"),
        (
            "# <localizations><localizations></localizations></localizations>\n",
            "holds rapidSTORM tracks; expected the localizations file",
        ),
        (
            f"# <localizations>{POSITIONS}</localizations>\n1 2\n",
            "damaged or cut short: expected 3 numbers",
        ),
        (
            f"# <localizations>{entry('Position-0-0', 'inch')}</localizations>\n1\n",
            "gives Position-0-0 in 'inch'; expected one of nanometer",
        ),
        (
            f"# <localizations>{entry('Position-0-0')}</localizations>\n1\n",
            "without frame, y_nm: it has 'x_nm'",
        ),
    ],
)
def test_damaged_headers_are_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "table.txt"
    path.write_text(content)
    with pytest.raises(TableError, match=message):
        read_table(path, pixel_size_nm=100.0)


def test_a_word_without_end_in_the_header_takes_no_time_without_end(tmp_path: Path) -> None:
    path = tmp_path / "table.txt"
    path.write_text(f"# <localizations><field {'a' * 1_000_000}></localizations>\n1\n")
    with pytest.raises(TableError, match="without frame"):
        read_table(path, pixel_size_nm=100.0)


def test_entities_in_the_header_are_not_expanded(tmp_path: Path) -> None:
    bomb = '# <localizations><!DOCTYPE a [<!ENTITY b "x">]>'
    path = tmp_path / "table.txt"
    path.write_text(f"{bomb}{POSITIONS.replace('frame', '&b;')}</localizations>\n1 2 3\n")
    assert len(read_table(path, pixel_size_nm=100.0)) == 1
