"""The fit of spots whose widths along x and y differ, compiled, spot after spot.

Of each spot are fitted x, y, photons, background and either z, from which the defocus curves
give both widths, or both widths themselves. A pixel of sensitivity s and noise variance v that
should see l photoelectrons counts as in `kernels_by_pixel`: seen is n = (electrons + v) / s,
expected m = l + v / s, and the derivative of its log-likelihood by l is s (n - m) / m.
"""

import math
from typing import Any

import numpy as np
from numba import njit

from cellstorm_lib.z_calibration import width_and_slope

#: What is known of each spot after the fit. Of a fit of z the height is ``first``, ``second`` 0;
#: of a fit of the widths these are the widths along x and y.
RESULT = (
    "x_px",
    "y_px",
    "photons",
    "background",
    "first",
    "second",
    "variance_x",
    "variance_y",
    "variance_photons",
    "variance_background",
    "variance_first",
    "variance_second",
    "is_active",
    "iterations",
    "log_likelihood_ratio",
    "out_of_range_px",
)
_FREE = 6
_SQRT_HALF, _ROOT_PI = math.sqrt(0.5), math.sqrt(math.pi)
_ROOT_TWO_PI = math.sqrt(2.0 * math.pi)
#: The background may fall below 0 by this share of the noise variance.
_DEEPEST_BACKGROUND = 0.9
#: A spot has come to rest when no step is larger than this share of its uncertainty.
_REST = 0.03
_STRONGEST_BRAKE = 0.1
#: Heights tried before the fit, half of them below the middle of the range.
_HEIGHTS = 12
_SMALLEST = 1e-12
_LEAST_WIDTH_PX = 0.3

# NaN and infinity keep their meaning: a spot that cannot be fitted stays recognizable
_compiled = njit(
    cache=True,
    nogil=True,
    fastmath={"reassoc", "contract", "arcp", "nsz"},
    error_model="numpy",
)


@_compiled
def _cut(frame: Any, top: Any, left: Any, camera: Any, pixels: Any) -> Any:
    """Write value, noise and weight of each pixel of a box; return how many are out of range.

    A pixel beyond the camera's range has the level it is at least at, and a negative weight.
    Maps of one pixel hold for all.
    """
    offset, gain, variance, sensitivity, end, beginning = camera
    is_mapped = offset.size > 1
    side = pixels.shape[1]
    above = below = 0
    for row in range(side):
        for column in range(side):
            y, x = (top + row, left + column) if is_mapped else (0, 0)
            value = np.float64(frame[top + row, left + column])
            weight = np.float64(sensitivity[y, x])
            noise = np.float64(variance[y, x])
            electrons = (min(value, end - 0.5) - offset[y, x]) * gain[y, x]
            pixels[0, row, column] = (electrons + noise) / weight
            pixels[1, row, column] = noise / weight
            pixels[2, row, column] = -weight if value >= end else weight
            above += value >= end
            below += value < beginning
    return above, below


@_compiled
def _shape_axis(centre: Any, sigma: Any, axis: Any) -> None:
    """Write the pixel shares of a spot along an axis, their derivatives by position and sigma."""
    scale = _SQRT_HALF / sigma
    u = -centre * scale
    gauss, error = math.exp(-u * u), math.erf(u)
    for pixel in range(axis.shape[1]):
        next_u = u + scale
        next_gauss, next_error = math.exp(-next_u * next_u), math.erf(next_u)
        axis[0, pixel] = 0.5 * (next_error - error)
        axis[1, pixel] = scale / _ROOT_PI * (gauss - next_gauss)
        axis[2, pixel] = 2.0 * scale * _SQRT_HALF / _ROOT_PI * (u * gauss - next_u * next_gauss)
        u, gauss, error = next_u, next_gauss, next_error


@_compiled
def _shape(p: Any, curves: Any, axes: Any) -> Any:
    """Write the profiles of a spot along both axes; return how its widths change with z."""
    sigma_x, sigma_y, by_z_x, by_z_y = p[4], p[5], 0.0, 0.0
    if curves is not None:
        sigma_x, by_z_x = _bounded_width(p[4], curves[0], curves[2])
        sigma_y, by_z_y = _bounded_width(p[4], curves[1], curves[2])
    _shape_axis(p[0], sigma_x, axes[0])
    _shape_axis(p[1], sigma_y, axes[1])
    return by_z_x, by_z_y


