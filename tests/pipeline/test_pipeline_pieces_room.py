"""Pieces of a stack on a full disk: they do not keep it full, and what is needed is said."""

import errno
import os
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

from cellstorm_assets.metadata import may_pass
from cellstorm_lib.errors import ExportError, RecordingError
from cellstorm_lib.pipeline.pieces import Pieces, kept_pieces
from cellstorm_lib.video.read import open_recording
from cellstorm_lib.video.tiff import write_stack

LENGTH, COUNT = 10, 4
FRAMES = np.random.default_rng(3).integers(0, 4000, (LENGTH * COUNT, 32, 32)).astype(np.uint16)
Usage = namedtuple("Usage", "total used free")
pytestmark = pytest.mark.skipif(os.name == "nt", reason="there are no pieces without locks")


def free(monkeypatch: pytest.MonkeyPatch, free_bytes: float) -> None:
    """Let the disk have so much space."""
    usage = Usage(10**9, 0, int(free_bytes))
    monkeypatch.setattr("cellstorm_lib.pipeline.pieces.shutil.disk_usage", lambda _: usage)


def keep(pieces: Pieces, *numbers: int) -> None:
    for number in numbers:
        begin = number * LENGTH
        pieces.keep(number, [FRAMES[begin : begin + LENGTH]], [0.5] * len(FRAMES))


def piece_bytes(pieces: Pieces) -> int:
    return (pieces.folder / "00000.ome.tif").stat().st_size


def test_too_little_space_is_noticed_after_the_first_piece_and_nothing_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "cell.ome.tif"
    with (
        pytest.raises(ExportError) as raised,
        kept_pieces(out, "k" * 16, length=LENGTH, frame_count=len(FRAMES)) as pieces,
    ):
        assert pieces is not None
        keep(pieces, 0)
        needed = piece_bytes(pieces) * (COUNT + 1)
        assert pieces.needed_bytes() == needed
        free(monkeypatch, 0.3 * needed)
        keep(pieces, 1)
    said = str(raised.value)
    assert said.startswith(f"the disk of {tmp_path} is full: cell.ome.tif needs about ")
    assert f"about {needed / 1e6:,.0f} MB" in said
    assert f"{0.3 * needed / 1e6:,.0f} MB are free" in said
    assert may_pass(raised.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("has_cause", [True, False])
def test_a_disk_that_is_filled_by_others_is_told_the_same_way(
    tmp_path: Path, has_cause: bool
) -> None:
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with (
        pytest.raises(ExportError, match="needs more while it is made") as raised,
        kept_pieces(tmp_path / "a.ome.tif", "k" * 16, length=2, frame_count=9),
    ):
        # what another process raised has lost its cause on the way
        raise ExportError(f"cannot write x: {full.strerror}") from (full if has_cause else None)
    assert may_pass(raised.value)
    assert list(tmp_path.iterdir()) == []


def test_pieces_stay_for_the_next_try_when_anything_else_fails(tmp_path: Path) -> None:
    out = tmp_path / "cell.ome.tif"
    for kind in (RecordingError, ExportError, KeyboardInterrupt):
        with (
            pytest.raises(kind),
            kept_pieces(out, "k" * 16, length=LENGTH, frame_count=len(FRAMES)) as pieces,
        ):
            assert pieces is not None
            keep(pieces, 0)
            raise kind("so")
    with kept_pieces(out, "k" * 16, length=LENGTH, frame_count=len(FRAMES)) as pieces:
        assert pieces is not None
        assert pieces.finished() == [0.5] * LENGTH


@pytest.mark.parametrize("is_tight", [True, False])
def test_where_there_is_no_space_for_all_twice_pieces_go_once_they_were_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_tight: bool
) -> None:
    out = tmp_path / "cell.ome.tif"
    with kept_pieces(out, "k" * 16, length=LENGTH, frame_count=len(FRAMES)) as pieces:
        assert pieces is not None
        keep(pieces, *range(COUNT))
        free(monkeypatch, piece_bytes(pieces) * (1.1 if is_tight else 10.0))
        write_stack(out, pieces.frames(COUNT), pixel_size_nm=None)
        left = sorted(path.name for path in pieces.folder.glob("*.ome.tif"))
        assert left == ([f"{COUNT - 1:05d}.ome.tif"] if is_tight else left)
        assert len(left) == (1 if is_tight else COUNT)
    stored = np.concatenate([chunk.frames for chunk in open_recording(out).chunks(16)])
    np.testing.assert_array_equal(stored, FRAMES)
    assert [path.name for path in tmp_path.iterdir()] == [out.name]
