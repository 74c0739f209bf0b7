"""Frames gathered one by one into a chunk."""

from typing import Any

import numpy as np
import numpy.typing as npt

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.recording import FrameChunk, Roi

Luma = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]


def checked_chunk_size(size: int, frame_count: int) -> int:
    """Return how many frames a chunk needs room for."""
    if size < 1:
        raise SettingsError(f"a chunk must hold at least 1 frame, got {size}")
    return min(size, frame_count)


def cropped(luma: Luma, roi: Roi) -> Luma:
    """Return the region of a frame, (Y, X); a view."""
    return luma[roi.slices]


class GrowingChunk:
    """Room for some frames; a new one continues where the last one ended."""

    def __init__(self, size: int, roi: Roi, dtype: npt.DTypeLike, *, previous: Luma | None) -> None:
        self._frames: npt.NDArray[Any] = np.empty((size, roi.height_px, roi.width_px), dtype)
        self._facts: list[tuple[int, float, bool, int, bool, int]] = []
        self._previous = previous

    @property
    def is_full(self) -> bool:
        """Whether there is no more room."""
        return len(self._facts) == len(self._frames)

    def __len__(self) -> int:
        return len(self._facts)

    def add(
        self,
        luma: Luma,
        *,
        frame: int,
        time_s: float,
        is_key: bool = True,
        frames_since_key: int = 0,
        is_tainted: bool = False,
        packet_bytes: int,
    ) -> None:
        """Copy in the next frame, which must have the size of the region."""
        self._frames[len(self._facts)] = luma
        self._facts.append((frame, time_s, is_key, frames_since_key, is_tainted, packet_bytes))

    def last(self) -> Luma | None:
        """Return a copy of the last frame; of the one before the chunk while it is empty."""
        return self._frames[len(self._facts) - 1].copy() if self._facts else self._previous

    def finished(self) -> FrameChunk:
        """Return the chunk."""
        columns = list(zip(*self._facts, strict=True)) or [()] * 6
        return FrameChunk(
            frames=self._frames[: len(self._facts)],
            frame=np.array(columns[0], dtype=np.int64),
            time_s=np.array(columns[1], dtype=np.float64),
            is_key=np.array(columns[2], dtype=bool),
            frames_since_key=np.array(columns[3], dtype=np.int32),
            is_tainted=np.array(columns[4], dtype=bool),
            packet_bytes=np.array(columns[5], dtype=np.int64),
            previous=self._previous,
        )
