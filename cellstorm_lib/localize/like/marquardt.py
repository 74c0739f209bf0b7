"""The compiled fit of a Gaussian spot, spot by spot, for three ways to weight a pixel.

They differ only in the weight, so one Levenberg-Marquardt loop serves all: with the residual
r = data - model, the gradient is the sum of r w dmodel and the matrix the sum of w dmodel dmodel,
where w is 1, 1 / data or 1 / model. Parameters are x, y, photons, background and both widths.
"""

from math import erf, exp, log, pi, sqrt
from typing import Any

import numpy as np
from numba import njit

#: Numbers that `fit_one` writes: the parameters, the variances of x and y, the sum of squared
#: residuals and their standard deviation, and 1 when the fit came to rest.
RESULTS = 11

#: A fit has converged when position and width move less, px, and the photons less, relatively.
_LEAST_MOVE = 1e-5
#: No step leaves less of the photons: without any, nothing would tell where the spot is.
_LEAST_SHARE = 0.25
_LEAST_DAMPING, _MOST_DAMPING = 1e-9, 1e9
#: No pixel is expected to be darker, in the likelihood.
_LEAST_MODEL = 1e-9
#: A dim pixel weighs at most so many times more than the brightest one.
_MOST_WEIGHT = 1000.0

_compiled = njit(cache=True, nogil=True, error_model="numpy")


@_compiled
def fit_all(frames: Any, places: Any, how: Any, fitted: Any) -> None:
    """Fit at every place."""
    room = make_room(how[3])
    for k in range(places.shape[1]):
        fit_one(frames[places[0, k]], places[1, k], places[2, k], how, room, fitted[k])


@_compiled
def make_room(side: Any) -> Any:
    """Return what `fit_one` works in."""
    return (
        np.empty((side, side)),
        np.empty((side, side)),
        np.empty((2, 3, side)),
        np.empty((2, 6, 7)),
        np.empty((6, 7)),
        np.empty((3, 6)),
    )


@_compiled
def fit_one(frame: Any, row: Any, column: Any, how: Any, room: Any, out: Any) -> None:
    """Fit one square; write its `RESULTS`."""
    estimator, _, free, side, sigma, least_photons, least_background, most_steps = how
    box, weights, _, system, work, theta = room
    half = side // 2
    box[:] = frame[row - half : row + half + 1, column - half : column + half + 1]
    lowest, highest = box.min(), box.max()
    _weigh(box, estimator, highest, weights)
    here, trial, slope = theta[0], theta[1], theta[2]
    here[0] = here[1] = 0.5 * side
    here[2] = max((highest - lowest) * 2.0 * pi * sigma * sigma, least_photons + 1e-6)
    here[3] = max(lowest, least_background)
    here[4] = here[5] = sigma
    cost = _normal_equations(box, weights, here, how, room[2], slope, system[0])
    damping, is_at_rest = 1e-3, False
    for _step in range(most_steps):
        if not _solve(system[0], work, here, how, damping):
            break
        _step_to(work, here, how, trial)
        new_cost = _normal_equations(box, weights, trial, how, room[2], slope, system[1])
        if new_cost <= cost:
            move = _move(here, trial)
            cost = new_cost
            here[:] = trial
            system[0] = system[1]
            damping = max(0.1 * damping, _LEAST_DAMPING)
            is_at_rest = move < _LEAST_MOVE
        else:
            damping *= 10.0
            is_at_rest = damping > _MOST_DAMPING
        if is_at_rest:
            break
    out[:6] = here
    _write_variances(system[0], work, free, out)
    _write_left_over(box, here, how[1], room[2], out)
    out[10] = 1.0 if is_at_rest else 0.0


@_compiled
def _weigh(box: Any, estimator: Any, highest: Any, weights: Any) -> None:
    """Write the weight of each pixel; of the likelihood, they come with the model."""
    side = box.shape[0]
    most = _MOST_WEIGHT / highest if highest > 0 else 1.0
    for i in range(side):
        for j in range(side):
            weight = 1.0
            if estimator == 1:
                weight = min(1.0 / box[i, j], most) if box[i, j] > 0 else most
            weights[i, j] = weight


@_compiled
def _profile(centre: Any, sigma: Any, is_integrated: Any, out: Any) -> None:
    """Write the share of each pixel along one axis, and how it changes with centre and width."""
    root = sqrt(2.0 * pi)
    for k in range(out.shape[1]):
        if is_integrated:
            a, b = (k - centre) / sigma, (k + 1.0 - centre) / sigma
            low, high = exp(-0.5 * a * a) / root, exp(-0.5 * b * b) / root
            out[0, k] = 0.5 * (erf(b / sqrt(2.0)) - erf(a / sqrt(2.0)))
            out[1, k] = (low - high) / sigma
            out[2, k] = (a * low - b * high) / sigma
        else:
            u = (k + 0.5 - centre) / sigma
            share = exp(-0.5 * u * u) / (root * sigma)
            out[0, k] = share
            out[1, k] = share * u / sigma
            out[2, k] = share * (u * u - 1.0) / sigma


