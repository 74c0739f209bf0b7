"""What each of the other programs hands over: candidates counted, spots as columns."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cellstorm_lib.localize.like.gaussian import FittedGaussians

#: Why a candidate is not in the table.
REJECTIONS = ("border", "not_converged", "left_the_box", "sigma_out_of_range", "amplitude")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LikeSpots:
    """Spots of some frames, as another program finds them.

    Attributes
    ----------
    index : (M,) int64
        Place of each spot's frame among the frames.
    columns : mapping of (M,) arrays
        By the names of our tables; all lengths in px, under the names of columns in nm, so that
        `in_nm` is all that is missing.
    candidates : int
        Maxima that were found.
    rejected : mapping
        How many of them are no spots, by reason.
    """

    index: npt.NDArray[np.int64]
    columns: Mapping[str, npt.NDArray[Any]]
    candidates: int
    rejected: Mapping[str, int]

    def in_nm(self, pixel_size_nm: float) -> dict[str, npt.NDArray[Any]]:
        """Return the columns in the units of our tables."""
        return {
            name: values * pixel_size_nm if name.endswith("_nm") else values
            for name, values in self.columns.items()
        }


def inside(
    places: npt.NDArray[np.int64], shape: tuple[int, ...], border_px: int
) -> npt.NDArray[np.bool_]:
    """Return which places, (3, M), lie at least `border_px` pixels away from the edge (Y, X)."""
    row, column = places[1], places[2]
    is_inside: npt.NDArray[np.bool_] = (
        (row >= border_px)
        & (row < shape[0] - border_px)
        & (column >= border_px)
        & (column < shape[1] - border_px)
    )
    return is_inside


def axes(fits: FittedGaussians, variance_x: Any, variance_y: Any) -> dict[str, Any]:
    """Return positions, widths and uncertainties of both axes as columns, in px."""
    return {
        "x_nm": fits.x_px,
        "y_nm": fits.y_px,
        "sigma_nm": 0.5 * (fits.sigma_x_px + fits.sigma_y_px),
        "sigma_x_nm": fits.sigma_x_px,
        "sigma_y_nm": fits.sigma_y_px,
        "uncertainty_x_nm": np.sqrt(variance_x),
        "uncertainty_y_nm": np.sqrt(variance_y),
        "uncertainty_nm": np.sqrt(0.5 * (variance_x + variance_y)),
    }


def least_squares_variances(
    fits: FittedGaussians,
    photons: npt.NDArray[np.float64],
    background: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the variances of x and y of an unweighted fit, px^2.

    Parameters
    ----------
    fits : FittedGaussians
        Their widths.
    photons, background : (M,) float64
        Photoelectrons of the spot, above 0, and variance of a pixel without it; below 0 counts
        as 0.

    References
    ----------
    Mortensen et al., Nat. Methods 7, 377 (2010), doi:10.1038/nmeth.1447, along each axis
    """
    x2, y2 = fits.sigma_x_px**2 + 1.0 / 12.0, fits.sigma_y_px**2 + 1.0 / 12.0
    clutter = 8.0 * np.pi * np.sqrt(x2 * y2) * np.maximum(background, 0.0) / photons
    each = (16.0 / 9.0 + clutter) / photons
    return x2 * each, y2 * each