@_compiled
def _bounded_width(z: Any, curve: Any, ends: Any) -> Any:
    """Return width and slope; beyond the calibrated range the width goes on with the last slope."""
    inside = min(max(z, ends[0]), ends[1])
    width, slope = width_and_slope(inside, curve)
    further = width + slope * (z - inside)
    return (further, slope) if further > _LEAST_WIDTH_PX else (_LEAST_WIDTH_PX, 0.0)


@_compiled
def _weigh(p: Any, pixels: Any, axes: Any, known: Any) -> None:
    """Write derivative and information of each pixel's likelihood by its expected value."""
    side = axes.shape[2]
    for row in range(side):
        factor = p[2] * axes[1, 0, row]
        for k in range(side):
            expected = factor * axes[0, 0, k] + p[3] + pixels[1, row, k]
            information = max(pixels[2, row, k], 0.0) / expected
            known[0, row, k] = (pixels[0, row, k] - expected) * information
            known[1, row, k] = information


@_compiled
def _weigh_out_of_range(p: Any, pixels: Any, axes: Any, known: Any) -> None:
    """Correct what `_weigh` wrote where a pixel tells only that its value is at least so much.

    Its likelihood is the upper tail of a normal distribution.
    """
    side = axes.shape[2]
    for row in range(side):
        for k in range(side):
            if pixels[2, row, k] >= 0.0:
                continue
            expected = p[2] * axes[1, 0, row] * axes[0, 0, k] + p[3] + pixels[1, row, k]
            root = math.sqrt(-pixels[2, row, k] / expected)
            z = (pixels[0, row, k] - expected) * root
            hazard = math.exp(-0.5 * z * z) / (_ROOT_TWO_PI * _tail(z)) if z < 6.0 else z + 1.0 / z
            slope = root + 0.5 * z / expected
            known[0, row, k] = hazard * slope
            known[1, row, k] = hazard * max(hazard - z, 0.0) * slope * slope


@_compiled
def _tail(z: Any) -> Any:
    """Return the upper tail of the standard normal distribution."""
    return 0.5 * math.erfc(z * _SQRT_HALF)


@_compiled
def _add_up(p: Any, axes: Any, known: Any, gradient: Any, information: Any) -> None:
    """Add up gradient and Fisher information by x, y, ln(photons), background and both widths.

    Within a row of pixels the derivatives share the factors of y: 14 sums over the row are
    enough.
    """
    side = axes.shape[2]
    gradient[:] = 0.0
    information[:] = 0.0
    for row in range(side):
        a, b, c = p[2] * axes[1, 0, row], p[2] * axes[1, 1, row], p[2] * axes[1, 2, row]
        r = rx = rd = rs = 0.0
        i0 = ix = id_ = is_ = ixx = ixd = ixs = idd = ids = iss = 0.0
        for k in range(side):
            x, d, s = axes[0, 0, k], axes[0, 1, k], axes[0, 2, k]
            excess, weight = known[0, row, k], known[1, row, k]
            ux, ud, us = weight * x, weight * d, weight * s
            r, rx, rd, rs = r + excess, rx + excess * x, rd + excess * d, rs + excess * s
            i0, ix, id_, is_ = i0 + weight, ix + ux, id_ + ud, is_ + us
            ixx, ixd, ixs = ixx + ux * x, ixd + ux * d, ixs + ux * s
            idd, ids, iss = idd + ud * d, ids + ud * s, iss + us * s
        gradient[0] += a * rd
        gradient[1] += b * rx
        gradient[2] += a * rx
        gradient[3] += r
        gradient[4] += a * rs
        gradient[5] += c * rx
        information[0, 0] += a * a * idd
        information[1, 0] += a * b * ixd
        information[1, 1] += b * b * ixx
        information[2, 0] += a * a * ixd
        information[2, 1] += a * b * ixx
        information[2, 2] += a * a * ixx
        information[3, 0] += a * id_
        information[3, 1] += b * ix
        information[3, 2] += a * ix
        information[3, 3] += i0
        information[4, 0] += a * a * ids
        information[4, 1] += a * b * ixs
        information[4, 2] += a * a * ixs
        information[4, 3] += a * is_
        information[4, 4] += a * a * iss
        information[5, 0] += a * c * ixd
        information[5, 1] += b * c * ixx
        information[5, 2] += a * c * ixx
        information[5, 3] += c * ix
        information[5, 4] += a * c * ixs
        information[5, 5] += c * c * ixx


