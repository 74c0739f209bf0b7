"""Maximum-likelihood fit of an integrated Gaussian to every candidate."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.localize.blocks import fit_spots
from cellstorm_lib.localize.fit_settings import FitSettings
from cellstorm_lib.localize.judge import REJECTIONS, judge
from cellstorm_lib.localize.pixels import PixelResponse
from cellstorm_lib.localize.search import Candidates


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fits:
    """The fits that are believed, in the order of the candidates.

    Attributes
    ----------
    rows : (N,) int64
        Which candidates they belong to.
    x_px, y_px : (N,) float64
        Position; the outer corner of the frame's first pixel is 0, 0.
    photons, background, sigma_px : (N,) float32
        Photoelectrons of the spot and per pixel; standard deviation of the spot.
    crlb_x_px, crlb_y_px : (N,) float32
        Cramer-Rao bound, one standard deviation.
    log_likelihood_ratio : (N,) float32
        2 ln(saturated likelihood / fitted likelihood) over the pixels that count.
    out_of_range_px : (N,) int32
        Pixels of the box in which the camera was saturated or not linear.
    relative_sensitivity : (N,) float32
        Sensitivity of the pixels at the spot / mean of all pixels; 1 without a flat field.
    rejected : mapping
        How many candidates were left out, by reason.
    """

    rows: npt.NDArray[np.int64]
    x_px: npt.NDArray[np.float64]
    y_px: npt.NDArray[np.float64]
    photons: npt.NDArray[np.float32]
    background: npt.NDArray[np.float32]
    sigma_px: npt.NDArray[np.float32]
    crlb_x_px: npt.NDArray[np.float32]
    crlb_y_px: npt.NDArray[np.float32]
    log_likelihood_ratio: npt.NDArray[np.float32]
    out_of_range_px: npt.NDArray[np.int32]
    relative_sensitivity: npt.NDArray[np.float32]
    rejected: Mapping[str, int]

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.rows)


def fit_candidates(
    frames: npt.NDArray[Any],
    candidates: Candidates,
    calibration: CameraCalibration,
    settings: FitSettings,
    pixels: PixelResponse | None = None,
) -> Fits:
    """Fit every candidate whose box lies in the frame; leave out what cannot be believed.

    The photoelectrons of a pixel are Poisson distributed, and its read noise is taken into
    account as in Huang et al.: the variance is added to both data and model. With pixel maps
    each pixel has its own offset, gain and variance, and expects the light of spot and
    background times its own sensitivity, so that neither a noisy pixel nor the slope of a flat
    field moves a spot. Photons and background are stated as detected: times the sensitivity at
    the spot, by which they can be divided to compare them across the field.

    Parameters
    ----------
    frames : (N, Y, X) uint8 or uint16
        Grey values.
    candidates : Candidates
        Where to fit.
    calibration : CameraCalibration
        The camera. A pixel at its ``saturation_adu``, or at the end of its linear range, counts
        as at least that bright.
    settings : FitSettings
        Box, start and limits.
    pixels : PixelResponse, optional
        The camera's pixels, of the frames' size; made from the camera's maps when left out.

    References
    ----------
    Smith et al., Nat. Methods 7, 373 (2010). doi:10.1038/nmeth.1449
    Huang et al., Nat. Methods 10, 653 (2013). doi:10.1038/nmeth.2488
    """
    half = settings.box_px // 2
    pixels = PixelResponse.of(calibration) if pixels is None else pixels
    rows = candidates.rows_inside(frames.shape[1:], half)
    where = np.stack([candidates.index[rows], candidates.row[rows], candidates.column[rows]])
    spots = fit_spots(frames, where, candidates.offset_px[rows], calibration, settings, pixels)
    reason = judge(spots, where, settings)
    counts = np.bincount(reason, minlength=len(REJECTIONS) + 1)
    rejected = dict(zip(REJECTIONS, map(int, counts[1:]), strict=True))
    rejected["border"] = len(candidates) - len(rows)
    kept = reason == 0
    fitted = {name: values[kept] for name, values in spots.items()}
    return Fits(
        rows=rows[kept],
        x_px=fitted["x_px"] + (where[2, kept] - half).astype(np.float64),
        y_px=fitted["y_px"] + (where[1, kept] - half).astype(np.float64),
        photons=fitted["photons"],
        background=fitted["background"],
        sigma_px=fitted["sigma_px"],
        crlb_x_px=np.sqrt(fitted["variance_x"]),
        crlb_y_px=np.sqrt(fitted["variance_y"]),
        log_likelihood_ratio=fitted["log_likelihood_ratio"],
        out_of_range_px=fitted["out_of_range_px"].astype(np.int32),
        relative_sensitivity=fitted["relative_sensitivity"],
        rejected=rejected,
    )
