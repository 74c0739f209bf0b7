"""The search for maxima, compiled: band-pass, threshold and 3 x 3 test in one pass per frame.

8-bit frames are filtered in 16-bit integers and 16-bit frames in 32-bit integers: as many
pixels per vector instruction as possible, and nothing depends on the order of additions. The
band is then known to 1/16 of a grey value. A frame is worked off in
strips of a few rows that stay in the fastest cache.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from numba import njit

#: Pixels around a frame that its filters look at; they repeat the frame's edge.
_PAD = 6
#: The band is held in sixteenths of a grey value.
_UNIT = 16
_SPARE = 64
#: Flags looked at together; most are not set.
_GROUP = 64
_STRIP_PX = 4096

_compiled = njit(cache=True, nogil=True, error_model="numpy")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidates:
    """Pixels that may be the middle of a spot, by frame and then in reading order.

    Attributes
    ----------
    index : (N,) int32
        Place of the frame in the stack.
    row, column : (N,) int32
        The brightest pixel of the band.
    offset_px : (N, 2) float32
        Where the parabola through its neighbours has its top, x and y from the pixel's centre.
    """

    index: npt.NDArray[np.int32]
    row: npt.NDArray[np.int32]
    column: npt.NDArray[np.int32]
    offset_px: npt.NDArray[np.float32]

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.index)

    def rows_inside(self, shape: tuple[int, ...], border_px: int) -> npt.NDArray[np.int64]:
        """Return which lie at least `border_px` pixels away from the edge of a frame (Y, X)."""
        return np.flatnonzero(
            (self.row >= border_px)
            & (self.row < shape[0] - border_px)
            & (self.column >= border_px)
            & (self.column < shape[1] - border_px)
        )

    def moved(self, down_px: int, right_px: int) -> Self:
        """Return them in frames whose corner lies elsewhere."""
        return type(self)(
            index=self.index,
            row=self.row + np.int32(down_px),
            column=self.column + np.int32(right_px),
            offset_px=self.offset_px,
        )

    def clipped(self, shape: tuple[int, ...], border_px: int) -> Self:
        """Return them with those nearer to the edge of a frame (Y, X) moved to `border_px` from it.

        The offset keeps pointing to where the spot is.
        """
        row = np.clip(self.row, border_px, shape[0] - 1 - border_px).astype(np.int32)
        column = np.clip(self.column, border_px, shape[1] - 1 - border_px).astype(np.int32)
        away_px = np.column_stack([self.column - column, self.row - row]).astype(np.float32)
        return type(self)(
            index=self.index, row=row, column=column, offset_px=self.offset_px + away_px
        )

    def take(self, rows: npt.NDArray[np.int64]) -> Self:
        """Return the chosen ones."""
        return type(self)(
            index=self.index[rows],
            row=self.row[rows],
            column=self.column[rows],
            offset_px=self.offset_px[rows],
        )


def find_maxima(frames: npt.NDArray[Any], thresholds_adu: npt.NDArray[np.float32]) -> Candidates:
    """Find pixels of the wavelet band above a threshold that no neighbour exceeds.

    Of equal neighbours the first in reading order is taken, so a plateau gives one maximum.
    The outermost pixels of a frame are never maxima.

    Parameters
    ----------
    frames : (N, Y, X) uint8 or uint16
        Grey values.
    thresholds_adu : (N,) float32
        Threshold of each frame, grey values of the band.
    """
    is_byte = frames.dtype == np.uint8
    lane = np.dtype(np.uint16 if is_byte else np.uint32)
    signed = np.dtype(np.int16 if is_byte else np.int32)
    count, height, width = frames.shape
    pitch = width + 2 * _PAD
    rows = max(8, _STRIP_PX // pitch)
    highest = 2**15 - 1 if is_byte else 2**31 - 128
    thresholds = np.clip(np.floor(thresholds_adu * _UNIT), 1, highest).astype(signed)
    work = (
        np.zeros((rows + 12) * pitch + _SPARE, frames.dtype),
        np.zeros((rows + 8) * pitch + _SPARE, lane),
        np.zeros((rows + 8) * pitch + _SPARE, lane),
        np.zeros(rows * pitch + _SPARE, lane),
        np.zeros((rows + 2) * pitch + _SPARE, signed),
        np.zeros((rows * pitch + 2 * _GROUP) // _GROUP * _GROUP, np.uint8),
    )
    capacity = max(1024, count * height * width // 256)
    while True:
        where = np.empty((3, capacity), np.int32)
        offset = np.empty((capacity, 2), np.float32)
        found = _search(frames, thresholds, rows, work, where, offset)
        if found <= capacity:
            break
        capacity = found
    return Candidates(
        index=where[0, :found],
        row=where[1, :found],
        column=where[2, :found],
        offset_px=offset[:found],
    )


@_compiled
def _add(source: Any, step: Any, out: Any, count: Any) -> None:
    """Write the sum of five pixels `step` apart, weighted 1 4 6 4 1."""
    a, b = source[:count], source[step : step + count]
    c, d = source[2 * step : 2 * step + count], source[3 * step : 3 * step + count]
    e = source[4 * step : 4 * step + count]
    for i in range(count):
        middle = np.int64(c[i])
        out[i] = a[i] + e[i] + 4 * (np.int64(b[i]) + d[i] + middle) + 2 * middle


@_compiled
def _smooth(source: Any, step: Any, out: Any, count: Any) -> None:
    """Write the same sum divided by 16 and rounded."""
    a, b = source[:count], source[step : step + count]
    c, d = source[2 * step : 2 * step + count], source[3 * step : 3 * step + count]
    e = source[4 * step : 4 * step + count]
    kind = out.dtype.type
    for i in range(count):
        middle = np.int64(c[i])
        total = a[i] + e[i] + 4 * (np.int64(b[i]) + d[i] + middle) + 2 * middle + 8
        out[i] = kind(total) >> 4


@_compiled
def _subtract_smooth(source: Any, fine: Any, out: Any, count: Any) -> None:
    """Write `fine` less the weighted mean of five pixels of `source`, two apart."""
    a, b, c = source[:count], source[2 : 2 + count], source[4 : 4 + count]
    d, e = source[6 : 6 + count], source[8 : 8 + count]
    kind = source.dtype.type
    for i in range(count):
        middle = np.int64(c[i])
        total = a[i] + e[i] + 4 * (np.int64(b[i]) + d[i] + middle) + 2 * middle + 8
        out[i] = fine[i] - (kind(total) >> 4)


@_compiled
def _copy(source: Any, out: Any, count: Any) -> None:
    """Copy values; much faster than assigning a slice."""
    for i in range(count):
        out[i] = source[i]


@_compiled
def _copy_rows(frame: Any, first: Any, count: Any, padded: Any) -> None:
    """Copy rows with the frame's edge repeated above, below, left and right."""
    height, width = frame.shape
    pitch = width + 2 * _PAD
    for k in range(count):
        line = frame[min(max(first + k, 0), height - 1)]
        out = padded[k * pitch : (k + 1) * pitch]
        _copy(line, out[_PAD:], width)
        for i in range(_PAD):
            out[i] = line[0]
            out[_PAD + width + i] = line[width - 1]


