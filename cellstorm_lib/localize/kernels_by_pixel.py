"""The fit for cameras whose pixels differ; see `kernels`, whose steps these functions share.

A pixel of sensitivity s and noise variance v that should see l photoelectrons if it were like
all others sees s l; with the noise added to both sides it is Poisson distributed with the mean
s l + v. Divided by s everything looks as in `kernels`, with the noise v / s of its own, and with
the weight s in the sums over pixels: derivative of the log-likelihood s (n - m) / m and
information s / m, where m = l + v / s and n is what was seen, (electrons + v) / s.
"""

import math
from typing import Any

import numpy as np
from numba import njit

from cellstorm_lib.localize.kernels import (
    _ACTIVE,
    _DEEPEST_BACKGROUND,
    _HALF,
    _LONGEST_ROW,
    _ONE,
    _PROFILES,
    _RATIO,
    _SMALLEST,
    _STATE,
    _TWO,
    _ZERO,
    LANES,
    _add_up,
    _hazard,
    _ln,
    _move,
    _profiles,
    _solve,
    columns_of,
)

#: What is known of each pixel, plane after plane: value n, noise v / s, weight s. The weight is
#: negative where a pixel tells only that its value is at least n, 0 where it only fills up a row.
PLANES = 3

_compiled = njit(cache=True, nogil=True, fastmath=True, error_model="numpy")


