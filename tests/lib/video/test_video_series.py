"""Series for calibrations: which files belong together, in which order, and which cannot."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from numbered_videos import encode, picture
from raw_files import mosaic, write_dng

from cellstorm_lib.errors import RecordingError
from cellstorm_lib.files import digest_of, digest_of_file
from cellstorm_lib.recording import Roi
from cellstorm_lib.video.series import open_series

SHAPE = (32, 40)  # LibRaw takes less than 22 rows for no sensor


def write_raw(path, number, **settings):
    """Write a small raw file whose values all are the number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_dng(path, np.full(SHAPE, number, np.uint16), **settings)


def write_page(path, number, shape=SHAPE, dtype=np.uint16):
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, np.full(shape, number, dtype), compression="zlib")
    return path


def numbers(source, size=3):
    """Return the number each frame consists of."""
    frames = [frame for chunk in source.chunks(size) for frame in chunk.frames]
    assert all((frame == frame[0, 0]).all() for frame in frames)
    return [int(frame[0, 0]) for frame in frames]


def refused(*paths):
    with pytest.raises(RecordingError) as caught:
        open_series(paths)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_raw_files_of_a_folder_form_one_series_in_the_order_of_their_numbers(tmp_path):
    folder = tmp_path / "bright"
    paths = [write_raw(folder / f"IMG_{number}.dng", number) for number in (2, 11, 1, 10, 9)]
    (source,) = open_series([folder])
    assert numbers(source) == [1, 2, 9, 10, 11]
    assert source.facts.name == "bright, 0.01 s"
    assert (source.facts.kind, source.facts.frame_count, source.facts.iso) == ("dng", 5, 3200)
    assert source.facts.details["mosaic"] == "RGGB"
    assert source.facts.details["first_file"] == "IMG_1.dng"
    assert source.facts.details["last_file"] == "IMG_11.dng"
    in_order = [paths[at] for at in (2, 0, 4, 3, 1)]
    assert source.facts.digest == digest_of([digest_of_file(path) for path in in_order])


@given(size=st.integers(1, 9))
def test_how_many_frames_a_chunk_holds_changes_nothing(tmp_path_factory, size):
    folder = tmp_path_factory.mktemp("series")
    for number in range(5):
        write_raw(folder / f"{number}.dng", number)
    (source,) = open_series([folder])
    assert numbers(source, size) == [0, 1, 2, 3, 4]
    chunks = list(source.part(1, 4).chunks(size))
    assert np.concatenate([chunk.frame for chunk in chunks]).tolist() == [1, 2, 3]
    assert [int(chunk.previous[0, 0]) for chunk in chunks] == list(range(0, 3, size))
    assert source.loss().missing_count == 0


def test_a_series_can_be_sent_to_another_process(tmp_path):
    for number in range(3):
        write_raw(tmp_path / f"{number}.dng", number)
    (source,) = open_series([tmp_path])
    assert numbers(pickle.loads(pickle.dumps(source))) == [0, 1, 2]


def test_only_one_file_is_in_memory_at_a_time(tmp_path, monkeypatch):
    for number in range(4):
        write_raw(tmp_path / f"{number}.dng", number)
    (source,) = open_series([tmp_path])
    chunks = source.chunks(1)
    next(chunks)
    (tmp_path / "3.dng").unlink()
    assert next(chunks).frames[0, 0, 0] == 1
    with pytest.raises(RecordingError, match=r"3.dng is a DNG file, but its raw values cannot be"):
        next(chunks)


def test_each_exposure_is_a_series(tmp_path):
    for number in range(6):
        write_raw(tmp_path / f"{number}.dng", number, exposure=(1, 100 if number % 2 else 50))
    slow, fast = open_series([tmp_path])
    assert (numbers(slow), numbers(fast)) == ([0, 2, 4], [1, 3, 5])
    assert [source.facts.details["exposure_s"] for source in (slow, fast)] == [0.02, 0.01]
    assert slow.facts.name != fast.facts.name


def test_exposures_that_are_not_stated_are_taken_as_equal(tmp_path):
    for number in range(3):
        write_raw(tmp_path / f"{number}.dng", number, exposure=None)
    (source,) = open_series([tmp_path])
    assert source.facts.name == tmp_path.name


def test_files_named_one_by_one_are_as_their_folder(tmp_path):
    paths = [write_raw(tmp_path / "a" / f"{number}.dng", number) for number in range(4)]
    (source,) = open_series(paths[::-1])
    (same,) = open_series([paths[0], tmp_path / "a", paths[3]])
    assert numbers(source) == numbers(same) == [0, 1, 2, 3]
    assert source.facts == same.facts


def test_folders_are_series_of_their_own(tmp_path):
    for folder, number in (("low", 1), ("low", 2), ("high", 7)):
        write_raw(tmp_path / folder / f"{number}.dng", number)
    low, high = open_series([tmp_path / "low", tmp_path / "high"])
    assert (numbers(low), numbers(high)) == ([1, 2], [7])


def test_pages_stacks_and_videos_in_the_order_of_their_names(tmp_path):
    write_page(tmp_path / "b2.tif", 2)
    write_page(tmp_path / "b1.tif", 1)
    tifffile.imwrite(tmp_path / "a.tif", np.full((5, *SHAPE), 40, np.uint16))
    tifffile.imwrite(tmp_path / "c.tif", np.full((6, *SHAPE), 30, np.uint16))
    encode(tmp_path / "d.mp4", [picture(number) for number in range(5)])
    write_raw(tmp_path / "e.dng", 5)
    stack, pages, other, video, raw = open_series([tmp_path])
    assert numbers(stack) == [40] * 5
    assert numbers(pages) == [1, 2]
    assert numbers(other) == [30] * 6
    assert (video.facts.kind, video.facts.frame_count) == ("h264", 5)
    assert numbers(raw) == [5]
    assert (stack.facts.name, pages.facts.name) == ("a.tif", tmp_path.name)