@_compiled
def _normal_equations(
    box: Any, weights: Any, theta: Any, how: Any, profiles: Any, slope: Any, system: Any
) -> Any:
    """Write matrix and gradient (its last column) and return what is to be made small."""
    estimator, is_integrated, free, side = how[0], how[1], how[2], how[3]
    across, down = profiles[0], profiles[1]
    _profile(theta[0], theta[4], is_integrated, across)
    _profile(theta[1], theta[5], is_integrated, down)
    photons, background = theta[2], theta[3]
    system[:] = 0.0
    cost = 0.0
    for i in range(side):
        for j in range(side):
            slope[0] = photons * down[0, i] * across[1, j]
            slope[1] = photons * down[1, i] * across[0, j]
            slope[2] = down[0, i] * across[0, j]
            slope[3] = 1.0
            slope[4] = photons * down[0, i] * across[2, j]
            slope[5] = photons * down[2, i] * across[0, j]
            if free == 5:
                slope[4] += slope[5]
            model = photons * slope[2] + background
            weight = weights[i, j]
            residual = box[i, j] - model
            if estimator == 2:
                model = max(model, _LEAST_MODEL)
                weight = 1.0 / model
                cost += 2.0 * (model - box[i, j] * log(model))
            else:
                cost += weight * residual * residual
            for k in range(free):
                weighted = weight * slope[k]
                system[k, 6] += weighted * residual
                for m in range(k + 1):
                    system[k, m] += weighted * slope[m]
    return cost


@_compiled
def _solve(system: Any, work: Any, theta: Any, how: Any, damping: Any) -> Any:
    """Write the damped step into the last column of `work`; False when there is none."""
    free = how[2]
    work[:] = system
    for k in range(free):
        work[k, k] *= 1.0 + damping
    for k, least in ((2, how[5]), (3, how[6])):
        if theta[k] <= least and work[k, 6] < 0:
            _hold(work, k, free)
    if not _decompose(work, free):
        return False
    _substitute(work, free)
    return True


@_compiled
def _hold(work: Any, k: Any, free: Any) -> None:
    """Take a parameter that is at its limit out of the equations."""
    for m in range(free):
        work[max(k, m), min(k, m)] = 0.0
    work[k, k] = 1.0
    work[k, 6] = 0.0


@_compiled
def _decompose(work: Any, free: Any) -> Any:
    """Replace the lower triangle by its Cholesky factor; False when it has none."""
    for k in range(free):
        for m in range(k + 1):
            total = work[k, m]
            for n in range(m):
                total -= work[k, n] * work[m, n]
            if k > m:
                work[k, m] = total / work[m, m]
            elif total > 0:
                work[k, k] = sqrt(total)
            else:
                return False
    return True


@_compiled
def _substitute(work: Any, free: Any) -> None:
    """Solve for the last column, given the Cholesky factor."""
    for k in range(free):
        for n in range(k):
            work[k, 6] -= work[k, n] * work[n, 6]
        work[k, 6] /= work[k, k]
    for k in range(free - 1, -1, -1):
        for n in range(k + 1, free):
            work[k, 6] -= work[n, k] * work[n, 6]
        work[k, 6] /= work[k, k]


@_compiled
def _step_to(work: Any, here: Any, how: Any, trial: Any) -> None:
    """Write where a step leads, kept within what can be."""
    free, side = how[2], how[3]
    for k in range(6):
        trial[k] = here[k] + (work[k, 6] if k < free else 0.0)
    for k in range(2):
        trial[k] = min(max(trial[k], -side), 2.0 * side)
    trial[2] = max(trial[2], how[5], _LEAST_SHARE * here[2])
    trial[3] = max(trial[3], how[6])
    if free == 5:
        trial[5] = trial[4]
    if free > 4:
        for k in range(4, 6):
            trial[k] = min(max(trial[k], 0.5 * here[k], 0.05), 2.0 * here[k], 2.0 * side)


@_compiled
def _move(here: Any, trial: Any) -> Any:
    """Return how far a step went, px, or relatively in photons."""
    move = abs(trial[2] - here[2]) / max(abs(trial[2]), 1.0)
    for k in (0, 1, 4, 5):
        move = max(move, abs(trial[k] - here[k]))
    return move


@_compiled
def _write_variances(system: Any, work: Any, free: Any, out: Any) -> None:
    """Write the variances of x and y; infinity where the matrix has no inverse."""
    for k in range(2):
        out[6 + k] = np.inf
        work[:] = system
        work[:, 6] = 0.0
        work[k, 6] = 1.0
        if _decompose(work, free):
            _substitute(work, free)
            out[6 + k] = work[k, 6]


@_compiled
def _write_left_over(box: Any, theta: Any, is_integrated: Any, profiles: Any, out: Any) -> None:
    """Write the sum of squared residuals, and their standard deviation."""
    _profile(theta[0], theta[4], is_integrated, profiles[0])
    _profile(theta[1], theta[5], is_integrated, profiles[1])
    total = squares = 0.0
    for i in range(box.shape[0]):
        for j in range(box.shape[1]):
            model = theta[2] * profiles[1, 0, i] * profiles[0, 0, j] + theta[3]
            total += box[i, j] - model
            squares += (box[i, j] - model) ** 2
    out[8] = squares
    out[9] = sqrt(max(squares / box.size - (total / box.size) ** 2, 0.0))