@_compiled
def _top(low: Any, middle: Any, high: Any) -> Any:
    """Return where the parabola through three values has its top, from the middle one."""
    slope = np.float32(high) - np.float32(low)
    bend = np.float32(2.0) * (
        np.float32(2.0) * np.float32(middle) - np.float32(low) - np.float32(high)
    )
    half = np.float32(0.5)
    return min(max(slope / bend, -half), half) if bend > np.float32(0.0) else np.float32(0.0)


@_compiled
def _search(frames: Any, thresholds: Any, strip: Any, work: Any, where: Any, offset: Any) -> Any:
    """Write all maxima; return how many there are, also when they did not fit."""
    padded, rows_done, smooth, smoother, band, flags = work
    count, height, width = frames.shape
    pitch = width + 2 * _PAD
    found = 0
    for index in range(count):
        threshold = thresholds[index]
        for top in range(0, height, strip):
            rows = min(strip, height - top)
            size = rows * pitch
            # of the frame smoothed once, four rows above and below the strip are needed too
            done = 0
            if top > 0:
                _copy(smooth[strip * pitch :], smooth, 8 * pitch)
                _copy(band[strip * pitch :], band, 2 * pitch)
                done = 8
            new = rows + 8 - done
            _copy_rows(frames[index], top - _PAD + done, new + 4, padded)
            _add(padded, pitch, rows_done, new * pitch)
            _smooth(rows_done, 1, smooth[done * pitch :], new * pitch)
            _smooth(smooth, 2 * pitch, smoother, size)
            _subtract_smooth(smoother, smooth[4 * pitch + 4 :], band[2 * pitch :], size)
            found = _collect(
                band, threshold, flags, (index, top, rows, width), where, offset, found
            )
    return found


@_compiled
def _flag_maxima(band: Any, pitch: Any, first: Any, count: Any, threshold: Any, flags: Any) -> None:
    """Set the flag of each pixel that is above the threshold and that no neighbour exceeds."""
    above, below = first - pitch, first + pitch
    here = band[first : first + count]
    before, after = band[first - 1 : first - 1 + count], band[first + 1 : first + 1 + count]
    a, b = band[above - 1 : above - 1 + count], band[above : above + count]
    c, d = band[above + 1 : above + 1 + count], band[below - 1 : below - 1 + count]
    e, f = band[below : below + count], band[below + 1 : below + 1 + count]
    for i in range(count):
        value = here[i]
        earlier = max(a[i], b[i], c[i], before[i])
        later = max(after[i], d[i], e[i], f[i])
        flags[i] = (value > threshold) & (value > earlier) & (value >= later)


@_compiled
def _collect(
    band: Any, threshold: Any, flags: Any, place: Any, where: Any, offset: Any, found: Any
) -> Any:
    """Append the maxima of a strip; the band's first two rows belong to the strip before."""
    index, top, rows, width = place
    pitch = width + 2 * _PAD
    first = pitch + 1 if top > 0 else 3 * pitch + 1
    count = max((rows + 1) * pitch - first, 0)
    _flag_maxima(band, pitch, first, count, threshold, flags)
    for i in range(count, (count + _GROUP - 1) // _GROUP * _GROUP):
        flags[i] = 0
    words = flags.view(np.uint64)
    for group in range((count + _GROUP - 1) // _GROUP):
        k = 8 * group
        low = words[k] | words[k + 1] | words[k + 2] | words[k + 3]
        if low | words[k + 4] | words[k + 5] | words[k + 6] | words[k + 7] == 0:
            continue
        for i in range(_GROUP * group, _GROUP * (group + 1)):
            if flags[i] == 0:
                continue
            at = first + i
            column = at % pitch
            if column < 1 or column > width - 2:
                continue
            if found < where.shape[1]:
                value = band[at]
                where[0, found] = index
                where[1, found] = top - 2 + at // pitch
                where[2, found] = column
                offset[found, 0] = _top(band[at - 1], value, band[at + 1])
                offset[found, 1] = _top(band[at - pitch], value, band[at + pitch])
            found += 1
    return found
