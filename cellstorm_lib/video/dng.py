"""DNG raw files: the numbers of the sensor, decompressed by LibRaw, otherwise as they are."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rawpy
import tifffile

from cellstorm_lib.errors import RecordingError
from cellstorm_lib.files import digest_of_file
from cellstorm_lib.progress import Progress
from cellstorm_lib.recording import RecordingFacts, Roi
from cellstorm_lib.video.chunk import Luma, cropped
from cellstorm_lib.video.field import chosen_roi
from cellstorm_lib.video.loss import FrameLog
from cellstorm_lib.video.stack import ReadPage, StackSource
from cellstorm_lib.video.tiff_pages import UNREADABLE, opened_tiff

_MOSAIC, _LINEAR = 32803, 34892
_REDUCED = 1  # bit of NewSubfileType that marks previews
#: Ways of storing raw numbers that change none of them; 8 is deflate.
_COMPRESSIONS = {1: "none", 7: "lossless JPEG", 8: "deflate"}
_FLOATS = 3
_COLOURS = "RGBCMYW"
#: Where cameras write their sensitivity, in order of precedence; 65535 stands for "see elsewhere".
_SENSITIVITIES = ("ISOSpeedRatings", "ISOSpeed", "RecommendedExposureIndex")
_ISO_ELSEWHERE = 65535


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DngPages:
    """The one frame of a DNG file: the active area of its sensor.

    Attributes
    ----------
    path : Path
        The file.
    stored_shape : (int, int)
        Rows and columns of the whole sensor as stored, with the masked border.
    active : Roi
        The active area within it.
    """

    path: Path
    stored_shape: tuple[int, int]
    active: Roi

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the grey values as they are read."""
        return np.dtype(np.uint16)

    @contextmanager
    def opened(self, roi: Roi) -> Iterator[ReadPage]:
        """Give a function that reads the region of the frame."""
        yield lambda _frame: self._read(roi)

    def _read(self, roi: Roi) -> Luma:
        """Decompress the sensor's numbers; raise when that fails: the file holds nothing else."""
        with _understood(self.path) as raw:
            stored: npt.NDArray[Any] | None = raw.raw_image
            if stored is None or stored.shape != self.stored_shape:
                raise RecordingError(
                    f"{self.path.name} states {self.stored_shape[1]} x {self.stored_shape[0]} raw "
                    "values, but LibRaw reads others; convert it again with Adobe's DNG Converter"
                )
            return cropped(cropped(stored, self.active), roi).astype(np.uint16)


def open_dng(
    path: Path, *, roi: Roi | str | None = None, progress: Progress | None = None
) -> StackSource:
    """Open a DNG raw file as a recording of one frame.

    The grey values are the sensor's own within its active area: no black level is subtracted,
    nothing is interpolated, scaled or corrected. For a sensor with a colour mosaic they are the
    values of the mosaic.

    Parameters
    ----------
    path : Path
        The file.
    roi : Roi, str or None
        The region to read of the active area; None for all of it.
    progress : callable, optional
        Called with the bytes read and those of the file.

    Returns
    -------
    StackSource
        The bit depth of its facts follows from the white level. ``facts.details`` holds, where
        known, ``mosaic`` (the colours of the first two rows of the region read, as ``RGGB``;
        absent for monochrome sensors), ``black_level`` (mean over the mosaic), ``white_level``,
        ``exposure_s``, ``camera`` and ``compression``.

    Raises
    ------
    RecordingError
        When the file is damaged or cut off, holds no raw but demosaiced values, or is compressed
        in a way that loses something or is not known.
    """
    try:
        with opened_tiff(path) as tif:
            page = _raw_page(path, tif)
            _refuse_other_than_raw(path, page)
            settings = _settings(tif, page)
            mosaic = _mosaic(path, page)
            stored_shape = (int(page.imagelength), int(page.imagewidth))
            active = _active_area(path, page)
            ends_at = max(
                (
                    at + count
                    for at, count in zip(page.dataoffsets, page.databytecounts, strict=True)
                ),
                default=0,
            )
    except UNREADABLE as error:
        raise RecordingError(_unreadable(path, error)) from error
    if ends_at > path.stat().st_size:
        raise RecordingError(
            f"{path.name} ends before its raw values do; it is cut off, so copy it from the camera "
            "again"
        )
    black_level, white_level = _levels(path)
    roi = chosen_roi(
        roi, name=path.name, width_px=active.width_px, height_px=active.height_px, is_video=False
    )
    facts = RecordingFacts(
        name=path.name,
        digest=digest_of_file(path, progress=progress),
        kind="dng",
        frame_width_px=active.width_px,
        frame_height_px=active.height_px,
        roi=roi,
        frame_count=1,
        bit_depth=white_level.bit_length(),
        iso=settings.pop("iso", None),
        details={
            **({"mosaic": _shifted(mosaic, roi)} if mosaic else {}),
            "black_level": black_level,
            "white_level": white_level,
            **settings,
        },
    )
    pages = DngPages(path=path, stored_shape=stored_shape, active=active)
    return StackSource(facts=facts, frame_range=range(1), pages=pages, log=FrameLog(1))


@contextmanager
def _understood(path: Path) -> Iterator[rawpy.RawPy]:
    """Open a file with LibRaw; say in a sentence what it does not understand."""
    try:
        with rawpy.imread(str(path)) as raw:
            yield raw
    except rawpy.LibRawError as error:
        raise RecordingError(_unreadable(path, error)) from error


