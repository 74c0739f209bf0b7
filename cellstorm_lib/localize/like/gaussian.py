"""Fit of a Gaussian spot by least squares, weighted least squares or likelihood."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Literal, Self

import numpy as np
import numpy.typing as npt

from cellstorm_lib.localize.like.marquardt import RESULTS, fit_all

Estimator = Literal["least-squares", "weighted-least-squares", "maximum-likelihood"]
Width = Literal["fixed", "round", "elliptic"]

ESTIMATORS: tuple[Estimator, ...] = (
    "least-squares",
    "weighted-least-squares",
    "maximum-likelihood",
)
_FREE: Mapping[Width, int] = {"fixed": 4, "round": 5, "elliptic": 6}
#: What no number of a fit is, unless it ran away.
ABSURD = 1e15


@dataclass(frozen=True, slots=True, kw_only=True)
class GaussianFit:
    """How a spot is fitted.

    Attributes
    ----------
    estimator : str
        ``least-squares``; ``weighted-least-squares``, each pixel by 1 / data, but by no more than
        1000 / the brightest, which dark pixels get; ``maximum-likelihood``, data being Poisson.
    is_integrated : bool
        Whether the Gaussian is integrated over each pixel; else it is taken at its centre.
    width : str
        ``fixed``; ``round``, one width; ``elliptic``, one along each axis.
    side : int
        Pixels along each side of the fitted square.
    sigma_px : float
        Width to start with, or the width itself.
    least_photons, least_background : float
        Below which neither is tried.
    most_steps : int
        After which a fit is given up.
    """

    estimator: Estimator
    is_integrated: bool
    width: Width
    side: int
    sigma_px: float
    least_photons: float = 0.0
    least_background: float = 0.0
    most_steps: int = 200

    @property
    def numbers(self) -> tuple[int, bool, int, int, float, float, float, int]:
        """What the compiled fit takes."""
        return (
            ESTIMATORS.index(self.estimator),
            self.is_integrated,
            _FREE[self.width],
            self.side,
            float(self.sigma_px),
            float(self.least_photons),
            float(self.least_background),
            self.most_steps,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FittedGaussians:
    """What was fitted, in the order of the places.

    Attributes
    ----------
    x_px, y_px : (M,) float64
        Position; the outer corner of the frame's first pixel is 0, 0.
    photons, background, sigma_x_px, sigma_y_px : (M,) float64
        In the unit of the frames, and px.
    variance_x_px2, variance_y_px2 : (M,) float64
        From the inverse of the sum of w dmodel dmodel: of the likelihood, the Cramer-Rao bound;
        of least squares, what the variance of a pixel is to be multiplied with.
    squares, left_over : (M,) float64
        Sum of the squared residuals, and their standard deviation, unweighted.
    shift_px : (M,) float64
        How far the position lies from the centre of the square, along the farther axis.
    is_sound, has_converged : (M,) bool
        Whether the numbers can be (of the variances, this says nothing), and whether the fit came
        to rest at them too.
    """

    x_px: npt.NDArray[np.float64]
    y_px: npt.NDArray[np.float64]
    photons: npt.NDArray[np.float64]
    background: npt.NDArray[np.float64]
    sigma_x_px: npt.NDArray[np.float64]
    sigma_y_px: npt.NDArray[np.float64]
    variance_x_px2: npt.NDArray[np.float64]
    variance_y_px2: npt.NDArray[np.float64]
    squares: npt.NDArray[np.float64]
    left_over: npt.NDArray[np.float64]
    shift_px: npt.NDArray[np.float64]
    is_sound: npt.NDArray[np.bool_]
    has_converged: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, places: npt.NDArray[np.int64], fitted: npt.NDArray[np.float64], side: int) -> Self:
        """Return the rows of `fit_one`, fitted at (3, M) places, as columns."""
        half = side // 2
        x, y = fitted[:, 0], fitted[:, 1]
        is_sound = np.asarray((np.abs(fitted[:, :6]) < ABSURD).all(axis=1))
        return cls(
            x_px=x + (places[2] - half),
            y_px=y + (places[1] - half),
            photons=fitted[:, 2],
            background=fitted[:, 3],
            sigma_x_px=fitted[:, 4],
            sigma_y_px=fitted[:, 5],
            variance_x_px2=fitted[:, 6],
            variance_y_px2=fitted[:, 7],
            squares=fitted[:, 8],
            left_over=fitted[:, 9],
            shift_px=np.maximum(np.abs(x - side / 2), np.abs(y - side / 2)),
            is_sound=is_sound,
            has_converged=is_sound & (fitted[:, 10] > 0),
        )

    def chosen(self, which: npt.NDArray[np.bool_]) -> Self:
        """Return the fits marked in `which`."""
        return type(self)(
            **{entry.name: getattr(self, entry.name)[which] for entry in fields(self)}
        )


def fit_gaussians(
    frames: npt.NDArray[np.float32], places: npt.NDArray[np.int64], how: GaussianFit
) -> FittedGaussians:
    """Fit a Gaussian on a flat background in the square around each place.

    Parameters
    ----------
    frames : (N, Y, X) float32
        Photoelectrons, or grey values above the offset.
    places : (3, M) int64
        Index of the frame, row and column of the middle of each square, which lies in the frame.
    how : GaussianFit
        Model and estimator. The fit starts in the middle of the square, with its lowest pixel
        for the background and its highest for the height.

    References
    ----------
    Smith et al., Nat. Methods 7, 373 (2010), doi:10.1038/nmeth.1449; Laurence and Chromy,
    Nat. Methods 7, 338 (2010), doi:10.1038/nmeth0510-338
    """
    fitted = np.empty((places.shape[1], RESULTS))
    fit_all(frames, places, how.numbers, fitted)
    return FittedGaussians.of(places, fitted, how.side)
