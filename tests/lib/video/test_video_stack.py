"""Stacks of every kind, against what was put into them."""

import json
import pickle
import re

import numpy as np
import pytest
import sif_parser
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from numbered_videos import assert_equal, read

from cellstorm_lib.errors import RecordingError
from cellstorm_lib.recording import LossSummary, Roi
from cellstorm_lib.video.array import ArraySource
from cellstorm_lib.video.read import open_recording

COUNT, HEIGHT, WIDTH = 12, 16, 20
STACK = np.random.default_rng(1).integers(0, 4000, (COUNT, HEIGHT, WIDTH)).astype(np.uint16)
UM = {"axes": "TYX", "unit": "um"}


def separate_pages(path, **options):
    with tifffile.TiffWriter(path, **options) as tif:
        for frame in STACK:
            tif.write(frame, contiguous=False, metadata=None)


def imagej_beyond_4_gb(path):
    """Write as ImageJ does when page offsets would not fit: one page, then plain numbers."""
    with tifffile.TiffWriter(path, byteorder=">") as tif:
        described = f"ImageJ=1.53t\nimages={COUNT}\nslices={COUNT}\n"
        tif.write(STACK[0], metadata=None, description=described)
    with tifffile.TiffFile(path) as tif:
        begin = tif.pages.first.dataoffsets[0]
    path.write_bytes(path.read_bytes()[:begin] + STACK.astype(">u2").tobytes())


