"""The fit, compiled: sixteen spots side by side, one vector lane each.

A block holds 16 spots in one flat float32 array, quantity after quantity, 16 lanes each, so
that LLVM turns every loop over lanes into vector instructions. Three things keep it so (look
at the assembly after a change, ``test_localize_kernels.py`` does): all quantities of a block in
one array at constant offsets, no integer literal in float32 arithmetic, and loops over the
pixels of a row short enough to be unrolled. The side of the box is the length of a tuple, which
the compiler knows. Lanes never mix: a spot's result does not depend on its neighbours in the
block.
"""

import math
from typing import Any

import numpy as np
from numba import njit

LANES = 16
_LONGEST_ROW = 9
#: What a block holds of each spot, in this order, 16 lanes each.
STATE = (
    "x_px",
    "y_px",
    "photons",
    "background",
    "sigma_px",
    "is_active",
    "variance_x",
    "variance_y",
    "iterations",
    "log_likelihood_ratio",
)

#: Data value of a pixel at the level where its camera clips.
CLIPPED = np.float32(1e38)
#: Data value of a pixel that only fills a row up.
UNUSED = np.float32(3e38)

_ZERO, _HALF, _ONE, _TWO = (np.float32(value) for value in (0.0, 0.5, 1.0, 2.0))
_SQRT_HALF = np.float32(math.sqrt(0.5))
_SQRT_PI = np.float32(1.0 / math.sqrt(math.pi))
_SQRT_TWO_PI = np.float32(math.sqrt(2.0 / math.pi))
_INVERSE_ROOT_TWO_PI = np.float32(1.0 / math.sqrt(2.0 * math.pi))
# Abramowitz & Stegun 7.1.26: erf to 1.5e-7
_P = np.float32(0.3275911)
_A1, _A2, _A3 = np.float32(0.254829592), np.float32(-0.284496736), np.float32(1.421413741)
_A4, _A5 = np.float32(-1.453152027), np.float32(1.061405429)
_E2, _E3, _E4, _E5, _E6 = (np.float32(1.0 / math.factorial(order)) for order in range(2, 7))
_LOG2_E, _LARGEST_EXPONENT = np.float32(math.log2(math.e)), np.float32(100.0)
_LN2, _L3, _L5, _L7 = (np.float32(value) for value in (math.log(2.0), 2 / 3, 2 / 5, 2 / 7))
_SQRT_HALF_BITS = np.int32(0x3F3504F3)
_MANTISSA_BITS, _EXPONENT_BIAS = np.int32(23), np.int32(127)
_SMALLEST = np.float32(1e-12)
_QUARTER = np.float32(0.25)
#: A spot stays this many widths near the middle of its box, so that no Gaussian underflows.
_REACH = np.float32(11.0)
_MOST_PHOTONS = np.float32(1e9)
#: The background may fall below 0 by this share of the noise variance.
_DEEPEST_BACKGROUND = np.float32(0.9)

# Where the quantities of a block lie; the profiles of both axes follow.
_ACTIVE = 5 * LANES
_VARIANCES = 6 * LANES
_COUNT = 8 * LANES
_RATIO = 9 * LANES
_STATE = 10 * LANES
_PROFILES = _STATE

_compiled = njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
# Two copies of a function that is only called, its own and its caller's, round differently, and
# which of them runs would depend on whether this process compiled or loaded the caller.
_inlined = njit(cache=True, nogil=True, fastmath=True, error_model="numpy", forceinline=True)


