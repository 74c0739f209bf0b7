"""DNG raw files: every value as written, and what the file says of it."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pidng.core import Tag
from pidng.dng import Type
from raw_files import (
    PATTERNS,
    lossless_jpeg,
    mosaic,
    patched,
    write_dng,
    write_dng_with_preview,
    write_linear_dng,
)

from cellstorm_lib.errors import RecordingError
from cellstorm_lib.video.read import open_recording

__all__ = ["lossless_jpeg"]
SAMPLE_FORMAT = (339, Type.Short)


def frame_of(source):
    (chunk,) = source.chunks(5)
    assert chunk.frame.tolist() == [0]
    assert chunk.is_key.all()
    assert not chunk.is_tainted.any()
    return chunk.frames[0]


def refused(path):
    with pytest.raises(RecordingError) as caught:
        frame_of(open_recording(path))
    message = str(caught.value)
    assert path.name in message
    assert "\n" not in message
    return message


@pytest.mark.parametrize("bits", [12, 16])
@pytest.mark.parametrize("pattern", [*PATTERNS, None])
def test_every_value_as_written(tmp_path, bits, pattern):
    image = mosaic(bits=bits)
    path = write_dng(tmp_path / "a.dng", image, bits=bits, pattern=pattern, white=2**bits - 1)
    source = open_recording(path)
    frame = frame_of(pickle.loads(pickle.dumps(source)))
    assert frame.dtype == np.uint16
    np.testing.assert_array_equal(frame, image)
    assert source.facts.details.get("mosaic") == pattern
    assert source.facts.bit_depth == bits


def test_facts(tmp_path):
    facts = open_recording(write_dng(tmp_path / "a.dng", mosaic())).facts
    assert (facts.kind, facts.frame_count, facts.iso, facts.bit_depth) == ("dng", 1, 3200, 12)
    assert (facts.frame_width_px, facts.frame_height_px) == (64, 48)
    assert not facts.is_video
    assert facts.bits_per_px is None
    assert facts.details == {
        "mosaic": "RGGB",
        "black_level": 64.0,
        "white_level": 4095,
        "exposure_s": 0.01,
        "camera": "Maker Phone 9",
        "compression": "none",
    }


def test_facts_that_are_not_stated(tmp_path):
    path = write_dng(tmp_path / "a.dng", mosaic(bits=16), white=None, iso=None, exposure=(0, 10))
    facts = open_recording(path).facts
    assert facts.iso is None
    assert "exposure_s" not in facts.details
    assert facts.details["white_level"] == 65535  # as the values' own bits


@pytest.mark.parametrize(("white", "bits"), [(1023, 10), (4095, 12), (15000, 14), (16383, 14)])
def test_bit_depth_follows_from_the_white_level(tmp_path, white, bits):
    source = open_recording(write_dng(tmp_path / "a.dng", mosaic(bits=10), white=white))
    assert source.facts.bit_depth == bits
    assert source.facts.details["white_level"] == white


@given(
    top=st.integers(0, 9),
    left=st.integers(0, 9),
    bottom=st.integers(36, 48),
    right=st.integers(40, 64),
)
def test_only_the_active_area_is_read(tmp_path_factory, top, left, bottom, right):
    image = mosaic()
    path = tmp_path_factory.mktemp("active") / "a.dng"
    write_dng(path, image, pattern="GRBG", more={Tag.ActiveArea: [top, left, bottom, right]})
    source = open_recording(path)
    np.testing.assert_array_equal(frame_of(source), image[top:bottom, left:right])
    assert source.facts.details["mosaic"] == "GRBG"  # it begins where the active area does


@pytest.mark.parametrize(
    ("roi", "found"),
    [("8x6+0+0", "RGGB"), ("8x6+1+0", "GRBG"), ("8x6+0+1", "GBRG"), ("8x6+3+5", "BGGR")],
)
def test_the_mosaic_is_that_of_the_region_read(tmp_path, roi, found):
    image = mosaic()
    source = open_recording(write_dng(tmp_path / "a.dng", image), roi=roi)
    x_px, y_px = source.facts.roi.x_px, source.facts.roi.y_px
    np.testing.assert_array_equal(frame_of(source), image[y_px : y_px + 6, x_px : x_px + 8])
    assert source.facts.details["mosaic"] == found


def test_black_level_is_the_mean_of_the_mosaic_and_not_subtracted(tmp_path):
    more = {Tag.BlackLevelRepeatDim: [2, 2], Tag.BlackLevel: [60, 62, 64, 66]}
    image = np.full((48, 64), 63, np.uint16)
    source = open_recording(write_dng(tmp_path / "a.dng", image, more=more))
    assert source.facts.details["black_level"] == 63.0
    assert (frame_of(source) == 63).all()


def test_sensitivity_that_does_not_fit_its_first_tag(tmp_path):
    more = {(34866, Type.Long): [102400]}
    path = write_dng(tmp_path / "a.dng", mosaic(), iso=65535, more=more)
    assert open_recording(path).facts.iso == 102400


def test_lossless_compression_loses_nothing(tmp_path, lossless_jpeg):
    image = mosaic()
    source = open_recording(write_dng(tmp_path / "a.dng", image, compress=True))
    np.testing.assert_array_equal(frame_of(source), image)
    assert source.facts.details["compression"] == "lossless JPEG"


def test_raw_image_below_a_preview(tmp_path):
    image = mosaic()
    source = open_recording(write_dng_with_preview(tmp_path / "a.dng", image))
    np.testing.assert_array_equal(frame_of(source), image)
    assert source.facts.iso == 800
    assert source.facts.details["exposure_s"] == 0.02
    assert source.facts.details["mosaic"] == "GRBG"


def test_content_decides_not_the_name(tmp_path):
    assert open_recording(write_dng(tmp_path / "a.tif", mosaic())).facts.kind == "dng"


@pytest.mark.parametrize("share", [0.3, 0.9, 0.999])
def test_cut_off(tmp_path, capfd, share):
    path = write_dng(tmp_path / "a.dng", mosaic())
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    assert "ends before its raw values do; it is cut off, so copy it from the camera" in refused(
        path
    )
    assert capfd.readouterr() == ("", "")


def test_cut_off_within_the_tags(tmp_path):
    path = write_dng(tmp_path / "a.dng", mosaic())
    path.write_bytes(path.read_bytes()[:200])
    assert "it is damaged" in refused(path)


def test_damaged_compressed_values(tmp_path, lossless_jpeg):
    path = write_dng(tmp_path / "a.dng", mosaic(), bits=12, compress=True)
    content = path.read_bytes()
    path.write_bytes(content[:-2000] + bytes(1000) + content[-1000:])
    assert "but its raw values cannot be read (" in refused(path)


def test_linear_dng(tmp_path):
    message = refused(write_linear_dng(tmp_path / "a.dng"))
    assert "is a linear DNG with 3 colours per pixel, made by demosaicing" in message


def test_floating_point_values(tmp_path):
    path = write_dng(tmp_path / "a.dng", mosaic(), more={SAMPLE_FORMAT: [3]})
    assert "holds floating point values, as merged exposures do" in refused(path)


@pytest.mark.parametrize(
    ("number", "name"), [(34892, "JPEG_LOSSY"), (52546, "JPEGXL_DNG"), (12345, "an unknown method")]
)
def test_compression_that_loses_or_is_unknown(tmp_path, number, name):
    path = patched(write_dng(tmp_path / "a.dng", mosaic()), 259, number)
    message = refused(path)
    assert f"is compressed by {name} ({number}), but uncompressed or lossless JPEG is" in message


@pytest.mark.parametrize(
    ("more", "size"),
    [
        ({Tag.CFARepeatPatternDim: [6, 6], Tag.CFAPattern: [0, 1, 2] * 12}, "6 x 6"),
        ({Tag.CFARepeatPatternDim: [2, 2], Tag.CFAPattern: [0, 1, 1, 9]}, "2 x 2"),
    ],
)
def test_other_mosaics(tmp_path, more, size):
    message = refused(write_dng(tmp_path / "a.dng", mosaic(), more=more))
    assert f"has a colour mosaic of {size}, but one of 2 x 2 pixels is expected" in message


def test_active_area_beyond_the_sensor(tmp_path):
    path = write_dng(tmp_path / "a.dng", mosaic(), more={Tag.ActiveArea: [0, 0, 48, 70]})
    assert "states an active area of rows 0 to 48 and columns 0 to 70 in 64 x 48" in refused(path)


def test_dng_without_a_raw_image(tmp_path):
    path = patched(write_dng(tmp_path / "a.dng", mosaic()), 262, 1)  # plain grey, as of previews
    assert "is a DNG file, but holds no raw image" in refused(path)


def test_values_that_libraw_reads_otherwise(tmp_path, monkeypatch):
    path = write_dng(tmp_path / "a.dng", mosaic())
    source = open_recording(path)
    write_dng(path, mosaic((40, 64)))  # replaced after it was opened
    with pytest.raises(RecordingError, match=r"a.dng states 64 x 48 raw values, but LibRaw reads"):
        frame_of(source)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.cr2", b"II*\0\x10\0\0\0CR\x02\0" + bytes(100)),
        ("renamed.tif", b"II*\0\x10\0\0\0CR\x02\0" + bytes(100)),
        ("a.cr3", b"\0\0\0\x18ftypcrx \0\0\0\x01" + bytes(100)),
        ("a.NEF", b"MM\0*\0\0\0\x08" + bytes(100)),
        ("a.raf", b"FUJIFILMCCD-RAW 0201" + bytes(100)),
        ("a.rw2", b"IIU\0\x18\0\0\0" + bytes(100)),
    ],
)
def test_raw_files_of_makers(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    assert "is the raw file of a camera's maker, but of raw files only DNG is read" in refused(path)


def test_no_dng_at_all(tmp_path):
    path = tmp_path / "a.dng"
    path.write_bytes(b"hello")
    assert "is named like a DNG raw file, but does not begin like one" in refused(path)