def _unreadable(path: Path, error: Exception) -> str:
    """Return the sentence for a file that is damaged or of an unknown kind."""
    reason = error.args[0] if error.args else type(error).__name__
    text = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
    return (
        f"{path.name} is a DNG file, but its raw values cannot be read ({' '.join(text.split())}); "
        "it is damaged or of an unknown kind, so copy it again or convert it with Adobe's DNG "
        "Converter"
    )


def _raw_page(path: Path, tif: tifffile.TiffFile) -> tifffile.TiffPage:
    """Return the directory of the full raw image, which may lie below the one of a preview."""
    first = tif.pages.first
    pages = [first, *(page for page in first.pages or () if isinstance(page, tifffile.TiffPage))]
    for page in pages:
        is_reduced = int(page.tags.valueof("NewSubfileType", 0)) & _REDUCED
        if page.tags.valueof("PhotometricInterpretation") in {_MOSAIC, _LINEAR} and not is_reduced:
            return page
    raise RecordingError(
        f"{path.name} is a DNG file, but holds no raw image; give the file as the camera wrote it"
    )


def _refuse_other_than_raw(path: Path, page: tifffile.TiffPage) -> None:
    """Raise when the values are not those of the sensor, or went through a lossy compression."""
    if page.samplesperpixel != 1:
        raise RecordingError(
            f"{path.name} is a linear DNG with {page.samplesperpixel} colours per pixel, made by "
            "demosaicing, so its noise is no longer that of the sensor; give the raw file as the "
            "camera wrote it"
        )
    if int(page.sampleformat) == _FLOATS:
        raise RecordingError(
            f"{path.name} holds floating point values, as merged exposures do, but the whole "
            "numbers of one exposure are expected; give the raw file as the camera wrote it"
        )
    if int(page.compression) not in _COMPRESSIONS:
        raise RecordingError(
            f"{path.name} is compressed by {_compression(page)}, but uncompressed or lossless JPEG "
            "is expected; record or convert it without lossy compression"
        )


def _compression(page: tifffile.TiffPage) -> str:
    """Return what the compression of a page is called."""
    try:
        name = tifffile.COMPRESSION(page.compression).name
    except ValueError:
        name = "an unknown method"
    return f"{name} ({int(page.compression)})"


def _settings(tif: tifffile.TiffFile, page: tifffile.TiffPage) -> dict[str, Any]:
    """Return sensitivity, exposure, camera and compression, as far as the file states them."""
    tags = tif.pages.first.tags
    exif = {**dict(tags.valueof("ExifTag") or {}), **{tag.name: tag.value for tag in tags}}
    found: dict[str, Any] = {"compression": _COMPRESSIONS[int(page.compression)]}
    for name in _SENSITIVITIES:
        value = exif.get(name, 0)
        iso = int(value[0] if isinstance(value, tuple) else value)
        if iso > 0 and iso != _ISO_ELSEWHERE:
            found["iso"] = iso
            break
    numerator, denominator = exif.get("ExposureTime", (0, 1))
    if numerator > 0 and denominator > 0:
        found["exposure_s"] = numerator / denominator
    camera = " ".join(str(exif[name]).strip() for name in ("Make", "Model") if exif.get(name))
    if camera:
        found["camera"] = camera
    return found


def _mosaic(path: Path, page: tifffile.TiffPage) -> str:
    """Return the colours of the first two rows and columns of the active area; empty if none."""
    if page.tags.valueof("PhotometricInterpretation") == _LINEAR:
        return ""
    repeat = tuple(page.tags.valueof("CFARepeatPatternDim", ()))
    pattern = bytes(page.tags.valueof("CFAPattern", b""))
    if repeat != (2, 2) or len(pattern) != 4 or max(pattern) >= len(_COLOURS):
        size = " x ".join(str(length) for length in repeat) or "unknown size"
        raise RecordingError(
            f"{path.name} has a colour mosaic of {size}, but one of 2 x 2 pixels is expected; use "
            "a camera with a Bayer mosaic or none"
        )
    return "".join(_COLOURS[colour] for colour in pattern)


def _shifted(mosaic: str, roi: Roi) -> str:
    """Return a mosaic of 2 x 2 as it begins at the origin of a region."""
    return "".join(
        mosaic[(row + roi.y_px) % 2 * 2 + (column + roi.x_px) % 2]
        for row in (0, 1)
        for column in (0, 1)
    )


def _active_area(path: Path, page: tifffile.TiffPage) -> Roi:
    """Return the part of the sensor that sees light; all of it where the file does not say."""
    height, width = int(page.imagelength), int(page.imagewidth)
    area = page.tags.valueof("ActiveArea") or (0, 0, height, width)
    top, left, bottom, right = (int(edge) for edge in area)
    if not (0 <= top < bottom <= height and 0 <= left < right <= width):
        raise RecordingError(
            f"{path.name} states an active area of rows {top} to {bottom} and columns {left} to "
            f"{right} in {width} x {height} values; it is damaged, so copy it again"
        )
    return Roi(width_px=right - left, height_px=bottom - top, x_px=left, y_px=top)


def _levels(path: Path) -> tuple[float, int]:
    """Return the mean black level and the white level, as LibRaw understands the file."""
    with _understood(path) as raw:
        black = raw.black_level_per_channel
        white_level = int(raw.white_level or 0)
    if white_level < 1:
        raise RecordingError(
            f"{path.name} states a white level of {white_level}; it is damaged, so copy it again"
        )
    return float(np.mean(black)), white_level
