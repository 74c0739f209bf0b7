"""Gaussian spots, integrated over each pixel."""

import math
from dataclasses import dataclass, field
from typing import Literal

import numba
import numpy as np
from numpy.typing import NDArray

from cellstorm_lib.simulate.ranges import about, check_ranges

_RADIUS_SIGMAS = 6.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GaussianSpotSettings:
    """The point spread function: a Gaussian."""

    kind: Literal["gaussian"] = "gaussian"
    sigma_px: float = field(
        default=1.3,
        metadata=about(
            "standard deviation of a molecule's image, in camera pixels", at_least=0.2, at_most=50
        ),
    )

    def __post_init__(self) -> None:
        check_ranges(self)


def add_gaussians(
    frames: NDArray[np.float32],
    *,
    frame: NDArray[np.int64],
    x_px: NDArray[np.float64],
    y_px: NDArray[np.float64],
    photons: NDArray[np.float64],
    sigma_px: float,
) -> None:
    """Add the expected light of molecules to frames, in place.

    Each spot is drawn to 6 sigma; what lies beyond is 4e-9 of its light.

    Parameters
    ----------
    frames : (N, Y, X) float32
        Frames to draw into.
    frame : (M,) int64
        Index into `frames` of each molecule's image.
    x_px, y_px : (M,) float64
        Position; pixel ``[0, 0]`` spans 0 to 1, so its centre is at 0.5. May lie outside.
    photons : (M,) float64
        Photons of the whole spot, including those falling outside the frame.
    sigma_px : float
        Standard deviation of the point spread function.

    References
    ----------
    Smith et al., Nat. Methods 7, 373 (2010). doi:10.1038/nmeth.1449
    """
    _add_gaussians(frames, frame, x_px, y_px, photons, float(sigma_px))


@numba.njit(cache=True, nogil=True)
def _add_gaussians(frames, frame, x_px, y_px, photons, sigma_px):  # type: ignore[no-untyped-def]
    """Add every spot row by row; both axes are separable."""
    height, width = frames.shape[1:]
    radius = math.ceil(_RADIUS_SIGMAS * sigma_px)
    row_share = np.empty(2 * radius + 1, np.float32)
    column_share = np.empty(2 * radius + 1, np.float32)
    for spot in range(len(frame)):
        top = math.floor(y_px[spot]) - radius
        left = math.floor(x_px[spot]) - radius
        _pixel_shares(row_share, y_px[spot] - top, sigma_px)
        _pixel_shares(column_share, x_px[spot] - left, sigma_px)
        for row in range(max(top, 0), min(top + len(row_share), height)):
            light = np.float32(photons[spot]) * row_share[row - top]
            for column in range(max(left, 0), min(left + len(column_share), width)):
                frames[frame[spot], row, column] += light * column_share[column - left]


@numba.njit(cache=True, nogil=True)
def _pixel_shares(shares, centre_px, sigma_px):  # type: ignore[no-untyped-def]
    """Fill in the share of a unit Gaussian that each pixel of one axis collects."""
    scale = 1.0 / (math.sqrt(2.0) * sigma_px)
    lower = math.erf((0.0 - centre_px) * scale)
    for pixel in range(len(shares)):
        upper = math.erf((pixel + 1.0 - centre_px) * scale)
        shares[pixel] = 0.5 * (upper - lower)
        lower = upper