LAYOUTS = {
    "plain": lambda path: tifffile.imwrite(path, STACK, metadata=None),
    "shaped": lambda path: tifffile.imwrite(path, STACK),
    "separate pages": separate_pages,
    "big endian": lambda path: tifffile.imwrite(path, STACK, byteorder=">"),
    "BigTIFF": lambda path: tifffile.imwrite(path, STACK, bigtiff=True),
    "BigTIFF of pages": lambda path: separate_pages(path, bigtiff=True, byteorder=">"),
    "OME-TIFF": lambda path: tifffile.imwrite(path, STACK, ome=True, metadata={"axes": "TYX"}),
    "OME-TIFF of slices": lambda path: tifffile.imwrite(
        path, STACK, ome=True, metadata={"axes": "ZYX"}, compression="zlib"
    ),
    "ImageJ": lambda path: tifffile.imwrite(path, STACK, imagej=True, metadata={"axes": "TYX"}),
    "ImageJ with frames as channels": lambda path: tifffile.imwrite(path, STACK, imagej=True),
    "ImageJ beyond 4 GB": imagej_beyond_4_gb,
    "deflate": lambda path: tifffile.imwrite(path, STACK, compression="zlib", predictor=True),
    "LZW strips": lambda path: tifffile.imwrite(
        path, STACK, compression="lzw", rowsperstrip=3, metadata=None
    ),
    "tiles": lambda path: tifffile.imwrite(path, STACK, tile=(16, 16)),
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_tiff_of_every_layout_gives_its_frames(tmp_path, layout):
    path = tmp_path / "stack.tif"
    LAYOUTS[layout](path)
    source = open_recording(path)
    chunk = read(source, size=5)
    assert chunk.frames.dtype == np.uint16
    np.testing.assert_array_equal(chunk.frames, STACK)
    np.testing.assert_array_equal(chunk.frame, np.arange(COUNT))
    np.testing.assert_array_equal(chunk.time_s, np.arange(COUNT))
    assert chunk.is_key.all()
    assert not chunk.frames_since_key.any()
    assert (chunk.packet_bytes == HEIGHT * WIDTH * 2).all()
    assert source.loss() == LossSummary(expected_count=COUNT, decoded_count=COUNT)
    facts = source.facts
    assert (facts.kind, facts.bit_depth, facts.bits_per_px) == ("tiff", 16, None)
    assert not facts.is_video
    cut = open_recording(path, roi="7x5+3+2", frames=(4, 9))
    np.testing.assert_array_equal(read(cut).frames, STACK[4:9, 2:7, 3:10])
    np.testing.assert_array_equal(read(cut).previous, STACK[3, 2:7, 3:10])


@given(size=st.integers(1, 20), start=st.integers(0, COUNT), stop=st.integers(0, COUNT))
@pytest.mark.parametrize("layout", ["plain", "deflate"])
def test_chunks_and_parts_of_a_stack_change_nothing(tmp_path_factory, layout, size, start, stop):
    path = tmp_path_factory.getbasetemp() / f"{layout}.tif"
    if not path.exists():
        LAYOUTS[layout](path)
    part = pickle.loads(pickle.dumps(open_recording(path))).part(start, stop)
    chunks = list(part.chunks(size))
    assert all(len(chunk.frame) == size for chunk in chunks[:-1])
    assert part.key_frames().tolist() == list(range(start, stop))
    frames = [frame for chunk in chunks for frame in chunk.frame]
    assert frames == list(range(start, stop))
    for chunk in chunks:
        np.testing.assert_array_equal(chunk.frames, STACK[chunk.frame])
        if chunk.frame[0]:
            np.testing.assert_array_equal(chunk.previous, STACK[chunk.frame[0] - 1])


@pytest.mark.parametrize("dtype", [np.uint8, np.int16])
def test_other_whole_numbers_are_read_as_they_are(tmp_path, dtype):
    values = (STACK % 200).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", values)
    source = open_recording(tmp_path / "a.tif")
    np.testing.assert_array_equal(read(source).frames, values)
    assert source.facts.bit_depth == values.itemsize * 8


def test_single_image_is_a_stack_of_one_frame(tmp_path):
    tifffile.imwrite(tmp_path / "one.tif", STACK[0])
    np.testing.assert_array_equal(read(open_recording(tmp_path / "one.tif")).frames, STACK[:1])


def test_large_stack_is_read_whole(tmp_path):
    tifffile.imwrite(tmp_path / "large.tif", np.zeros((2, 520, 600), np.uint8))
    roi = open_recording(tmp_path / "large.tif").facts.roi
    assert roi == Roi(width_px=600, height_px=520)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"imagej": True, "resolution": (10, 10), "metadata": UM}, 100),
        ({"imagej": True, "resolution": (0.0125, 0.0125), "metadata": UM | {"unit": "nm"}}, 80),
        ({"imagej": True, "resolution": (8, 8), "metadata": UM | {"unit": "\\u00B5m"}}, 125),
        ({"imagej": True, "resolution": (72, 72), "metadata": UM | {"unit": "inch"}}, None),
        ({"imagej": True, "resolution": (10, 5), "metadata": UM}, None),
        ({"resolution": (1e5, 1e5), "resolutionunit": "centimeter"}, 100),
        ({"resolution": (72, 72), "resolutionunit": "inch"}, None),
        ({"ome": True, "metadata": {"PhysicalSizeX": 0.133, "PhysicalSizeY": 0.133}}, 133),
        ({"ome": True, "metadata": {
            "PhysicalSizeX": 99.5, "PhysicalSizeXUnit": "nm",
            "PhysicalSizeY": 0.0995, "PhysicalSizeYUnit": "µm"}}, 99.5),
        ({"ome": True, "metadata": {"PhysicalSizeX": 0.1}}, None),
    ],
)  # fmt: skip
def test_pixel_size_of_the_file_is_used_when_it_says_one(tmp_path, options, expected):
    tifffile.imwrite(tmp_path / "sized.tif", STACK, **options)
    found = open_recording(tmp_path / "sized.tif").facts.pixel_size_nm
    assert found == (None if expected is None else pytest.approx(expected, rel=1e-6))


@pytest.mark.parametrize(
    "options",
    [
        {"ome": True, "metadata": {"axes": "TYX", "TimeIncrement": 50, "TimeIncrementUnit": "ms"}},
        {"imagej": True, "metadata": {"axes": "TYX", "finterval": 0.05}},
    ],
)
def test_frame_rate_of_the_file_gives_the_times(tmp_path, options):
    tifffile.imwrite(tmp_path / "timed.tif", STACK, **options)
    source = open_recording(tmp_path / "timed.tif")
    assert source.facts.frame_rate_hz == pytest.approx(20)
    np.testing.assert_allclose(read(source).time_s, np.arange(COUNT) / 20)


