"""The course of a spot: how much light is in its place in the frames before and after."""

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit
from scipy.special import erf

from cellstorm_lib.localize.around import Surroundings

#: Frames on either side that are looked at.
REACH = 2
#: What is measured of each spot, in grey values: light two and one frames before, now, and after,
#: mean change of a pixel to the neighbouring frames, mean and standard deviation of the pixels
#: around the spot.
MEASURED = (
    "light_before_2",
    "light_before",
    "light",
    "light_after",
    "light_after_2",
    "change_before",
    "change_after",
    "ring_mean",
    "ring_std",
)
_HALF_PX, _CHANGE_HALF_PX, _RING_HALF_PX = 4, 3, 5
_RING_FROM_PX = 3.6
_SIGMA_PX = 1.3


def courses(
    around: Surroundings,
    index: npt.NDArray[np.int32],
    x_px: npt.NDArray[np.float64],
    y_px: npt.NDArray[np.float64],
) -> npt.NDArray[np.float32]:
    """Measure the surroundings of spots in space and time.

    Parameters
    ----------
    around : Surroundings
        The frames and those next to them.
    index : (M,) int32
        Frame of each spot, counted in ``around.frames``.
    x_px, y_px : (M,) float64
        Its position; the outer corner of the first pixel is 0, 0.

    Returns
    -------
    (M, 9) float32
        `MEASURED`, grey values. Light is that of a spot 1.3 px wide at the pixel in which the spot
        lies, by a matched filter that no constant background changes. NaN where the frame is not
        known. Beyond the edge of a frame its outermost pixels are repeated.
    """
    out = np.full((len(index), len(MEASURED)), np.nan, np.float32)
    height, width = around.frames.shape[1:]
    row = np.clip(np.floor(y_px), 0, height - 1).astype(np.int64)
    column = np.clip(np.floor(x_px), 0, width - 1).astype(np.int64)
    stacks = (around.before, around.frames, around.after)
    _measure(stacks, around.number, index, row, column, _filter(), _ring(), out)
    return out


@cache
def _filter() -> npt.NDArray[np.float32]:
    """Return weights that sum up to 0 and give the light of a spot in their middle."""
    edges = (np.arange(-_HALF_PX, _HALF_PX + 2) - 0.5) / (np.sqrt(2.0) * _SIGMA_PX)
    line = np.diff(0.5 * erf(edges))
    spot = np.outer(line, line)
    weights = spot - spot.mean()
    return np.asarray(weights / (weights * spot).sum(), np.float32)


@cache
def _ring() -> npt.NDArray[np.float32]:
    """Return 1 for the pixels around a spot, 0 for those of the spot."""
    offset = np.arange(-_RING_HALF_PX, _RING_HALF_PX + 1)
    return np.asarray(np.hypot(offset[:, None], offset) > _RING_FROM_PX, np.float32)


@njit(cache=True, nogil=True)
def _frame(stacks: Any, place: Any) -> Any:
    """Return a frame by its place among those before, those in the middle and those after."""
    before, frames, after = stacks
    if place < len(before):
        return before[place]
    if place < len(before) + len(frames):
        return frames[place - len(before)]
    return after[place - len(before) - len(frames)]


@njit(cache=True, nogil=True)
def _light(frame: Any, row: Any, column: Any, weights: Any) -> Any:
    """Return the weighted sum of the pixels around a place."""
    height, width = frame.shape
    half = weights.shape[0] // 2
    total = np.float32(0.0)
    for i in range(weights.shape[0]):
        line = frame[min(max(row + i - half, 0), height - 1)]
        for j in range(weights.shape[1]):
            total += weights[i, j] * np.float32(line[min(max(column + j - half, 0), width - 1)])
    return total


@njit(cache=True, nogil=True)
def _change(frame: Any, other: Any, row: Any, column: Any) -> Any:
    """Return the mean of |frame - other| around a place."""
    height, width = frame.shape
    total = np.int64(0)
    for i in range(-_CHANGE_HALF_PX, _CHANGE_HALF_PX + 1):
        y = min(max(row + i, 0), height - 1)
        for j in range(-_CHANGE_HALF_PX, _CHANGE_HALF_PX + 1):
            x = min(max(column + j, 0), width - 1)
            total += abs(np.int64(frame[y, x]) - np.int64(other[y, x]))
    return total / (2 * _CHANGE_HALF_PX + 1) ** 2


@njit(cache=True, nogil=True)
def _moments(frame: Any, row: Any, column: Any, ring: Any) -> Any:
    """Return mean and standard deviation of the pixels of a ring."""
    height, width = frame.shape
    half = ring.shape[0] // 2
    count, total, squares = 0.0, 0.0, 0.0
    for i in range(ring.shape[0]):
        line = frame[min(max(row + i - half, 0), height - 1)]
        for j in range(ring.shape[1]):
            if ring[i, j] > 0:
                value = np.float64(line[min(max(column + j - half, 0), width - 1)])
                count += 1.0
                total += value
                squares += value * value
    mean = total / count
    return mean, np.sqrt(max(squares / count - mean * mean, 0.0))


@njit(cache=True, nogil=True)
def _measure(
    stacks: Any, number: Any, index: Any, row: Any, column: Any, weights: Any, ring: Any, out: Any
) -> None:
    """Write `MEASURED` for every spot; what is not known is left as it is."""
    first = len(stacks[0])
    for spot in range(len(index)):
        place = first + index[spot]
        y, x = row[spot], column[spot]
        here = _frame(stacks, place)
        for step in range(-REACH, REACH + 1):
            other = place + step
            if other < 0 or other >= len(number):
                continue
            if number[other] != number[place] + step:
                continue
            there = _frame(stacks, other)
            out[spot, step + REACH] = _light(there, y, x, weights)
            if abs(step) == 1:
                out[spot, 2 * REACH + 1 + (step > 0)] = _change(here, there, y, x)
        mean, deviation = _moments(here, y, x, ring)
        out[spot, 2 * REACH + 3] = mean
        out[spot, 2 * REACH + 4] = deviation
