"""Maximum-likelihood fit of an integrated Gaussian to every candidate."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.localize.blocks import QUANTITIES, fit_spots
from cellstorm_lib.localize.fit_settings import FitSettings
from cellstorm_lib.localize.judge import REJECTIONS, judge
from cellstorm_lib.localize.pixels import PixelResponse
from cellstorm_lib.localize.search import Candidates

#: Candidates nearer to the edge of a frame are not fitted, unless the box is smaller.
_EDGE_PX = 3
_NOT_BY_SPOT = ("rejected", "further", "added")


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
    further : mapping of (N,) float32 or int32
        Further columns of the table, by their names.
    added : int
        Spots that no candidate of their own led to: they stand in `rows` twice.
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
    further: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    added: int = 0

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.rows)

    def take(self, chosen: npt.NDArray[np.bool_], *, reason: str) -> Self:
        """Return the chosen ones; the others are counted as rejected for a reason."""
        names = [entry.name for entry in fields(self) if entry.name not in _NOT_BY_SPOT]
        return replace(
            self,
            rejected={**self.rejected, reason: int(np.count_nonzero(~chosen))},
            further={name: values[chosen] for name, values in self.further.items()},
            **{name: getattr(self, name)[chosen] for name in names},
        )


def fit_candidates(
    frames: npt.NDArray[Any],
    candidates: Candidates,
    calibration: CameraCalibration,
    settings: FitSettings,
    pixels: PixelResponse | None = None,
    *,
    fit: Callable[..., Mapping[str, npt.NDArray[np.float32]]] = fit_spots,
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
    fit : callable
        Fits the spots, as `fit_spots` does; what it returns besides is kept as ``further``.

    References
    ----------
    Smith et al., Nat. Methods 7, 373 (2010). doi:10.1038/nmeth.1449
    Huang et al., Nat. Methods 10, 653 (2013). doi:10.1038/nmeth.2488
    """
    return fit_and_judge(frames, candidates, calibration, settings, pixels, fit=fit).believed()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JudgedFits:
    """The fits of all candidates whose boxes lie in the frame, and what is thought of them.

    Attributes
    ----------
    rows : (M,) int64
        Which candidates they belong to.
    where : (3, M) int32
        Index of the frame, row and column of the pixel in the middle of each box.
    half_px : int
        Pixels on each side of it.
    spots : mapping of (M,) float32
        As `fit_spots` returns them.
    reason : (M,) int64
        As `judge` returns it.
    candidate_count : int
        All candidates, also those too near to the edge of the frame.
    """

    rows: npt.NDArray[np.int64]
    where: npt.NDArray[np.int32]
    half_px: int
    spots: Mapping[str, npt.NDArray[np.float32]]
    reason: npt.NDArray[np.int64]
    candidate_count: int

    @property
    def xy_px(self) -> npt.NDArray[np.float64]:
        """Positions from the corner of the frame, (2, M)."""
        corner = (self.where[[2, 1]] - self.half_px).astype(np.float64)
        return corner + np.stack([self.spots["x_px"], self.spots["y_px"]])

    def believed(self) -> Fits:
        """Return the fits that are believed, and count the others by reason."""
        counts = np.bincount(self.reason, minlength=len(REJECTIONS) + 1)[: len(REJECTIONS) + 1]
        rejected = dict(zip(REJECTIONS, map(int, counts[1:]), strict=True))
        rejected["border"] = self.candidate_count - len(self.rows)
        kept = self.reason == 0
        fitted = {name: values[kept] for name, values in self.spots.items()}
        x_px, y_px = self.xy_px[:, kept]
        return Fits(
            rows=self.rows[kept],
            x_px=x_px,
            y_px=y_px,
            photons=fitted["photons"],
            background=fitted["background"],
            sigma_px=fitted["sigma_px"],
            crlb_x_px=np.sqrt(fitted["variance_x"]),
            crlb_y_px=np.sqrt(fitted["variance_y"]),
            log_likelihood_ratio=fitted["log_likelihood_ratio"],
            out_of_range_px=fitted["out_of_range_px"].astype(np.int32),
            relative_sensitivity=fitted["relative_sensitivity"],
            rejected=rejected,
            further={name: values for name, values in fitted.items() if name not in QUANTITIES},
        )


def fit_and_judge(
    frames: npt.NDArray[Any],
    candidates: Candidates,
    calibration: CameraCalibration,
    settings: FitSettings,
    pixels: PixelResponse | None = None,
    *,
    fit: Callable[..., Mapping[str, npt.NDArray[np.float32]]] = fit_spots,
) -> JudgedFits:
    """Fit every candidate whose box lies in the frame, each alone; arguments as `fit_candidates`.

    A box that would reach beyond the edge by no more than one of 7 pixels would not is moved
    inside.
    """
    half = settings.box_px // 2
    pixels = PixelResponse.of(calibration) if pixels is None else pixels
    rows = candidates.rows_inside(frames.shape[1:], min(half, _EDGE_PX))
    inside = candidates.take(rows).clipped(frames.shape[1:], half)
    where = np.stack([inside.index, inside.row, inside.column])
    spots = fit(frames, where, inside.offset_px, calibration, settings, pixels)
    return JudgedFits(
        rows=rows,
        where=where,
        half_px=half,
        spots=spots,
        reason=judge(spots, where, settings),
        candidate_count=len(candidates),
    )
