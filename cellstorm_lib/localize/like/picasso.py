"""Picasso's analysis of a frame: net gradient, fit of two widths, its own uncertainty."""

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.localize.like.gaussian import ABSURD, GaussianFit, fit_gaussians
from cellstorm_lib.localize.like.settings import PicassoSettings
from cellstorm_lib.localize.like.spots import LikeSpots, axes, least_squares_variances

#: Below which its likelihood fit tries no photons and, up to version 0.10, no background.
_LEAST_PHOTONS, _LEAST_BACKGROUND = 1.0, 0.01
_START_SIGMA_PX = 1.2


def spots_like_picasso(
    frames: npt.NDArray[Any],
    calibration: CameraCalibration,
    settings: PicassoSettings,
) -> LikeSpots:
    """Find and fit the spots of frames as Picasso does.

    Parameters
    ----------
    frames : (N, Y, X) uint8 or uint16
        Grey values, in which the net gradient is measured.
    calibration : CameraCalibration
        Its offset is Picasso's baseline, its gain the sensitivity / EM gain.
    settings : PicassoSettings
        What its user can choose.

    Returns
    -------
    LikeSpots
        Columns of its table, with the net gradient. Every spot that was found stays in the table
        unless its fit ran away or has no photons.

    References
    ----------
    Schnitzbauer et al., Nat. Protoc. 12, 1198 (2017), doi:10.1038/nprot.2017.024; Smith et al.,
    Nat. Methods 7, 373 (2010), doi:10.1038/nmeth.1449; Mortensen et al., Nat. Methods 7, 377
    (2010), doi:10.1038/nmeth.1447
    """
    places, net_gradient = find_net_gradients(
        frames, box_px=settings.box_px, least=settings.min_net_gradient
    )
    is_likelihood = settings.estimator == "maximum-likelihood"
    image = (frames.astype(np.float32) - np.float32(calibration.offset_adu)) * np.float32(
        calibration.gain_e_per_adu
    )
    is_integrated = settings.psf == "integrated-gaussian"
    how = GaussianFit(
        estimator=settings.estimator,
        is_integrated=is_integrated,
        width="elliptic",
        side=settings.box_px,
        sigma_px=_START_SIGMA_PX,
        least_photons=_LEAST_PHOTONS if is_likelihood else -np.inf,
        least_background=_LEAST_BACKGROUND if is_integrated else -np.inf,
    )
    fits = fit_gaussians(image, places, how)
    kept = fits.is_sound & (fits.photons > 0)
    if is_likelihood:
        kept &= fits.variance_x_px2 + fits.variance_y_px2 < ABSURD
    fits = fits.chosen(kept)
    variance_x, variance_y = (
        (fits.variance_x_px2, fits.variance_y_px2)
        if is_likelihood
        else least_squares_variances(fits, fits.photons, fits.background)
    )
    excess = 2.0 if settings.has_em_gain else 1.0
    widest = np.maximum(fits.sigma_x_px, fits.sigma_y_px)
    return LikeSpots(
        index=places[0, kept],
        columns={
            **axes(fits, excess * variance_x, excess * variance_y),
            "photons": fits.photons,
            "background_photons": fits.background,
            "net_gradient": net_gradient[kept],
            "ellipticity": np.abs(fits.sigma_x_px - fits.sigma_y_px) / widest,
        },
        candidates=places.shape[1],
        rejected={"not_converged": int(np.count_nonzero(~kept))},
    )


def find_net_gradients(
    frames: npt.NDArray[Any], *, box_px: int, least: float
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Find pixels that are the highest of their box and towards which the grey values rise.

    The net gradient is the sum over the box of the central difference along each axis times the
    unit vector to the middle. The outermost pixels of a frame are no middle of a box; where a
    difference would need the pixel before the first, the last is taken, as Picasso does.

    Parameters
    ----------
    frames : (N, Y, X) uint8 or uint16
        Grey values.
    box_px : int
        Side of the box.
    least : float
        Net gradient that must be exceeded, grey values.

    Returns
    -------
    (3, M) int64
        Index of the frame, row and column.
    (M,) float32
        Net gradient.
    """
    half = box_px // 2
    along = half - np.arange(box_px, dtype=np.float32)
    length = np.hypot(*np.meshgrid(along, along))
    length[half, half] = 1.0
    towards = np.stack([along[:, None] / length, along[None, :] / length])
    places, gradients = [], []
    for index, frame in enumerate(frames):
        image = frame.astype(np.float32)
        row, column = _highest_of_box(image, half)
        gradient = np.empty(len(row), np.float32)
        _sum_gradients(image, row, column, towards, gradient)
        found = gradient > least
        places.append(np.stack([np.full(len(row), index), row, column])[:, found])
        gradients.append(gradient[found])
    return (
        np.concatenate([np.empty((3, 0), np.int64), *places], axis=1),
        np.concatenate([np.empty(0, np.float32), *gradients]),
    )


@njit(cache=True, nogil=True)
def _highest_of_box(image: Any, half: Any) -> Any:
    """Return rows and columns of pixels that are the first highest of their box."""
    height, width = image.shape
    rows, columns = [], []
    for y in range(half, height - half - 1):
        for x in range(half, width - half - 1):
            value = image[y, x]
            if image[y, x - 1] >= value or image[y, x + 1] > value or image[y - 1, x] >= value:
                continue
            if _is_highest(image, y, x, half):
                rows.append(y)
                columns.append(x)
    return np.array(rows, np.int64), np.array(columns, np.int64)


@njit(cache=True, nogil=True)
def _is_highest(image: Any, y: Any, x: Any, half: Any) -> Any:
    """Return whether no pixel of the box is higher, and none before in reading order as high."""
    value = image[y, x]
    for i in range(y - half, y + half + 1):
        for j in range(x - half, x + half + 1):
            is_before = i < y or (i == y and j < x)
            if image[i, j] > value or (is_before and image[i, j] == value):
                return False
    return True


@njit(cache=True, nogil=True)
def _sum_gradients(image: Any, rows: Any, columns: Any, towards: Any, out: Any) -> None:
    """Write the net gradient of each box; an index of -1 is the frame's last pixel."""
    half = towards.shape[1] // 2
    for spot in range(len(rows)):
        total = np.float32(0.0)
        for i in range(2 * half + 1):
            for j in range(2 * half + 1):
                if i == half and j == half:
                    continue
                y, x = rows[spot] - half + i, columns[spot] - half + j
                total += (image[y + 1, x] - image[y - 1, x]) * towards[0, i, j]
                total += (image[y, x + 1] - image[y, x - 1]) * towards[1, i, j]
        out[spot] = total
