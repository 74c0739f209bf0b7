"""Compiled steps of the image signal processor, each over a stack of frames (N, Y, X) float32.

An edge-preserving step weighs a difference d to a neighbour by 1 / (1 + gate d^2).
"""

import numba
import numpy as np


@numba.njit(inline="always")
def _kept(difference, gate):  # type: ignore[no-untyped-def]
    """Return the share of a difference to a neighbour that smoothing takes out."""
    return difference / (np.float32(1.0) + gate * difference * difference)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def smooth(raw, image, weight_x, weight_y, gate, values):  # type: ignore[no-untyped-def]
    """Smooth raw frames less their image with [a, 1 - 2a, a] along rows, then columns.

    `image` of shape (0, 0, 0) means none: the frames are smoothed as they are.
    """
    has_image = image.shape[0] > 0
    height, width = raw.shape[1:]
    noise = np.empty((height, width), np.float32)
    along_x = np.empty((height, width), np.float32)
    for frame in range(raw.shape[0]):
        for row in range(height):
            for column in range(width):
                noise[row, column] = np.float32(raw[frame, row, column])
                if has_image:
                    noise[row, column] -= image[frame, row, column]
            for column in range(width):
                left, right = max(column - 1, 0), min(column + 1, width - 1)
                centre = noise[row, column]
                along_x[row, column] = _weighted(
                    centre, noise[row, left], noise[row, right], weight_x, gate
                )
        for row in range(height):
            above, below = max(row - 1, 0), min(row + 1, height - 1)
            for column in range(width):
                centre = along_x[row, column]
                values[frame, row, column] = _weighted(
                    centre, along_x[above, column], along_x[below, column], weight_y, gate
                )


@numba.njit(inline="always")
def _weighted(centre, before, after, weight, gate):  # type: ignore[no-untyped-def]
    """Return a value smoothed with its two neighbours."""
    if gate == 0.0:
        return centre + weight * (before + after - centre - centre)
    return centre + weight * (_kept(before - centre, gate) + _kept(after - centre, gate))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def mix(values, lead, memory, share, gate, mixed):  # type: ignore[no-untyped-def]
    """Mix each frame after `lead` with the one before it, mixed itself, `memory` frames back."""
    height, width = values.shape[1:]
    state = np.empty(width, np.float32)
    for frame in range(lead, values.shape[0]):
        first = max(0, frame - memory)
        for row in range(height):
            state[:] = values[first, row]
            for earlier in range(first + 1, frame + 1):
                for column in range(width):
                    new = values[earlier, row, column]
                    state[column] = new + share * _kept(state[column] - new, gate)
            mixed[frame - lead, row] = state


@numba.njit(cache=True, nogil=True, error_model="numpy")
def scale(values, black_adu, correction, levels_per_adu, shading, change):  # type: ignore[no-untyped-def]
    """Turn raw grey values into linear 8-bit ones, in place."""
    for frame in range(values.shape[0]):
        for row in range(values.shape[1]):
            for column in range(values.shape[2]):
                lit = (values[frame, row, column] - black_adu) * correction[row, column]
                black = shading[row, column] + change[frame]
                values[frame, row, column] = lit * levels_per_adu + black


@numba.njit(cache=True, nogil=True, error_model="numpy")
def bend(values, table, steps_per_level):  # type: ignore[no-untyped-def]
    """Send values through a curve given at 0, 1 / steps, 2 / steps ..., in place."""
    flat = values.reshape(-1)
    last = len(table) - 1
    for index in range(len(flat)):
        place = flat[index] * steps_per_level
        entry = min(max(int(place), 0), last - 1)
        share = min(place - np.float32(entry), np.float32(1.0))
        flat[index] = table[entry] + share * (table[entry + 1] - table[entry])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def sharpen(values, amount, taps):  # type: ignore[no-untyped-def]
    """Add to each frame `amount` times what a blur by `taps` along both axes takes out."""
    height, width = values.shape[1:]
    reach = len(taps) // 2
    padded = np.empty(max(height, width) + 2 * reach, np.float32)
    along_x = np.empty((height, width), np.float32)
    blurred = np.empty(width, np.float32)
    for frame in range(values.shape[0]):
        for row in range(height):
            padded[:reach] = values[frame, row, 0]
            padded[reach : reach + width] = values[frame, row]
            padded[reach + width : 2 * reach + width] = values[frame, row, width - 1]
            along_x[row] = np.float32(0.0)
            for tap in range(len(taps)):
                for column in range(width):
                    along_x[row, column] += taps[tap] * padded[column + tap]
        for row in range(height):
            blurred[:] = np.float32(0.0)
            for tap in range(len(taps)):
                source = min(max(row + tap - reach, 0), height - 1)
                for column in range(width):
                    blurred[column] += taps[tap] * along_x[source, column]
            for column in range(width):
                detail = values[frame, row, column] - blurred[column]
                values[frame, row, column] += amount * detail


@numba.njit(inline="always")
def _cut(grey):  # type: ignore[no-untyped-def]
    """Return the whole grey value below a value, within 8 bits."""
    return np.uint8(min(max(grey, np.float32(0.0)), np.float32(255.0)))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def quantise(values, levels):  # type: ignore[no-untyped-def]
    """Round and clip to 8 bit."""
    flat, out = values.reshape(-1), levels.reshape(-1)
    for index in range(len(flat)):
        out[index] = _cut(flat[index] + np.float32(0.5))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def dither(values, parts, levels):  # type: ignore[no-untyped-def]
    """Round up or down at random, by parts in [0, 1), so that the mean is kept; clip to 8 bit."""
    flat, part, out = values.reshape(-1), parts.reshape(-1), levels.reshape(-1)
    for index in range(len(flat)):
        out[index] = _cut(flat[index] + part[index])
