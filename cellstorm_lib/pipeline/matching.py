"""Parameters turned until measures match: damped least squares that learns its slopes once."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_Floats = npt.NDArray[np.float64]
_FIRST_DAMPING, _STRONGER, _WEAKER, _STRONGEST = 0.03, 6.0, 0.3, 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Turned:
    """A parameter as the search sees it.

    Attributes
    ----------
    start, low, high : float
        First value and range.
    step : float
        How far it is turned to learn what it does; other steps are counted in these.
    """

    start: float
    low: float
    high: float
    step: float


def matched(
    difference: Callable[[_Floats], _Floats],
    parameters: tuple[Turned, ...],
    *,
    rounds: int,
) -> _Floats:
    """Return the parameters that make the squared differences smallest, as far as found.

    Levenberg-Marquardt; the slopes are measured once, by turning each parameter by its step,
    and corrected by what every later step brought (Broyden).

    Parameters
    ----------
    difference : callable
        Differences of a parameter vector, always the same for the same vector.
    parameters : tuple of Turned
    rounds : int
        Steps after the slopes were measured; the function is called once more for each
        parameter, and once at the start.

    References
    ----------
    Broyden, Math. Comp. 19, 577 (1965). doi:10.1090/S0025-5718-1965-0198670-6
    """
    steps = np.array([parameter.step for parameter in parameters])
    low = np.array([parameter.low for parameter in parameters]) / steps
    high = np.array([parameter.high for parameter in parameters]) / steps
    best = np.clip(np.array([parameter.start for parameter in parameters]) / steps, low, high)
    found = difference(best * steps)
    slopes = _slopes(difference, best, found, steps, high)
    damping = _FIRST_DAMPING
    for _ in range(rounds):
        if damping > _STRONGEST:
            break
        tried = _stepped(best, found, slopes, damping, (low, high))
        if not np.any(tried != best):
            break
        result = difference(tried * steps)
        move = tried - best
        slopes = slopes + np.outer(result - found - slopes @ move, move) / (move @ move)
        if result @ result < found @ found:
            best, found, damping = tried, result, damping * _WEAKER
        else:
            damping *= _STRONGER
    return np.asarray(best * steps)


def _slopes(
    difference: Callable[[_Floats], _Floats],
    best: _Floats,
    found: _Floats,
    steps: _Floats,
    high: _Floats,
) -> _Floats:
    """Return by how much each difference changes when a parameter is turned by its step."""
    columns = []
    for index in range(len(best)):
        turned = best.copy()
        turned[index] += 1.0 if best[index] + 1.0 <= high[index] else -1.0
        columns.append((difference(turned * steps) - found) * (turned[index] - best[index]))
    return np.stack(columns, axis=1)


def _stepped(
    best: _Floats, found: _Floats, slopes: _Floats, damping: float, bounds: tuple[_Floats, _Floats]
) -> _Floats:
    """Return the next parameters: the damped Gauss-Newton step, kept within bounds.

    Parameters that would leave their range stay at its end, and the others are solved again.
    """
    low, high = bounds
    free = np.ones(len(best), dtype=np.bool_)
    tried = best.copy()
    for _ in range(len(best)):
        held = slopes[:, ~free] @ (tried - best)[~free]
        own = slopes[:, free]
        curvature = own.T @ own
        curvature += damping * np.diag(np.diag(curvature) + 1e-12)
        tried[free] = best[free] - np.linalg.solve(curvature, own.T @ (found + held))
        outside = free & ((tried < low) | (tried > high))
        tried = np.clip(tried, low, high)
        if not outside.any():
            break
        free &= ~outside
        if not free.any():
            break
    return tried