@_compiled
def _weigh_by_pixel(known: Any, w: Any, data: Any, box: Any) -> None:
    """Write derivative and information of each pixel's likelihood by its expected value.

    Pixels out of range do not count. The information follows the derivatives of all pixels.
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
            background = w[3 * LANES + lane]
            for k in range(width):
                at = np.uint64(k * LANES) + i
                here = pixels + at
                weight = max(data[second + second + here], _ZERO)
                expected = factor * w[share_x + at] + background + data[second + here]
                information = weight / expected
                known[here] = (data[here] - expected) * information
                known[second + here] = information


@_compiled
def _weigh_out_of_range(known: Any, w: Any, data: Any, box: Any) -> None:
    """Correct what `_weigh_by_pixel` wrote where a pixel is out of range.

    Such a pixel tells only that its value is at least the one stated: its likelihood is the
    upper tail of a normal distribution.
    """
    columns = columns_of(box)
    second = np.uint64(len(box) * columns * LANES)
    for pixel in range(len(box) * columns):
        at = np.uint64(pixel * LANES)
        share_x = np.uint64(_PROFILES + pixel % columns * LANES)
        share_y = np.uint64(_PROFILES + (3 * columns + pixel // columns) * LANES)
        for lane in range(LANES):
            i = np.uint64(lane)
            weight = data[second + second + at + i]
            share = w[share_x + i] * w[share_y + i]
            noise = data[second + at + i]
            expected = w[2 * LANES + lane] * share + w[3 * LANES + lane] + noise
            root = math.sqrt(abs(weight) / expected)
            z = (data[at + i] - expected) * root
            hazard = _hazard(z)
            slope = root + _HALF * z / expected
            tail = hazard * max(hazard - z, _ZERO) * slope * slope
            is_out_of_range = weight < _ZERO
            known[at + i] = hazard * slope if is_out_of_range else known[at + i]
            known[second + at + i] = tail if is_out_of_range else known[second + at + i]


@_compiled
def start_blocks_by_pixel(data: Any, state: Any, box: Any, least: Any, sigma: Any) -> None:
    """Guess photons and background of all spots; arguments as in `fit_blocks_by_pixel`.

    The background is the lowest mean of the four sides of the box. Noisy pixels count less.
    """
    side = len(box)
    column = columns_of(box) * LANES
    size = side * column
    sums = np.empty(10 * LANES, np.float32)
    for block in range(state.size // _STATE):
        here = state[block * _STATE : (block + 1) * _STATE]
        pixels = data[block * PLANES * size : (block + 1) * PLANES * size]
        sums[:] = _ZERO
        for row in range(side):
            for k in range(side):
                for lane in range(LANES):
                    at = row * column + k * LANES + lane
                    noise = pixels[size + at]
                    trust = abs(pixels[2 * size + at]) / (_ONE + noise)
                    light = trust * (pixels[at] - noise)
                    sums[lane] += light
                    sums[LANES + lane] += trust
                    if k == 0:
                        sums[2 * LANES + lane] += light
                        sums[3 * LANES + lane] += trust
                    if k == side - 1:
                        sums[4 * LANES + lane] += light
                        sums[5 * LANES + lane] += trust
                    if row == 0:
                        sums[6 * LANES + lane] += light
                        sums[7 * LANES + lane] += trust
                    if row == side - 1:
                        sums[8 * LANES + lane] += light
                        sums[9 * LANES + lane] += trust
        for lane in range(LANES):
            left = sums[2 * LANES + lane] / sums[3 * LANES + lane]
            right = sums[4 * LANES + lane] / sums[5 * LANES + lane]
            top = sums[6 * LANES + lane] / sums[7 * LANES + lane]
            bottom = sums[8 * LANES + lane] / sums[9 * LANES + lane]
            level = min(left, right, top, bottom)
            mean = sums[lane] / sums[LANES + lane]
            here[2 * LANES + lane] = max((mean - level) * np.float32(side * side), _ONE)
            here[3 * LANES + lane] = max(level, -_DEEPEST_BACKGROUND * least)
            here[4 * LANES + lane] = sigma


@_compiled
def fit_blocks_by_pixel(
    data: Any, state: Any, box: Any, least: Any, limits: Any, steps: Any, is_censored: Any
) -> None:
    """Take Fisher-scoring steps with all spots, in place, until they have come to rest.

    Parameters
    ----------
    data : (blocks * PLANES * side * columns * 16,) float32
        The `PLANES`; 16 spots to a block, pixel after pixel, row after row.
    least : float32
        The smallest noise v / s of any pixel.
    state, box, limits, steps, is_censored
        As in `fit_blocks`. Photons and background are those of pixels with sensitivity 1.
    """
    size = len(box) * columns_of(box) * LANES
    w = np.zeros(_PROFILES + 6 * columns_of(box) * LANES, np.float32)
    known = np.zeros(2 * size, np.float32)
    lowest = -_DEEPEST_BACKGROUND * least
    sums = np.zeros(20 * LANES, np.float32)
    for block in range(state.size // _STATE):
        here = state[block * _STATE : (block + 1) * _STATE]
        pixels = data[block * PLANES * size : (block + 1) * PLANES * size]
        w[:_STATE] = here
        for _ in range(steps):
            _profiles(w, box)
            _weigh_by_pixel(known, w, pixels, box)
            if is_censored:
                _weigh_out_of_range(known, w, pixels, box)
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
def rate_blocks_by_pixel(data: Any, state: Any, box: Any) -> None:
    """Write how well the model fits: 2 ln(saturated likelihood / fitted likelihood).

    Of the shifted Poisson model; arguments as in `fit_blocks_by_pixel`.
    """
    side = len(box)
    column = columns_of(box) * LANES
    size = side * column
    w = np.zeros(_PROFILES + 6 * column, np.float32)
    ratio = np.zeros(LANES, np.float32)
    for block in range(state.size // _STATE):
        pixels = data[block * PLANES * size : (block + 1) * PLANES * size]
        w[:_STATE] = state[block * _STATE : (block + 1) * _STATE]
        _profiles(w, box)
        ratio[:] = _ZERO
        for row in range(side):
            share_y = np.uint64(_PROFILES + 3 * column + row * LANES)
            for k in range(side):
                for lane in range(LANES):
                    at = row * column + k * LANES + lane
                    share = w[_PROFILES + k * LANES + lane] * w[share_y + np.uint64(lane)]
                    light = w[2 * LANES + lane] * share + w[3 * LANES + lane]
                    expected = light + pixels[size + at]
                    value = max(pixels[at], _SMALLEST)
                    part = expected - value + value * _ln(value / expected)
                    ratio[lane] += _TWO * part * max(pixels[2 * size + at], _ZERO)
        at = block * _STATE + _RATIO
        state[at : at + LANES] = ratio
