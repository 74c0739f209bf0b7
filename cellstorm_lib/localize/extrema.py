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
        return type(self)(**{name: getattr(self, name)[which] for name in _COLUMNS})

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
    sign = np.float32(-1.0 if are_minima else 1.0)
    count = _collect(band, sign, follows, np.empty((3, 0), np.int32), np.empty((3, 0), np.float32))
    where, values = np.empty((3, count), np.int32), np.empty((3, count), np.float32)
    _collect(band, sign, follows, where, values)
    return Extrema(
        index=where[0],
        row=where[1],
        column=where[2],
        height=values[0],
        before=values[1],
        after=values[2],
    )


@njit(cache=True, nogil=True)
def _is_extremum(image: Any, sign: Any, y: Any, x: Any, value: Any) -> Any:
    """Return whether a pixel exceeds its earlier neighbours and no later one exceeds it."""
    for dy in range(-1, 2):
        for dx in range(-1, 2):
            other = sign * image[y + dy, x + dx]
            is_earlier = dy < 0 or (dy == 0 and dx < 0)
            if other > value or (is_earlier and other == value):
                return False
    return True


@njit(cache=True, nogil=True)
def _highest(image: Any, sign: Any, y: Any, x: Any) -> Any:
    """Return the largest of 3 x 3 pixels."""
    highest = sign * image[y, x]
    for dy in range(-1, 2):
        for dx in range(-1, 2):
            highest = max(highest, sign * image[y + dy, x + dx])
    return highest


@njit(cache=True, nogil=True)
def _collect(band: Any, sign: Any, follows: Any, where: Any, values: Any) -> Any:
    """Write the extrema that fit into the arrays; return how many there are."""
    frames, height, width = band.shape
    found = 0
    for k in range(frames):
        has_after = k + 1 < frames and follows[k + 1]
        for y in range(1, height - 1):
            for x in range(1, width - 1):
                value = sign * band[k, y, x]
                if value <= 0 or not _is_extremum(band[k], sign, y, x, value):
                    continue
                if found < where.shape[1]:
                    where[0, found] = k
                    where[1, found] = y
                    where[2, found] = x
                    values[0, found] = value
                    values[1, found] = _highest(band[k - 1], sign, y, x) if follows[k] else np.nan
                    values[2, found] = _highest(band[k + 1], sign, y, x) if has_after else np.nan
                found += 1
    return found