def test_significant_bits_of_an_ome_file_are_its_bit_depth(tmp_path):
    metadata = {"axes": "TYX", "SignificantBits": 14}
    tifffile.imwrite(tmp_path / "bits.tif", STACK, ome=True, metadata=metadata)
    assert open_recording(tmp_path / "bits.tif").facts.bit_depth == 14


@pytest.mark.parametrize(
    ("frames", "options", "message"),
    [
        (np.zeros((3, 8, 8, 3), np.uint8), {"photometric": "rgb"}, "holds frames with 3 channels"),
        (np.zeros((2, 3, 8, 8), np.uint8), {"imagej": True, "metadata": {"axes": "TCYX"}},
         "holds frames with 3 channels"),
        (np.zeros((5, 8, 8), np.float32), {}, "holds float32 values, but 8 or 16 bit integers"),
        (np.zeros((5, 8, 8), np.uint32), {}, "holds uint32 values, but 8 or 16 bit integers"),
    ],
)  # fmt: skip
def test_frames_that_are_no_grey_values_are_refused(tmp_path, frames, options, message):
    tifffile.imwrite(tmp_path / "odd.tif", frames, **options)
    with pytest.raises(RecordingError, match=f"odd.tif {message}"):
        open_recording(tmp_path / "odd.tif")


def test_negative_values_are_refused_when_they_are_read(tmp_path):
    values = STACK.astype(np.int16)
    values[0, 3, 4] = -50
    tifffile.imwrite(tmp_path / "minus.tif", values)
    with pytest.raises(RecordingError, match=r"minus\.tif holds values from -50 to .* as int16"):
        read(open_recording(tmp_path / "minus.tif"))


