"""Spots of an astigmatic microscope, fitted in three dimensions or with two widths of their own."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.errors import CalibrationError
from cellstorm_lib.localize.astigmatic_kernels import RESULT, fit_ellipses, fit_heights
from cellstorm_lib.localize.blocks import QUANTITIES
from cellstorm_lib.localize.cut import end_of_range_adu
from cellstorm_lib.localize.fit import Fits, fit_candidates
from cellstorm_lib.localize.fit_settings import FitSettings
from cellstorm_lib.localize.pixels import LEAST_VARIANCE, PixelResponse
from cellstorm_lib.localize.search import Candidates
from cellstorm_lib.recording import RecordingFacts
from cellstorm_lib.z_calibration import ZCalibration

#: Why a fit in depth is not in the table, besides the reasons of every fit.
Z_OUT_OF_RANGE = "z_out_of_range"

_Spots = dict[str, npt.NDArray[np.float32]]


def check_depth(z: ZCalibration, facts: RecordingFacts, pixel_size_nm: float) -> None:
    """Refuse frames whose spots do not tell z.

    Raises
    ------
    CalibrationError
        When they were denoised, or the calibration is of another magnification.
    """
    refuse_denoised(facts)
    z.check_pixel_size(pixel_size_nm)


def refuse_denoised(facts: RecordingFacts) -> None:
    """Refuse frames whose spots are drawn by a network.

    Raises
    ------
    CalibrationError
        When they were denoised.
    """
    if facts.is_denoised:
        raise CalibrationError(
            f"{facts.name} is denoised, and the widths of its spots are the network's, not the "
            "lens's; take the recording as it was filmed"
        )


def fit_settings_in_depth(settings: FitSettings, z: ZCalibration) -> FitSettings:
    """Return the settings of the fit with box and limits that suit spots out of focus.

    What differs from its default was asked for, and is kept.
    """
    suited: dict[str, Any] = {
        "box_px": z.suited_box_px,
        "min_sigma_px": 0.2,
        "max_sigma_px": 10.0,
        "max_shift_px": float(np.clip(z.widest_px, 2.0, z.suited_box_px / 2)),
    }
    usual = FitSettings()
    changes = {
        name: value
        for name, value in suited.items()
        if getattr(settings, name) == getattr(usual, name)
    }
    return replace(settings, **changes)


def fit_candidates_in_depth(
    frames: npt.NDArray[Any],
    candidates: Candidates,
    calibration: CameraCalibration,
    settings: FitSettings,
    pixels: PixelResponse | None = None,
    *,
    z: ZCalibration,
    pixel_size_nm: float,
) -> Fits:
    """Fit x, y, z, photons and background of every candidate by maximum likelihood.

    As `fit_candidates`, with the widths along x and y given by z. Spots whose height lies beyond
    the calibrated range are left out and counted.

    Returns
    -------
    Fits
        With the columns ``z_nm``, ``uncertainty_z_nm``, ``crlb_z_nm``, ``sigma_x_nm`` and
        ``sigma_y_nm``. The bound of z is that of a fit of all five; the uncertainty also holds
        the error of the calibration. ``sigma_px`` is the geometric mean of both widths.

    References
    ----------
    Huang et al., Science 319, 810 (2008). doi:10.1126/science.1153529
    """
    fit = partial(fit_spots_in_depth, z=z, pixel_size_nm=pixel_size_nm)
    fits = fit_candidates(frames, candidates, calibration, settings, pixels, fit=fit)
    z_nm = fits.further["z_nm"] / z.mismatch_factor
    is_inside = (z_nm >= z.z_from_nm) & (z_nm <= z.z_to_nm)
    return fits.take(is_inside, reason=Z_OUT_OF_RANGE)


def fit_spots_in_depth(
    frames: npt.NDArray[Any],
    where: npt.NDArray[np.int32],
    offset_px: npt.NDArray[np.float32],
    calibration: CameraCalibration,
    settings: FitSettings,
    pixels: PixelResponse | None = None,
    *,
    z: ZCalibration,
    pixel_size_nm: float,
) -> _Spots:
    """Fit spots whose boxes lie within their frames; parameters as of `fit_spots`.

    Returns
    -------
    dict of (M,) float32
        What `fit_spots` returns, and the columns `fit_candidates_in_depth` names.
    """
    curves = (z.along_x.numbers, z.along_y.numbers, (z.z_from_nm, z.z_to_nm))
    fitted = _fitted(
        frames, where, offset_px, calibration, settings, pixels, fit_heights, start=curves
    )
    z_nm, crlb_z_nm = fitted.pop("first"), np.sqrt(fitted.pop("variance_first"))
    sigma_x_px, sigma_y_px = z.along_x.sigma_px(z_nm), z.along_y.sigma_px(z_nm)
    fitted["sigma_px"] = np.sqrt(sigma_x_px * sigma_y_px)
    _state_as_detected(fitted, where, settings.box_px, pixels)
    kept = (name for name in fitted if name in QUANTITIES)
    return _as_float32(
        {
            **{name: fitted[name] for name in kept},
            "z_nm": z_nm * z.mismatch_factor,
            "uncertainty_z_nm": np.hypot(crlb_z_nm, z.systematic_nm) * z.mismatch_factor,
            "crlb_z_nm": crlb_z_nm * z.mismatch_factor,
            "sigma_x_nm": sigma_x_px * pixel_size_nm,
            "sigma_y_nm": sigma_y_px * pixel_size_nm,
        }
    )


def fit_widths(
    frames: npt.NDArray[Any],
    where: npt.NDArray[np.int32],
    calibration: CameraCalibration,
    settings: FitSettings,
    pixels: PixelResponse | None = None,
) -> _Spots:
    """Fit x, y, photons, background and both widths of spots by maximum likelihood.

    Parameters
    ----------
    frames : (N, Y, X) uint8 or uint16
        Grey values.
    where : (3, M) int32
        Index of the frame, row and column of the pixel in the middle of each box, which lies
        within the frame.
    calibration : CameraCalibration
        The camera.
    settings : FitSettings
        Box, width to start with and steps.
    pixels : PixelResponse, optional
        The camera's pixels, where they differ.

    Returns
    -------
    dict of (M,) float32
        ``x_px``, ``y_px`` (from the outer corner of the box), ``photons``, ``background``,
        ``sigma_x_px``, ``sigma_y_px``, their ``variance_``, ``is_active`` (1 where a fit has not
        come to rest), ``log_likelihood_ratio`` and ``out_of_range_px``.
    """
    offset_px = np.zeros((where.shape[1], 2), np.float32)
    fitted = _fitted(
        frames,
        where,
        offset_px,
        calibration,
        settings,
        pixels,
        fit_ellipses,
        start=settings.sigma_px,
    )
    for place, axis in (("first", "x"), ("second", "y")):
        fitted[f"sigma_{axis}_px"] = fitted.pop(place)
        fitted[f"variance_sigma_{axis}"] = fitted.pop(f"variance_{place}")
    fitted["sigma_px"] = np.sqrt(fitted["sigma_x_px"] * fitted["sigma_y_px"])
    _state_as_detected(fitted, where, settings.box_px, pixels)
    return _as_float32(fitted)


def _fitted(
    frames: npt.NDArray[Any],
    where: npt.NDArray[np.int32],
    offset_px: npt.NDArray[np.float32],
    calibration: CameraCalibration,
    settings: FitSettings,
    pixels: PixelResponse | None,
    kernel: Callable[..., None],
    *,
    start: Any,
) -> dict[str, npt.NDArray[np.float64]]:
    """Return the quantities of `RESULT`."""
    lowest = calibration.linear_from_adu
    range_adu = (end_of_range_adu(calibration), 0.0 if lowest is None else float(np.ceil(lowest)))
    out = np.zeros((where.shape[1], len(RESULT)))
    out[:, RESULT.index("is_active")] = 1.0
    camera, how = (
        (*_maps_of(calibration, pixels), *range_adu),
        (settings.box_px, settings.max_steps),
    )
    kernel(frames, where, offset_px, camera, start, how, out)
    return dict(zip(RESULT, out.T, strict=True))


def _maps_of(
    calibration: CameraCalibration, pixels: PixelResponse | None
) -> tuple[npt.NDArray[np.float32], ...]:
    """Return offset, gain, noise variance and sensitivity; of one pixel where all are alike."""
    if pixels is not None:
        return pixels.offset_adu, pixels.gain_e_per_adu, pixels.variance_e2, pixels.sensitivity
    noise_e2 = max(calibration.pixel_noise_e**2, LEAST_VARIANCE)
    numbers = (calibration.offset_adu, calibration.gain_e_per_adu, noise_e2, 1.0)
    return tuple(np.full((1, 1), number, np.float32) for number in numbers)


def _state_as_detected(
    fitted: dict[str, npt.NDArray[np.float64]],
    where: npt.NDArray[np.int32],
    box_px: int,
    pixels: PixelResponse | None,
) -> None:
    """Multiply photons and background by the sensitivity at the spot, and note it."""
    fitted["relative_sensitivity"] = np.ones(where.shape[1])
    if pixels is not None:
        x_px, y_px, sigma_px = (
            fitted[name].astype(np.float32) for name in ("x_px", "y_px", "sigma_px")
        )
        sensitivity = pixels.sensitivity_at(where, x_px, y_px, sigma_px, box_px)
        fitted["relative_sensitivity"] = sensitivity.astype(np.float64)
    for name in ("photons", "background"):
        fitted[name] = fitted[name] * fitted["relative_sensitivity"]


def _as_float32(fitted: Mapping[str, npt.NDArray[Any]]) -> _Spots:
    """Return the quantities in single precision."""
    return {name: values.astype(np.float32) for name, values in fitted.items()}
