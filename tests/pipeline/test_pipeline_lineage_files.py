"""What stands in a result's file is what was written; what others wrote is no record."""

import json
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cellstorm_lib.errors import TableError
from cellstorm_lib.export.lineage_text import LINEAGE
from cellstorm_lib.pipeline.ledger import Ledger
from cellstorm_lib.pipeline.lineage_files import (
    Note,
    needed_note,
    note_in,
    note_picture,
    page_with,
)
from cellstorm_lib.pipeline.store import read_records, write_records
from cellstorm_lib.recording import LossSummary
from cellstorm_lib.tables import FieldOfView, Localizations, read_localizations, write_localizations
from cellstorm_lib.video.tiff import write_image, write_stack

NOTE = Note(
    result="raw/spots",
    recording='sp\u00e4t "<b>&.mp4',
    made_from={"film": "cell.mp4 #ab12", "settings.drift": "#cd34"},
)
LOSS = LossSummary(
    expected_count=3, decoded_count=3, missing_count=0, tainted_count=0, dropped_count=0, reason=""
)


def table(**provenance: object) -> Localizations:
    """Return a table of one spot."""
    import pandas as pd

    data = pd.DataFrame({"frame": np.zeros(1, np.int32), "x_nm": [1.0], "y_nm": [2.0]})
    view = FieldOfView(width_px=8, height_px=8, frame_count=1, pixel_size_nm=100.0)
    return Localizations(data=data, field=view, provenance=provenance)


def written(folder: Path, ending: str, note: Note) -> Path:
    """Write a small result of some kind with a note."""
    path = folder / f"result{ending}"
    if ending == ".html":
        path.write_text(page_with("<!doctype html><head><title>x</title></head>", note))
    elif ending == ".tif":
        write_image(path, np.ones((4, 4)), pixel_size_nm=5.0, details={LINEAGE: note.plain()})
    elif ending == ".png":
        Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(path)
        note_picture(path, note)
    elif ending == ".table.parquet":
        write_localizations(table(**{LINEAGE: note.plain()}), path)
    else:
        write_records([LOSS], path, lineage=note.plain())
    return path


KINDS = (".html", ".tif", ".png", ".table.parquet", ".parquet")


@pytest.mark.parametrize("ending", KINDS)
def test_a_note_is_read_as_it_was_written(tmp_path: Path, ending: str) -> None:
    path = written(tmp_path, ending, NOTE)
    assert note_in(path) == NOTE == needed_note(path)


@pytest.mark.parametrize("ending", KINDS)
def test_the_same_note_gives_the_same_bytes(tmp_path: Path, ending: str) -> None:
    first = written(tmp_path, ending, NOTE).read_bytes()
    assert written(tmp_path, ending, NOTE).read_bytes() == first


def test_a_picture_with_a_note_is_the_same_picture(tmp_path: Path) -> None:
    with Image.open(written(tmp_path, ".png", NOTE)) as picture:
        picture.verify()
    with Image.open(tmp_path / "result.png") as picture:
        np.testing.assert_array_equal(np.asarray(picture).ravel(), np.arange(64))
        assert set(picture.text) == {"cellstorm lineage"}


def test_records_are_read_whether_they_have_a_note_or_not(tmp_path: Path) -> None:
    path = written(tmp_path, ".parquet", NOTE)
    assert read_records(LossSummary, path) == [LOSS]
    write_records([LOSS], path)
    assert read_records(LossSummary, path) == [LOSS]
    assert note_in(path) is None


@given(name=st.text(max_size=30))
def test_no_name_of_a_film_leaves_the_page(name: str) -> None:
    page = page_with("<head></head>", Note(result="raw/spots", recording=name))
    assert page.count("<") == page.count(">") == 3


@pytest.mark.parametrize(
    "content",
    [
        None, [], "text", {}, {"made_from": 3}, {"made_from": {"film": 1}},
        {"result": 1, "recording": "", "program": "", "made_from": {}},
        {"result": "raw/spots", "recording": None, "program": "", "made_from": {}},
    ],
)  # fmt: skip
def test_what_is_no_note_is_none(tmp_path: Path, content: object) -> None:
    tif, parquet = tmp_path / "a.tif", tmp_path / "a.parquet"
    write_image(tif, np.ones((4, 4)), pixel_size_nm=5.0, details={LINEAGE: content})
    write_localizations(table(**{LINEAGE: content}), parquet)
    assert note_in(tif) is None
    assert note_in(parquet) is None
    assert len(read_localizations(parquet)) == 1


