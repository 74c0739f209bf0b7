"""TIFF, BigTIFF, OME-TIFF and ImageJ stacks, read page by page."""

import logging
import math
import re
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile

from cellstorm_lib.errors import RecordingError, is_no_plain_file
from cellstorm_lib.files import digest_of_file
from cellstorm_lib.progress import Progress
from cellstorm_lib.recording import RecordingFacts, Roi
from cellstorm_lib.video.chunk import Luma, cropped
from cellstorm_lib.video.field import chosen_roi
from cellstorm_lib.video.flat import as_counts, flat_source, frame_offsets
from cellstorm_lib.video.loss import FrameLog
from cellstorm_lib.video.stack import ReadPage, StackSource
from cellstorm_lib.video.tiff_chain import refuse_circles
from cellstorm_lib.video.tiff_metadata import (
    frame_rate_hz,
    own_facts,
    pixel_size_nm,
    significant_bits,
)

#: What tifffile and the decompressors raise on broken files.
UNREADABLE = (
    ValueError, OSError, RuntimeError, LookupError, TypeError, ArithmeticError, MemoryError,
    struct.error,
)  # fmt: skip
#: Complaints after which the number of frames, or what they mean, is not known.
_GRAVE = re.compile("invalid page offset|metadata invalid or corrupted|TiffTag 270 ")
#: Layouts that state how many frames follow one another.
_COUNTING = {"imagej", "shaped"}
_MOST_COLOURS = 4
_MOST_PIXELS = 1 << 28
_ALWAYS_BELIEVED_PIECES = 10_000
_GREY = {
    tifffile.PHOTOMETRIC.MINISBLACK,
    tifffile.PHOTOMETRIC.MINISWHITE,
    tifffile.PHOTOMETRIC.PALETTE,
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TiffPages:
    """Frames that each are one (compressed) page of a TIFF file, from number `first_frame` on.

    `directories` tells where that of each frame begins, so that a part of a long stack is read
    without going through all of it; None when some are elsewhere or missing.
    """

    path: Path
    dtype: np.dtype[Any]
    shape: tuple[int, int]
    directories: npt.NDArray[np.int64] | None
    first_frame: int = 0

    @contextmanager
    def opened(self, roi: Roi) -> Iterator[ReadPage]:
        """Open the file; give a function that reads the region of one frame."""
        if self.directories is None:
            with opened_tiff(self.path) as tif:
                pages = tif.series[0].pages
                yield lambda frame: self._read(lambda at: pages[at], frame, roi)
        else:
            with _quietly_opened(self.path) as tif:
                yield lambda frame: self._read(lambda at: self._page(tif, at), frame, roi)

    def _page(self, tif: tifffile.TiffFile, at: int) -> tifffile.TiffPage:
        """Read one directory."""
        if self.directories is None or not 0 <= at < len(self.directories):
            raise IndexError(at)
        tif.filehandle.seek(int(self.directories[at]))
        return tifffile.TiffPage(tif, index=at)

    def _read(self, page_at: Callable[[int], Any], frame: int, roi: Roi) -> Luma | None:
        """Decompress a page; None when it is absent or broken."""
        if frame < self.first_frame:
            return None
        try:
            page = page_at(frame - self.first_frame)
            luma = None if page is None else page.asarray(maxworkers=1).reshape(self.shape)
        except UNREADABLE:
            return None
        return None if luma is None else as_counts(cropped(luma, roi), self.path.name)


class _Complaints(logging.Handler):
    """Collects what tifffile logs, which otherwise would be printed where nobody set up logging."""

    def __init__(self, found: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._found = found

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the message."""
        self._found.append(record.getMessage())


@contextmanager
def opened_tiff(path: Path, complaints: list[str] | None = None) -> Iterator[tifffile.TiffFile]:
    """Open a TIFF file; errors that tifffile only logs are added to `complaints`."""
    if is_no_plain_file(path):
        raise OSError("it is a folder or a device, not a file")
    refuse_circles(path)
    with _quietly_opened(path, complaints) as tif:
        yield tif


@contextmanager
def _quietly_opened(path: Path, complaints: list[str] | None = None) -> Iterator[tifffile.TiffFile]:
    """Open a TIFF file whose chain of directories is known to end, or is not followed."""
    logger = logging.getLogger("tifffile")
    handler = _Complaints([] if complaints is None else complaints)
    logger.addHandler(handler)
    try:
        # tifffile computes with whatever numbers a damaged file holds
        with np.errstate(all="ignore"), tifffile.TiffFile(path) as tif:
            yield tif
    finally:
        logger.removeHandler(handler)


def open_tiff(
    path: Path, *, roi: Roi | str | None = None, progress: Progress | None = None
) -> StackSource:
    """Open a TIFF, BigTIFF, OME-TIFF or ImageJ stack; a single image is a stack of one frame.

    Parameters
    ----------
    path : Path
        The file.
    roi : Roi, str or None
        The region to read; None for the whole frame.
    progress : callable, optional
        Called with the bytes read and those of the file.

    Raises
    ------
    RecordingError
        When the file is broken, or its pages are not grey images of 8 or 16 bit.
    """
    complaints: list[str] = []
    try:
        with opened_tiff(path, complaints) as tif:
            source = _source_of(path, tif, roi, progress)
            is_counted = tif.series[0].dataoffset is not None and tif.series[0].kind in _COUNTING
    except UNREADABLE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise RecordingError(
            f"{path.name} begins like a TIFF file, but cannot be read ({reason}); it is damaged or "
            "cut off, so copy it again"
        ) from error
    if not is_counted and any(_GRAVE.search(text) for text in complaints):
        raise RecordingError(
            f"{path.name} is cut off or damaged: {source.facts.frame_count} frames are found, but "
            "it refers to more beyond its end; copy it again"
        )
    return source


def _source_of(
    path: Path, tif: tifffile.TiffFile, roi: Roi | str | None, progress: Progress | None
) -> StackSource:
    """Make the source of an open file."""
    series = tif.series[0] if tif.series else None
    if series is None or not series.size:
        raise RecordingError(
            f"{path.name} begins like a TIFF file, but holds no image; it is damaged or cut off, "
            "so copy it again"
        )
    _refuse_other_than_grey(path, series)
    height_px, width_px = (
        series.get_shape(squeeze=False)[series.get_axes(squeeze=False).index(axis)] for axis in "YX"
    )
    refuse_impossible(path, series.keyframe)
    frame_count = series.size // (height_px * width_px)
    own = own_facts(tif)
    first_frame = own.get("first_frame", 0)  # of a part of a recording that was denoised
    dtype = np.dtype(np.uint8 if series.dtype == np.uint8 else np.uint16)
    facts = RecordingFacts(
        name=path.name,
        digest=digest_of_file(path, progress=progress),
        kind="tiff",
        frame_width_px=width_px,
        frame_height_px=height_px,
        roi=chosen_roi(roi, name=path.name, width_px=width_px, height_px=height_px, is_video=False),
        frame_count=frame_count,
        bit_depth=min(significant_bits(tif) or 16, 16) if dtype == np.uint16 else 8,
        frame_rate_hz=frame_rate_hz(tif),
        pixel_size_nm=pixel_size_nm(tif),
        photons_per_adu=own.pop("photons_per_adu", None),
        is_denoised=bool(own.pop("is_denoised", False)),
        details={"layout": series.kind, "axes": series.get_axes(squeeze=False), **own},
    )
    offsets = _flat_offsets(tif, series, frame_count)
    if offsets is not None:
        stored = series.dtype.newbyteorder(tif.byteorder).str
        return flat_source(path, facts, stored=stored, offsets=offsets)
    if len(series.pages) != frame_count:
        raise RecordingError(
            f"{path.name} holds {frame_count} frames in {len(series.pages)} compressed pages; save "
            "it with one frame per page"
        )
    return StackSource(
        facts=facts,
        frame_range=range(first_frame, first_frame + frame_count),
        pages=TiffPages(
            path=path,
            dtype=dtype,
            shape=(height_px, width_px),
            directories=_directories(tif, series),
            first_frame=first_frame,
        ),
        log=FrameLog(first_frame + frame_count),
    )


def _directories(
    tif: tifffile.TiffFile, series: tifffile.TiffPageSeries
) -> npt.NDArray[np.int64] | None:
    """Return where the directory of each page begins when all are in this file, else None."""
    offsets = [page.offset for page in series.pages if page is not None and page.parent is tif]
    return np.array(offsets, dtype=np.int64) if len(offsets) == len(series.pages) else None


def refuse_impossible(path: Path, page: tifffile.TiffPage) -> None:
    """Raise when a page claims more pixels than any camera has, or far more pieces than it lists.

    Raises
    ------
    RecordingError
        When it does.
    """
    height_px, width_px = page.imagelength, page.imagewidth
    if height_px * width_px > _MOST_PIXELS:
        raise RecordingError(
            f"{path.name} claims frames of {width_px} x {height_px} pixels, more than any camera "
            "has; it is damaged, so copy it again"
        )
    pieces = math.prod(page.chunked)
    if pieces > max(_ALWAYS_BELIEVED_PIECES, len(page.dataoffsets)):
        raise RecordingError(
            f"{path.name} claims frames in {pieces} pieces, but says of {len(page.dataoffsets)} "
            "where they are; it is damaged, so copy it again"
        )


def _refuse_other_than_grey(path: Path, series: tifffile.TiffPageSeries) -> None:
    """Raise when a frame has colours, or values that are no 8 or 16 bit integers."""
    sizes = dict(zip(series.get_axes(squeeze=False), series.get_shape(squeeze=False), strict=True))
    photometric = tifffile.PHOTOMETRIC(series.keyframe.photometric)
    colours = max(sizes.get("S", 1), _channels(sizes))
    if photometric not in _GREY or colours > 1 or not {"Y", "X"} <= sizes.keys():
        raise RecordingError(
            f"{path.name} holds frames with {colours} channels ({photometric.name}, axes "
            f"{''.join(sizes)}), but grey frames are expected; save one channel as a grey "
            "stack (in Fiji: Image > Color > Split Channels)"
        )
    if series.dtype not in (np.uint8, np.uint16, np.int16):
        raise RecordingError(
            f"{path.name} holds {series.dtype} values, but 8 or 16 bit integers are expected; save "
            "it as a 16 bit stack"
        )


def _channels(sizes: dict[str, int]) -> int:
    """Return how many channels a stack has; frames that a program wrote as channels are none."""
    channels = sizes.get("C", 1)
    is_only_axis = all(sizes.get(axis, 1) == 1 for axis in "TZIQ")
    return 1 if is_only_axis and channels > _MOST_COLOURS else channels


def _flat_offsets(
    tif: tifffile.TiffFile, series: tifffile.TiffPageSeries, frame_count: int
) -> npt.NDArray[np.int64] | None:
    """Return where each frame begins when all lie in this file as plain numbers, else None."""
    keyframe = series.keyframe
    frame_bytes = series.size // frame_count * series.dtype.itemsize
    is_plain = keyframe.compression == 1 and keyframe.is_contiguous and keyframe.fillorder == 1
    if not is_plain or keyframe.bitspersample != 8 * series.dtype.itemsize:
        return None
    if series.dataoffset is not None:
        return frame_offsets(
            Path(tif.filehandle.path),
            first=series.dataoffset,
            frame_bytes=frame_bytes,
            frame_count=frame_count,
        )
    offsets = [
        page.dataoffsets[0]
        for page in series.pages
        if page is not None and page.parent is tif and page.is_contiguous
    ]
    return np.array(offsets, dtype=np.int64) if len(offsets) == frame_count else None
