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

#: Longest side of a region, and most pixels in it. What is known of the pixels lies in flat arrays,
#: row after row, each row filled up to whole vectors with pixels of weight 0: so the loops over a
#: row have no remainder, and no slice is made in them.
SIDE = 32
PLANE = SIDE * SIDE
VECTOR = 8
#: Room for the profile of a spot along an axis: the longest side, filled up, and its last edge.
LINE = SIDE + VECTOR
#: Profiles of a spot: its share of each column and the slope of that, and the same of each row.
SHARE_X, SLOPE_X, SHARE_Y, SLOPE_Y, _SPOT_PROFILES = range(0, 5 * LINE, LINE)
#: Most spots in one fit.
MOST_TOGETHER = 10
#: What is known of each spot, in this order.
SPOT = ("x_px", "y_px", "photons", "sigma_px")
#: Where the planes of what is known of each pixel begin. ``level`` is its noise and the light of
#: spots that are not fitted; the weight is negative where it is out of range.
VALUE, LEVEL, WEIGHT, MODEL, EXCESS, INFORMATION, _PLANES = range(0, 7 * PLANE, PLANE)
#: What is known of each row of a region: its first pixel, pixels with those that fill it up, where
#: it begins in a plane, and its pixels.
FIRST, SPAN, AT, SEEN = range(4)
#: A fit has come to rest when a step moves it by less than this share of its uncertainty, squared.
_REST = np.float32(1e-2)
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
    """Return the arrays the fit works in.

    They are pixels, rows, profiles and derivatives; information and its Cholesky factor; gradient,
    step, and a column.
    """
    free = 3 * MOST_TOGETHER + 1
    return (
        np.zeros(_PLANES, np.float32),
        np.zeros((4, SIDE), np.int64),
        np.zeros((MOST_TOGETHER + 1) * _SPOT_PROFILES, np.float32),
        np.zeros((free + 2) * PLANE, np.float32),
        np.zeros((free, free)),
        np.zeros((free, free)),
        np.zeros(free),
        np.zeros(free),
        np.zeros(free),
    )


@_compiled
def filled_up(count: Any) -> Any:
    """Return a number of pixels filled up to whole vectors."""
    return (count + VECTOR - 1) // VECTOR * VECTOR


@_compiled
def stored(size: Any, rows: Any) -> Any:
    """Return how many pixels a region has with those that fill its rows up."""
    return rows[AT, size[0] - 1] + rows[SPAN, size[0] - 1]


@_compiled
def _profile(position: Any, sigma: Any, count: Any, profiles: Any, at: Any) -> None:
    """Write the share of a spot in each pixel along one axis, then its slope by the position."""
    scale = _SQRT_HALF / np.float32(sigma)
    first = np.float32(position)
    edges = filled_up(count + 1)
    share, slope = at, at + LINE
    for edge in range(edges):
        u = min(max((np.float32(edge) - first) * scale, -_FURTHEST), _FURTHEST)
        gauss = _exp_minus(u * u)
        profiles[np.uint64(share + edge)] = _HALF * _erf(u, gauss)
        profiles[np.uint64(slope + edge)] = scale * _INVERSE_ROOT_PI * gauss
    for i in range(edges - 1):
        low, high = profiles[np.uint64(share + i)], profiles[np.uint64(share + i + 1)]
        profiles[np.uint64(share + i)] = max(high - low, _ZERO)
        low, high = profiles[np.uint64(slope + i)], profiles[np.uint64(slope + i + 1)]
        profiles[np.uint64(slope + i)] = low - high


@_compiled
def profile_of(x: Any, y: Any, sigma: Any, size: Any, profiles: Any, spot: Any) -> Any:
    """Write the profiles of a spot along both axes; return where they begin."""
    at = spot * _SPOT_PROFILES
    _profile(x, sigma, size[1] + VECTOR - 1, profiles, at)
    _profile(y, sigma, size[0], profiles, at + SHARE_Y)
    return at


@_compiled
def expect(spots: Any, count: Any, background: Any, size: Any, room: Any) -> None:
    """Write what every pixel of the region expects."""
    pixels, rows, profiles = room[0], room[1], room[2]
    base = np.float32(background)
    for i in range(stored(size, rows)):
        pixels[np.uint64(MODEL + i)] = pixels[np.uint64(LEVEL + i)] + base
    for k in range(count):
        spot = profile_of(spots[k, 0], spots[k, 1], spots[k, 3], size, profiles, k)
        add_to(MODEL, spot, np.float32(spots[k, 2]), size, room)


@_compiled
def add_to(plane: Any, spot: Any, photons: Any, size: Any, room: Any) -> None:
    """Add the light of a spot, whose profiles begin there, to a plane of the region."""
    pixels, rows, profiles = room[0], room[1], room[2]
    for row in range(size[0]):
        span, at = rows[SPAN, row], plane + rows[AT, row]
        share = spot + SHARE_X + rows[FIRST, row]
        factor = photons * profiles[np.uint64(spot + SHARE_Y + row)]
        for i in range(span):
            pixels[np.uint64(at + i)] += factor * profiles[np.uint64(share + i)]