@pytest.mark.parametrize(
    "ending", [".html", ".tif", ".png", ".parquet", ".smlm", ".json", ".csv", ""]
)
@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n", b"PAR1", bytes(100)])
def test_files_of_others_have_none_and_that_is_said(
    tmp_path: Path, ending: str, content: bytes
) -> None:
    path = tmp_path / f"other{ending}"
    path.write_bytes(content)
    assert note_in(path) is None
    with pytest.raises(TableError, match="does not say what it was made from; what cellstorm"):
        needed_note(path)
    assert note_in(tmp_path / "not there.png") is None


def test_a_picture_that_claims_a_huge_text_is_none(tmp_path: Path) -> None:
    path = written(tmp_path, ".png", NOTE)
    content = path.read_bytes()
    path.write_bytes(content[:33] + struct.pack(">I", 0xFFFFFFF0) + content[37:])
    assert note_in(path) is None


def test_a_bit_that_flips_in_a_note_makes_it_none(tmp_path: Path) -> None:
    path = written(tmp_path, ".png", NOTE)
    content = bytearray(path.read_bytes())
    rng = np.random.default_rng(5)
    end = 45 + struct.unpack(">I", content[33:37])[0]
    for position in rng.integers(33, end, 200):
        spoilt = bytearray(content)
        spoilt[position] ^= 1 << int(rng.integers(8))
        path.write_bytes(spoilt)
        assert note_in(path) is None


def test_a_denoised_stack_names_its_film_and_its_network(tmp_path: Path) -> None:
    path = tmp_path / "denoised.ome.tif"
    details = {
        "source": "cell.mp4", "source_digest": "ab", "model": "denoiser/3", "model_digest": "cd",
    }  # fmt: skip
    frames = np.zeros((2, 8, 8), np.uint16)
    write_stack(path, [frames], pixel_size_nm=100.0, is_denoised=True, details=details)
    found = needed_note(path)
    assert found.result == "denoised_stack"
    assert found.made_from == {"film": "cell.mp4 #ab", "model": "denoiser/3 #cd"}


ORIGIN = {
    "source": "cell.mp4", "source_digest": "ab", "calibration": {"name": "phone"},
    "calibration_digest": "cd", "settings_digest": "ef",
}  # fmt: skip


def test_of_a_table_without_a_note_its_origin_is_told_to_people_only(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    write_localizations(table(**ORIGIN), path)
    assert note_in(path) is None
    found = needed_note(path)
    assert (found.result, found.recording) == ("raw/spots", "cell.mp4")
    assert found.made_from == {
        "film": "cell.mp4 #ab", "calibration": "phone #cd", "settings.localize": "#ef",
    }  # fmt: skip
    network = {"model": "denoiser/3", "model_digest": "01", "recording": "film.mp4"}
    write_localizations(table(**ORIGIN, **network, recording_digest="23"), path)
    found = needed_note(path)
    assert (found.result, found.recording) == ("denoised/spots", "film.mp4")
    assert (found.made_from["film"], found.made_from["model"]) == (
        "film.mp4 #23", "denoiser/3 #01",
    )  # fmt: skip


def test_an_origin_nested_without_end_is_none(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    content = pa.table({"a": [1]}).replace_schema_metadata({b"cellstorm": b"[" * 100_000})
    pq.write_table(content, path)
    with pytest.raises(TableError, match="does not say what it was made from"):
        needed_note(path)


def test_a_pipe_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = tmp_path / "table.parquet"
    os.mkfifo(pipe)
    monkeypatch.setattr(pq, "ParquetFile", lambda *_: pytest.fail("it was opened"))
    with pytest.raises(TableError, match="does not say what it was made from"):
        needed_note(pipe)


def test_a_ledger_hands_on_what_results_were_made_from() -> None:
    ledger = Ledger(
        recording="cell.mp4",
        inputs={"film": "f #1", "calibration": "c #2", "settings.localize": "#3", "depth": "#4"},
    )
    ledger.note("recording")
    spots = ledger.noted(table(), "raw/spots")
    note = spots.provenance[LINEAGE]
    assert note == json.loads(json.dumps(note))
    assert {name for name in note["made_from"] if not name.startswith("code.")} == {
        "film", "calibration", "settings.localize", "depth",
    }  # fmt: skip
    assert set(ledger.records) == {"recording", "raw/spots"}


def test_the_text_of_a_picture_has_the_right_checksum(tmp_path: Path) -> None:
    content = written(tmp_path, ".png", NOTE).read_bytes()
    (length,) = struct.unpack(">I", content[33:37])
    body = content[37 : 41 + length]
    assert struct.unpack(">I", content[41 + length : 45 + length])[0] == zlib.crc32(body)
