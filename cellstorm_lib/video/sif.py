"""Andor's .sif files: a text header read by sif_parser, then plain numbers."""

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import sif_parser

from cellstorm_lib.errors import RecordingError
from cellstorm_lib.files import digest_of_file
from cellstorm_lib.progress import Progress
from cellstorm_lib.recording import RecordingFacts, Roi
from cellstorm_lib.video.field import chosen_roi
from cellstorm_lib.video.flat import flat_source, frame_offsets
from cellstorm_lib.video.stack import StackSource

_STORED = "<f4"


def open_sif(
    path: Path, *, roi: Roi | str | None = None, progress: Progress | None = None
) -> StackSource:
    """Open an Andor .sif file.

    The file stores counts as 32 bit floats; they are read as the 16 bit counts they are.

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
        When the header cannot be understood.
    """
    info = _header(path)
    width_px, height_px = (int(length) for length in info["size"])
    frame_count = int(info["NumberOfFrames"])
    if min(width_px, height_px, frame_count) < 1:
        raise RecordingError(_unreadable(path, "it describes no frames"))
    cycle_s = float(info.get("CycleTime", 0))
    facts = RecordingFacts(
        name=path.name,
        digest=digest_of_file(path, progress=progress),
        kind="sif",
        frame_width_px=width_px,
        frame_height_px=height_px,
        roi=chosen_roi(roi, name=path.name, width_px=width_px, height_px=height_px, is_video=False),
        frame_count=frame_count,
        bit_depth=16,
        frame_rate_hz=1 / cycle_s if cycle_s > 0 else None,
        details={
            name: info[name]
            for name in ("DetectorType", "ExposureTime", "DetectorTemperature", "GainDAC")
            if name in info
        },
    )
    frame_bytes = width_px * height_px * np.dtype(_STORED).itemsize
    offsets = frame_offsets(
        path, first=int(info["offset"]), frame_bytes=frame_bytes, frame_count=frame_count
    )
    return flat_source(path, facts, stored=_STORED, offsets=offsets)


class _EndsLoudly(io.BufferedReader):
    """A file that raises at its end, where the header's reader would wait for ever."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Read bytes; at least one when any are asked for."""
        data = super().read(size)
        if not data and size:
            raise EOFError("it ends inside its header")
        return data


def _header(path: Path) -> dict[str, Any]:
    """Return what the header says, without reading any frame."""
    try:
        with warnings.catch_warnings(), _EndsLoudly(io.FileIO(path)) as stream:
            warnings.simplefilter("ignore")
            _, info = sif_parser.np_open(stream, lazy="memmap")
    except Exception as error:  # whatever its parser stumbles over
        raise RecordingError(_unreadable(path, str(error))) from error
    return dict(info)


def _unreadable(path: Path, reason: str) -> str:
    """Return the sentence for a header that cannot be understood."""
    return (
        f"{path.name} begins like an Andor SIF file, but its header cannot be read ({reason}); "
        "copy it again or export it as TIFF from Andor SOLIS"
    )
