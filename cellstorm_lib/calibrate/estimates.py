"""Measured numbers with their 95 % intervals, and how those of several planes become one."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

_95_PERCENT = 1.96
#: Numbers are said to differ when chance would have it so less often.
_WORST_CHANCE = 1e-3


class Estimate(NamedTuple):
    """A number and its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def error(self) -> float:
        """Standard error, from the width of the interval."""
        return (self.high - self.low) / (2.0 * _95_PERCENT)


def estimate(value: float, error: float) -> Estimate:
    """Return a number with a normal error."""
    return Estimate(value, value - _95_PERCENT * error, value + _95_PERCENT * error)


def inverse(found: Estimate) -> Estimate:
    """Return 1 / number; the interval's ends are those of the number, which must be above 0."""
    return Estimate(1.0 / found.value, 1.0 / found.high, 1.0 / max(found.low, 0.1 * found.value))


def root(square: float, error: float) -> Estimate:
    """Return the square root of a number that noise may have brought below 0."""
    found = estimate(square, error)
    value, low, high = (float(np.sqrt(max(number, 0.0))) for number in found)
    return Estimate(value, low, high)


def pooled(estimates: Sequence[Estimate]) -> tuple[Estimate, bool]:
    """Return the weighted mean of numbers, and whether they differ beyond their intervals.

    Where they do the interval is widened by as much as they scatter more than they should.
    """
    if len(estimates) == 1:
        return estimates[0], False
    values = np.array([found.value for found in estimates])
    errors = np.array([max(found.error, 1e-12 * abs(found.value), 1e-300) for found in estimates])
    weights = 1.0 / np.square(errors)
    mean = float(weights @ values / weights.sum())
    excess = float(weights @ np.square(values - mean))
    differ = bool(stats.chi2.sf(excess, len(values) - 1) < _WORST_CHANCE)
    error = np.sqrt(max(excess / (len(values) - 1), 1.0) / weights.sum())
    found = estimate(mean, float(error))
    is_positive = all(each.low >= 0 for each in estimates)
    return (found._replace(low=max(found.low, 0.0)) if is_positive else found), differ