@_compiled
def deviance_of(first: Any, last: Any, pixels: Any) -> Any:
    """Return 2 ln(saturated / fitted likelihood) of some pixels."""
    total = _ZERO
    out_of_range = 0
    for i in range(first, last):
        seen = max(pixels[np.uint64(VALUE + i)], _SMALLEST)
        model, weight = pixels[np.uint64(MODEL + i)], pixels[np.uint64(WEIGHT + i)]
        total += max(weight, _ZERO) * (model - seen + seen * _ln(seen / model))
        out_of_range += weight < _ZERO
    deviance = 2.0 * float(total)
    if out_of_range > 0:
        for i in range(first, last):
            weight, model = pixels[WEIGHT + i], pixels[MODEL + i]
            if weight < _ZERO:
                z = (pixels[VALUE + i] - model) * math.sqrt(-weight / model)
                deviance -= 2.0 * math.log(
                    max(0.5 * math.erfc(z * 0.7071067811865476), _LEAST_TAIL)
                )
    return deviance


@_compiled
def weigh(count: Any, pixels: Any) -> None:
    """Write derivative and information of each pixel's likelihood by its expected value."""
    out_of_range = 0
    for i in range(count):
        weight, model = pixels[np.uint64(WEIGHT + i)], pixels[np.uint64(MODEL + i)]
        known = max(weight, _ZERO) / model
        pixels[np.uint64(EXCESS + i)] = (pixels[np.uint64(VALUE + i)] - model) * known
        pixels[np.uint64(INFORMATION + i)] = known
        out_of_range += weight < _ZERO
    if out_of_range > 0:
        for i in range(count):
            weight, model = pixels[WEIGHT + i], pixels[MODEL + i]
            if weight < _ZERO:
                root = math.sqrt(-weight / model)
                z = (pixels[VALUE + i] - model) * root
                tail = max(0.5 * math.erfc(z * 0.7071067811865476), _LEAST_TAIL)
                hazard = math.exp(-0.5 * z * z) / (2.5066282746310002 * tail)
                slope = root + 0.5 * z / model
                pixels[EXCESS + i] = hazard * slope
                pixels[INFORMATION + i] = hazard * max(hazard - z, 0.0) * slope * slope


@_compiled
def _derive(spots: Any, count: Any, size: Any, room: Any) -> None:
    """Write the derivative of every pixel by every parameter; the last is the background."""
    rows, profiles, derivatives = room[1], room[2], room[3]
    for k in range(count):
        photons, spot = np.float32(spots[k, 2]), k * _SPOT_PROFILES
        for row in range(size[0]):
            span, first = rows[SPAN, row], rows[FIRST, row]
            share_y = photons * profiles[np.uint64(spot + SHARE_Y + row)]
            slope_y = photons * profiles[np.uint64(spot + SLOPE_Y + row)]
            share, slope = spot + SHARE_X + first, spot + SLOPE_X + first
            by_x = 3 * k * PLANE + rows[AT, row]
            by_y, by_light = by_x + PLANE, by_x + 2 * PLANE
            for i in range(span):
                share_x = profiles[np.uint64(share + i)]
                derivatives[np.uint64(by_x + i)] = share_y * profiles[np.uint64(slope + i)]
                derivatives[np.uint64(by_y + i)] = slope_y * share_x
                derivatives[np.uint64(by_light + i)] = share_y * share_x
    background = 3 * count * PLANE
    for i in range(stored(size, rows)):
        derivatives[np.uint64(background + i)] = _ONE


@_compiled
def dot(a: Any, first: Any, b: Any, second: Any, count: Any) -> Any:
    """Return the sum of products of numbers that begin there."""
    total = _ZERO
    for i in range(count):
        total += a[np.uint64(first + i)] * b[np.uint64(second + i)]
    return total


@_compiled
def scale_by(plane: Any, count: Any, room: Any) -> Any:
    """Multiply a plane of the derivatives with the information; return where the products begin."""
    pixels, derivatives = room[0], room[3]
    at = len(derivatives) - PLANE
    for i in range(count):
        derivatives[np.uint64(at + i)] = (
            pixels[np.uint64(INFORMATION + i)] * derivatives[np.uint64(plane + i)]
        )
    return at


@_compiled
def _equations(free: Any, count: Any, room: Any) -> None:
    """Write gradient and Fisher information of all parameters."""
    pixels, derivatives, full, gradient = room[0], room[3], room[4], room[6]
    for p in range(free):
        gradient[p] = dot(pixels, EXCESS, derivatives, p * PLANE, count)
        scaled = scale_by(p * PLANE, count, room)
        for q in range(p + 1):
            full[p, q] = dot(derivatives, scaled, derivatives, q * PLANE, count)


@_compiled
def _factored(free: Any, damping: Any, room: Any) -> Any:
    """Write the Cholesky factor of the damped information; return whether there is one."""
    full, factor = room[4], room[5]
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
    factor, gradient, step = room[5], room[6], room[7]
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
    pixels, rows, step = room[0], room[1], room[7]
    used = stored(size, rows)
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
                _stepped(spots, count, size, step, trial)
                level = max(background + step[free - 1], lowest)
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
