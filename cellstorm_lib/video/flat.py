"""Frames that lie in a file as plain numbers, one after the other."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from cellstorm_lib.errors import RecordingError
from cellstorm_lib.recording import RecordingFacts, Roi
from cellstorm_lib.video.chunk import Luma
from cellstorm_lib.video.loss import FrameLog
from cellstorm_lib.video.stack import ReadPage, StackSource

#: A recording that was cut off promises more frames than it has, but not without bounds.
_MOST_TIMES_THE_ROOM, _ALWAYS_BELIEVED = 100, 10_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FlatPages:
    """Frames as plain numbers in one file.

    Attributes
    ----------
    path : Path
        The file.
    stored : str
        NumPy's name of the stored numbers with their byte order, as ``>u2``.
    width_px, height_px : int
        Size of a frame.
    offsets : (N,) int64
        Byte at which each frame begins.
    """

    path: Path
    stored: str
    width_px: int
    height_px: int
    offsets: npt.NDArray[np.int64]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the grey values as they are read."""
        return np.dtype(np.uint8 if np.dtype(self.stored) == np.uint8 else np.uint16)

    @contextmanager
    def opened(self, roi: Roi) -> Iterator[ReadPage]:
        """Open the file; give a function that reads the region of one frame."""
        with self.path.open("rb") as stream:
            yield lambda frame: self._read(stream, frame, roi)

    def _read(self, stream: BinaryIO, frame: int, roi: Roi) -> Luma | None:
        """Read only the rows of the region."""
        stored = np.dtype(self.stored)
        row_bytes = self.width_px * stored.itemsize
        stream.seek(int(self.offsets[frame]) + roi.y_px * row_bytes)
        data = stream.read(roi.height_px * row_bytes)
        if len(data) < roi.height_px * row_bytes:
            return None
        rows = np.frombuffer(data, stored).reshape(roi.height_px, self.width_px)
        return as_counts(rows[:, roi.x_px : roi.x_px + roi.width_px], self.path.name)


def as_counts(values: npt.NDArray[Any], name: str) -> Luma:
    """Return stored numbers as uint8 or uint16 in native order; raise when they are no counts."""
    if values.dtype.kind == "u" and values.dtype.itemsize <= 2:
        return values.astype(values.dtype.newbyteorder("="), copy=False)
    low, high = values.min(), values.max()
    if not (low >= 0 and high <= 65535 and (values == np.rint(values)).all()):
        raise RecordingError(
            f"{name} holds values from {low:g} to {high:g} as {values.dtype.name}, but whole grey "
            "values from 0 to 65535 are expected; save the raw counts as 16 bit unsigned integers"
        )
    return values.astype(np.uint16)


def frame_offsets(
    path: Path, *, first: int, frame_bytes: int, frame_count: int
) -> npt.NDArray[np.int64]:
    """Return the byte at which each of the frames begins that a file promises, one after another.

    Raises
    ------
    RecordingError
        When it promises far more than it has room for.
    """
    room = path.stat().st_size // frame_bytes
    if frame_count > max(_MOST_TIMES_THE_ROOM * room, _ALWAYS_BELIEVED):
        raise RecordingError(
            f"{path.name} is described as {frame_count} frames, but has room for {room}; the "
            "description is damaged, so copy the recording again"
        )
    return first + np.arange(frame_count, dtype=np.int64) * frame_bytes


def flat_source(
    path: Path,
    facts: RecordingFacts,
    *,
    stored: str,
    offsets: npt.NDArray[np.int64],
) -> StackSource:
    """Return the source of a file whose frames are plain numbers.

    Parameters
    ----------
    path : Path
        The file.
    facts : RecordingFacts
        Its facts, with the number of frames it promises.
    stored : str
        NumPy's name of the stored numbers with their byte order, as ``>u2``.
    offsets : (N,) int64
        Byte at which each promised frame begins.
    """
    pages = FlatPages(
        path=path,
        stored=stored,
        width_px=facts.frame_width_px,
        height_px=facts.frame_height_px,
        offsets=offsets,
    )
    frame_bytes = facts.frame_width_px * facts.frame_height_px * np.dtype(stored).itemsize
    log = FrameLog(len(offsets))
    for frame in np.flatnonzero(offsets + frame_bytes > path.stat().st_size).tolist():
        log.missing(frame, f"frame {frame} is promised, but the file ends before it")
    return StackSource(facts=facts, frame_range=range(len(offsets)), pages=pages, log=log)