@_inlined
def columns_of(box: Any) -> Any:
    """Return the pixels of a row as they are stored: longer rows are padded to two equal halves."""
    side = len(box)
    return side if side <= _LONGEST_ROW else 2 * ((side + 1) // 2)


@_inlined
def _limited(value: Any, low: Any, high: Any) -> Any:
    """Return the value, or the limit it lies beyond."""
    return min(max(value, low), high)


@_inlined
def _exp_minus(z: Any) -> Any:
    """Return exp(-z) to 2e-7 of its value; z is cut off at +-69, far from denormals."""
    y = _limited(-z * _LOG2_E, -_LARGEST_EXPONENT, _LARGEST_EXPONENT)
    whole = np.floor(y + _HALF)
    x = (y - whole) * _LN2
    power = np.int32((np.int32(whole) + _EXPONENT_BIAS) << _MANTISSA_BITS).view(np.float32)
    return power * (_ONE + x * (_ONE + x * (_E2 + x * (_E3 + x * (_E4 + x * (_E5 + x * _E6))))))


@_inlined
def _ln(q: Any) -> Any:
    """Return the natural logarithm of a positive float32, to 2e-6."""
    bits = np.float32(q).view(np.int32)
    exponent = np.int32(bits - _SQRT_HALF_BITS) >> _MANTISSA_BITS
    mantissa = np.int32(bits - (np.int32(exponent) << _MANTISSA_BITS)).view(np.float32)
    t = (mantissa - _ONE) / (mantissa + _ONE)
    t2 = t * t
    return np.float32(np.int32(exponent)) * _LN2 + t * (_TWO + t2 * (_L3 + t2 * (_L5 + t2 * _L7)))


@_inlined
def _erf(u: Any, gauss: Any) -> Any:
    """Return erf(u), given exp(-u^2)."""
    t = _ONE / (_ONE + _P * abs(u))
    f = _ONE - ((((_A5 * t + _A4) * t + _A3) * t + _A2) * t + _A1) * t * gauss
    return f if u > _ZERO else -f


@_inlined
def _hazard(z: Any) -> Any:
    """Return density over upper tail of the standard normal distribution, for z below 5."""
    a = abs(z) * _SQRT_HALF
    t = _ONE / (_ONE + _P * a)
    tail = ((((_A5 * t + _A4) * t + _A3) * t + _A2) * t + _A1) * t
    gauss = _exp_minus(a * a)
    falling = _INVERSE_ROOT_TWO_PI * gauss / (_ONE - _HALF * tail * gauss)
    return _SQRT_TWO_PI / tail if z > _ZERO else falling


@_inlined
def _profiles(w: Any, box: Any) -> None:
    """Write the pixel shares of a spot along both axes, and their derivatives.

    Of each axis: the share of every pixel, its derivative by the position, and by sigma. From
    one pixel edge to the next the Gaussian changes by factors that form a geometric series,
    which saves most exponentials; the walk starts at the middle of the box, where nothing
    underflows, and goes outwards.
    """
    side = len(box)
    middle = side // 2
    column = columns_of(box) * LANES
    for axis in range(2):
        share = np.uint64(_PROFILES + axis * 3 * column)
        by_position, by_sigma = share + np.uint64(column), share + np.uint64(2 * column)
        position = np.uint64(axis * LANES)
        for lane in range(LANES):
            i = np.uint64(lane)
            scale = _SQRT_HALF / w[4 * LANES + lane]
            first_u = (np.float32(middle) - w[position + i]) * scale
            first_gauss = _exp_minus(first_u * first_u)
            first_erf = _erf(first_u, first_gauss)
            ratio = _exp_minus(_TWO * scale * scale)
            by_position_unit, by_sigma_unit = scale * _SQRT_PI, scale * _SQRT_TWO_PI

            factor = _exp_minus(scale * (_TWO * first_u + scale))
            u, gauss, erf = first_u, first_gauss, first_erf
            for pixel in range(middle, side):
                at = np.uint64(pixel * LANES) + i
                next_u, next_gauss = u + scale, gauss * factor
                next_erf = _erf(next_u, next_gauss)
                factor = factor * ratio
                w[share + at] = _HALF * max(next_erf - erf, _ZERO)
                w[by_position + at] = by_position_unit * (gauss - next_gauss)
                w[by_sigma + at] = by_sigma_unit * (u * gauss - next_u * next_gauss)
                u, gauss, erf = next_u, next_gauss, next_erf

            factor = _exp_minus(scale * (scale - _TWO * first_u))
            u, gauss, erf = first_u, first_gauss, first_erf
            for step in range(1, middle + 1):
                at = np.uint64((middle - step) * LANES) + i
                next_u, next_gauss = u - scale, gauss * factor
                next_erf = _erf(next_u, next_gauss)
                factor = factor * ratio
                w[share + at] = _HALF * max(erf - next_erf, _ZERO)
                w[by_position + at] = by_position_unit * (next_gauss - gauss)
                w[by_sigma + at] = by_sigma_unit * (next_u * next_gauss - u * gauss)
                u, gauss, erf = next_u, next_gauss, next_erf


@_inlined
def _weigh(known: Any, w: Any, data: Any, box: Any, noise: Any) -> None:
    """Write derivative and information of each pixel's likelihood by its expected value.

    Clipped pixels do not count. The information follows the derivatives of all pixels.
    """
    columns = columns_of(box)
    width = columns if columns <= _LONGEST_ROW else columns // 2
    second = np.uint64(len(box) * columns * LANES)
    for part in range(len(box) * (columns // width)):
        row, first = part // (columns // width), part % (columns // width)
        pixels = np.uint64(part * width * LANES)
        share_x = np.uint64(_PROFILES + first * width * LANES)
        share_y = np.uint64(_PROFILES + (3 * columns + row) * LANES)
        for lane in range(LANES):
            i = np.uint64(lane)
            factor = w[2 * LANES + lane] * w[share_y + i]
            level = w[3 * LANES + lane] + noise
            for k in range(width):
                at = np.uint64(k * LANES) + i
                value = data[pixels + at]
                expected = factor * w[share_x + at] + level
                information = _ONE / expected
                information = information if value < CLIPPED else _ZERO
                known[pixels + at] = (value - expected) * information
                known[second + pixels + at] = information


@_inlined
def _weigh_clipped(known: Any, w: Any, data: Any, box: Any, camera: Any) -> None:
    """Correct what `_weigh` wrote where a pixel is clipped.

    Such a pixel tells only that its value is at least the level it is clipped at: its
    likelihood is the upper tail of a normal distribution.
    """
    columns = columns_of(box)
    noise, clipped = camera
    second = np.uint64(len(box) * columns * LANES)
    for pixel in range(len(box) * columns):
        at = np.uint64(pixel * LANES)
        share_x = np.uint64(_PROFILES + pixel % columns * LANES)
        share_y = np.uint64(_PROFILES + (3 * columns + pixel // columns) * LANES)
        for lane in range(LANES):
            i = np.uint64(lane)
            share = w[share_x + i] * w[share_y + i]
            expected = w[2 * LANES + lane] * share + w[3 * LANES + lane] + noise
            information = _ONE / expected
            root = math.sqrt(information)
            z = (clipped - expected) * root
            hazard = _hazard(z)
            slope = root + _HALF * z * information
            tail = hazard * max(hazard - z, _ZERO) * slope * slope
            is_clipped = data[at + i] == CLIPPED
            known[at + i] = hazard * slope if is_clipped else known[at + i]
            known[second + at + i] = tail if is_clipped else known[second + at + i]


@_inlined
def _add_up(sums: Any, w: Any, known: Any, box: Any) -> None:
    """Add up gradient and Fisher information over the pixels of the box.

    The parameters are x, y, ln(photons), background, sigma; the first 5 sums are the gradient,
    the other 15 the upper triangle of the information, row after row. Within a row of pixels
    the derivatives share the factors of y, so 14 sums over the row are enough.
    """
    side = len(box)
    columns = columns_of(box)
    width = columns if columns <= _LONGEST_ROW else columns // 2
    column = columns * LANES
    for index in range(20 * LANES):
        sums[index] = _ZERO
    for part in range(side * (columns // width)):
        row, first = part // (columns // width), part % (columns // width)
        pixels = np.uint64(part * width * LANES)
        profile = np.uint64(_PROFILES + first * width * LANES)
        share_y = np.uint64(_PROFILES + 3 * column + row * LANES)
        for lane in range(LANES):
            i = np.uint64(lane)
            photons = w[2 * LANES + lane]
            a = photons * w[share_y + i]
            b = photons * w[share_y + np.uint64(column) + i]
            c = photons * w[share_y + np.uint64(2 * column) + i]
            r = rx = rd = rs = _ZERO
            i0 = ix = id_ = is_ = ixx = ixd = ixs = idd = ids = iss = _ZERO
            for k in range(width):
                at = np.uint64(k * LANES) + i
                x = w[profile + at]
                d = w[profile + np.uint64(column) + at]
                s = w[profile + np.uint64(2 * column) + at]
                excess = known[pixels + at]
                information = known[np.uint64(side * column) + pixels + at]
                r, rx = r + excess, rx + excess * x
                rd, rs = rd + excess * d, rs + excess * s
                ux, ud, us = information * x, information * d, information * s
                i0, ix, id_, is_ = i0 + information, ix + ux, id_ + ud, is_ + us
                ixx, ixd, ixs = ixx + ux * x, ixd + ux * d, ixs + ux * s
                idd, ids, iss = idd + ud * d, ids + ud * s, iss + us * s
            aa, ab, ac, bc = a * a, a * b, a * c, b * c
            sums[lane] += a * rd
            sums[1 * LANES + lane] += b * rx
            sums[2 * LANES + lane] += a * rx
            sums[3 * LANES + lane] += r
            sums[4 * LANES + lane] += a * rs + c * rx
            sums[5 * LANES + lane] += aa * idd
            sums[6 * LANES + lane] += ab * ixd
            sums[7 * LANES + lane] += aa * ixd
            sums[8 * LANES + lane] += a * id_
            sums[9 * LANES + lane] += aa * ids + ac * ixd
            sums[10 * LANES + lane] += b * b * ixx
            sums[11 * LANES + lane] += ab * ixx
            sums[12 * LANES + lane] += b * ix
            sums[13 * LANES + lane] += ab * ixs + bc * ixx
            sums[14 * LANES + lane] += aa * ixx
            sums[15 * LANES + lane] += a * ix
            sums[16 * LANES + lane] += aa * ixs + ac * ixx
            sums[17 * LANES + lane] += i0
            sums[18 * LANES + lane] += a * is_ + c * ix
            sums[19 * LANES + lane] += aa * iss + _TWO * ac * ixs + c * c * ixx


@_inlined
def _solve(sums: Any, free: Any) -> None:
    """Replace the sums by the scoring step (x, y, ln photons, background, sigma), then variances.

    Cholesky factors in the order background, ln(photons), sigma, y, x: the variance of x is
    then the last pivot alone. ``p_`` are the inverse pivots.
    """
    for i in range(LANES):
        p_b = _ONE / math.sqrt(max(sums[17 * LANES + i], _SMALLEST))
        nb = sums[15 * LANES + i] * p_b
        p_n = _ONE / math.sqrt(max(sums[14 * LANES + i] - nb * nb, _SMALLEST))
        sb = free * sums[18 * LANES + i] * p_b
        sn = (free * sums[16 * LANES + i] - sb * nb) * p_n
        ss = free * sums[19 * LANES + i] + _ONE - free
        p_s = _ONE / math.sqrt(max(ss - sb * sb - sn * sn, _SMALLEST))
        yb = sums[12 * LANES + i] * p_b
        yn = (sums[11 * LANES + i] - yb * nb) * p_n
        ys = (free * sums[13 * LANES + i] - yb * sb - yn * sn) * p_s
        yy = sums[10 * LANES + i] - yb * yb - yn * yn - ys * ys
        p_y = _ONE / math.sqrt(max(yy, _SMALLEST))
        xb = sums[8 * LANES + i] * p_b
        xn = (sums[7 * LANES + i] - xb * nb) * p_n
        xs = (free * sums[9 * LANES + i] - xb * sb - xn * sn) * p_s
        xy = (sums[6 * LANES + i] - xb * yb - xn * yn - xs * ys) * p_y
        xx = sums[5 * LANES + i] - xb * xb - xn * xn - xs * xs - xy * xy
        p_x = _ONE / math.sqrt(max(xx, _SMALLEST))
        zb = sums[3 * LANES + i] * p_b
        zn = (sums[2 * LANES + i] - nb * zb) * p_n
        zs = (free * sums[4 * LANES + i] - sb * zb - sn * zn) * p_s
        zy = (sums[LANES + i] - yb * zb - yn * zn - ys * zs) * p_y
        zx = (sums[i] - xb * zb - xn * zn - xs * zs - xy * zy) * p_x
        dx = zx * p_x
        dy = (zy - xy * dx) * p_y
        ds = (zs - ys * dy - xs * dx) * p_s
        dn = (zn - sn * ds - yn * dy - xn * dx) * p_n
        sums[i], sums[LANES + i] = dx, dy
        sums[2 * LANES + i] = dn
        sums[3 * LANES + i] = (zb - nb * dn - sb * ds - yb * dy - xb * dx) * p_b
        sums[4 * LANES + i] = ds
        var_x = p_x * p_x
        sums[5 * LANES + i] = var_x
        sums[6 * LANES + i] = p_y * p_y * (_ONE + xy * xy * var_x)


@_inlined
def _move(w: Any, step: Any, box: Any, lowest: Any, limits: Any) -> None:
    """Move every unfinished spot by its step, and note its variances."""
    middle = np.float32(len(box) // 2)
    sigma_min, sigma_max, rest, _ = limits
    for i in range(LANES):
        active = w[_ACTIVE + i]
        x, y, sigma = w[i], w[LANES + i], w[4 * LANES + i]
        photons, background = w[2 * LANES + i], w[3 * LANES + i]
        var_x, var_y = step[5 * LANES + i], step[6 * LANES + i]
        growth = active * _limited(step[2 * LANES + i], -_HALF, _ONE)
        new_photons = _limited(photons + photons * growth, _ONE, _MOST_PHOTONS)
        new_background = _limited(background + step[3 * LANES + i], lowest, _MOST_PHOTONS)
        wider = active * _limited(step[4 * LANES + i], -_QUARTER * sigma, _QUARTER * sigma)
        new_sigma = _limited(sigma + wider, sigma_min, sigma_max)
        reach = min(middle + _ONE, _REACH * new_sigma)
        low, high = middle - reach, middle + reach
        new_x = _limited(x + active * _limited(step[i], -_ONE, _ONE), low, high)
        new_y = _limited(y + active * _limited(step[LANES + i], -_ONE, _ONE), low, high)
        w[i] = new_x
        w[LANES + i] = new_y
        w[2 * LANES + i] = new_photons
        w[3 * LANES + i] = background + active * (new_background - background)
        w[4 * LANES + i] = new_sigma
        w[_VARIANCES + i] = var_x if active > _ZERO else w[_VARIANCES + i]
        w[_VARIANCES + LANES + i] = var_y if active > _ZERO else w[_VARIANCES + LANES + i]
        w[_COUNT + i] += active
        moved = max(abs(new_x - x), abs(new_y - y))
        grown = max(abs(new_sigma - sigma), _HALF * abs(new_photons - photons) / photons)
        change = max(moved, grown)
        enough = rest * rest * min(max(var_x, var_y), _QUARTER)
        w[_ACTIVE + i] = active if change * change > enough else _ZERO


@_compiled
def start_blocks(data: Any, state: Any, box: Any, camera: Any, sigma: Any) -> None:
    """Guess photons and background of all spots; arguments as in `fit_blocks`.

    The background is the lowest mean of the four sides of the box, so that a neighbour beyond
    one side does not raise it. A clipped pixel counts as the level it is clipped at.
    """
    side = len(box)
    noise, clipped = camera
    column = columns_of(box) * LANES
    count = np.float32(side)
    means = np.empty(5 * LANES, np.float32)
    for block in range(state.size // _STATE):
        here = state[block * _STATE : (block + 1) * _STATE]
        pixels = data[block * side * column : (block + 1) * side * column]
        means[:] = _ZERO
        for row in range(side):
            line = pixels[row * column : (row + 1) * column]
            for lane in range(LANES):
                first = min(line[lane], clipped)
                last = min(line[(side - 1) * LANES + lane], clipped)
                total = _ZERO
                for k in range(side):
                    total += min(line[k * LANES + lane], clipped)
                means[LANES + lane] += first
                means[2 * LANES + lane] += last
                means[3 * LANES + lane] = total if row == 0 else means[3 * LANES + lane]
                means[4 * LANES + lane] = total
                means[lane] += total
        for lane in range(LANES):
            left_right = min(means[LANES + lane], means[2 * LANES + lane])
            level = min(left_right, means[3 * LANES + lane], means[4 * LANES + lane]) / count
            here[2 * LANES + lane] = max(means[lane] - level * count * count, _ONE)
            here[3 * LANES + lane] = max(level - noise, -_DEEPEST_BACKGROUND * noise)
            here[4 * LANES + lane] = sigma


@_compiled
def fit_blocks(
    data: Any, state: Any, box: Any, camera: Any, limits: Any, steps: Any, is_censored: Any
) -> None:
    """Take Fisher-scoring steps with all spots, in place, until they have come to rest.

    Parameters
    ----------
    data : (blocks * side * columns * 16,) float32
        Photoelectrons plus noise variance per pixel, or `CLIPPED`, or `UNUSED`; 16 spots to a
        block, pixel after pixel, row after row.
    state : (blocks * len(STATE) * 16,) float32
        In: the parameters and ``is_active``, 1 for a spot and 0 for an empty lane. Out: the
        fitted parameters with the variances of x and y, pixels^2; ``is_active`` stays 1 where
        a fit has not come to rest.
    box : tuple
        Its length is the side of the box in pixels.
    camera : (float32, float32)
        Noise variance of a pixel without light, electrons^2, and the level at which it clips,
        noise variance included.
    limits : tuple of 4 float32
        Lowest and highest sigma, the step that counts as rest as a share of the position's
        standard deviation, and 1 to fit sigma or 0 to keep it.
    steps : int
        Steps at most.
    is_censored : bool
        Whether a clipped pixel counts as at least the level it is clipped at, or not at all.
    """
    size = len(box) * columns_of(box) * LANES
    w = np.zeros(_PROFILES + 6 * columns_of(box) * LANES, np.float32)
    known = np.zeros(2 * size, np.float32)
    lowest = -_DEEPEST_BACKGROUND * camera[0]
    sums = np.zeros(20 * LANES, np.float32)
    for block in range(state.size // _STATE):
        here = state[block * _STATE : (block + 1) * _STATE]
        pixels = data[block * size : (block + 1) * size]
        w[:_STATE] = here
        for _ in range(steps):
            _profiles(w, box)
            _weigh(known, w, pixels, box, camera[0])
            if is_censored:
                _weigh_clipped(known, w, pixels, box, camera)
            _add_up(sums, w, known, box)
            _solve(sums, limits[3])
            _move(w, sums, box, lowest, limits)
            moving = _ZERO
            for lane in range(LANES):
                moving += w[_ACTIVE + lane]
            if moving == _ZERO:
                break
        here[:] = w[:_STATE]


@_compiled
def rate_blocks(data: Any, state: Any, box: Any, camera: Any) -> None:
    """Write how well the model fits: 2 ln(saturated likelihood / fitted likelihood).

    Of the shifted Poisson model; arguments as in `fit_blocks`.
    """
    side = len(box)
    column = columns_of(box) * LANES
    noise, _ = camera
    w = np.zeros(_PROFILES + 6 * column, np.float32)
    ratio = np.zeros(LANES, np.float32)
    for block in range(state.size // _STATE):
        pixels = data[block * side * column : (block + 1) * side * column]
        w[:_STATE] = state[block * _STATE : (block + 1) * _STATE]
        _profiles(w, box)
        ratio[:] = _ZERO
        for row in range(side):
            line = pixels[row * column : (row + 1) * column]
            share_y = np.uint64(_PROFILES + 3 * column + row * LANES)
            for lane in range(LANES):
                factor = w[2 * LANES + lane] * w[share_y + np.uint64(lane)]
                level = w[3 * LANES + lane] + noise
                deviance = _ZERO
                for k in range(side):
                    value = max(line[k * LANES + lane], _SMALLEST)
                    expected = factor * w[_PROFILES + k * LANES + lane] + level
                    part = expected - value + value * _ln(value / expected)
                    deviance += part if value < CLIPPED else _ZERO
                ratio[lane] += _TWO * deviance
        at = block * _STATE + _RATIO
        state[at : at + LANES] = ratio
