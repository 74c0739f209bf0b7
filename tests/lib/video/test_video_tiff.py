"""TIFF files written, and what other programs and we ourselves read of them."""

import struct

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from numbered_videos import read

from cellstorm_lib.errors import ExportError, RecordingError
from cellstorm_lib.video.read import open_recording
from cellstorm_lib.video.tiff import read_image, read_image_details, write_image, write_stack
from cellstorm_lib.video.tiff_chain import refuse_circles

STACK = np.random.default_rng(2).integers(0, 60_000, (23, 18, 14)).astype(np.uint16)


def in_chunks(stack, size):
    return (stack[start : start + size] for start in range(0, len(stack), size))


def test_stack_comes_back_with_all_that_was_said_of_it(tmp_path):
    path = tmp_path / "stack.ome.tif"
    details = {"model": "abc", "calibration": {"gain_e_per_adu": 0.34}, "unit": 'µ <"&>'}
    write_stack(
        path, in_chunks(STACK, 5), pixel_size_nm=83.3, frame_rate_hz=19.87, photons_per_adu=0.1,
        is_denoised=True, description="photons", details=details,
    )  # fmt: skip
    source = open_recording(path)
    facts = source.facts
    assert facts.frame_count == 23
    np.testing.assert_array_equal(read(source, 4).frames, STACK)
    assert (facts.pixel_size_nm, facts.photons_per_adu, facts.is_denoised) == (83.3, 0.1, True)
    assert facts.frame_rate_hz == pytest.approx(19.87, rel=1e-12)
    assert facts.bit_depth == 16
    assert {name: facts.details[name] for name in details} == details
    assert facts.details["description"] == "photons"


def test_stack_without_facts_has_none(tmp_path):
    write_stack(tmp_path / "stack.tif", [STACK.astype(np.uint8)], pixel_size_nm=None)
    facts = open_recording(tmp_path / "stack.tif").facts
    assert (facts.pixel_size_nm, facts.frame_rate_hz, facts.photons_per_adu) == (None, None, None)
    assert not facts.is_denoised
    assert facts.bit_depth == 8


def test_stack_is_a_big_ome_tiff_with_deflate_for_other_programs(tmp_path):
    path = tmp_path / "stack.ome.tif"
    write_stack(path, in_chunks(STACK, 7), pixel_size_nm=100)
    with tifffile.TiffFile(path) as tif:
        assert tif.is_bigtiff
        assert tif.is_ome
        assert tif.pages.first.compression == tifffile.COMPRESSION.ADOBE_DEFLATE
        series = tif.series[0]
        assert (series.axes, series.shape) == ("TYX", STACK.shape)
        np.testing.assert_array_equal(series.asarray(), STACK)
        pixels = tifffile.xml2dict(tif.ome_metadata)["OME"]["Image"]["Pixels"]
    assert (pixels["PhysicalSizeX"], pixels["PhysicalSizeXUnit"]) == (0.1, "µm")
    assert (pixels["SizeX"], pixels["SizeY"], pixels["SizeT"]) == (14, 18, 23)


@given(size=st.integers(1, 30))
def test_chunks_of_any_size_give_the_same_file(tmp_path_factory, size):
    folder = tmp_path_factory.getbasetemp()
    write_stack(folder / "one.tif", [STACK], pixel_size_nm=100)
    write_stack(folder / "many.tif", in_chunks(STACK, size), pixel_size_nm=100)
    assert (folder / "one.tif").read_bytes() == (folder / "many.tif").read_bytes()


@pytest.mark.parametrize(
    ("chunks", "message"),
    [
        ([], "there are no frames"),
        ([STACK[:0]], "there are no frames"),
        (
            [STACK[0]],
            r"chunks of frames \(N, Y, X\) of uint8 or uint16 are expected, got uint16",
        ),
        ([STACK.astype(float)], "of uint8 or uint16 are expected, got float64"),
        ([STACK, STACK[:, :5]], r"all frames must be uint16 of shape \(18, 14\), got uint16 of"),
        ([STACK, STACK.astype(np.uint8)], "all frames must be uint16 .* got uint8"),
    ],
)
def test_what_is_no_stack_is_refused_and_leaves_no_file(tmp_path, chunks, message):
    with pytest.raises(ExportError, match=rf"cannot write .*stack\.tif: .*{message}"):
        write_stack(tmp_path / "stack.tif", chunks, pixel_size_nm=100)
    assert list(tmp_path.iterdir()) == []


@given(
    st.floats(0.5, 5000),
    st.sampled_from([np.float64, np.float32, np.uint16, np.int64]),
)
def test_image_comes_back_with_its_pixel_size(tmp_path_factory, pixel_size_nm, dtype):
    path = tmp_path_factory.getbasetemp() / "image.tif"
    image = STACK[0].astype(dtype)
    write_image(path, image, pixel_size_nm=pixel_size_nm, details={"method": "gaussian"})
    values, size_nm = read_image(path)
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, image.astype(np.float32))
    assert size_nm == pytest.approx(pixel_size_nm, rel=1e-6)


def test_image_has_its_scale_in_imagej(tmp_path):
    write_image(tmp_path / "image.tif", STACK[0] / 7, pixel_size_nm=12.5)
    with tifffile.TiffFile(tmp_path / "image.tif") as tif:
        assert tif.imagej_metadata["unit"] == "um"
        assert tif.pages.first.resolution == (80, 80)
        assert tif.pages.first.dtype == np.float32


