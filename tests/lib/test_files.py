"""Files are written whole or not at all; digests identify content."""

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellstorm_lib.camera import CAMERA_PRESETS
from cellstorm_lib.errors import ExportError
from cellstorm_lib.files import digest_of, digest_of_file, written_whole


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "table.parquet"
    target.write_text("old")
    with pytest.raises(ValueError, match="stop"), written_whole(target) as temporary:
        temporary.write_text("half")
        raise ValueError("stop")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_write_makes_its_folder_and_keeps_the_ending(tmp_path: Path) -> None:
    target = tmp_path / "a" / "stack.ome.tif"
    with written_whole(target) as temporary:
        assert "".join(temporary.suffixes) == ".ome.tif"
        assert temporary.parent == target.parent
        temporary.write_text("new")
    assert target.read_text() == "new"
    assert list(target.parent.iterdir()) == [target]


def test_writing_where_one_cannot_is_said_in_one_sentence(tmp_path: Path) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("")
    with pytest.raises(ExportError, match=r"cannot write .*choose a folder"):  # noqa: SIM117
        with written_whole(blocker / "table.csv"):
            pass
    with pytest.raises(ExportError, match="is a folder"):  # noqa: SIM117
        with written_whole(tmp_path):
            pass


def test_a_full_disk_is_said_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="No space left"):  # noqa: SIM117
        with written_whole(tmp_path / "table.csv"):
            raise OSError(28, "No space left on device")
    assert not list(tmp_path.iterdir())


def test_an_error_of_reading_stays_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), written_whole(tmp_path / "copy.txt") as temporary:
        temporary.write_bytes((tmp_path / "missing.txt").read_bytes())


def test_digest_of_file_is_sha256(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"abc" * 1_000_000)
    assert digest_of_file(path) == hashlib.sha256(b"abc" * 1_000_000).hexdigest()


@given(st.dictionaries(st.text(), st.integers() | st.floats(allow_nan=False, allow_infinity=False)))
def test_digest_does_not_depend_on_the_order_of_entries(content: dict[str, float]) -> None:
    assert digest_of(content) == digest_of(dict(reversed(content.items())))


def test_digest_sees_every_number_of_a_calibration() -> None:
    digests = {preset.digest for preset in CAMERA_PRESETS.values()}
    assert len(digests) == len(CAMERA_PRESETS)
    assert digest_of({"a": 1.0}) != digest_of({"a": 1.0000000000000002})
