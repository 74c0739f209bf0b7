"""Several overlapping spots fitted together, compiled: one region of pixels, one common width.

The likelihood is that of `kernels_by_pixel`: a pixel of sensitivity s and noise v that saw
(electrons + v) / s expects the light of all spots, the background they share, and v / s. A pixel
out of range tells only that it is at least as bright as stated. The parameters are x, y and
ln(photons) of each spot and the background; each step solves all of them together (Fisher scoring
with Levenberg's damping, so that no step makes the likelihood worse).
"""

import math
from typing import Any

import numpy as np
from numba import njit

from cellstorm_lib.localize.kernels import _erf, _exp_minus, _ln

#: Longest side of a region, and most pixels in it.
SIDE = 32
_PIXELS = SIDE * SIDE
#: Most spots in one fit.
MOST_TOGETHER = 10
#: What is known of each spot, in this order.
SPOT = ("x_px", "y_px", "photons", "sigma_px")
#: What is known of each pixel of a region, in this order. ``level`` is its noise and the light of
#: spots that are not fitted; the weight is negative where it is out of range.
VALUE, LEVEL, WEIGHT, MODEL, EXCESS, INFORMATION = range(6)
#: A fit has come to rest when a step moves it by less than this share of its uncertainty, squared.
_REST = np.float32(1e-3)
_DAMPING, _LEAST_DAMPING, _MOST_DAMPING = 1e-3, 1e-7, 1e4
_DEEPEST_BACKGROUND = np.float32(0.9)
_ZERO, _HALF, _ONE, _TWO = (np.float32(value) for value in (0.0, 0.5, 1.0, 2.0))
_SQRT_HALF = np.float32(math.sqrt(0.5))
_INVERSE_ROOT_PI = np.float32(1.0 / math.sqrt(math.pi))
_FURTHEST = np.float32(8.0)
_SMALLEST = np.float32(1e-12)
_LEAST_TAIL = 1e-300

_compiled = njit(cache=True, nogil=True, fastmath=True, error_model="numpy")


def make_room() -> tuple[Any, ...]:
    """Return the arrays the fit works in: pixels, rows, profiles, derivatives, equations."""
    free = 3 * MOST_TOGETHER + 1
    return (
        np.zeros((6, _PIXELS), np.float32),
        np.zeros((3, SIDE), np.int64),
        np.zeros((MOST_TOGETHER + 1, 4, SIDE), np.float32),
        np.zeros((free + 2, _PIXELS), np.float32),
        np.zeros((2, free, free)),
        np.zeros((3, free)),
    )


@_compiled
def profile_of(position: Any, sigma: Any, count: Any, share: Any, slope: Any) -> None:
    """Write the share of a spot in each pixel along one axis, and its slope by the position."""
    scale = _SQRT_HALF / np.float32(sigma)
    first = np.float32(position)
    for edge in range(count + 1):
        u = min(max((np.float32(edge) - first) * scale, -_FURTHEST), _FURTHEST)
        gauss = _exp_minus(u * u)
        share[edge] = _HALF * _erf(u, gauss)
        slope[edge] = scale * _INVERSE_ROOT_PI * gauss
    for pixel in range(count):
        share[pixel] = max(share[pixel + 1] - share[pixel], _ZERO)
        slope[pixel] = slope[pixel] - slope[pixel + 1]


@_compiled
def expect(spots: Any, count: Any, background: Any, size: Any, room: Any) -> None:
    """Write what every pixel of the region expects."""
    pixels, rows, profiles, _, _, _ = room
    height, width = size
    model, level = pixels[MODEL], pixels[LEVEL]
    base = np.float32(background)
    for k in range(count):
        profile_of(spots[k, 0], spots[k, 3], width, profiles[k, 0], profiles[k, 1])
        profile_of(spots[k, 1], spots[k, 3], height, profiles[k, 2], profiles[k, 3])
    for row in range(height):
        first, span, at = rows[0, row], rows[1, row], rows[2, row]
        for i in range(span):
            model[at + i] = level[at + i] + base
        for k in range(count):
            factor = np.float32(spots[k, 2]) * profiles[k, 2, row]
            share = profiles[k, 0, first : first + span]
            for i in range(span):
                model[at + i] += factor * share[i]


