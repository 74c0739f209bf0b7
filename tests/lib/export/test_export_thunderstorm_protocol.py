"""The protocol beside a CSV: where it lies, whose parts stay, and what is written together."""

import errno
import hashlib
import json
from pathlib import Path

import pandas as pd
import pytest

from cellstorm_lib.errors import ExportError
from cellstorm_lib.export.formats import read_table, write_table
from cellstorm_lib.localize.like.protocol import read_protocol
from cellstorm_lib.tables import FieldOfView, Localizations

FIELD = FieldOfView(width_px=64, height_px=32, pixel_size_nm=100.0, frame_count=10)
LINEAGE = {"result": "raw/spots", "made_from": {"film": 'a "pixelSize": 7 #1'}}
THEIRS = Path(__file__).parents[2] / "data/cellstorm-pytorch/thunderstorm_result_realA-protocol.txt"


def table(x_nm: float = 50.0, **provenance: object) -> Localizations:
    data = pd.DataFrame({"frame": [0], "x_nm": [x_nm], "y_nm": [150.0]})
    return Localizations(data=data, field=FIELD, provenance=provenance)


def test_it_lies_where_thunderstorm_puts_it_and_names_the_table_by_its_digest(
    tmp_path: Path,
) -> None:
    write_table(table(lineage=LINEAGE), tmp_path / "a.b.csv")
    text = (tmp_path / "a.b-protocol.txt").read_text()
    assert text.startswith("cellstorm ")
    said = json.loads(text.partition("\nLineage:\n")[2])
    digest = hashlib.sha256((tmp_path / "a.b.csv").read_bytes()).hexdigest()
    assert said == {"lineage": LINEAGE, "sha256 of the table": digest}
    assert {entry.name for entry in tmp_path.iterdir()} == {"a.b.csv", "a.b-protocol.txt"}


def test_the_table_is_the_same_with_and_without(tmp_path: Path) -> None:
    write_table(table(lineage=LINEAGE), tmp_path / "told.csv")
    write_table(table(), tmp_path / "plain.csv")
    assert (tmp_path / "told.csv").read_bytes() == (tmp_path / "plain.csv").read_bytes()
    assert read_table(tmp_path / "told.csv").provenance["imported"]["is_pixel_size_assumed"]


@pytest.mark.parametrize("times", [1, 2])
def test_what_thunderstorm_said_stays(tmp_path: Path, times: int) -> None:
    protocol = tmp_path / "table-protocol.txt"
    protocol.write_bytes(THEIRS.read_bytes())
    for number in range(times):
        write_table(table(50.0 + number, lineage=LINEAGE), tmp_path / "table.csv")
    content = protocol.read_bytes()
    assert content.startswith(THEIRS.read_bytes().rstrip())
    assert content.count(b"\nLineage:\n") == 1
    assert read_protocol(protocol).settings == read_protocol(THEIRS).settings
    assert read_table(tmp_path / "table.csv").field.pixel_size_nm == 80.0


@pytest.mark.parametrize("kind", ["notes", "folder", "link", "long name"])
def test_what_is_no_protocol_is_left_alone(tmp_path: Path, kind: str) -> None:
    path = tmp_path / ("n" * 245 + ".csv" if kind == "long name" else "table.csv")
    protocol = tmp_path / "table-protocol.txt"
    if kind == "notes":
        protocol.write_text("Fix the cells for 10 min.\nLineage:\n{}\n")
    elif kind == "folder":
        protocol.mkdir()
    elif kind == "link":
        protocol.symlink_to("gone")
    before = sorted(entry.name for entry in tmp_path.iterdir())
    write_table(table(lineage=LINEAGE), path)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == sorted([*before, path.name])
    if kind == "notes":
        assert protocol.read_text() == "Fix the cells for 10 min.\nLineage:\n{}\n"
    assert len(read_table(path)) == 1


def test_nothing_is_changed_when_writing_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_table(table(lineage=LINEAGE), tmp_path / "table.csv")
    before = {entry.name: entry.read_bytes() for entry in tmp_path.iterdir()}

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("cellstorm_lib.export.thunderstorm.protocol_with", full)
    with pytest.raises(ExportError, match="No space left on device"):
        write_table(table(60.0, lineage=LINEAGE), tmp_path / "table.csv")
    assert {entry.name: entry.read_bytes() for entry in tmp_path.iterdir()} == before
