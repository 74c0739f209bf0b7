"""Both defocus curves of an astigmatic lens, fitted to the widths of many beads at once."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy.optimize import least_squares

from cellstorm_lib.z_calibration import DefocusCurve, width_and_slope

#: Widths are never trusted to better than this share.
_FLOOR = 0.01
_NUMBERS = 7
#: Typical size of the terms beyond the parabola, from the cubic one on, and their limit.
_TERMS = (0.1, 0.1, 0.05, 0.05)
_LARGEST_TERM = 10.0
_STEP_NM = 1.0
_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BeadWidths:
    """Widths of beads, one row per bead and plane.

    Attributes
    ----------
    bead : (N,) int64
        Which bead, from 0 without gaps.
    stage_nm : (N,) float64
        Where the stage stood.
    sigma_px : (N, 2) float64
        Widths along x and y.
    error_px : (N, 2) float64
        Their standard errors.
    """

    bead: npt.NDArray[np.int64]
    stage_nm: _Floats
    sigma_px: _Floats
    error_px: _Floats

    @property
    def bead_count(self) -> int:
        """How many beads there are."""
        return int(self.bead.max(initial=-1)) + 1

    @property
    def relative_error(self) -> _Floats:
        """Standard errors of the logarithms of the widths, (N, 2)."""
        return np.hypot(self.error_px / self.sigma_px, _FLOOR)

    @property
    def log_ratio(self) -> _Floats:
        """ln(sigma_x / sigma_y) of each row."""
        return np.asarray(np.log(self.sigma_px[:, 0] / self.sigma_px[:, 1]))

    def rows(self, chosen: npt.NDArray[np.bool_]) -> Self:
        """Return the chosen rows."""
        return type(self)(
            **{entry.name: getattr(self, entry.name)[chosen] for entry in fields(self)}
        )

    def take(self, chosen: npt.NDArray[np.bool_]) -> Self:
        """Return the chosen rows, their beads numbered anew."""
        kept = self.rows(chosen)
        number = np.unique(kept.bead, return_inverse=True)[1].astype(np.int64)
        return replace(kept, bead=number)


def joined_widths(parts: Sequence[BeadWidths]) -> BeadWidths:
    """Return all rows of several parts, their beads numbered anew."""
    together = BeadWidths(
        **{
            entry.name: np.concatenate([getattr(part, entry.name) for part in parts])
            for entry in fields(BeadWidths)
        }
    )
    return together.take(np.ones(len(together.bead), bool))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curves:
    """Both defocus curves, and at which stage position each bead is at z = 0.

    Attributes
    ----------
    along_x, along_y : DefocusCurve
        Width along each axis.
    zero_nm : (B,) float64
        Stage position at which each bead is at z = 0.
    """

    along_x: DefocusCurve
    along_y: DefocusCurve
    zero_nm: _Floats

    def log_ratio(self, z_nm: npt.ArrayLike) -> _Floats:
        """Return ln(width along x / width along y) at each height."""
        return np.asarray(np.log(self.along_x.sigma_px(z_nm) / self.along_y.sigma_px(z_nm)))

    def slopes(self, z_nm: npt.ArrayLike) -> _Floats:
        """Return the derivatives of both logarithms of the width by z, (2, ...) per nm."""
        along = (self.along_x.numbers, self.along_y.numbers)
        pairs = [width_and_slope.py_func(np.asarray(z_nm, float), curve) for curve in along]
        return np.stack([slope / width for width, slope in pairs])

    def moved(self, z_nm: float) -> Self:
        """Return the same curves with z counted from a height of theirs."""
        return type(self)(
            along_x=_moved(self.along_x, z_nm),
            along_y=_moved(self.along_y, z_nm),
            zero_nm=self.zero_nm + z_nm,
        )


def fit_curves(widths: BeadWidths, zero_nm: _Floats) -> Curves:
    """Fit both curves and the height of every bead together.

    Logarithms of the widths are compared, each weighed by its error; outliers count less.

    Parameters
    ----------
    widths : BeadWidths
        What was measured.
    zero_nm : (B,) float64
        Where to start: the stage position at which each bead is as wide along x as along y.
    """
    z_nm = widths.stage_nm - zero_nm[widths.bead]
    logs, errors = np.log(widths.sigma_px), widths.relative_error
    first = np.concatenate(
        [*(_start(z_nm, widths.sigma_px[:, axis]) for axis in range(2)), 0 * zero_nm]
    )
    tie = 1.0 / np.ptp(z_nm)

    def residuals(numbers: _Floats) -> _Floats:
        shifted = z_nm - numbers[2 * _NUMBERS :][widths.bead]
        off = [
            (np.log(width_and_slope.py_func(shifted, _curve(numbers, axis))[0]) - logs[:, axis])
            / errors[:, axis]
            for axis in range(2)
        ]
        # all beads could move together, and the curves with them
        return np.concatenate([*off, [tie * numbers[2 * _NUMBERS :].sum()]])

    def jacobian(numbers: _Floats) -> _Floats:
        shifted = z_nm - numbers[2 * _NUMBERS :][widths.bead]
        rows = np.arange(len(z_nm))
        matrix = np.zeros((2 * len(z_nm) + 1, len(numbers)))
        for axis in range(2):
            curve, part = _curve(numbers, axis), axis * len(z_nm) + rows
            by_number, by_z = _log_derivatives(shifted, curve)
            matrix[part, axis * _NUMBERS : (axis + 1) * _NUMBERS] = (
                by_number / errors[:, axis, None]
            )
            matrix[part, 2 * _NUMBERS + widths.bead] = -by_z / errors[:, axis]
        matrix[-1, 2 * _NUMBERS :] = tie
        return matrix

    scale = np.concatenate([np.tile([0.1, 50.0, 50.0, *_TERMS], 2), np.full(len(zero_nm), 20.0)])
    lowest = np.tile([0.05, -np.inf, 5.0, *(-_LARGEST_TERM for _ in _TERMS)], 2)
    highest = np.tile([np.inf, np.inf, np.inf, *(_LARGEST_TERM for _ in _TERMS)], 2)
    free = np.full(len(zero_nm), np.inf)
    found = least_squares(
        residuals,
        first,
        jac=jacobian,
        loss="soft_l1",
        x_scale=scale,
        bounds=(np.concatenate([lowest, -free]), np.concatenate([highest, free])),
        max_nfev=200,
    ).x
    along_x, along_y = (_as_curve(_curve(found, axis)) for axis in range(2))
    return Curves(along_x=along_x, along_y=along_y, zero_nm=zero_nm + found[2 * _NUMBERS :])


def heights_of(widths: BeadWidths, curves: Curves, z_from_nm: float, z_to_nm: float) -> _Floats:
    """Return the height that explains both widths of each row best.

    Parameters
    ----------
    widths : BeadWidths
        Widths; their beads need not be those of the curves.
    curves : Curves
        What the widths are compared with.
    z_from_nm, z_to_nm : float
        Heights that are looked at.
    """
    grid_nm = np.arange(z_from_nm, z_to_nm + _STEP_NM, _STEP_NM)
    expected = np.log([curves.along_x.sigma_px(grid_nm), curves.along_y.sigma_px(grid_nm)])
    logs, errors = np.log(widths.sigma_px), np.maximum(widths.error_px / widths.sigma_px, 1e-4)
    misfit = np.zeros((len(logs), len(grid_nm)))
    for axis in range(2):
        misfit += ((logs[:, axis, None] - expected[axis]) / errors[:, axis, None]) ** 2
    return np.asarray(grid_nm[misfit.argmin(axis=1)])


def _start(z_nm: _Floats, sigma_px: _Floats) -> _Floats:
    """Return the numbers of a parabola-like curve with its minimum where the widths have theirs."""
    # a parabola through the squares of the widths
    a, b, c = np.polyfit(z_nm, sigma_px**2, 2)
    centre_nm = float(np.clip(-b / (2 * a), z_nm.min(), z_nm.max())) if a > 0 else 0.0
    least = max(c - b * b / (4 * a) if a > 0 else 0.0, 0.5 * float(sigma_px.min()) ** 2)
    depth_nm = np.sqrt(least / a) if a > 0 else 0.5 * np.ptp(z_nm)
    return np.array([np.sqrt(least), centre_nm, max(float(depth_nm), 10.0), *(0.0 for _ in _TERMS)])


def _curve(numbers: _Floats, axis: int) -> tuple[float, ...]:
    """Return the numbers of the curve along an axis."""
    return tuple(numbers[axis * _NUMBERS : (axis + 1) * _NUMBERS])


def _as_curve(numbers: tuple[float, ...]) -> DefocusCurve:
    """Return the numbers as a curve."""
    names = (entry.name for entry in fields(DefocusCurve))
    return DefocusCurve(**dict(zip(names, map(float, numbers), strict=True)))


def _moved(curve: DefocusCurve, z_nm: float) -> DefocusCurve:
    """Return a curve with its centre counted from another height."""
    width_px, centre_nm, *others = curve.numbers
    return _as_curve((width_px, centre_nm - z_nm, *others))


def _log_derivatives(z_nm: _Floats, curve: tuple[float, ...]) -> tuple[_Floats, _Floats]:
    """Return the derivatives of ln(width) by the curve's seven numbers, (N, 7), and by z."""
    width_px, centre_nm, depth_nm, *terms = curve
    u = (z_nm - centre_nm) / depth_nm
    width, slope = width_and_slope.py_func(z_nm, curve)
    square = (width / width_px) ** 2
    by_z = slope / width
    by_number = [
        np.full_like(u, 1.0 / width_px),
        -by_z,
        -by_z * u,
        *(0.5 * u**power / square for power in range(3, 3 + len(terms))),
    ]
    return np.column_stack(by_number), by_z