@_compiled
def deviance_of(first: Any, last: Any, pixels: Any) -> Any:
    """Return 2 ln(saturated / fitted likelihood) of some pixels."""
    total = _ZERO
    value, weight, model = pixels[VALUE], pixels[WEIGHT], pixels[MODEL]
    out_of_range = 0
    for i in range(first, last):
        seen = max(value[i], _SMALLEST)
        total += max(weight[i], _ZERO) * (model[i] - seen + seen * _ln(seen / model[i]))
        out_of_range += weight[i] < _ZERO
    deviance = 2.0 * float(total)
    if out_of_range > 0:
        for i in range(first, last):
            if weight[i] < _ZERO:
                z = (value[i] - model[i]) * math.sqrt(-weight[i] / model[i])
                deviance -= 2.0 * math.log(
                    max(0.5 * math.erfc(z * 0.7071067811865476), _LEAST_TAIL)
                )
    return deviance


@_compiled
def weigh(used: Any, pixels: Any) -> None:
    """Write derivative and information of each pixel's likelihood by its expected value."""
    value, weight, model = pixels[VALUE], pixels[WEIGHT], pixels[MODEL]
    excess, information = pixels[EXCESS], pixels[INFORMATION]
    out_of_range = 0
    for i in range(used):
        known = max(weight[i], _ZERO) / model[i]
        excess[i] = (value[i] - model[i]) * known
        information[i] = known
        out_of_range += weight[i] < _ZERO
    if out_of_range > 0:
        for i in range(used):
            if weight[i] < _ZERO:
                root = math.sqrt(-weight[i] / model[i])
                z = (value[i] - model[i]) * root
                tail = max(0.5 * math.erfc(z * 0.7071067811865476), _LEAST_TAIL)
                hazard = math.exp(-0.5 * z * z) / (2.5066282746310002 * tail)
                slope = root + 0.5 * z / model[i]
                excess[i] = hazard * slope
                information[i] = hazard * max(hazard - z, 0.0) * slope * slope


@_compiled
def _derive(spots: Any, count: Any, size: Any, room: Any) -> None:
    """Write the derivative of every pixel by every parameter; the last is the background."""
    _, rows, profiles, derivatives, _, _ = room
    for row in range(size[0]):
        first, span, at = rows[0, row], rows[1, row], rows[2, row]
        for k in range(count):
            photons = np.float32(spots[k, 2])
            share_y, slope_y = photons * profiles[k, 2, row], photons * profiles[k, 3, row]
            share = profiles[k, 0, first : first + span]
            slope = profiles[k, 1, first : first + span]
            by_x, by_y = derivatives[3 * k, at : at + span], derivatives[3 * k + 1, at : at + span]
            by_light = derivatives[3 * k + 2, at : at + span]
            for i in range(span):
                by_x[i] = share_y * slope[i]
                by_y[i] = slope_y * share[i]
                by_light[i] = share_y * share[i]
        background = derivatives[3 * count, at : at + span]
        for i in range(span):
            background[i] = _ONE


@_compiled
def _dot(a: Any, b: Any, used: Any) -> Any:
    """Return the sum of products."""
    total = _ZERO
    for i in range(used):
        total += a[i] * b[i]
    return total


@_compiled
def _equations(free: Any, used: Any, room: Any) -> None:
    """Write gradient and Fisher information of all parameters."""
    pixels, _, _, derivatives, matrices, vectors = room
    scratch = derivatives[len(derivatives) - 1]
    for p in range(free):
        vectors[0, p] = _dot(pixels[EXCESS], derivatives[p], used)
        by, information = derivatives[p], pixels[INFORMATION]
        for i in range(used):
            scratch[i] = information[i] * by[i]
        for q in range(p + 1):
            matrices[0, p, q] = _dot(scratch, derivatives[q], used)


