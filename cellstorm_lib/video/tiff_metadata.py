"""What the metadata of a TIFF file say of its frames, and how ours are written."""

import html
import json
import re
from collections.abc import Mapping
from typing import Any

import tifffile

_LENGTHS_NM = {
    "pm": 1e-3, "å": 0.1, "nm": 1.0, "nanometer": 1.0, "nanometers": 1.0,
    "µm": 1e3, "um": 1e3, "micron": 1e3, "microns": 1e3, "micrometer": 1e3,
    "mm": 1e6, "cm": 1e7, "m": 1e9,
}  # fmt: skip
_TIMES_S = {"ns": 1e-9, "µs": 1e-6, "us": 1e-6, "ms": 1e-3, "s": 1.0, "sec": 1.0, "min": 60.0}
_OWN_KEY = "cellstorm"
_CENTIMETRE = 3
_OME = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
    'xsi:schemaLocation="http://www.openmicroscopy.org/Schemas/OME/2016-06 '
    'http://www.openmicroscopy.org/Schemas/OME/2016-06/ome.xsd" Creator="cellstorm">'
    '<Image ID="Image:0"><Description>{description}</Description>'
    '<Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="{dtype}" SizeX="{width}" SizeY="{height}" '
    'SizeZ="1" SizeC="1" SizeT="{count}"{physical}>'
    '<Channel ID="Channel:0:0" SamplesPerPixel="1"/><TiffData IFD="0" PlaneCount="{count}"/>'
    "</Pixels></Image></OME>"
)


def ome_text(
    *,
    shape: tuple[int, int, int],
    dtype: str,
    pixel_size_nm: float | None,
    frame_rate_hz: float | None,
    own: Mapping[str, Any],
) -> bytes:
    """Return the OME-XML of a stack, with our own facts as JSON in its description.

    Parameters
    ----------
    shape : (int, int, int)
        Frames, rows, columns.
    dtype : str
        ``uint8`` or ``uint16``.
    pixel_size_nm, frame_rate_hz : float or None
        Left out when None.
    own : mapping
        Plain content; what `own_facts` gives back.
    """
    physical = ""
    if pixel_size_nm is not None:
        size_um = pixel_size_nm / 1e3  # in µm, for some readers pass over the unit
        for axis in "XY":
            physical += f' PhysicalSize{axis}="{size_um!r}" PhysicalSize{axis}Unit="µm"'
    if frame_rate_hz is not None:
        physical += f' TimeIncrement="{1 / frame_rate_hz!r}" TimeIncrementUnit="s"'
    description = html.escape(json.dumps({_OWN_KEY: dict(own)}, sort_keys=True))
    text = _OME.format(
        description=description,
        dtype=dtype,
        count=shape[0],
        height=shape[1],
        width=shape[2],
        physical=physical,
    )
    return text.encode()


def own_facts(tif: tifffile.TiffFile) -> dict[str, Any]:
    """Return the facts that `ome_text` or `ImageJ` metadata of ours hold; empty for other files."""
    if tif.is_ome:
        found = re.search(r"<(?:\w+:)?Description>([^<]*)</", tif.ome_metadata or "")
        text = html.unescape(found.group(1)) if found else ""
    else:
        text = str((tif.imagej_metadata or {}).get("Info", ""))
    try:
        content = json.loads(text)
        return dict(content[_OWN_KEY])
    except (ValueError, KeyError, TypeError):
        return {}


def pixel_size_nm(tif: tifffile.TiffFile) -> float | None:
    """Return the object-side pixel size a TIFF file states, if any; None when x and y differ."""
    if tif.is_ome:
        pixels = _ome_pixels(tif)
        sizes = [
            _quantity(
                pixels.get(f"PhysicalSize{axis}"),
                pixels.get(f"PhysicalSize{axis}Unit", "µm"),
                _LENGTHS_NM,
            )
            for axis in "XY"
        ]
    elif tif.is_imagej:
        unit = str((tif.imagej_metadata or {}).get("unit", ""))
        sizes = [_quantity(size, unit, _LENGTHS_NM) for size in _pixel_lengths(tif)]
    elif tif.pages.first.tags.valueof("ResolutionUnit") == _CENTIMETRE:
        sizes = [_quantity(size, "cm", _LENGTHS_NM) for size in _pixel_lengths(tif)]
    else:
        return None
    x_nm, y_nm = sizes
    is_square = x_nm is not None and y_nm is not None and abs(x_nm - y_nm) <= 0.01 * x_nm
    return x_nm if is_square else None


def frame_rate_hz(tif: tifffile.TiffFile) -> float | None:
    """Return the frame rate a TIFF file states, if any."""
    if tif.is_ome:
        pixels = _ome_pixels(tif)
        interval_s = _quantity(
            pixels.get("TimeIncrement"), pixels.get("TimeIncrementUnit", "s"), _TIMES_S
        )
    else:
        interval_s = _quantity((tif.imagej_metadata or {}).get("finterval"), "s", _TIMES_S)
    return None if interval_s is None else 1 / interval_s


def significant_bits(tif: tifffile.TiffFile) -> int | None:
    """Return how many bits of the values carry information, when an OME-TIFF says so."""
    bits = _ome_pixels(tif).get("SignificantBits", "") if tif.is_ome else ""
    return int(bits) if bits.isdigit() else None


def _ome_pixels(tif: tifffile.TiffFile) -> dict[str, str]:
    """Return the attributes of the first image's pixels in OME-XML."""
    found = re.search(r"<(?:\w+:)?Pixels\b([^<>]*)>", tif.ome_metadata or "")
    attributes = re.findall(r'\b(\w+)\s*=\s*"([^"]*)"', found.group(1)) if found else []
    return {name: html.unescape(value) for name, value in attributes}


def _pixel_lengths(tif: tifffile.TiffFile) -> list[float | None]:
    """Return width and height of a pixel in the unit of the resolution tags."""
    lengths: list[float | None] = []
    for name in ("XResolution", "YResolution"):
        count, per = tif.pages.first.tags.valueof(name) or (0, 1)
        lengths.append(per / count if count else None)
    return lengths


def _quantity(value: Any, unit: str, units: Mapping[str, float]) -> float | None:
    """Return a positive quantity in the common unit; None when it is not one."""
    name = unit.replace("\\u00B5", "µ").replace("\u03bc", "µ").strip().lower()
    try:
        quantity = float(f"{float(value) * units[name]:.15g}")  # 97.5 nm stay 97.5 as µm
    except (TypeError, ValueError, KeyError):
        return None
    return quantity if 0 < quantity < float("inf") else None
