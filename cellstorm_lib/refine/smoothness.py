"""What a drift may look like: how little it changes from one segment to the next."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from numba import njit

Kind = Literal["walk", "smooth", "steps"]
_Floats = npt.NDArray[np.float64]
_TOLERANCE = 1e-2
_MOST_ROUNDS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Smoothness:
    """Prior belief about a drift, in the units of a log-likelihood.

    Attributes
    ----------
    kind : {"walk", "smooth", "steps"}
        ``walk``: steps between segments are Gaussian; ``smooth``: changes of the step are;
        ``steps``: steps are rare but may be large (heavy tails).
    scale_nm : float
        Standard deviation that the drift gathers over the whole recording (of its slope per
        recording for ``smooth``).
    """

    kind: Kind
    scale_nm: float

    def band(self, trace_nm: _Floats) -> _Floats:
        """Return the precision of the belief near a trace.

        Parameters
        ----------
        trace_nm : (S, 2) float64
            Drift per segment; only ``steps`` depends on it.

        Returns
        -------
        (3, S) float64
            Diagonals 0, 1 and 2 of the symmetric matrix; entry k of row d couples k and k + d.
        """
        count = len(trace_nm)
        band = np.zeros((3, count))
        if self.kind == "smooth":
            weight = count**3 / self.scale_nm**2
            for offset, factor in ((0, 1.0), (1, 4.0), (2, 1.0)):
                band[0, offset : count - 2 + offset] += factor * weight
            band[1, : count - 2] -= 2.0 * weight
            band[1, 1 : count - 1] -= 2.0 * weight
            band[2, : count - 2] = weight
            return band
        weights = np.full(max(count - 1, 0), count / self.scale_nm**2)
        if self.kind == "steps":
            # Student's t with one degree of freedom, as a Gaussian of the width that fits
            step2 = (np.diff(trace_nm, axis=0) ** 2).mean(axis=1)
            weights = weights / (1.0 + step2 * weights)
        band[0, :-1] += weights
        band[0, 1:] += weights
        band[1, :-1] = -weights
        return band


def solve_balance(springs: _Floats, band: _Floats, force: _Floats) -> _Floats:
    """Return the moves of the segments at which springs and belief balance a force.

    Parameters
    ----------
    springs : (S, S) float64
        Symmetric spring constants between segments; zero diagonal.
    band : (3, S) float64
        Precision of the belief, see `Smoothness.band`.
    force : (S, 2) float64
        Force on each segment in x and y.

    Returns
    -------
    (S, 2) float64
        Moves with zero mean.
    """
    total = springs.sum(axis=1)
    columns = [_conjugate_gradient(springs, total, band, force[:, axis].copy()) for axis in (0, 1)]
    return np.column_stack(columns)


def matrix_of(springs: _Floats, band: _Floats) -> _Floats:
    """Return springs and belief as one dense matrix that can be inverted, (S, S)."""
    matrix = np.diag(springs.sum(axis=1)) - springs
    for offset in range(3):
        side = np.diag(band[offset, : len(springs) - offset], offset)
        matrix = matrix + (side if offset == 0 else side + side.T)
    # neither springs nor belief say anything of a shift common to all segments: hold it fast
    scale = float(np.diag(matrix).mean()) + 1e-30
    return np.asarray(matrix + scale / len(matrix) + 1e-9 * scale * np.eye(len(matrix)))


def bent(band: _Floats, trace_nm: _Floats) -> _Floats:
    """Return the banded matrix times a trace, (S, 2)."""
    return np.column_stack([_times(band, trace_nm[:, axis].copy()) for axis in (0, 1)])


@njit(cache=True, nogil=True)
def _conjugate_gradient(springs: Any, total: Any, band: Any, force: Any) -> Any:
    """Solve (diag(total) - springs + band) x = force; the band alone makes the first guess."""
    easy = band.copy()
    easy[0] += total + 1e-9 * (total.max() + band[0].max()) + 1e-30
    factors = _factored(easy)
    rest = force - force.mean()
    move = np.zeros_like(rest)
    guess = _substituted(factors, rest)
    guess -= guess.mean()
    direction = guess.copy()
    size = (rest * guess).sum()
    goal = _TOLERANCE * _TOLERANCE * size
    for _ in range(_MOST_ROUNDS):
        if size <= goal:
            break
        pushed = total * direction + _times(band, direction)
        for i in range(len(pushed)):
            pulled = 0.0
            for j in range(len(pushed)):
                pulled += springs[i, j] * direction[j]
            pushed[i] -= pulled
        length = size / (direction * pushed).sum()
        move += length * direction
        rest -= length * pushed
        guess = _substituted(factors, rest)
        guess -= guess.mean()
        new_size = (rest * guess).sum()
        direction = guess + (new_size / size) * direction
        size = new_size
    return move


@njit(cache=True, nogil=True)
def _factored(band: Any) -> Any:
    """Return the LDL' factors of a positive matrix with two diagonals beside the main one."""
    count = band.shape[1]
    factors = np.zeros((3, count))
    for i in range(count):
        pivot = band[0, i]
        if i > 0:
            pivot -= factors[1, i - 1] ** 2 * factors[0, i - 1]
        if i > 1:
            pivot -= factors[2, i - 2] ** 2 * factors[0, i - 2]
        factors[0, i] = pivot
        beside = band[1, i]
        if i > 0:
            beside -= factors[1, i - 1] * factors[2, i - 1] * factors[0, i - 1]
        factors[1, i] = beside / pivot
        factors[2, i] = band[2, i] / pivot
    return factors


@njit(cache=True, nogil=True)
def _substituted(factors: Any, force: Any) -> Any:
    """Return the solution of a factored system."""
    count = len(force)
    move = force.copy()
    for i in range(count):
        if i > 0:
            move[i] -= factors[1, i - 1] * move[i - 1]
        if i > 1:
            move[i] -= factors[2, i - 2] * move[i - 2]
    move /= factors[0]
    for i in range(count - 2, -1, -1):
        move[i] -= factors[1, i] * move[i + 1]
        if i + 2 < count:
            move[i] -= factors[2, i] * move[i + 2]
    return move


@njit(cache=True, nogil=True)
def _times(band: Any, values: Any) -> Any:
    """Return a banded symmetric matrix times a vector."""
    product = band[0] * values
    for offset in range(1, 3):
        for i in range(len(values) - offset):
            product[i] += band[offset, i] * values[i + offset]
            product[i + offset] += band[offset, i] * values[i]
    return product
