"""ThunderSTORM's analysis of a frame: wavelet, threshold, local maxima, fit, uncertainty.

From its published description; a frame with grey values below the camera's offset is raised as a
whole until its darkest pixel is 0, as ThunderSTORM does.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import maximum_filter

from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.localize.expression import thresholds_by_expression
from cellstorm_lib.localize.filters import wavelet_band
from cellstorm_lib.localize.like.gaussian import GaussianFit, fit_gaussians
from cellstorm_lib.localize.like.settings import ThunderstormSettings
from cellstorm_lib.localize.like.spots import LikeSpots, inside

_CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], bool)
_SQUARE = np.ones((3, 3), bool)


def spots_like_thunderstorm(
    frames: npt.NDArray[Any],
    calibration: CameraCalibration,
    settings: ThunderstormSettings,
) -> LikeSpots:
    """Find and fit the spots of frames as ThunderSTORM does.

    Parameters
    ----------
    frames : (N, Y, X) uint8 or uint16
        Grey values.
    calibration : CameraCalibration
        Its offset is ThunderSTORM's base level, its gain the photoelectrons per A/D count, with
        a multiplication of electrons divided out.
    settings : ThunderstormSettings
        What its user can choose.

    Returns
    -------
    LikeSpots
        Columns of its table: position, width, photons, background, standard deviation of what
        the fit leaves over, uncertainty.

    References
    ----------
    Ovesny et al., Bioinformatics 30, 2389 (2014), doi:10.1093/bioinformatics/btu202, and its
    supplement; Thompson et al., Biophys. J. 82, 2775 (2002), doi:10.1016/S0006-3495(02)75618-X;
    Mortensen et al., Nat. Methods 7, 377 (2010), doi:10.1038/nmeth.1447; Rieger and Stallinga,
    ChemPhysChem 15, 664 (2014), doi:10.1002/cphc.201300711
    """
    radius, side = settings.fit_radius_px, 2 * settings.fit_radius_px + 1
    image = frames.astype(np.float32) - np.float32(calibration.offset_adu)
    image -= np.minimum(image.min(axis=(1, 2), keepdims=True), 0)
    found = _maxima(image, settings)
    places = found[:, inside(found, image.shape[1:], radius)]
    image *= np.float32(calibration.gain_e_per_adu)
    fits = fit_gaussians(
        image,
        places,
        GaussianFit(
            estimator=settings.estimator,
            is_integrated=settings.psf == "integrated-gaussian",
            width="round",
            side=side,
            sigma_px=settings.sigma_px,
        ),
    )
    stays = fits.shift_px <= radius
    is_spot = fits.is_sound & (fits.photons > 0)
    kept = is_spot & stays
    believed = fits.chosen(kept)
    noise = believed.left_over + (0.0 if settings.has_em_gain else calibration.read_noise_e)
    uncertainty = np.sqrt(_variance_px2(believed.sigma_x_px, believed.photons, noise, settings))
    return LikeSpots(
        index=places[0, kept],
        columns={
            "x_nm": believed.x_px,
            "y_nm": believed.y_px,
            "sigma_nm": believed.sigma_x_px,
            "photons": believed.photons,
            "background_photons": believed.background,
            "background_std_photons": believed.left_over,
            "uncertainty_x_nm": uncertainty,
            "uncertainty_y_nm": uncertainty,
            "uncertainty_nm": uncertainty,
        },
        candidates=found.shape[1],
        rejected={
            "border": found.shape[1] - places.shape[1],
            "not_converged": int(np.count_nonzero(~is_spot)),
            "left_the_box": int(np.count_nonzero(is_spot & ~stays)),
        },
    )


def _maxima(image: npt.NDArray[np.float32], settings: ThunderstormSettings) -> Any:
    """Return frame, row and column of the filtered image's maxima; equal neighbours all count."""
    band = wavelet_band(image)
    threshold = thresholds_by_expression(settings.threshold, image)[:, None, None]
    footprint = (_SQUARE if settings.neighbours == 8 else _CROSS)[None]
    is_highest = band >= maximum_filter(band, footprint=footprint, mode="nearest")
    return np.stack(np.nonzero(is_highest & (band >= threshold))).astype(np.int64)


def _variance_px2(sigma: Any, photons: Any, noise: Any, settings: ThunderstormSettings) -> Any:
    """Return the variance of a position, px^2, by the formula its version states."""
    excess = 2.0 if settings.has_em_gain else 1.0
    shot = (excess * sigma**2 + 1.0 / 12.0) / photons
    if settings.uncertainty == "version-1.3":
        return shot + 8.0 * np.pi * sigma**4 * noise**2 / photons**2
    tau = 2.0 * np.pi * noise**2 * (sigma**2 + 1.0 / 12.0) / photons
    if settings.estimator == "least-squares":
        return shot * (16.0 / 9.0 + 4.0 * tau)
    return shot * (1.0 + 4.0 * tau + np.sqrt(2.0 * tau / (1.0 + 4.0 * tau)))
