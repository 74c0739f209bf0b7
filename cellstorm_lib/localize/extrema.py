"""Tops and dips of the band-passed sample, with what stood there a frame before and after."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from numba import njit


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Extrema:
    """Local maxima (or minima) of a band-passed stack.

    Attributes
    ----------
    index, row, column : (M,) int32
        Place in the stack, by frame and then in reading order.
    height : (M,) float32
        How far the band rises (or falls) there; above 0.
    before, after : (M,) float32
        Largest height of the 3 x 3 pixels around the same place in the frame before and after;
        NaN where that frame is not in the stack or was coded without reference to this one.
    """

    index: npt.NDArray[np.int32]
    row: npt.NDArray[np.int32]
    column: npt.NDArray[np.int32]
    height: npt.NDArray[np.float32]
    before: npt.NDArray[np.float32]
    after: npt.NDArray[np.float32]

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.height)

    def chosen(self, which: npt.NDArray[np.bool_]) -> Self:
        """Return those marked in `which`."""
        rows = np.flatnonzero(which)
        return type(self)(**{name: getattr(self, name)[rows] for name in _COLUMNS})

    @classmethod
    def joined(cls, parts: Sequence[Self], starts: Sequence[int]) -> Self:
        """Return those of several stacks as of one, in which each begins at its start."""
        columns = {
            name: np.concatenate([getattr(part, name) for part in parts]) for name in _COLUMNS
        }
        shift = np.repeat(np.asarray(starts, np.int32), [len(part) for part in parts])
        columns["index"] = columns["index"] + shift
        return cls(**columns)


_COLUMNS = tuple(entry.name for entry in fields(Extrema))


def find_extrema(
    band: npt.NDArray[np.float32], *, follows: npt.NDArray[np.bool_], are_minima: bool = False
) -> Extrema:
    """Find all local maxima above 0, or minima below 0, in 3 x 3 neighbourhoods.

    Parameters
    ----------
    band : (N, Y, X) float32
        Band-passed frames.
    follows : (N,) bool
        Whether a frame is the next one in time after the frame before it in the stack and may
        have been coded with reference to it.
    are_minima : bool
        Look for minima; their heights are the depths.

    Notes
    -----
    Of equal neighbours the first in reading order is taken. The outermost pixels of a frame are
    never extrema.
    """
    frames, height, width = band.shape
    # no two neighbours are both extrema, so that there is one in four pixels at most
    most = frames * ((height + 1) // 2) * ((width + 1) // 2)
    where, values = np.empty((3, most), np.int32), np.empty((3, most), np.float32)
    sign = np.float32(-1.0 if are_minima else 1.0)
    room = np.zeros(width, np.uint8), np.empty(width + 1, np.int32)
    count = _write_extrema(band, sign, follows, room, where, values)
    where, values = where[:, :count].copy(), values[:, :count].copy()
    return Extrema(
        index=where[0],
        row=where[1],
        column=where[2],
        height=values[0],
        before=values[1],
        after=values[2],
    )


def ascending(height: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """Return the order of heights above 0, lowest first, equal ones as they come.

    The same as a stable ``argsort``, several times faster: bits of positive numbers have the
    order of the numbers, and with the place below them 64-bit integers are sorted.
    """
    keys = np.ascontiguousarray(height, np.float32).view(np.uint32).astype(np.uint64)
    keys <<= np.uint64(32)
    keys |= np.arange(len(keys), dtype=np.uint64)
    keys.sort()
    return (keys & np.uint64(0xFFFFFFFF)).astype(np.int64)


def middle_of_ascending(values: npt.NDArray[np.float32]) -> float:
    """Return the median of values in ascending order; sorting is faster than ``numpy.median``."""
    return float(0.5 * (values[(len(values) - 1) // 2] + values[len(values) // 2]))


@njit(cache=True, nogil=True, fastmath=True)
def _mark(above: Any, here: Any, below: Any, sign: Any, marks: Any) -> None:
    """Mark pixels of a row above 0 and their earlier neighbours that no later neighbour exceeds.

    Without a branch, so that the loop becomes vector instructions.
    """
    count = len(here) - 2
    a, b, c = above[:count], above[1 : count + 1], above[2 : count + 2]
    d, middle, e = here[:count], here[1 : count + 1], here[2 : count + 2]
    f, g, h = below[:count], below[1 : count + 1], below[2 : count + 2]
    out = marks[1 : count + 1]
    for x in range(count):
        value = sign * middle[x]
        earlier = max(sign * a[x], sign * b[x], sign * c[x], sign * d[x])
        later = max(sign * e[x], sign * f[x], sign * g[x], sign * h[x])
        out[x] = (value > 0) & (value > earlier) & (value >= later)


@njit(cache=True, nogil=True)
def _highest(image: Any, sign: Any, y: Any, x: Any) -> Any:
    """Return the largest of 3 x 3 pixels."""
    highest = sign * image[y, x]
    for dy in range(-1, 2):
        for dx in range(-1, 2):
            highest = max(highest, sign * image[y + dy, x + dx])
    return highest


@njit(cache=True, nogil=True)
def _write_extrema(band: Any, sign: Any, follows: Any, room: Any, where: Any, values: Any) -> Any:
    """Write where the extrema are, how high, and what is there a frame before and after."""
    marks, columns = room
    frames, height, width = band.shape
    found = 0
    for k in range(frames if width > 2 else 0):
        has_after = k + 1 < frames and follows[k + 1]
        for y in range(1, height - 1):
            _mark(band[k, y - 1], band[k, y], band[k, y + 1], sign, marks)
            in_row = 0
            for x in range(width):  # without a branch, which nobody could foresee
                columns[in_row] = x
                in_row += marks[x]
            for x in columns[:in_row]:
                where[0, found], where[1, found], where[2, found] = k, y, x
                values[0, found] = sign * band[k, y, x]
                values[1, found] = _highest(band[k - 1], sign, y, x) if follows[k] else np.nan
                values[2, found] = _highest(band[k + 1], sign, y, x) if has_after else np.nan
                found += 1
    return found
