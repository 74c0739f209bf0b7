"""The pixels around overlapping spots, cut out for a joint fit, and what is left in them."""

import math
from typing import Any

import numpy as np
from numba import njit

from cellstorm_lib.localize.joint import (
    EXCESS,
    INFORMATION,
    LEVEL,
    MOST_TOGETHER,
    SIDE,
    VALUE,
    WEIGHT,
    profile_of,
)

#: Pixels between the middle of a spot and the end of its region that nothing is cut from.
_SPARE = 2
#: Light of a spot is taken away up to this many widths from it.
REACH_SIGMA = 5.0
_MOST_TAPS = 11
_ROOT_HALF = math.sqrt(0.5)

_compiled = njit(cache=True, nogil=True, fastmath=True, error_model="numpy")


@_compiled
def widest_spread(half: Any) -> Any:
    """Return how far apart the spots of one region may lie along an axis, pixels."""
    return SIDE - 2 - 2 * (half + _SPARE)


@_compiled
def corner_and_size(spots: Any, count: Any, half: Any, shape: Any) -> Any:
    """Return row and column of the region's corner in the frame, and its rows and columns."""
    margin = half + _SPARE
    left = right = math.floor(spots[0, 0])
    top = bottom = math.floor(spots[0, 1])
    for k in range(1, count):
        x, y = math.floor(spots[k, 0]), math.floor(spots[k, 1])
        left, right = min(left, x), max(right, x)
        top, bottom = min(top, y), max(bottom, y)
    left, top = max(left - margin, 0), max(top - margin, 0)
    right, bottom = min(right + margin, shape[1] - 1), min(bottom + margin, shape[0] - 1)
    width, height = min(right - left + 1, SIDE - 1), min(bottom - top + 1, SIDE - 1)
    return top, left, height, width


@_compiled
def outline(spots: Any, count: Any, half: Any, size: Any, rows: Any) -> None:
    """Write which pixels of each row belong to the boxes around the spots, and where they go."""
    height, width = size
    at = 0
    for row in range(height):
        first, last = width, -1
        for k in range(count):
            x, y = math.floor(spots[k, 0]), math.floor(spots[k, 1])
            if abs(row - y) <= half:
                first, last = min(first, max(x - half, 0)), max(last, min(x + half, width - 1))
        span = max(last - first + 1, 0)
        rows[0, row], rows[1, row], rows[2, row] = (first if span > 0 else 0), span, at
        at += span


@_compiled
def cut_region(frame: Any, maps: Any, end: Any, place: Any, room: Any) -> None:
    """Write value, noise and weight of the outlined pixels.

    The frame is given by its bytes, so that all is compiled once for both types of grey values:
    two bytes for each pixel of the maps, the lower one first, or one.
    """
    offset, gain, variance, sensitivity = maps
    top, left, height, _ = place
    pixels, rows = room[0], room[1]
    just_below = end - np.float32(0.5)
    is_wide = frame.shape[1] > offset.shape[1]
    for row in range(height):
        first, span, at = left + rows[0, row], rows[1, row], rows[2, row]
        line = frame[top + row]
        zero = offset[top + row, first : first + span]
        factor = gain[top + row, first : first + span]
        noise = variance[top + row, first : first + span]
        weight = sensitivity[top + row, first : first + span]
        value, level = pixels[VALUE, at : at + span], pixels[LEVEL, at : at + span]
        trust = pixels[WEIGHT, at : at + span]
        for i in range(span):
            adu = np.float32(line[first + i])
            if is_wide:
                low, high = line[2 * (first + i)], line[2 * (first + i) + 1]
                adu = np.float32(low) + np.float32(256.0) * np.float32(high)
            inverse = np.float32(1.0) / weight[i]
            electrons = (min(adu, just_below) - zero[i]) * factor[i]
            value[i] = (electrons + noise[i]) * inverse
            level[i] = noise[i] * inverse
            trust[i] = -weight[i] if adu >= end else weight[i]


@_compiled
def add_light(spot: Any, place: Any, room: Any) -> None:
    """Add a spot that is not fitted to what the pixels of the region expect."""
    top, left, height, width = place
    x, y, photons, sigma = spot[0] - left, spot[1] - top, spot[2], spot[3]
    pixels, rows, profiles = room[0], room[1], room[2]
    share = profiles[MOST_TOGETHER]
    profile_of(x, sigma, width, share[0], share[1])
    profile_of(y, sigma, height, share[2], share[3])
    for row in range(height):
        first, span, at = rows[0, row], rows[1, row], rows[2, row]
        factor = np.float32(photons) * share[2, row]
        for i in range(span):
            pixels[LEVEL, at + i] += factor * share[0, first + i]


@_compiled
def _add_across(size: Any, taps: Any, half: Any, room: Any, planes: Any) -> None:
    """Write, along each row, what a spot in the middle of each pixel would see of its neighbours.

    Derivative and information are weighted with the spot's share and its square; the planes have
    `half` columns more on either side.
    """
    pixels, rows = room[0], room[1]
    light, known = planes[0], planes[1]
    for row in range(size[0]):
        first, span, at = rows[0, row], rows[1, row], rows[2, row]
        light[row] = np.float32(0.0)
        known[row] = np.float32(0.0)
        seen, weight = pixels[EXCESS, at : at + span], pixels[INFORMATION, at : at + span]
        to, told = light[row, first:], known[row, first:]
        for k in range(2 * half + 1):
            tap, square, shift = taps[k], taps[k] * taps[k], np.uint64(k)
            for i in range(span):
                to[np.uint64(i) + shift] += tap * seen[i]
                told[np.uint64(i) + shift] += square * weight[i]


@_compiled
def brightest_rest(size: Any, sigma: Any, room: Any, planes: Any) -> Any:
    """Return where one more spot would explain most: x, y, photons and its score.

    The score is the significance of a spot in the middle of a pixel, if all else were known. The
    pixels must be weighed.
    """
    rows = room[1]
    height = size[0]
    half = min(math.ceil(2.0 * sigma), _MOST_TAPS // 2)
    taps = np.empty(_MOST_TAPS, np.float32)
    for k in range(2 * half + 1):
        low, high = (k - half - 0.5) / sigma, (k - half + 0.5) / sigma
        taps[k] = 0.5 * (math.erf(high * _ROOT_HALF) - math.erf(low * _ROOT_HALF))
    _add_across(size, taps, half, room, planes)
    across, known_across, light, known = planes
    best = np.float32(0.0)
    x = y = photons = 0.0
    for row in range(height):
        first, span = rows[0, row], rows[1, row]
        light[:span] = np.float32(0.0)
        known[:span] = np.float32(1e-12)
        for k in range(max(-half, -row), min(half, height - 1 - row) + 1):
            tap, square = taps[k + half], taps[k + half] * taps[k + half]
            seen = across[row + k, half + first : half + first + span]
            weight = known_across[row + k, half + first : half + first + span]
            for i in range(span):
                light[i] += tap * seen[i]
                known[i] += square * weight[i]
        for i in range(span):
            if light[i] > np.float32(0.0) and light[i] * light[i] > best * best * known[i]:
                best = light[i] / math.sqrt(known[i])
                x, y, photons = first + i + 0.5, row + 0.5, light[i] / known[i]
    return x, y, photons, best


def make_planes() -> tuple[Any, ...]:
    """Return the arrays `brightest_rest` works in."""
    shape = (SIDE, SIDE + _MOST_TAPS)
    return (
        np.zeros(shape, np.float32),
        np.zeros(shape, np.float32),
        np.zeros(SIDE, np.float32),
        np.zeros(SIDE, np.float32),
    )
