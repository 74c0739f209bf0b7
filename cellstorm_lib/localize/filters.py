"""ThunderSTORM's wavelet filter: the images a threshold is measured in."""

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

#: Rows and columns added before smoothing; farther out the smoothed image no longer changes.
_PAD = 2


def wavelet_band(frames: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return ThunderSTORM's wavelet band V1 - V2 of each frame.

    V1 is the frame smoothed by the B-spline [1, 4, 6, 4, 1]/16 along both axes, V2 is V1
    smoothed by the same taps with one zero between them. Beyond the edge of a frame its
    outermost pixels are repeated.

    Parameters
    ----------
    frames : (N, Y, X) or (Y, X)
        Any unit; a constant offset has no influence.

    Returns
    -------
    same shape, float32
        The band, in the unit of `frames`.

    References
    ----------
    Izeddin et al., Opt. Express 20, 2081 (2012). doi:10.1364/OE.20.002081
    """
    image = np.ascontiguousarray(frames, np.float32)
    stack = image.reshape(-1, *image.shape[-2:])
    band = np.empty_like(stack)
    _write_band(stack, band)
    return band.reshape(image.shape)


def wavelet_planes(frames: npt.NDArray[Any]) -> dict[str, npt.NDArray[np.float32]]:
    """Return the images ThunderSTORM names: I, V1, V2, F1 = I - V1, F2 = I - V2, F = V1 - V2.

    Parameters
    ----------
    frames : (N, Y, X) or (Y, X)
        Any unit.

    Returns
    -------
    dict of float32 arrays
        Same shape and unit as `frames`.
    """
    image = np.ascontiguousarray(frames, np.float32)
    stack = image.reshape(-1, *image.shape[-2:])
    v1, v2 = np.empty_like(stack), np.empty_like(stack)
    _write_planes(stack, v1, v2)
    v1, v2 = v1.reshape(image.shape), v2.reshape(image.shape)
    return {"I": image, "V1": v1, "V2": v2, "F1": image - v1, "F2": image - v2, "F": v1 - v2}


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _smooth(image: Any, step: int, line: Any, out: Any) -> None:
    """Smooth an image by the B-spline taps `step` pixels apart, edges repeated."""
    height, width = image.shape
    four, six, norm = np.float32(4.0), np.float32(6.0), np.float32(1.0 / 256.0)
    reach = 2 * step
    middle = line[reach : reach + width]
    p, q = line[:width], line[step : step + width]
    r, s = line[3 * step : 3 * step + width], line[4 * step : 4 * step + width]
    for y in range(height):
        a, b = image[max(y - reach, 0)], image[max(y - step, 0)]
        c, d = image[y], image[min(y + step, height - 1)]
        e = image[min(y + reach, height - 1)]
        for x in range(width):
            middle[x] = a[x] + e[x] + four * (b[x] + d[x]) + six * c[x]
        for x in range(reach):
            line[x] = middle[0]
            line[reach + width + x] = middle[width - 1]
        row = out[y]
        for x in range(width):
            row[x] = (p[x] + s[x] + four * (q[x] + r[x]) + six * middle[x]) * norm


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _room(height: int, width: int) -> Any:
    """Return room for a padded frame, for it smoothed once and twice, and for one line."""
    padded = np.empty((height + 2 * _PAD, width + 2 * _PAD), np.float32)
    line = np.empty(width + 2 * _PAD + 8, np.float32)
    return padded, np.empty_like(padded), np.empty_like(padded), line


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _smooth_twice(image: Any, room: Any) -> None:
    """Smooth a frame as if its edge pixels went on for ever."""
    padded, once, twice, line = room
    height, width = image.shape
    for y in range(height + 2 * _PAD):
        source, row = image[min(max(y - _PAD, 0), height - 1)], padded[y]
        middle = row[_PAD : _PAD + width]
        for x in range(width):
            middle[x] = source[x]
        for x in range(_PAD):
            row[x], row[_PAD + width + x] = source[0], source[width - 1]
    _smooth(padded, 1, line, once)
    _smooth(once, 2, line, twice)


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _write_planes(stack: Any, v1: Any, v2: Any) -> None:
    """Write each frame smoothed once and twice."""
    count, height, width = stack.shape
    room = _room(height, width)
    for index in range(count):
        _smooth_twice(stack[index], room)
        for y in range(height):
            v1[index, y] = room[1][y + _PAD, _PAD : _PAD + width]
            v2[index, y] = room[2][y + _PAD, _PAD : _PAD + width]


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _write_band(stack: Any, band: Any) -> None:
    """Write each frame smoothed once, less the frame smoothed twice."""
    count, height, width = stack.shape
    room = _room(height, width)
    for index in range(count):
        _smooth_twice(stack[index], room)
        for y in range(height):
            v1 = room[1][y + _PAD, _PAD : _PAD + width]
            v2 = room[2][y + _PAD, _PAD : _PAD + width]
            row = band[index, y]
            for x in range(width):
                row[x] = v1[x] - v2[x]