@_compiled
def _join_widths(by_z_x: Any, by_z_y: Any, gradient: Any, information: Any) -> None:
    """Put the derivative by z in the place of those by both widths, which it moves together."""
    gradient[4] = by_z_x * gradient[4] + by_z_y * gradient[5]
    information[4, 4] = (
        by_z_x * by_z_x * information[4, 4]
        + 2.0 * by_z_x * by_z_y * information[5, 4]
        + by_z_y * by_z_y * information[5, 5]
    )
    for k in range(4):
        information[4, k] = by_z_x * information[4, k] + by_z_y * information[5, k]


@_compiled
def _factorize(count: Any, matrix: Any) -> None:
    """Replace the lower triangle of a positive matrix by its Cholesky factor."""
    for j in range(count):
        for i in range(j, count):
            value = matrix[i, j]
            for k in range(j):
                value -= matrix[i, k] * matrix[j, k]
            matrix[i, j] = math.sqrt(max(value, _SMALLEST)) if i == j else value / matrix[j, j]


@_compiled
def _solve(count: Any, gradient: Any, information: Any, step: Any, variance: Any) -> None:
    """Write the scoring step and the variances, by Cholesky factors of the information."""
    _factorize(count, information)
    factor = information
    for i in range(count):
        value = gradient[i]
        for k in range(i):
            value -= factor[i, k] * step[k]
        step[i] = value / factor[i, i]
    for i in range(count - 1, -1, -1):
        value = step[i]
        for k in range(i + 1, count):
            value -= factor[k, i] * step[k]
        step[i] = value / factor[i, i]
    column = np.zeros(_FREE)
    for j in range(count):
        # the column j of the inverse factor; its squares add up to the variance
        variance[j] = 0.0
        for i in range(j, count):
            value = 1.0 if i == j else 0.0
            for k in range(j, i):
                value -= factor[i, k] * column[k]
            column[i] = value / factor[i, i]
            variance[j] += column[i] * column[i]


@_compiled
def _move(p: Any, step: Any, variance: Any, side: Any, lowest: Any, curves: Any) -> Any:
    """Move a spot by its step, within limits; return the largest move in uncertainties, squared."""
    largest = 0.0
    for k in range(_FREE if curves is None else _FREE - 1):
        before, spread = p[k], variance[k]
        if k < 2:
            after = before + min(max(step[k], -1.0), 1.0)
            p[k] = min(max(after, -1.0), side + 1.0)
        elif k == 2:
            p[k] = max(before * (1.0 + min(max(step[k], -0.5), 1.0)), 1.0)
            spread *= before * before
        elif k == 3:
            p[k] = max(before + step[k], lowest)
        elif curves is None:
            after = before + min(max(step[k], -0.25 * before), 0.25 * before)
            p[k] = min(max(after, _LEAST_WIDTH_PX), 1.0 * side)
        else:
            low, high = curves[2]
            reach = 0.25 * (high - low)
            after = before + min(max(step[k], -reach), reach)
            p[k] = min(max(after, low - reach), high + reach)
        moved = p[k] - before
        largest = max(largest, moved * moved / spread)
    return largest