@pytest.mark.parametrize("share", [0.02, 0.3, 0.5, 0.7, 0.9])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_cut_tiff_never_passes_for_a_short_one(tmp_path, layout, share, capfd):
    path = tmp_path / "cut.tif"
    LAYOUTS[layout](path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    try:
        chunk = read(open_recording(path))
    except RecordingError as error:
        message = str(error)
    else:  # only what comes after the frames was cut away
        np.testing.assert_array_equal(chunk.frames, STACK)
        message = "cut.tif is complete, no need to copy it"
    assert re.search(r"cut\.tif .*copy it", message)
    assert capfd.readouterr() == ("", "")


def test_broken_page_is_a_missing_frame(tmp_path):
    path = tmp_path / "broken.tif"
    tifffile.imwrite(path, STACK, compression="zlib", metadata=None)
    with tifffile.TiffFile(path) as tif:
        page = tif.pages[7]
        begin, size = page.dataoffsets[0], page.databytecounts[0]
    content = bytearray(path.read_bytes())
    content[begin : begin + size] = bytes(size)
    path.write_bytes(content)
    source = open_recording(path)
    chunk = read(source, size=4)
    assert chunk.frame.tolist() == [0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11]
    np.testing.assert_array_equal(chunk.frames, STACK[chunk.frame])
    loss = LossSummary(
        expected_count=12, decoded_count=11, missing_count=1,
        reason="frame 7 cannot be read from the file",
    )  # fmt: skip
    assert source.loss() == open_recording(path).loss() == loss


def test_logging_of_the_user_is_left_alone(tmp_path, caplog):
    path = tmp_path / "cut.tif"
    separate_pages(path)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(RecordingError, match="cut off or damaged"):
        open_recording(path)
    assert "invalid page offset" in caplog.text
    assert not tifffile.logger().handlers


def write_dax(path, *, order=">", lines=()):
    path.write_bytes(STACK.astype(f"{order}u2").tobytes())
    path.with_suffix(".inf").write_text(
        "\n".join([f"frame dimensions = {WIDTH} x {HEIGHT}", f"number of frames = {COUNT}", *lines])
    )
    return path


@pytest.mark.parametrize(
    ("order", "lines"),
    [
        (">", []),
        (">", ["data type = 16 bit integers (binary, big endian)"]),
        ("<", ["data type = 16 bit integers (binary, little endian)"]),
    ],
)
def test_dax_is_read_in_the_byte_order_it_states(tmp_path, order, lines):
    source = open_recording(write_dax(tmp_path / "a.dax", order=order, lines=lines))
    assert source.facts.kind == "dax"
    assert_equal(read(source, 5), read(ArraySource(STACK)))


def test_dax_cut_off_lacks_its_last_frames(tmp_path):
    path = write_dax(tmp_path / "a.dax")
    path.write_bytes(path.read_bytes()[: -HEIGHT * WIDTH - 2])
    with pytest.raises(RecordingError, match=r"a\.dax is damaged: of 12 frames 1 are missing"):
        open_recording(path)
    np.testing.assert_array_equal(read(open_recording(path, frames=(0, 11))).frames, STACK[:11])


def test_dax_needs_its_header(tmp_path):
    path = write_dax(tmp_path / "a.dax")
    inf = path.with_suffix(".inf")
    inf.write_text("frame dimensions = 0 x 16\nnumber of frames = 3")
    with pytest.raises(RecordingError, match=r"a\.dax is described as 3 frames of 0 x 16 pixels"):
        open_recording(path)
    inf.write_text("number of frames = 12")
    with pytest.raises(RecordingError, match=r"a\.inf must give 'frame dimensions'"):
        open_recording(path)
    inf.unlink()
    with pytest.raises(RecordingError, match=r"a\.dax needs a\.inf beside it.*No such file"):
        open_recording(path)


def write_raw(path, **changes):
    described = {
        "Byte Order": "<", "Data Type": "uint16", "Frames": COUNT, "Height": HEIGHT,
        "Width": WIDTH, "Pixelsize": 130,
    } | changes  # fmt: skip
    path.write_bytes(STACK.astype("<u2").tobytes())
    path.with_suffix(".yaml").write_text(json.dumps(described) + "\n---\nGenerated by: other\n")
    return path


def test_raw_movie_of_picasso(tmp_path):
    source = open_recording(write_raw(tmp_path / "a.raw"))
    np.testing.assert_array_equal(read(source).frames, STACK)
    assert (source.facts.kind, source.facts.pixel_size_nm) == ("raw", 130)


@pytest.mark.parametrize("changes", [{"Data Type": "float32"}, {"Frames": None}, {"Width": "x"}])
def test_raw_movie_needs_its_description(tmp_path, changes):
    path = write_raw(tmp_path / "a.raw", **changes)
    with pytest.raises(RecordingError, match=r"a\.yaml must give Width, Height, Frames"):
        open_recording(path)
    path.with_suffix(".yaml").unlink()
    with pytest.raises(RecordingError, match=r"a\.raw needs a\.yaml beside it"):
        open_recording(path)


def write_sif(path, values):
    """Write an Andor SIF file of the layout that SOLIS 4.25 (version 65559) uses."""
    count, height, width = values.shape
    words = " ".join(["1"] * 16)
    text = (
        "Andor Technology Multi-Channel File\n65538 1\n"
        f"65559 0 0 1 1540956289 -60.5 {' ' * 10}0 0.03 0.05 0.05 1 "
        f"\0 0.05 1e-07 0 1 300 0 0 0.5 {words} 0.25 end\n"
        f"DU897_BV\n{width} {height} 5\na.sif \n65538 0\n\n65538 {' ' * 8}0.5 0.5\n"
        + "skipped\n"
        * 8
        + "name none\n65539 0 1 0 0\n0 1 0 0\n0 1 0 0\nno\n422\n13\n13\n"
        f"5\nPixel6\nCounts5\nPixel65541 1 {height} {width} 1 "
        f"{count} 1 {values.size} {height * width} 65538 1 {height} {width} 1 1 1 0\n"
        + "".join(f"{index * 50}\n" for index in range(count))
        + "0\n"
    )
    path.write_bytes(text.encode("latin-1") + values.astype("<f4").tobytes())
    return path


def test_sif_is_read_as_its_reader_reads_it(tmp_path):
    path = write_sif(tmp_path / "a.sif", STACK)
    source = open_recording(path)
    expected, _ = sif_parser.np_open(str(path))
    np.testing.assert_array_equal(read(source, 5).frames, expected)
    np.testing.assert_array_equal(expected, STACK)
    assert (source.facts.kind, source.facts.bit_depth) == ("sif", 16)
    assert source.facts.frame_rate_hz == pytest.approx(20)
    assert source.facts.details["DetectorType"] == "DU897_BV"
    np.testing.assert_array_equal(
        read(open_recording(path, roi="6x4+2+3", frames=(3, 8))).frames, STACK[3:8, 3:7, 2:8]
    )


@pytest.mark.parametrize("share", [0.005, 0.02, 0.05, 0.5, 0.99])
def test_cut_sif_is_refused_and_does_not_hang(tmp_path, share):
    path = write_sif(tmp_path / "cut.sif", STACK)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(RecordingError, match=r"cut\.sif .*(header cannot be read|begin like)"):
        open_recording(path)


def test_sif_with_fractions_is_refused(tmp_path):
    path = write_sif(tmp_path / "photons.sif", STACK + 0.5)
    with pytest.raises(RecordingError, match=r"photons\.sif holds values .* whole grey values"):
        read(open_recording(path))


@given(size=st.integers(1, 15), start=st.integers(0, COUNT), stop=st.integers(0, COUNT))
def test_array_is_read_like_a_file(size, start, stop):
    source = ArraySource(STACK, name="made", pixel_size_nm=90, frame_rate_hz=10).part(start, stop)
    chunks = list(source.chunks(size))
    assert [frame for chunk in chunks for frame in chunk.frame] == list(range(start, stop))
    for chunk in chunks:
        np.testing.assert_array_equal(chunk.frames, STACK[chunk.frame])
        np.testing.assert_allclose(chunk.time_s, chunk.frame / 10)
        assert (chunk.previous is None) == (chunk.frame[0] == 0)
    assert source.key_frames().tolist() == list(range(start, stop))
    assert source.loss().decoded_count == max(0, stop - start)


def test_array_is_identified_by_its_content():
    digest = ArraySource(STACK).facts.digest
    assert ArraySource(STACK.copy()).facts.digest == digest
    assert ArraySource(STACK.reshape(COUNT, WIDTH, HEIGHT)).facts.digest != digest
    assert ArraySource(STACK + 1).facts.digest != digest


@pytest.mark.parametrize("frames", [STACK[0], STACK.astype(float), STACK[:0]])
def test_array_that_is_no_stack_is_refused(frames):
    with pytest.raises(RecordingError, match=r"array must be a stack \(N, Y, X\) of uint8 or"):
        ArraySource(frames)


def test_frames_in_memory_may_say_that_they_were_denoised():
    frames = np.zeros((2, 4, 4), np.uint16)
    plain, denoised = ArraySource(frames), ArraySource(frames, denoised_photons_per_adu=0.02)
    assert (plain.facts.is_denoised, plain.facts.photons_per_adu) == (False, None)
    assert (denoised.facts.is_denoised, denoised.facts.photons_per_adu) == (True, 0.02)


def test_a_description_of_far_more_frames_than_there_is_room_for_is_refused(tmp_path):
    (tmp_path / "film.dax").write_bytes(bytes(2 * 16 * 12 * 6))
    for count in (10**8, 10**30):
        (tmp_path / "film.inf").write_text(
            f"frame dimensions = 16 x 12\nnumber of frames = {count}\n"
        )
        with pytest.raises(RecordingError, match=rf"film.dax .*{count} frames, but has room for 6"):
            open_recording(tmp_path / "film.dax")


def test_a_description_that_is_no_file_is_refused(tmp_path):
    (tmp_path / "film.dax").write_bytes(bytes(9))
    (tmp_path / "film.inf").mkdir()
    with pytest.raises(RecordingError, match=r"film.inf .* cannot be read .*folder or a device"):
        open_recording(tmp_path / "film.dax")


@pytest.mark.parametrize("ending", ["tif", "dax", "raw", "sif"])
def test_opening_tells_the_bytes_that_are_read(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    if ending == "sif":
        write_sif(path, STACK)
    else:
        {"tif": separate_pages, "dax": write_dax, "raw": write_raw}[ending](path)
    told = []
    source = open_recording(path, progress=lambda *at: told.append(at))
    assert told == [(path.stat().st_size,) * 2]
    assert source.facts == open_recording(path).facts
