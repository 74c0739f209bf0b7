"""Frames that are in memory already."""

import copy
import hashlib
from collections.abc import Iterator
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from cellstorm_lib.errors import RecordingError
from cellstorm_lib.recording import FrameChunk, LossSummary, RecordingFacts, Roi
from cellstorm_lib.video.chunk import checked_chunk_size
from cellstorm_lib.video.field import shared_frames


class ArraySource:
    """The frames of a stack in memory; see `FrameSource`.

    Without a frame rate, times count frames: one second each.

    Parameters
    ----------
    frames : (N, Y, X) uint8 or uint16
        Grey values; not copied.
    name : str
        What to call them.
    pixel_size_nm : float or None
        Object-side pixel size.
    frame_rate_hz : float or None
        Frames per second.
    denoised_photons_per_adu : float or None
        Photoelectrons per value, for frames that were denoised.
    """

    def __init__(
        self,
        frames: npt.NDArray[Any],
        *,
        name: str = "array",
        pixel_size_nm: float | None = None,
        frame_rate_hz: float | None = None,
        denoised_photons_per_adu: float | None = None,
    ) -> None:
        if frames.ndim != 3 or frames.dtype not in (np.uint8, np.uint16) or not frames.size:
            raise RecordingError(
                f"{name} must be a stack (N, Y, X) of uint8 or uint16 with at least one frame, got "
                f"{frames.dtype} of shape {frames.shape}"
            )
        self._frames = frames
        self._range = range(len(frames))
        height_px, width_px = frames.shape[1:]
        self._facts = RecordingFacts(
            name=name,
            digest=_digest_of(frames),
            kind="array",
            frame_width_px=width_px,
            frame_height_px=height_px,
            roi=Roi(width_px=width_px, height_px=height_px),
            frame_count=len(frames),
            bit_depth=8 * frames.dtype.itemsize,
            pixel_size_nm=pixel_size_nm,
            frame_rate_hz=frame_rate_hz,
            photons_per_adu=denoised_photons_per_adu,
            is_denoised=denoised_photons_per_adu is not None,
        )

    @property
    def facts(self) -> RecordingFacts:
        """Facts of the stack."""
        return self._facts

    @property
    def frame_range(self) -> range:
        """Frame numbers this source yields."""
        return self._range

    def chunks(self, size: int) -> Iterator[FrameChunk]:
        """Yield all frames in order, at most `size` at a time."""
        size = checked_chunk_size(size, len(self._range))
        interval_s = 1 / (self._facts.frame_rate_hz or 1.0)
        for start in range(self._range.start, self._range.stop, size or 1):
            stop = min(start + size, self._range.stop)
            count = stop - start
            frame = np.arange(start, stop, dtype=np.int64)
            yield FrameChunk(
                frames=np.ascontiguousarray(self._frames[start:stop]),
                frame=frame,
                time_s=frame.astype(np.float64) * interval_s,
                is_key=np.ones(count, dtype=bool),
                frames_since_key=np.zeros(count, dtype=np.int32),
                is_tainted=np.zeros(count, dtype=bool),
                packet_bytes=np.full(count, self._frames[0].nbytes, dtype=np.int64),
                previous=self._frames[start - 1] if start else None,
            )

    def part(self, start: int, stop: int) -> Self:
        """Return the same stack restricted to frames ``start <= frame < stop``."""
        part = copy.copy(self)
        part._range = shared_frames(self._range, start, stop)
        return part

    def key_frames(self) -> npt.NDArray[np.int64]:
        """Return all frames: reading can start anywhere."""
        return np.arange(self._range.start, self._range.stop, dtype=np.int64)

    def loss(self) -> LossSummary:
        """Return that nothing is missing."""
        return LossSummary(expected_count=len(self._range), decoded_count=len(self._range))


def _digest_of(frames: npt.NDArray[Any]) -> str:
    """Return the SHA-256 of shape, type and values."""
    digest = hashlib.sha256(f"{frames.shape} {frames.dtype.name}".encode())
    for frame in frames:
        digest.update(np.ascontiguousarray(frame).data)
    return digest.hexdigest()