@_compiled
def _climb(
    p: Any, curves: Any, pixels: Any, lowest: Any, is_censored: Any, most: Any, work: Any
) -> Any:
    """Take Fisher-scoring steps to the top of the likelihood; return whether it was not reached."""
    axes, known, gradient, information, step, variance = work
    count = _FREE if curves is None else _FREE - 1
    brake, last = 1.0, 0.0
    for iteration in range(most):
        by_z_x, by_z_y = _shape(p, curves, axes)
        _weigh(p, pixels, axes, known)
        if is_censored:
            _weigh_out_of_range(p, pixels, axes, known)
        _add_up(p, axes, known, gradient, information)
        if curves is not None:
            _join_widths(by_z_x, by_z_y, gradient, information)
        _solve(count, gradient, information, step, variance)
        # where the information changes fast, full steps go to and fro
        brake = (
            max(0.5 * brake, _STRONGEST_BRAKE) if step[4] * last < 0.0 else min(1.5 * brake, 1.0)
        )
        last = step[4]
        step *= brake
        rest = _REST * brake
        if _move(p, step, variance, axes.shape[2], lowest, curves) < rest * rest:
            return False, iteration + 1
    return True, most


@_compiled
def _rate(p: Any, curves: Any, pixels: Any, axes: Any) -> Any:
    """Return 2 ln(saturated / fitted likelihood) of the pixels in range, and of the others."""
    _shape(p, curves, axes)
    side = axes.shape[2]
    deviance = beyond = 0.0
    for row in range(side):
        factor = p[2] * axes[1, 0, row]
        for k in range(side):
            expected = factor * axes[0, 0, k] + p[3] + pixels[1, row, k]
            value, weight = pixels[0, row, k], pixels[2, row, k]
            if weight < 0.0:
                z = (value - expected) * math.sqrt(-weight / expected)
                beyond -= 2.0 * math.log(max(_tail(z), 1e-300))
            else:
                seen = max(value, _SMALLEST)
                deviance += 2.0 * weight * (expected - value + seen * math.log(seen / expected))
    return deviance, beyond


@_compiled
def _guess(p: Any, pixels: Any) -> Any:
    """Write photons and background of a box; return the lowest background that is allowed.

    The background is the lowest mean of the four sides of the box, so that a neighbour beyond one
    side does not raise it.
    """
    side = pixels.shape[1]
    total = left = right = upper = lower = 0.0
    least = pixels[1, 0, 0]
    for row in range(side):
        left += pixels[0, row, 0] - pixels[1, row, 0]
        right += pixels[0, row, side - 1] - pixels[1, row, side - 1]
        upper += pixels[0, 0, row] - pixels[1, 0, row]
        lower += pixels[0, side - 1, row] - pixels[1, side - 1, row]
        for k in range(side):
            total += pixels[0, row, k] - pixels[1, row, k]
            least = min(least, pixels[1, row, k])
    lowest = -_DEEPEST_BACKGROUND * least
    p[3] = max(min(left, right, upper, lower) / side, lowest)
    p[2] = max(total - p[3] * side * side, 10.0)
    return lowest


@_compiled
def _try_heights(p: Any, curves: Any, pixels: Any, axes: Any, starts: Any) -> None:
    """Write the height in either half of the range that explains the box best, by least squares.

    A height's photons and background follow in closed form. Columns of `starts`: what is left
    unexplained, photons, background, height.
    """
    side = axes.shape[2]
    low, high = curves[2]
    starts[:, 0] = np.inf
    for trial in range(_HEIGHTS):
        p[4] = low + (trial + 0.5) / _HEIGHTS * (high - low)
        _shape(p, curves, axes)
        n = g = gg = d = dg = dd = 0.0
        for row in range(side):
            for k in range(side):
                counts = 1.0 if pixels[2, row, k] > 0.0 else 0.0
                share = counts * axes[1, 0, row] * axes[0, 0, k]
                value = counts * (pixels[0, row, k] - pixels[1, row, k])
                n, g, gg = n + counts, g + share, gg + share * share
                d, dg, dd = d + value, dg + value * share, dd + value * value
        n = max(n, 1.0)
        spread = max(gg - g * g / n, _SMALLEST)
        photons = max((dg - d * g / n) / spread, 10.0)
        background = (d - photons * g) / n
        left = dd - d * d / n - photons * (2.0 * (dg - d * g / n) - photons * spread)
        half = 0 if trial < _HEIGHTS // 2 else 1
        if left < starts[half, 0]:
            starts[half, 0], starts[half, 1] = left, photons
            starts[half, 2], starts[half, 3] = background, p[4]


