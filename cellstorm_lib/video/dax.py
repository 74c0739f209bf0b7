"""Stacks of plain numbers with a text file beside them: .dax + .inf, Picasso's .raw + .yaml."""

import re
from pathlib import Path

import numpy as np
import yaml

from cellstorm_lib.errors import RecordingError, is_no_plain_file
from cellstorm_lib.files import digest_of_file
from cellstorm_lib.progress import Progress
from cellstorm_lib.recording import RecordingFacts, Roi
from cellstorm_lib.settings import first_of_yaml
from cellstorm_lib.video.field import chosen_roi
from cellstorm_lib.video.flat import flat_source, frame_offsets
from cellstorm_lib.video.stack import StackSource

_MOST_TEXT_BYTES = 1 << 20
_PICASSO_TYPES = {"uint8": "u1", "uint16": "u2", "int16": "i2"}


def open_dax(
    path: Path, *, roi: Roi | str | None = None, progress: Progress | None = None
) -> StackSource:
    """Open a .dax file of storm-analysis, described by the .inf file beside it.

    Parameters
    ----------
    path : Path
        The .dax file: 16 bit integers, big endian unless the .inf file says otherwise.
    roi : Roi, str or None
        The region to read; None for the whole frame.
    progress : callable, optional
        Called with the bytes read and those of the file.

    Raises
    ------
    RecordingError
        When the .inf file is missing or does not tell the size and the number of the frames.
    """
    text = _text_beside(path, ".inf")
    size = re.search(r"frame dimensions\s*=\s*(\d+)\s*x\s*(\d+)", text)
    count = re.search(r"number of frames\s*=\s*(\d+)", text)
    kind = re.search(r"data type\s*=\s*(.*)", text)
    described = kind.group(1) if kind else "16 bit integers (binary, big endian)"
    if size is None or count is None or "16 bit" not in described:
        raise RecordingError(
            f"{path.with_suffix('.inf').name} must give 'frame dimensions', 'number of frames' and "
            f"16 bit integers as 'data type' of {path.name}, but does not; restore it from the "
            "microscope"
        )
    return _open(
        path,
        kind="dax",
        stored="<u2" if "little endian" in described else ">u2",
        sizes=(int(size.group(1)), int(size.group(2)), int(count.group(1))),
        pixel_size_nm=None,
        roi=roi,
        progress=progress,
    )


def open_raw(
    path: Path, *, roi: Roi | str | None = None, progress: Progress | None = None
) -> StackSource:
    """Open a .raw movie of Picasso, described by the .yaml file beside it.

    Parameters
    ----------
    path : Path
        The .raw file.
    roi : Roi, str or None
        The region to read; None for the whole frame.
    progress : callable, optional
        Called with the bytes read and those of the file.

    Raises
    ------
    RecordingError
        When the .yaml file is missing or does not describe the frames.
    """
    try:
        described = first_of_yaml(_text_beside(path, ".yaml"))
        if not isinstance(described, dict):
            raise ValueError("no names with values")
        order = {"<": "<", ">": ">"}[str(described.get("Byte Order", "<"))]
        stored = order + _PICASSO_TYPES[str(described["Data Type"])]
        width, height, frames = (int(described[name]) for name in ("Width", "Height", "Frames"))
        pixel_size = described.get("Pixelsize", described.get("Camera.Pixelsize"))
        pixel_size_nm = None if pixel_size is None else float(pixel_size)
    except (yaml.YAMLError, KeyError, ValueError, TypeError, RecursionError) as error:
        raise RecordingError(
            f"{path.with_suffix('.yaml').name} must give Width, Height, Frames, Data Type and Byte "
            f"Order of {path.name}, but does not ({error}); restore the "
            "file that Picasso wrote"
        ) from error
    return _open(
        path,
        kind="raw",
        stored=stored,
        sizes=(width, height, frames),
        pixel_size_nm=pixel_size_nm,
        roi=roi,
        progress=progress,
    )


def _open(
    path: Path,
    *,
    kind: str,
    stored: str,
    sizes: tuple[int, int, int],
    pixel_size_nm: float | None,
    roi: Roi | str | None,
    progress: Progress | None,
) -> StackSource:
    """Make the source once the width, the height and the count of the frames are described."""
    width_px, height_px, frame_count = sizes
    if min(width_px, height_px, frame_count) < 1:
        raise RecordingError(
            f"{path.name} is described as {frame_count} frames of {width_px} x {height_px} pixels; "
            "at least 1 of each is expected, so restore the file beside it"
        )
    facts = RecordingFacts(
        name=path.name,
        digest=digest_of_file(path, progress=progress),
        kind=kind,
        frame_width_px=width_px,
        frame_height_px=height_px,
        roi=chosen_roi(roi, name=path.name, width_px=width_px, height_px=height_px, is_video=False),
        frame_count=frame_count,
        bit_depth=8 * np.dtype(stored).itemsize,
        pixel_size_nm=pixel_size_nm,
        details={"stored_as": stored},
    )
    frame_bytes = width_px * height_px * np.dtype(stored).itemsize
    offsets = frame_offsets(path, first=0, frame_bytes=frame_bytes, frame_count=frame_count)
    return flat_source(path, facts, stored=stored, offsets=offsets)


def _text_beside(path: Path, ending: str) -> str:
    """Return the text of the file of the same name with another ending."""
    beside = path.with_suffix(ending)
    try:
        if is_no_plain_file(beside):
            raise OSError(0, "it is a folder or a device")
        with beside.open("rb") as stream:
            return stream.read(_MOST_TEXT_BYTES).decode("utf-8", errors="replace")
    except OSError as error:
        raise RecordingError(
            f"{path.name} needs {beside.name} beside it, which tells the size of its frames, but "
            f"that cannot be read ({error.strerror}); copy both files together"
        ) from error
