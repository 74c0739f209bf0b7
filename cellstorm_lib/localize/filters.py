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
    v1, v2 = _smoothed(np.ascontiguousarray(frames, np.float32))
    return np.subtract(v1, v2, out=v1)


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
    v1, v2 = _smoothed(image)
    return {"I": image, "V1": v1, "V2": v2, "F1": image - v1, "F2": image - v2, "F": v1 - v2}


def _smoothed(
    image: npt.NDArray[np.float32],
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return V1 and V2 of the frames."""
    stack = image.reshape(-1, *image.shape[-2:])
    v1, v2 = np.empty_like(stack), np.empty_like(stack)
    _smooth_twice(stack, v1, v2)
    return v1.reshape(image.shape), v2.reshape(image.shape)


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
def _smooth_twice(stack: Any, v1: Any, v2: Any) -> None:
    """Write both smoothed versions of each frame, as if its edge pixels went on for ever."""
    count, height, width = stack.shape
    padded = np.empty((height + 2 * _PAD, width + 2 * _PAD), np.float32)
    once, twice = np.empty_like(padded), np.empty_like(padded)
    line = np.empty(width + 2 * _PAD + 8, np.float32)
    for index in range(count):
        for y in range(height + 2 * _PAD):
            source = stack[index, min(max(y - _PAD, 0), height - 1)]
            for x in range(width + 2 * _PAD):
                padded[y, x] = source[min(max(x - _PAD, 0), width - 1)]
        _smooth(padded, 1, line, once)
        _smooth(once, 2, line, twice)
        for y in range(height):
            for x in range(width):
                v1[index, y, x] = once[y + _PAD, x + _PAD]
                v2[index, y, x] = twice[y + _PAD, x + _PAD]
