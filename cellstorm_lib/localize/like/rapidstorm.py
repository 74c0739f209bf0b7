"""rapidSTORM's analysis of a frame: smoothing, maxima in order of height, fit, amplitude."""

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit
from scipy.ndimage import uniform_filter

from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.localize.extrema import find_extrema
from cellstorm_lib.localize.like.gaussian import ABSURD, FittedGaussians, GaussianFit
from cellstorm_lib.localize.like.marquardt import RESULTS, fit_one, make_room
from cellstorm_lib.localize.like.settings import RapidstormSettings, side_of
from cellstorm_lib.localize.like.spots import LikeSpots, axes, least_squares_variances

_FWHM_PER_SIGMA = 2.0 * np.sqrt(2.0 * np.log(2.0))
_START_SIGMA_PX = 1.2
#: What became of a maximum.
_BELIEVED, _BORDER, _NOT_CONVERGED, _LEFT, _WIDTH, _DIM, _NEAR = range(7)
_REASONS = {
    _BORDER: "border",
    _NOT_CONVERGED: "not_converged",
    _LEFT: "left_the_box",
    _WIDTH: "sigma_out_of_range",
    _DIM: "amplitude",
}


def spots_like_rapidstorm(
    frames: npt.NDArray[Any],
    calibration: CameraCalibration,
    pixel_size_nm: float,
    settings: RapidstormSettings,
) -> LikeSpots:
    """Find and fit the spots of frames as rapidSTORM does.

    Parameters
    ----------
    frames : (N, Y, X) uint8 or uint16
        Grey values, which are fitted as they are.
    calibration : CameraCalibration
        For photoelectrons and uncertainty, which a table of rapidSTORM need not have.
    pixel_size_nm : float
        Object-side size of a pixel.
    settings : RapidstormSettings
        What its user can choose.

    Returns
    -------
    LikeSpots
        Columns of its table (amplitude, background and sum of squares in grey values).

    References
    ----------
    Wolter et al., J. Microsc. 237, 12 (2010), doi:10.1111/j.1365-2818.2009.03287.x; Nat. Methods
    9, 1040 (2012), doi:10.1038/nmeth.2224; the rapidSTORM 3.3 manual. Of the uncertainty,
    Mortensen et al., Nat. Methods 7, 377 (2010), doi:10.1038/nmeth.1447
    """
    unit_nm = pixel_size_nm * _FWHM_PER_SIGMA
    how = GaussianFit(
        estimator="least-squares",
        is_integrated=False,
        width="elliptic" if settings.is_width_fitted else "fixed",
        side=side_of(settings, pixel_size_nm),
        sigma_px=_START_SIGMA_PX if settings.fwhm_nm is None else settings.fwhm_nm / unit_nm,
        least_photons=-np.inf,
        least_background=-np.inf,
    )
    limits = (
        settings.amplitude_adu,
        (settings.max_move_nm / pixel_size_nm) ** 2,
        (settings.spot_distance_nm / pixel_size_nm) ** 2,
        settings.motivation,
        settings.least_fwhm_nm / unit_nm,
        settings.most_fwhm_nm / unit_nm,
    )
    image = frames.astype(np.float32)
    smooth = uniform_filter(image, settings.smoothing_px, mode="nearest", axes=(1, 2))
    maxima = find_extrema(smooth, follows=np.zeros(len(frames), np.bool_))
    places, fitted, verdicts = [], [], []
    for index in range(len(frames)):
        here = np.flatnonzero(maxima.index == index)
        here = here[np.argsort(-maxima.height[here], kind="stable")]
        found = np.stack([maxima.index[here], maxima.row[here], maxima.column[here]])
        rows, verdict = np.empty((len(here), RESULTS)), np.zeros(len(here), np.int64)
        looked_at = _fit_while_motivated(image[index], found, how.numbers, limits, rows, verdict)
        places.append(found[:, :looked_at])
        fitted.append(rows[:looked_at])
        verdicts.append(verdict[:looked_at])
    return _spots(
        np.concatenate([np.empty((3, 0), np.int64), *places], axis=1),
        np.concatenate([np.empty((0, RESULTS)), *fitted]),
        np.concatenate([np.empty(0, np.int64), *verdicts]),
        how,
        calibration,
    )


def _spots(
    places: npt.NDArray[np.int64],
    fitted: npt.NDArray[np.float64],
    verdict: npt.NDArray[np.int64],
    how: GaussianFit,
    calibration: CameraCalibration,
) -> LikeSpots:
    """Return the fits that were believed, in the order they were made."""
    looked_at = np.bincount(verdict, minlength=_NEAR + 1)
    places, fitted = places[:, verdict == _BELIEVED], fitted[verdict == _BELIEVED]
    fits = FittedGaussians.of(places, fitted, how.side)
    photons = fits.photons * calibration.gain_e_per_adu
    background = (fits.background - calibration.offset_adu) * calibration.gain_e_per_adu
    pixel_variance = np.maximum(background, 0.0) + calibration.read_noise_e**2
    columns = {
        **axes(fits, *least_squares_variances(fits, photons, pixel_variance)),
        "photons": photons,
        "background_photons": background,
        "amplitude_adu": fits.photons,
        "background_adu": fits.background,
        "chi_square": fits.squares,
    }
    return LikeSpots(
        index=places[0],
        columns=columns,
        candidates=len(verdict) - int(looked_at[_NEAR]),
        rejected={reason: int(looked_at[k]) for k, reason in _REASONS.items()},
    )


@njit(cache=True, nogil=True)
def _is_near_higher(places: Any, k: Any, verdict: Any, least2: Any) -> Any:
    """Return whether a higher maximum that was looked at lies nearer than a distance."""
    for j in range(k):
        down, across = places[1, k] - places[1, j], places[2, k] - places[2, j]
        if verdict[j] != _NEAR and down * down + across * across < least2:
            return True
    return False


@njit(cache=True, nogil=True)
def _fit_while_motivated(
    image: Any, places: Any, how: Any, limits: Any, fitted: Any, verdict: Any
) -> Any:
    """Fit the maxima in turn until too many in a row are no spots; return how many were seen."""
    amplitude, max_move2, least2, motivation, least_sigma, most_sigma = limits
    side = how[3]
    half = side // 2
    room = make_room(side)
    failures = 0
    for k in range(places.shape[1]):
        row, column, out = places[1, k], places[2, k], fitted[k]
        if _is_near_higher(places, k, verdict, least2):
            verdict[k] = _NEAR
            continue
        if min(row, column, image.shape[0] - 1 - row, image.shape[1] - 1 - column) < half:
            verdict[k] = _BORDER
            continue
        fit_one(image, row, column, how, room, out)
        if out[10] == 0 or not np.all(np.abs(out[:6]) < ABSURD):
            verdict[k] = _NOT_CONVERGED
        elif (out[0] - 0.5 * side) ** 2 + (out[1] - 0.5 * side) ** 2 > max_move2:
            verdict[k] = _LEFT
        elif min(out[4], out[5]) < least_sigma or max(out[4], out[5]) > most_sigma:
            verdict[k] = _WIDTH
        elif not out[2] > amplitude:
            verdict[k] = _DIM
        failures = 0 if verdict[k] == _BELIEVED else failures + 1
        if failures >= motivation:
            return k + 1
    return places.shape[1]