@_compiled
def fit_heights(
    frames: Any, where: Any, offset_px: Any, camera: Any, curves: Any, how: Any, out: Any
) -> None:
    """Fit x, y, photons, background and z of every spot.

    The widths hardly tell heights apart that lie on either side of the focus where light is
    scarce: the fit begins once in each half of the range, and the likelier end is taken.

    Parameters
    ----------
    frames : (N, Y, X) uint8 or uint16
        Grey values.
    where : (3, M) int32
        Index of the frame, row and column of the pixel in the middle of each box.
    offset_px : (M, 2) float32
        Where to start, x and y from the centre of that pixel.
    camera : tuple
        Offset, gain, noise variance and sensitivity of the pixels, each (Y, X) or (1, 1) float32;
        then the grey values from which on a pixel is saturated or not linear, and below which it
        is not.
    curves : tuple
        Both defocus curves, seven numbers each, and the range of z.
    how : (int, int)
        Pixels along each side of a box, and scoring steps at most.
    out : (M, len(RESULT)) float64
        Written: the quantities of `RESULT`.
    """
    side, most = how
    pixels, work = np.empty((3, side, side)), _work(side)
    p, starts = np.zeros(_FREE), np.empty((2, 4))
    for spot in range(where.shape[1]):
        top, left = where[1, spot] - side // 2, where[2, spot] - side // 2
        above, below = _cut(frames[where[0, spot]], top, left, camera, pixels)
        p[0], p[1] = 0.5 * side + offset_px[spot, 0], 0.5 * side + offset_px[spot, 1]
        lowest = _guess(p, pixels)
        _try_heights(p, curves, pixels, work[0], starts)
        best = np.inf
        for half in range(2):
            p[0], p[1] = 0.5 * side + offset_px[spot, 0], 0.5 * side + offset_px[spot, 1]
            p[2], p[3], p[4] = starts[half, 1], max(starts[half, 2], lowest), starts[half, 3]
            is_active, steps = _climb(p, curves, pixels, lowest, above > 0, most, work)
            deviance, beyond = _rate(p, curves, pixels, work[0])
            if deviance + beyond < best:
                best = deviance + beyond
                _note(out[spot], p, work[5], is_active, steps, deviance, above + below)


@_compiled
def fit_ellipses(
    frames: Any, where: Any, offset_px: Any, camera: Any, sigma: Any, how: Any, out: Any
) -> None:
    """Fit x, y, photons, background and both widths of every spot.

    Parameters as of `fit_heights`; both widths start at `sigma` pixels.
    """
    side, most = how
    pixels, work = np.empty((3, side, side)), _work(side)
    p = np.zeros(_FREE)
    for spot in range(where.shape[1]):
        top, left = where[1, spot] - side // 2, where[2, spot] - side // 2
        above, below = _cut(frames[where[0, spot]], top, left, camera, pixels)
        p[0], p[1] = 0.5 * side + offset_px[spot, 0], 0.5 * side + offset_px[spot, 1]
        lowest = _guess(p, pixels)
        p[4] = p[5] = sigma
        is_active, steps = _climb(p, None, pixels, lowest, above > 0, most, work)
        deviance, _ = _rate(p, None, pixels, work[0])
        _note(out[spot], p, work[5], is_active, steps, deviance, above + below)


@_compiled
def _work(side: Any) -> Any:
    """Return what one fit needs to hold."""
    return (
        np.empty((2, 3, side)),
        np.empty((2, side, side)),
        np.empty(_FREE),
        np.empty((_FREE, _FREE)),
        np.empty(_FREE),
        np.ones(_FREE),
    )


@_compiled
def _note(
    row: Any, p: Any, variance: Any, is_active: Any, steps: Any, deviance: Any, out_of_range: Any
) -> None:
    """Write a spot's result."""
    row[:_FREE] = p
    row[_FREE : 2 * _FREE] = variance
    row[_FREE + 2] = variance[2] * p[2] * p[2]
    row[2 * _FREE] = 1.0 if is_active else 0.0
    row[2 * _FREE + 1] = steps
    row[2 * _FREE + 2] = deviance
    row[2 * _FREE + 3] = out_of_range