@_compiled
def _factored(free: Any, damping: Any, room: Any) -> Any:
    """Write the Cholesky factor of the damped information; return whether there is one."""
    full, factor = room[4][0], room[4][1]
    for p in range(free):
        for q in range(p + 1):
            rest = full[p, q] * (1.0 + damping) if p == q else full[p, q]
            for k in range(q):
                rest -= factor[p, k] * factor[q, k]
            if p == q:
                if not rest > 1e-12 * full[p, p]:
                    return False
                factor[p, p] = math.sqrt(rest)
            else:
                factor[p, q] = rest / factor[q, q]
    return True


@_compiled
def _solved(free: Any, room: Any) -> Any:
    """Write the step; return how far it goes in units of the uncertainty, squared."""
    factor, gradient, step = room[4][1], room[5][0], room[5][1]
    for p in range(free):
        rest = gradient[p]
        for k in range(p):
            rest -= factor[p, k] * step[k]
        step[p] = rest / factor[p, p]
    for p in range(free - 1, -1, -1):
        rest = step[p]
        for k in range(p + 1, free):
            rest -= factor[k, p] * step[k]
        step[p] = rest / factor[p, p]
    distance = 0.0
    for p in range(free):
        distance += gradient[p] * step[p]
    return distance


@_compiled
def _limited(value: Any, low: Any, high: Any) -> Any:
    """Return the value, or the limit it lies beyond."""
    return min(max(value, low), high)


@_compiled
def _stepped(spots: Any, count: Any, size: Any, step: Any, trial: Any) -> None:
    """Write the spots after a step, which is not allowed to be too long."""
    for k in range(count):
        trial[k, 0] = _limited(spots[k, 0] + _limited(step[3 * k], -0.7, 0.7), 0.0, size[1])
        trial[k, 1] = _limited(spots[k, 1] + _limited(step[3 * k + 1], -0.7, 0.7), 0.0, size[0])
        growth = _limited(step[3 * k + 2], -0.5, 1.0)
        trial[k, 2] = _limited(spots[k, 2] * (1.0 + growth), 1.0, 1e9)
        trial[k, 3] = spots[k, 3]


@_compiled
def fit_together(
    spots: Any, count: Any, background: Any, size: Any, noise: Any, max_steps: Any, room: Any
) -> Any:
    """Fit spots of given widths and the background they share, in place.

    Parameters
    ----------
    spots : (MOST_TOGETHER + 1, 4) float64
        As in `SPOT`; x and y from the corner of the region.
    count : int
        How many of them there are.
    background : float
        Photoelectrons per pixel to start with.
    size : (int, int)
        Rows and columns of the region.
    noise : float
        Least noise of a pixel: the background may fall below 0 by nearly that much.
    max_steps : int
        Steps at most.
    room : tuple
        Made by `make_room`; its pixels hold the region.

    Returns
    -------
    (float, float, bool)
        Deviance, background, and whether the fit has come to rest.
    """
    pixels, rows, _, _, _, vectors = room
    used = rows[2, size[0] - 1] + rows[1, size[0] - 1]
    free = 3 * count + 1
    lowest = -_DEEPEST_BACKGROUND * noise
    trial = np.empty_like(spots)
    damping = _DAMPING
    expect(spots, count, background, size, room)
    deviance = deviance_of(0, used, pixels)
    for _ in range(max_steps):
        weigh(used, pixels)
        _derive(spots, count, size, room)
        _equations(free, used, room)
        while True:
            distance = -1.0
            if _factored(free, damping, room):
                distance = _solved(free, room)
                _stepped(spots, count, size, vectors[1], trial)
                level = max(background + vectors[1, free - 1], lowest)
                expect(trial, count, level, size, room)
                better = deviance_of(0, used, pixels)
                if better <= deviance + 1e-3:
                    break
            damping *= 10.0
            if damping > _MOST_DAMPING:
                expect(spots, count, background, size, room)
                return deviance, background, distance >= 0.0
        spots[:count] = trial[:count]
        background, deviance = level, better
        damping = max(0.1 * damping, _LEAST_DAMPING)
        if distance < _REST:
            return deviance, background, True
    return deviance, background, False
