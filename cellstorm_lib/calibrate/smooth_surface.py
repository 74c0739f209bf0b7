"""A smooth surface through the levels of an image, as light that falls off towards its edges.

The logarithm of the level is a polynomial in row and column, so the surface is above 0 and holds
a Gaussian beam exactly and cos^4 vignetting closely. How many terms it has is decided by how well
blocks are predicted that were left out of the fit, and the spread of those fits is its error.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.polynomial import legendre

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

#: Polynomial degrees; each is judged by the one after it, so the last is never chosen.
_DEGREES = (0, 2, 4, 6, 8)
_BLOCKS = 40  # along the longer side
_LEAST_SIDE_PX = 4
_TILE_BLOCKS = 4
_FOLDS = 8
_ROUNDS = 20
#: Tukey's biweight: residuals beyond this many scales have no weight.
_CUT = 4.685
#: Of a surface below additional light, only little may lie under it.
_EXPECTILE = 0.1
_SETTLED = 1e-6
#: Keeps the equations solvable where blocks are missing.
_RIDGE = 1e-9
_TO_SIGMA = 1.4826
_MEDIAN_ERROR = 1.2533
_GRID = 25
#: Part of the field in which there are centres of blocks.
_INSIDE = 0.97


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Blocks:
    """Levels of small blocks of an image; those without a level above 0 are left out.

    Attributes
    ----------
    y, x : (B,) float64
        Centres; the outer edges of the image are -1 and 1.
    log_level : (B,) float64
        Logarithm of the median.
    error : (B,) float64
        Its standard error, from how much neighbouring pixels differ.
    fold : (B,) int64
        In which fit the block is left out.
    total_count : int
        Blocks of the image.
    """

    y: Floats
    x: Floats
    log_level: Floats
    error: Floats
    fold: npt.NDArray[np.int64]
    total_count: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Surface:
    """A smooth positive surface over an image, with mean 1.

    Attributes
    ----------
    coefficients : (D, D) float64
        Of Legendre polynomials in row and column, of the logarithm.
    degree : int
        Highest total degree.
    relative_error : float
        Standard error relative to the surface, root mean square over the image: the spread of
        fits without a part of the blocks, and what terms of the next degree would change.
    excess : float
        Relative scatter of the blocks around the surface beyond their own errors.
    is_kept : (B,) bool
        Blocks that follow the surface.
    """

    coefficients: Floats
    degree: int
    relative_error: float
    excess: float
    is_kept: Mask

    def at(self, rows: int, columns: int) -> Floats:
        """Return the surface at the pixels of an image of this size, (rows, columns), mean 1."""
        values = np.exp(legendre.leggrid2d(_centres(rows), _centres(columns), self.coefficients))
        return np.asarray(values / values.mean())

    def highest_rise(self) -> float:
        """Return how far the logarithm rises again along a straight line away from the peak."""
        edge = np.linspace(-_INSIDE, _INSIDE, _GRID)
        values = legendre.leggrid2d(edge, edge, self.coefficients)
        peak = np.unravel_index(np.argmax(values), values.shape)
        sides = np.full_like(edge, _INSIDE)
        border_y = np.concatenate([edge, edge, -sides, sides])
        border_x = np.concatenate([-sides, sides, edge, edge])
        way = np.linspace(0.0, 1.0, 2 * _GRID)[:, None]
        along = legendre.legval2d(
            edge[peak[0]] * (1 - way) + border_y * way,
            edge[peak[1]] * (1 - way) + border_x * way,
            self.coefficients,
        )
        return float((along - np.minimum.accumulate(along, axis=0)).max())


def block_levels(image: npt.NDArray[np.floating]) -> Blocks:
    """Return the levels of an image in up to 40 x 40 blocks.

    Parameters
    ----------
    image : (Y, X) float
        Signal, proportional to the light.
    """
    rows, columns = image.shape
    side = max(_LEAST_SIDE_PX, -(-max(rows, columns) // _BLOCKS))
    row_edges = np.linspace(0, rows, max(rows // side, 1) + 1).round().astype(int)
    column_edges = np.linspace(0, columns, max(columns // side, 1) + 1).round().astype(int)
    found = []
    for row in range(len(row_edges) - 1):
        band = image[row_edges[row] : row_edges[row + 1]]
        for column in range(len(column_edges) - 1):
            block = band[:, column_edges[column] : column_edges[column + 1]]
            level = float(np.median(block))
            if level <= 0:
                continue
            steps = np.abs(np.diff(block, axis=1))
            sigma = _TO_SIGMA * float(np.median(steps)) / np.sqrt(2.0) if steps.size else 0.0
            found.append(
                (
                    (row_edges[row] + row_edges[row + 1]) / rows - 1,
                    (column_edges[column] + column_edges[column + 1]) / columns - 1,
                    np.log(level),
                    _MEDIAN_ERROR * sigma / np.sqrt(block.size) / level,
                    (row // _TILE_BLOCKS + 3 * (column // _TILE_BLOCKS)) % _FOLDS,
                )
            )
    table = np.array(found, np.float64).reshape(-1, 5)
    return Blocks(
        y=table[:, 0],
        x=table[:, 1],
        log_level=table[:, 2],
        error=table[:, 3],
        fold=table[:, 4].astype(np.int64),
        total_count=(len(row_edges) - 1) * (len(column_edges) - 1),
    )


def fit_surface(blocks: Blocks, *, is_below: bool, highest_degree: int) -> Surface:
    """Fit a smooth surface to blocks, robustly.

    Parameters
    ----------
    blocks : Blocks
        At least as many as the terms of the next degree, 45 for degree 6.
    is_below : bool
        Whether blocks off the surface can only be brighter (structure on a background), so that
        it is fitted from below; otherwise they may be brighter or darker (dust, reflections).
    highest_degree : int
        2, 4 or 6.
    """
    degrees = _DEGREES[: _DEGREES.index(highest_degree) + 2]
    whole = [_fitted(blocks, degree, is_below, np.ones(len(blocks.y), bool)) for degree in degrees]
    parts = [
        [_fitted(blocks, degree, is_below, blocks.fold != fold) for fold in range(_FOLDS)]
        for degree in degrees[:-1]
    ]
    scale = max(_scale(_residual(blocks, whole[-1]), is_below), 1e-9)
    losses = np.array([_losses(blocks, part, scale) for part in parts])
    at = _simplest(losses)
    chosen = whole[at]
    edge = np.linspace(-1.0, 1.0, _GRID)
    fields = np.array([legendre.leggrid2d(edge, edge, part) for part in parts[at]])
    fields -= fields.mean(axis=(1, 2), keepdims=True)
    spread = np.sqrt((_FOLDS - 1) / _FOLDS * np.square(fields - fields.mean(axis=0)).sum(axis=0))
    bend = legendre.leggrid2d(edge, edge, _padded(chosen, whole[at + 1]) - whole[at + 1])
    residual = _residual(blocks, chosen)
    own = _scale(residual, is_below)
    return Surface(
        coefficients=chosen,
        degree=degrees[at],
        relative_error=float(np.sqrt(np.mean(np.square(spread)) + np.var(bend))),
        excess=float(np.sqrt(max(own**2 - np.median(blocks.error) ** 2, 0.0))),
        is_kept=np.abs(residual) < _CUT * max(own, 1e-9),
    )


def _fitted(blocks: Blocks, degree: int, is_below: bool, is_used: Mask) -> Floats:
    """Return the coefficients of a robust fit to some blocks, (degree + 1, degree + 1)."""
    powers = [(i, j) for i in range(degree + 1) for j in range(degree + 1 - i)]
    basis = legendre.legvander2d(blocks.y[is_used], blocks.x[is_used], [degree, degree])
    basis = basis.reshape(len(basis), degree + 1, degree + 1)
    terms = np.stack([basis[:, i, j] for i, j in powers], axis=1).astype(np.float64, copy=False)
    target = blocks.log_level[is_used]
    weights: npt.NDArray[np.floating[Any]] = np.ones(len(target))
    if is_below:
        solution = _settled(terms, target, weights, _weights_from_below)
        weights = _weights_of_followers(target - terms @ solution, is_below=True)
    solution = _settled(
        terms, target, weights, lambda residual: _weights_of_followers(residual, is_below=is_below)
    )
    coefficients = np.zeros((degree + 1, degree + 1))
    for (i, j), value in zip(powers, solution, strict=True):
        coefficients[i, j] = value
    return coefficients


def _settled(
    terms: Floats,
    target: Floats,
    weights: npt.NDArray[np.floating],
    weigh: Callable[[Floats], Floats],
) -> npt.NDArray[np.floating]:
    """Return the least-squares solution whose weights follow from its own residuals."""
    solution: npt.NDArray[np.floating] = np.zeros(terms.shape[1])
    ridge = _RIDGE * len(target) * np.eye(terms.shape[1])
    for _ in range(_ROUNDS):
        scaled = terms * weights[:, None]
        last, solution = solution, np.linalg.solve(scaled.T @ terms + ridge, scaled.T @ target)
        if np.abs(solution - last).max() < _SETTLED:
            break
        weights = weigh(target - terms @ solution)
    return solution


def _weights_from_below(residual: Floats) -> Floats:
    """Return weights that draw the surface below most blocks."""
    return np.where(residual > 0, _EXPECTILE, 1.0 - _EXPECTILE)


def _weights_of_followers(residual: Floats, *, is_below: bool) -> Floats:
    """Return weights without the blocks that do not follow the surface."""
    cut = _CUT * max(_scale(residual, is_below), 1e-9)
    return np.square(np.clip(1.0 - np.square(residual / cut), 0.0, None))


def _residual(blocks: Blocks, coefficients: Floats) -> Floats:
    """Return how far the blocks lie above a surface."""
    return np.asarray(blocks.log_level - legendre.legval2d(blocks.y, blocks.x, coefficients))


def _scale(residual: Floats, is_below: bool) -> float:
    """Return the standard deviation of the blocks that follow the surface."""
    lower = residual[residual < 0] if is_below else residual
    return _TO_SIGMA * float(np.median(np.abs(lower))) if len(lower) else 0.0


def _losses(blocks: Blocks, parts: list[Floats], scale: float) -> Floats:
    """Return the squared error at the blocks each fit has not seen, outliers cut, per fold."""
    limit = (_CUT * scale) ** 2
    found = []
    for fold, part in enumerate(parts):
        squares = np.square(_residual(blocks, part)[blocks.fold == fold])
        found.append(np.minimum(squares, limit).mean() if len(squares) else 0.0)
    return np.array(found)


def _simplest(losses: Floats) -> int:
    """Return the first degree that is not clearly worse than the best, (degrees, folds) given."""
    best = int(losses.mean(axis=1).argmin())
    worse = losses - losses[best]
    error = worse.std(axis=1, ddof=1) / np.sqrt(losses.shape[1])
    return int(np.flatnonzero(worse.mean(axis=1) <= error)[0])


def _padded(coefficients: Floats, like: Floats) -> Floats:
    """Return coefficients with zeros up to the degree of others."""
    missing = len(like) - len(coefficients)
    return np.pad(coefficients, ((0, missing), (0, missing)))


def _centres(count: int) -> Floats:
    """Return the centres of pixels where the outer edges are -1 and 1."""
    return (2 * np.arange(count) + 1) / count - 1
