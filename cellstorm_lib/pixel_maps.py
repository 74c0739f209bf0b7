"""What is known of each pixel of a camera: offset, noise, gain, and how much light reaches it."""

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import tifffile

from cellstorm_lib.errors import CalibrationError, is_no_plain_file, refusing
from cellstorm_lib.files import is_plain_name, written_whole
from cellstorm_lib.recording import Roi

Map = npt.NDArray[np.float32]

_MOST_PIXELS = 1 << 28
_ALWAYS_BELIEVED_PIECES = 10_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PixelMaps:
    """One number per pixel for what differs from pixel to pixel; None where it was not measured.

    All maps have the same shape (Y, X): that of the camera's frame, or of the region of it that
    is looked at.

    Attributes
    ----------
    offset_adu : (Y, X) float32 or None
        Mean grey value without light.
    read_variance_e2 : (Y, X) float32 or None
        Variance of the read noise, electrons squared.
    gain_e_per_adu : (Y, X) float32 or None
        Photoelectrons per grey value.
    relative_sensitivity : (Y, X) float32 or None
        Flat field: signal of the pixel under even light / mean of all pixels.

    References
    ----------
    Huang et al., Nat. Methods 10, 653 (2013). doi:10.1038/nmeth.2488
    """

    offset_adu: Map | None = None
    read_variance_e2: Map | None = None
    gain_e_per_adu: Map | None = None
    relative_sensitivity: Map | None = None

    def __post_init__(self) -> None:
        maps = self.named()
        if not maps:
            raise CalibrationError("pixel maps need at least one map")
        shapes = {values.shape for values in maps.values()}
        if len(shapes) > 1 or any(values.ndim != 2 for values in maps.values()):
            raise CalibrationError(f"pixel maps must all have one shape (Y, X), got {shapes}")
        for name, values in maps.items():
            if not np.isfinite(values).all():
                raise CalibrationError(f"the map {name} has pixels that are not finite")
            if name in {"gain_e_per_adu", "relative_sensitivity"} and values.min() <= 0:
                raise CalibrationError(f"the map {name} must be above 0 everywhere")
        if self.read_variance_e2 is not None and self.read_variance_e2.min() < 0:
            raise CalibrationError("the map read_variance_e2 must be 0 or more everywhere")

    def named(self) -> dict[str, Map]:
        """Return the maps there are, by name."""
        maps = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        return {name: values for name, values in maps.items() if values is not None}

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        rows, columns = next(iter(self.named().values())).shape
        return rows, columns

    @property
    def digests(self) -> dict[str, str]:
        """SHA-256 of each map's shape and values, by name."""
        return {
            name: sha256(repr(values.shape).encode() + _plain_bytes(values)).hexdigest()
            for name, values in self.named().items()
        }

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PixelMaps) and self.digests == other.digests

    def __hash__(self) -> int:
        return hash(tuple(sorted(self.digests.items())))

    def cropped(self, roi: Roi) -> Self:
        """Return the maps of a region of the frame.

        Raises
        ------
        CalibrationError
            When the region reaches beyond the maps.
        """
        rows, columns = self.shape
        if roi.y_px + roi.height_px > rows or roi.x_px + roi.width_px > columns:
            raise CalibrationError(
                f"the pixel maps hold {columns} x {rows} pixels, but the region looked at is "
                f"{roi.width_px}x{roi.height_px}+{roi.x_px}+{roi.y_px}; calibrate with frames of "
                "the size that is recorded, or leave the maps out"
            )
        return type(self)(
            **{
                name: np.ascontiguousarray(values[roi.slices])
                for name, values in self.named().items()
            }
        )


def write_pixel_maps(maps: PixelMaps, beside: Path) -> dict[str, dict[str, str]]:
    """Write each map as a 32-bit TIFF beside a calibration file.

    Returns
    -------
    dict
        File name and digest of each map, for the calibration file.
    """
    written = {}
    digests = maps.digests
    for name, values in maps.named().items():
        path = beside.with_name(f"{beside.stem}.{name}.tif")
        write_map(values, path)
        written[name] = {"file": path.name, "digest": digests[name]}
    return written


def read_pixel_maps(entries: Mapping[str, Any], beside: Path) -> PixelMaps:
    """Read the maps that a calibration file names.

    Raises
    ------
    CalibrationError
        When a map is missing, is no TIFF, or is not the one that was written with the file.
    """
    known = {entry.name for entry in fields(PixelMaps)}
    maps: dict[str, Map] = {}
    for name, entry in entries.items():
        if name not in known:
            raise CalibrationError(
                f"{beside} names an unknown map {name!r}; known: {sorted(known)}"
            )
        if not is_plain_name(str(entry["file"])):
            raise CalibrationError(
                f"{beside} names the map {entry['file']!r}, but a map lies beside it; put it "
                "there, and give its name alone"
            )
        maps[name] = read_map(beside.with_name(entry["file"]))
    found = PixelMaps(**maps)
    wrong = [name for name, digest in found.digests.items() if digest != entries[name]["digest"]]
    if wrong:
        raise CalibrationError(
            f"{beside.with_name(entries[wrong[0]]['file'])} is not the map that {beside.name} was "
            "written with; put that one back, or calibrate again"
        )
    return found


def write_map(values: Map, path: Path) -> None:
    """Write one number per pixel as a 32-bit TIFF."""
    with written_whole(path) as temporary:
        tifffile.imwrite(temporary, values, compression="zlib", photometric="minisblack")


def read_map(path: Path) -> Map:
    """Read one number per pixel.

    Raises
    ------
    CalibrationError
        When the file is missing or no TIFF.
    """
    fault = "is to be a map of a camera's pixels, but cannot be read"
    with refusing(CalibrationError, path, fault, "put it back, or calibrate again"):
        if is_no_plain_file(path):
            raise OSError("it is no file")
        with tifffile.TiffFile(path) as tif:
            return np.ascontiguousarray(_only_image(tif), np.float32)


def _only_image(tif: tifffile.TiffFile) -> npt.NDArray[Any]:
    """Return the one grey image in a file; further pages are not even listed."""
    page = tif.pages.first
    if page.ndim != 2 or not 0 < page.size <= _MOST_PIXELS:
        raise ValueError(f"it holds {page.shape} values, but the pixels of one camera are expected")
    if math.prod(page.chunked) > max(_ALWAYS_BELIEVED_PIECES, len(page.dataoffsets)):
        raise ValueError("it claims far more pieces than it lists")
    with suppress(IndexError):
        if tif.pages[1] is not None:
            raise ValueError("it holds several images, but one is expected")
    return np.asarray(page.asarray(maxworkers=1))


def _plain_bytes(values: Map) -> bytes:
    """Return the values as little-endian bytes, the same on every machine."""
    return np.ascontiguousarray(values, "<f4").tobytes()