@pytest.mark.parametrize(
    ("image", "size_nm"), [(STACK, 10), (STACK[0], 0), (STACK[0], float("nan")), (STACK[0, :0], 5)]
)
def test_what_is_no_image_is_refused(tmp_path, image, size_nm):
    with pytest.raises(ExportError, match=r"cannot write .*image\.tif: an image of rows and"):
        write_image(tmp_path / "image.tif", image, pixel_size_nm=size_nm)
    assert list(tmp_path.iterdir()) == []


def test_image_without_a_scale_or_of_several_pages_is_refused(tmp_path):
    tifffile.imwrite(tmp_path / "bare.tif", STACK[0])
    tifffile.imwrite(tmp_path / "several.tif", STACK)
    (tmp_path / "text.tif").write_text("hello")
    for name in ("bare", "several"):
        with pytest.raises(RecordingError, match=rf"{name}\.tif must hold one image and state its"):
            read_image(tmp_path / f"{name}.tif")
    for name in ("text", "missing"):
        with pytest.raises(RecordingError, match=rf"{name}\.tif cannot be read as a TIFF image"):
            read_image(tmp_path / f"{name}.tif")


@pytest.mark.parametrize("is_big", [False, True])
@pytest.mark.parametrize("order", "<>")
def test_directories_that_lead_in_a_circle_are_refused(tmp_path, order, is_big):
    path = tmp_path / "stack.tif"
    tifffile.imwrite(
        path, STACK[:3], byteorder=order, bigtiff=is_big, metadata=None, compression="zlib",
        photometric="minisblack",
    )  # fmt: skip
    with tifffile.TiffFile(path) as tif:
        offsets = [page.offset for page in tif.pages]
        last = tif.pages[2]
        entry, count = (20, 8) if is_big else (12, 2)
        at = last.offset + count + len(last.tags) * entry
    refuse_circles(path)
    content = bytearray(path.read_bytes())
    size = 8 if is_big else 4
    content[at : at + size] = offsets[1].to_bytes(size, "big" if order == ">" else "little")
    path.write_bytes(content)
    with pytest.raises(RecordingError, match=r"stack.tif .*round in a circle"):
        open_recording(path)


def test_an_image_that_claims_more_than_a_camera_has_is_refused(tmp_path):
    path = tmp_path / "image.tif"
    write_image(path, STACK[0], pixel_size_nm=10.0)
    with tifffile.TiffFile(path, mode="r+") as tif:
        tif.pages[0].tags["ImageLength"].overwrite(1 << 25)
    with pytest.raises(RecordingError, match=r"image.tif claims frames of 14 x 33554432 pixels"):
        read_image(path)


def test_an_image_in_more_pieces_than_it_lists_is_refused(tmp_path):
    path = tmp_path / "image.tif"
    write_image(path, STACK[0], pixel_size_nm=10.0)
    with tifffile.TiffFile(path, mode="r+") as tif:
        tif.pages[0].tags["ImageLength"].overwrite(1 << 20)
        tif.pages[0].tags["RowsPerStrip"].overwrite(1)
    with pytest.raises(RecordingError, match=r"in 1048576 pieces, but says of 1 where they are"):
        read_image(path)


def test_a_folder_is_no_image(tmp_path):
    for read_file in (read_image, read_image_details):
        with pytest.raises(RecordingError, match="a folder or a device, not a file"):
            read_file(tmp_path)


@pytest.mark.parametrize(
    "text", ["<Pixels " + "a" * 1_000_000 + ">", "<Pixels " * 100_000, "<Description>" * 100_000]
)
def test_a_description_without_end_takes_no_time_without_end(tmp_path, text):
    path = tmp_path / "film.ome.tif"
    tifffile.imwrite(path, STACK[:2], description=f"<OME>{text}</OME>", metadata=None)
    assert open_recording(path).facts.frame_count == 2


def test_a_value_too_large_for_a_picture_is_infinite(tmp_path):
    path = tmp_path / "image.tif"
    tifffile.imwrite(path, np.full((8, 9), 1e300), resolution=(1e5, 1e5), resolutionunit=3)
    values, size_nm = read_image(path)
    assert np.isinf(values).all()
    assert size_nm == pytest.approx(100)


def test_bits_that_differ_between_colours_are_refused_without_a_warning(tmp_path):
    path = tmp_path / "film.tif"
    colours = np.zeros((8, 9, 5000), np.uint8)
    tifffile.imwrite(path, colours, photometric="minisblack", planarconfig="contig", metadata=None)
    bits, others = struct.pack("<3H", 8, 8, 8), struct.pack("<3H", 16, 8, 8)
    assert bits in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(bits, others, 1))
    with pytest.raises(RecordingError, match=r"film\.tif") as caught:
        open_recording(path)
    assert "overflow" not in str(caught.value)


def test_a_part_of_a_compressed_stack_is_read_without_its_other_directories(tmp_path, monkeypatch):
    stack = np.random.default_rng(9).integers(0, 999, (40, 16, 24), dtype=np.uint16)
    path = tmp_path / "long.ome.tif"
    write_stack(path, in_chunks(stack, 40), pixel_size_nm=None)
    source = open_recording(path)
    read_directories = []
    original = tifffile.TiffPage.__init__

    def counted(page, parent, /, index, **further):
        read_directories.append(index)
        original(page, parent, index, **further)

    monkeypatch.setattr(tifffile.TiffPage, "__init__", counted)
    np.testing.assert_array_equal(read(source.part(30, 33)).frames, stack[30:33])
    assert set(read_directories) - {0, (0,)} <= set(range(29, 33))  # and the frame before
