"""What the frame before tells about a spot: copied by the codec or not, changed or not."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from cellstorm_lib.recording import FrameChunk, RecordingFacts, Roi

_BLOCK_PX = 8
_HALF_WINDOW_PX = 3

_compiled = njit(cache=True, nogil=True)


def with_copy_ages(
    chunks: Iterable[FrameChunk], facts: RecordingFacts
) -> Iterator[tuple[FrameChunk, npt.NDArray[np.int32] | None]]:
    """Yield each chunk with the age of every block of its frames.

    A block of 8 x 8 pixels is copied when its inner 6 x 6 pixels equal those of the frame
    before and the frame is no key frame. Its age is the number of copies in a row; 0 when it was
    coded anew. The blocks are those of the full frame, whatever the region.

    Yields
    ------
    (FrameChunk, (N, ceil, ceil) int32 or None)
        The chunk; ages by frame, block row and block column. None for stacks, which no codec
        copied.
    """
    if not facts.is_video:
        yield from ((chunk, None) for chunk in chunks)
        return
    roi = facts.roi
    phase_y, phase_x = roi.y_px % _BLOCK_PX, roi.x_px % _BLOCK_PX
    down = -(-(roi.height_px + phase_y) // _BLOCK_PX)
    across = -(-(roi.width_px + phase_x) // _BLOCK_PX)
    age = np.zeros((down, across), np.int32)
    for chunk in chunks:
        ages = np.zeros((len(chunk.frames), down, across), np.int32)
        previous = chunk.frames[0] if chunk.previous is None else chunk.previous
        restarts = chunk.is_key.copy()
        restarts[0] |= chunk.previous is None
        _count_copies(chunk.frames, previous, restarts, (phase_y, phase_x), age, ages)
        yield chunk, ages


def ages_at(
    ages: npt.NDArray[np.int32],
    roi: Roi,
    index: npt.NDArray[Any],
    x_px: npt.NDArray[np.float64],
    y_px: npt.NDArray[np.float64],
) -> npt.NDArray[np.int32]:
    """Return the age of the block in which each position lies, (N,) int32."""
    row = (np.floor(y_px).astype(np.int64) + roi.y_px % _BLOCK_PX) // _BLOCK_PX
    column = (np.floor(x_px).astype(np.int64) + roi.x_px % _BLOCK_PX) // _BLOCK_PX
    at: npt.NDArray[np.int32] = ages[
        index, np.clip(row, 0, ages.shape[1] - 1), np.clip(column, 0, ages.shape[2] - 1)
    ]
    return at


def temporal_differences(
    chunk: FrameChunk,
    index: npt.NDArray[Any],
    row: npt.NDArray[Any],
    column: npt.NDArray[Any],
) -> npt.NDArray[np.float32]:
    """Return the mean of |frame - frame before| in the 7 x 7 pixels around each spot.

    Parameters
    ----------
    chunk : FrameChunk
        The frames.
    index, row, column : (N,) int
        Frame of the chunk and pixel of each spot.

    Returns
    -------
    (N,) float32
        Grey values; 0 in the first frame of a reading.
    """
    previous = chunk.frames[0] if chunk.previous is None else chunk.previous
    out = np.empty(len(index), np.float32)
    _mean_differences(chunk.frames, previous, index, row, column, out)
    return out


@_compiled
def _count_copies(
    frames: Any, previous: Any, restarts: Any, phase: Any, age: Any, ages: Any
) -> None:
    """Carry the age of every block from frame to frame."""
    height, width = frames.shape[1:]
    for index in range(len(frames)):
        frame = frames[index]
        before = frames[index - 1] if index > 0 else previous
        for block_row in range(age.shape[0]):
            top = max(block_row * _BLOCK_PX - phase[0] + 1, 0)
            bottom = min(block_row * _BLOCK_PX - phase[0] + _BLOCK_PX - 1, height)
            for block_column in range(age.shape[1]):
                left = max(block_column * _BLOCK_PX - phase[1] + 1, 0)
                right = min(block_column * _BLOCK_PX - phase[1] + _BLOCK_PX - 1, width)
                is_copied = not restarts[index] and top < bottom and left < right
                for y in range(top, bottom):
                    if not is_copied:
                        break
                    for x in range(left, right):
                        if frame[y, x] != before[y, x]:
                            is_copied = False
                            break
                here = age[block_row, block_column] + 1 if is_copied else 0
                age[block_row, block_column] = here
                ages[index, block_row, block_column] = here


@_compiled
def _mean_differences(
    frames: Any, previous: Any, index: Any, row: Any, column: Any, out: Any
) -> None:
    """Write the mean absolute difference to the frame before around each pixel."""
    height, width = frames.shape[1:]
    for spot in range(len(index)):
        frame = frames[index[spot]]
        before = frames[index[spot] - 1] if index[spot] > 0 else previous
        top, bottom = max(row[spot] - _HALF_WINDOW_PX, 0), row[spot] + _HALF_WINDOW_PX + 1
        left, right = max(column[spot] - _HALF_WINDOW_PX, 0), column[spot] + _HALF_WINDOW_PX + 1
        total, count = np.int64(0), 0
        for y in range(top, min(bottom, height)):
            for x in range(left, min(right, width)):
                total += abs(np.int64(frame[y, x]) - np.int64(before[y, x]))
                count += 1
        out[spot] = total / count
