"""The pixels around overlapping spots, cut out for a joint fit, and what is left in them."""

import math
from typing import Any

import numpy as np
from numba import njit

from cellstorm_lib.localize.joint import (
    AT,
    EXCESS,
    FIRST,
    INFORMATION,
    LEVEL,
    MOST_TOGETHER,
    SEEN,
    SIDE,
    SPAN,
    VALUE,
    VECTOR,
    WEIGHT,
    add_to,
    filled_up,
    profile_of,
)

#: Pixels between the middle of a spot and the end of its region that nothing is cut from.
_SPARE = 2
#: Light of a spot is taken away up to this many widths from it.
REACH_SIGMA = 5.0
_MOST_TAPS = 11
#: Columns of the planes that `brightest_rest` works in.
_PITCH = SIDE + 2 * VECTOR
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
        seen = max(last - first + 1, 0)
        rows[FIRST, row], rows[SEEN, row] = (first if seen > 0 else 0), seen
        rows[SPAN, row], rows[AT, row] = filled_up(seen), at
        at += rows[SPAN, row]


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
        y, first, at = np.uint64(top + row), left + rows[FIRST, row], rows[AT, row]
        seen, span = rows[SEEN, row], rows[SPAN, row]
        for i in range(seen):
            x = np.uint64(first + i)
            pixels[np.uint64(VALUE + at + i)] = np.float32(frame[y, x])
        if is_wide:
            for i in range(seen):
                x = np.uint64(2 * (first + i))
                low, high = np.float32(frame[y, x]), np.float32(frame[y, x + np.uint64(1)])
                pixels[np.uint64(VALUE + at + i)] = low + np.float32(256.0) * high
        for i in range(seen):
            x = np.uint64(first + i)
            adu = pixels[np.uint64(VALUE + at + i)]
            weight, noise = sensitivity[y, x], variance[y, x]
            inverse = np.float32(1.0) / weight
            electrons = (min(adu, just_below) - offset[y, x]) * gain[y, x]
            pixels[np.uint64(VALUE + at + i)] = (electrons + noise) * inverse
            pixels[np.uint64(LEVEL + at + i)] = noise * inverse
            pixels[np.uint64(WEIGHT + at + i)] = -weight if adu >= end else weight
        for i in range(at + seen, at + span):
            pixels[VALUE + i], pixels[WEIGHT + i] = np.float32(1.0), np.float32(0.0)
            pixels[LEVEL + i] = pixels[LEVEL + at + seen - 1]


@_compiled
def add_light(spot: Any, place: Any, room: Any) -> None:
    """Add a spot that is not fitted to what the pixels of the region expect."""
    top, left, height, width = place
    size = height, width
    at = profile_of(spot[0] - left, spot[1] - top, spot[3], size, room[2], MOST_TOGETHER)
    add_to(LEVEL, at, np.float32(spot[2]), size, room)


@_compiled
def _add_across(size: Any, taps: Any, half: Any, room: Any, planes: Any) -> None:
    """Write, along each row, what a spot in the middle of each pixel would see of its neighbours.

    Derivative and information are weighted with the spot's share and its square; the planes have
    `half` columns more on either side.
    """
    pixels, rows = room[0], room[1]
    light, known = planes[0], planes[1]
    for i in range(size[0] * _PITCH):
        light[i] = known[i] = np.float32(0.0)
    for row in range(size[0]):
        seen, weight = EXCESS + rows[AT, row], INFORMATION + rows[AT, row]
        for k in range(2 * half + 1):
            tap, square = taps[k], taps[k] * taps[k]
            to = row * _PITCH + rows[FIRST, row] + k
            for i in range(rows[SPAN, row]):
                light[np.uint64(to + i)] += tap * pixels[np.uint64(seen + i)]
                known[np.uint64(to + i)] += square * pixels[np.uint64(weight + i)]


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
        first, span = rows[FIRST, row], rows[SPAN, row]
        for i in range(span):
            light[np.uint64(i)], known[np.uint64(i)] = np.float32(0.0), np.float32(1e-12)
        for k in range(max(-half, -row), min(half, height - 1 - row) + 1):
            tap, square = taps[k + half], taps[k + half] * taps[k + half]
            at = (row + k) * _PITCH + half + first
            for i in range(span):
                light[np.uint64(i)] += tap * across[np.uint64(at + i)]
                known[np.uint64(i)] += square * known_across[np.uint64(at + i)]
        for i in range(rows[SEEN, row]):
            if light[i] > np.float32(0.0) and light[i] * light[i] > best * best * known[i]:
                best = light[i] / math.sqrt(known[i])
                x, y, photons = first + i + 0.5, row + 0.5, light[i] / known[i]
    return x, y, photons, best


def make_planes() -> tuple[Any, ...]:
    """Return the arrays `brightest_rest` works in."""
    return (
        np.zeros((SIDE + 1) * _PITCH, np.float32),
        np.zeros((SIDE + 1) * _PITCH, np.float32),
        np.zeros(SIDE, np.float32),
        np.zeros(SIDE, np.float32),
    )
