"""DNG files as cameras write them, made by PiDNG, and by tifffile where PiDNG cannot."""

import sys
import types

import imagecodecs
import numpy as np
import pytest
import tifffile
from pidng.core import RAW2DNG, DNGTags, Tag
from pidng.defs import PhotometricInterpretation
from pidng.dng import Type

PATTERNS = {"RGGB": [0, 1, 1, 2], "BGGR": [2, 1, 1, 0], "GRBG": [1, 0, 2, 1], "GBRG": [1, 2, 0, 1]}
UNIT_MATRIX = [[int(row == column), 1] for row in range(3) for column in range(3)]


def mosaic(shape=(48, 64), *, bits=12, seed=0):
    """Return random numbers of all sizes that fit into the bits."""
    return np.random.default_rng(seed).integers(0, 2**bits, shape).astype(np.uint16)


def write_dng(
    path, image, *, bits=16, pattern="RGGB", white=4095, iso=3200, exposure=(1, 100), more=None,
    compress=False,
):  # fmt: skip
    """Write sensor values as DNG; `pattern` None for a monochrome sensor."""
    height, width = image.shape
    tags = DNGTags()
    for tag, value in {
        Tag.ImageWidth: width, Tag.ImageLength: height, Tag.TileWidth: width,
        Tag.TileLength: height, Tag.Orientation: 1, Tag.SamplesPerPixel: 1,
        Tag.BitsPerSample: bits, Tag.BlackLevel: 64, Tag.ColorMatrix1: UNIT_MATRIX,
        Tag.AsShotNeutral: [[1, 1]] * 3, Tag.Make: "Maker", Tag.Model: "Phone 9",
    }.items():  # fmt: skip
        tags.set(tag, value)
    if pattern is None:
        tags.set(Tag.PhotometricInterpretation, PhotometricInterpretation.Linear_Raw)
    else:
        tags.set(Tag.PhotometricInterpretation, PhotometricInterpretation.Color_Filter_Array)
        tags.set(Tag.CFARepeatPatternDim, [2, 2])
        tags.set(Tag.CFAPattern, PATTERNS[pattern])
    if white is not None:
        tags.set(Tag.WhiteLevel, white)
    if iso is not None:
        tags.set(Tag.PhotographicSensitivity, iso)
    if exposure is not None:
        tags.set(Tag.ExposureTime, [exposure])
    for tag, value in (more or {}).items():
        tags.set(tag, value)
    writer = RAW2DNG()
    writer.options(tags, path="", compress=compress)
    path.write_bytes(writer.convert(image.copy()))
    return path


def write_linear_dng(path):
    """Write a DNG of three colours in each pixel."""
    tags = [(50706, "B", 4, (1, 4, 0, 0), True), (50708, "s", 0, "Phone 9", True)]
    colours = np.zeros((48, 64, 3), np.uint16)
    tifffile.imwrite(path, colours, photometric=34892, extratags=tags, metadata=None)
    return path


def write_dng_with_preview(path, image):
    """Write a DNG as Adobe does: a small picture first, the raw image in a directory below it."""
    version = [(50706, "B", 4, (1, 4, 0, 0), True), (50708, "s", 0, "Phone 9", True)]
    version.append((50721, "2i", 9, tuple(np.ravel(UNIT_MATRIX).tolist()), True))
    raw = [(33421, "H", 2, (2, 2), True), (33422, "B", 4, (1, 0, 2, 1), True)]
    raw += [(50714, "H", 1, 64, True), (50717, "H", 1, 4095, True)]
    exif = [(34855, "H", 1, 800, True), (33434, "2I", 1, (1, 50), True)]
    with tifffile.TiffWriter(path) as tif:
        tif.write(
            np.zeros((12, 16, 3), np.uint8), photometric="rgb", subfiletype=1, subifds=1,
            extratags=version + exif, metadata=None,
        )  # fmt: skip
        tif.write(image, photometric=32803, subfiletype=0, extratags=raw, metadata=None)
    return path


def patched(path, tag, value):
    """Overwrite the first 16 bit value of a tag in a little-endian TIFF file."""
    content = bytearray(path.read_bytes())
    at = content.index(tag.to_bytes(2, "little") + Type.Short[0].to_bytes(2, "little"))
    content[at + 8 : at + 10] = value.to_bytes(2, "little")
    path.write_bytes(content)
    return path


@pytest.fixture
def lossless_jpeg(monkeypatch):
    """PiDNG's compressor, which it cannot load on newer Pythons, by imagecodecs."""

    def compressed(image, width, height, bits, *_):
        return imagecodecs.ljpeg_encode(image.reshape(height, width), bitspersample=bits)

    module = types.ModuleType("ljpegCompress")
    module.pack16tolj = compressed
    monkeypatch.setitem(sys.modules, "ljpegCompress", module)