def test_uncompressed_pages(tmp_path):
    for number in range(3):
        tifffile.imwrite(tmp_path / f"{number}.tif", np.full(SHAPE, number, np.uint8))
    (source,) = open_series([tmp_path])
    assert numbers(source) == [0, 1, 2]
    assert next(source.chunks(1)).frames.dtype == np.uint8


def test_videos_are_read_whole(tmp_path):
    path = encode(tmp_path / "wide.mp4", [np.full((48, 640), 50, np.uint8)] * 2)
    (source,) = open_series([path])
    assert source.facts.roi == Roi(width_px=640, height_px=48)
    assert next(source.chunks(2)).frames.shape == (2, 48, 640)


def test_what_is_no_recording_is_passed_over_in_a_folder(tmp_path):
    write_raw(tmp_path / "1.dng", 1)
    (tmp_path / "1.jpg").write_bytes(b"\xff\xd8\xff\xe0 picture")
    (tmp_path / "notes.txt").write_text("ISO 3200")
    (tmp_path / "1.cr3").write_bytes(b"\0\0\0\x18ftypcrx " + bytes(50))
    (tmp_path / "._1.dng").write_bytes(b"hidden")
    (tmp_path / ".DS_Store").write_bytes(b"hidden")
    (tmp_path / "more").mkdir()
    (source,) = open_series([tmp_path])
    assert numbers(source) == [1]


def test_a_link_to_a_file_is_the_file(tmp_path):
    path = write_raw(tmp_path / "a" / "1.dng", 1)
    (tmp_path / "a" / "2.dng").symlink_to(path)
    (source,) = open_series([tmp_path / "a"])
    assert numbers(source) == [1]


def test_no_paths_no_series():
    assert open_series([]) == ()


def test_empty_folder(tmp_path):
    assert f"{tmp_path} holds no files; put the series into it, as DNG" in refused(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / ".hidden").write_bytes(b"x")
    assert "holds no files" in refused(tmp_path)


def test_folder_with_nothing_readable(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    (tmp_path / "b.txt").write_text("notes")
    message = refused(tmp_path)
    assert "holds nothing that can be read (2 files, the first is a.jpg); DNG raw files" in message


def test_damaged_file_is_not_passed_over(tmp_path):
    write_raw(tmp_path / "1.dng", 1)
    (tmp_path / "2.dng").write_bytes(b"")
    assert "2.dng is empty (0 bytes)" in refused(tmp_path)
    (tmp_path / "2.dng").write_bytes(b"junk")
    assert "2.dng is named like a DNG raw file, but does not begin like one" in refused(tmp_path)


def test_missing_folder(tmp_path):
    assert "missing does not exist; check the name" in refused(tmp_path / "missing")


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        ({"iso": 400}, "their sensitivity differs (ISO 3200 and ISO 400)"),
        ({"iso": None}, "their sensitivity differs (ISO 3200 and ISO unknown)"),
        ({"white": 1023}, "their bit depth differs (12 bits and 10 bits)"),
        ({"pattern": "BGGR"}, "their colour mosaic differs (RGGB and BGGR)"),
        ({"pattern": None}, "their colour mosaic differs (RGGB and none)"),
    ],
)
@pytest.mark.parametrize("exposure", [(1, 100), (1, 10)])
def test_files_taken_otherwise(tmp_path, other, sentence, exposure):
    write_raw(tmp_path / "1.dng", 1)
    write_raw(tmp_path / "2.dng", 2)
    write_raw(tmp_path / "3.dng", 3, exposure=exposure, **other)
    message = refused(tmp_path)
    assert f"{tmp_path / '1.dng'} and 3.dng cannot form one series: {sentence}" in message
    assert "put files taken alike into a folder of their own" in message


def test_files_of_other_sizes(tmp_path):
    write_dng(tmp_path / "1.dng", mosaic((32, 40)))
    write_dng(tmp_path / "2.dng", mosaic((32, 64)))
    sizes = "their frame size differs (40 x 32 pixels and 64 x 32 pixels)"
    assert f"1.dng and 2.dng cannot form one series: {sizes}" in refused(tmp_path)


def test_pages_of_other_sizes_and_depths(tmp_path):
    write_page(tmp_path / "1.tif", 1)
    write_page(tmp_path / "2.tif", 1, shape=(8, 8))
    assert "their frame size differs (40 x 32 pixels and 8 x 8 pixels)" in refused(tmp_path)
    write_page(tmp_path / "2.tif", 1, dtype=np.uint8)
    assert "their bit depth differs (16 bits and 8 bits)" in refused(tmp_path)


def test_a_broken_file_raises_when_its_frame_is_read(tmp_path):
    for number in range(3):
        write_raw(tmp_path / f"{number}.dng", number)
    (source,) = open_series([tmp_path])
    path = Path(tmp_path / "1.dng")
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(RecordingError, match=r"1.dng is a DNG file, but its raw values cannot be"):
        list(source.chunks(2))


def test_opening_tells_the_files_that_are_open(tmp_path):
    paths = [write_raw(tmp_path / f"{number}.dng", number) for number in range(4)]
    told = []
    open_series([tmp_path, paths[0]], progress=lambda *at: told.append(at))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
