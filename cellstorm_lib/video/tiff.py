"""TIFF files written: stacks of frames, and single images with their pixel size."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt
import tifffile

from cellstorm_lib.errors import ExportError, RecordingError, refusing
from cellstorm_lib.files import written_whole
from cellstorm_lib.video import tiff_metadata
from cellstorm_lib.video.tiff_pages import UNREADABLE, opened_tiff, refuse_impossible

_DEFLATE_LEVEL = 2
#: Pages that are written together, unless they have more bytes than this.
_PAGES_AT_ONCE, _BYTES_AT_ONCE = 64, 1 << 22


def write_stack(
    path: Path,
    chunks: Iterable[npt.NDArray[Any]],
    *,
    pixel_size_nm: float | None,
    frame_rate_hz: float | None = None,
    photons_per_adu: float | None = None,
    is_denoised: bool = False,
    description: str = "",
    details: Mapping[str, Any] | None = None,
) -> None:
    """Write frames as an OME-TIFF (BigTIFF, deflate), one chunk in memory at a time.

    Parameters
    ----------
    path : Path
        The file to write.
    chunks : iterable of (N, Y, X) uint8 or uint16
        The frames; all of one type and size.
    pixel_size_nm : float or None
        Object-side pixel size.
    frame_rate_hz : float or None
        Frames per second.
    photons_per_adu : float or None
        For stacks that hold photons: photoelectrons = value * photons_per_adu.
    is_denoised : bool
        Whether a denoiser made the frames.
    description : str
        What the values are, in words.
    details : mapping or None
        Further plain facts (calibration, digest of the model, ...); `open_recording` gives them
        and the description back in the details of its facts.

    Raises
    ------
    ExportError
        When there is no frame, or frames differ in size or type, or the file cannot be written.
    """
    own = {
        "photons_per_adu": photons_per_adu,
        "is_denoised": is_denoised,
        **({"description": description} if description else {}),
        **(details or {}),
    }
    count, frame = 0, np.zeros((0, 0), dtype=np.uint8)
    with written_whole(path) as temporary:
        with tifffile.TiffWriter(temporary, bigtiff=True) as tif:
            for frame, pages in _pages(path, chunks):
                tif.write(
                    iter(pages),
                    shape=(len(pages), *frame.shape),
                    dtype=frame.dtype,
                    rowsperstrip=frame.shape[0],
                    photometric="minisblack",
                    compression="zlib",
                    contiguous=False,
                    metadata=None,
                    software="cellstorm",
                    description="cellstorm" if count == 0 else None,
                )
                count += len(pages)
        if count == 0:
            raise ExportError(f"cannot write {path}: there are no frames; check the frame range")
        text = tiff_metadata.ome_text(
            shape=(count, *frame.shape),
            dtype=frame.dtype.name,
            pixel_size_nm=pixel_size_nm,
            frame_rate_hz=frame_rate_hz,
            own=own,
        )
        tifffile.tiffcomment(temporary, text)


def write_image(
    path: Path,
    image: npt.NDArray[Any],
    *,
    pixel_size_nm: float,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Write one image as a 32-bit TIFF whose pixel size ImageJ understands.

    Parameters
    ----------
    path : Path
        The file to write.
    image : (Y, X) real
        Values; stored as float32.
    pixel_size_nm : float
        Size of a pixel; above 0.
    details : mapping or None
        Plain facts to keep in the file.

    Raises
    ------
    ExportError
        When the image is none, or the file cannot be written.
    """
    if image.ndim != 2 or not image.size or not pixel_size_nm > 0:
        raise ExportError(
            f"cannot write {path}: an image of rows and columns with a pixel size above 0 is "
            f"expected, got shape {image.shape} and {pixel_size_nm} nm"
        )
    per_um = 1e3 / pixel_size_nm
    with written_whole(path) as temporary:
        tifffile.imwrite(
            temporary,
            image.astype(np.float32),
            imagej=True,
            resolution=(per_um, per_um),
            software="cellstorm",
            metadata={
                "axes": "YX",
                "unit": "um",
                "Info": json.dumps({"cellstorm": dict(details or {})}, sort_keys=True),
            },
        )


def read_image(path: Path) -> tuple[npt.NDArray[np.float32], float]:
    """Read an image of `write_image`, or any single grey TIFF that states its pixel size.

    Returns
    -------
    image : (Y, X) float32
        The values.
    pixel_size_nm : float
        Size of a pixel.

    Raises
    ------
    RecordingError
        When the file cannot be read, is no single image, or does not state its pixel size.
    """
    path = Path(path)
    try:
        with opened_tiff(path) as tif:
            refuse_impossible(path, tif.series[0].keyframe)
            image = tif.series[0].asarray()
            size_nm = tiff_metadata.pixel_size_nm(tif)
    except UNREADABLE as error:
        reason = " ".join(str(error).split())
        raise RecordingError(
            f"{path} cannot be read as a TIFF image ({reason}); give a file that cellstorm or "
            "ImageJ wrote"
        ) from error
    if image.ndim != 2 or size_nm is None:
        raise RecordingError(
            f"{path} must hold one image and state its pixel size, but holds values of shape "
            f"{image.shape} with pixel size {size_nm}; set the scale in ImageJ and save it again"
        )
    with np.errstate(over="ignore"):  # what is too large for the type is infinite
        return image.astype(np.float32), size_nm


def read_image_details(path: Path) -> dict[str, Any]:
    """Return the plain facts that `write_image` kept in a file; empty for files of others."""
    remedy = "give a file that cellstorm or ImageJ wrote"
    with (
        refusing(RecordingError, path, "cannot be read as a TIFF image", remedy),
        opened_tiff(Path(path)) as tif,
    ):
        return tiff_metadata.own_facts(tif)


def _deflated(frame: npt.NDArray[Any]) -> bytes:
    """Return a frame compressed: several times faster than zlib, and no larger."""
    return bytes(imagecodecs.zlibng_encode(frame.tobytes(), level=_DEFLATE_LEVEL))


def _pages(
    path: Path, chunks: Iterable[npt.NDArray[Any]]
) -> Iterator[tuple[npt.NDArray[Any], list[bytes]]]:
    """Yield the compressed pages that are written together, with a frame of their shape and type.

    The first is alone, for it alone has a description. A page by itself costs more to write than to
    compress.
    """
    pages: list[bytes] = []
    size, is_first = 0, True
    frame = np.zeros((0, 0), dtype=np.uint8)
    for frame in _uniform_frames(path, chunks):
        pages.append(_deflated(frame))
        size += len(pages[-1])
        if is_first or len(pages) == _PAGES_AT_ONCE or size > _BYTES_AT_ONCE:
            yield frame, pages
            pages, size, is_first = [], 0, False
    if pages:
        yield frame, pages


def _uniform_frames(path: Path, chunks: Iterable[npt.NDArray[Any]]) -> Iterator[npt.NDArray[Any]]:
    """Yield the frames of all chunks; raise when they cannot be one stack."""
    first: npt.NDArray[Any] | None = None
    for chunk in chunks:
        if chunk.ndim != 3 or chunk.dtype not in (np.uint8, np.uint16):
            raise ExportError(
                f"cannot write {path}: chunks of frames (N, Y, X) of uint8 or uint16 are expected, "
                f"got {chunk.dtype} of shape {chunk.shape}"
            )
        for frame in chunk:
            first = frame if first is None else first
            if frame.shape != first.shape or frame.dtype != first.dtype:
                raise ExportError(
                    f"cannot write {path}: all frames must be {first.dtype} of shape "
                    f"{first.shape}, got {frame.dtype} of shape {frame.shape}"
                )
            yield frame
