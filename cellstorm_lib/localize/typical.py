"""What lone spots of a recording look like: how wide, and how well a Gaussian explains them.

On a camera's own frames the misfit of a spot is that of photon noise. A codec smooths the noise
and leaves edges of its own, so that the misfit is smaller here and larger there: what is usual,
and how much it scatters, is measured on spots that are alone for sure.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.localize.fit import JudgedFits, fit_and_judge
from cellstorm_lib.localize.fit_settings import FitSettings
from cellstorm_lib.localize.pixels import PixelResponse
from cellstorm_lib.localize.search import Candidates

#: A spot is alone when no other candidate lies nearer along both axes.
_ALONE_PX = 9
#: Only spots of which the place is known so well are looked at.
_SURE_PX = 0.2
#: Fewer spots tell nothing.
LEAST_SPOTS = 30
#: Without saturated pixels, if there are so many.
_ENOUGH_SPOTS = 100
#: Spots with a misfit above the median by more standard deviations than this may be several.
_SINGLE = 2.0
#: Spots of which the widths differ by more than this share have no common width.
_MOST_SPREAD = 0.25
_MAD_TO_SIGMA = 1.4826
#: Of the spots of a crowd, so many are taken to be narrow by nature, and so many to be single.
_BEST_SHARE, _SINGLE_SHARE = 0.2, 0.02
_PARAMETERS = 5
#: The misfit of frames without noise is that of the arithmetic.
_LEAST_DEVIANCE = 5e-3
#: Nor is that of faint spots less than this share of the fainter half's.
_LEAST_SHARE = 0.3
#: Growth with light is believed when the halves differ by so many standard errors, and in light by
#: this factor.
_CERTAIN, _LEAST_RANGE = 3.0, 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class TypicalSpot:
    """What lone spots of a recording look like.

    Attributes
    ----------
    sigma_px : float
        Their width.
    deviance : float
        Log-likelihood ratio by degrees of freedom of faint ones: 1 where the noise is the camera's.
    deviance_per_photon : float
        By how much it grows with the light: 0 where spots have the shape of a Gaussian.
    scatter : float
        Standard deviation of that by what photon noise alone would give; at least 1.
    count : int
        How many there were.
    """

    sigma_px: float
    deviance: float
    scatter: float
    count: int
    deviance_per_photon: float = 0.0

    def usual_ratio(
        self, photons: npt.NDArray[np.float32], pixel_count: int, surprise: float
    ) -> npt.NDArray[np.float32]:
        """Return the log-likelihood ratio of lone spots that are worse than usual by so much.

        Parameters
        ----------
        photons : (M,) float32
            Photoelectrons of the spots.
        pixel_count : int
            Pixels of their boxes.
        surprise : float
            Standard deviations above the mean.
        """
        freedom = pixel_count - _PARAMETERS
        factor = freedom + surprise * self.scatter * np.sqrt(2.0 * freedom)
        usual = self.deviance + self.deviance_per_photon * photons
        return np.asarray(factor * usual, np.float32)


def typical_spot(
    frames: npt.NDArray[Any],
    candidates: Candidates,
    calibration: CameraCalibration,
    settings: FitSettings,
    pixels: PixelResponse | None = None,
    *,
    is_crowded: bool = False,
) -> TypicalSpot | None:
    """Measure the lone spots in a sample of a recording's frames.

    Parameters
    ----------
    frames : (N, Y, X) uint8 or uint16
        The sample, grey values.
    candidates : Candidates
        What was found in it.
    calibration, settings, pixels
        As in `fit_candidates`.
    is_crowded : bool
        Whether no spot is alone for sure: those that a single spot explains best then stand for
        lone ones. Only for frames whose noise is the camera's.

    Returns
    -------
    TypicalSpot or None
        None when fewer than 30 lone spots were found, or when their widths have little in common
        and none was given.
    """
    found = fit_and_judge(frames, candidates, calibration, settings, pixels)
    if is_crowded:
        return _best_explained(found, settings)
    sure = _sure(found)
    if np.count_nonzero(sure) < LEAST_SPOTS:
        return None
    freedom = settings.box_px**2 - _PARAMETERS
    ratio, photons = (found.spots[name][sure] for name in ("log_likelihood_ratio", "photons"))
    deviance, per_photon = _deviance_by_light(ratio / freedom, photons)
    relative = ratio / freedom / (deviance + per_photon * photons)
    usual, deviation = _median_and_deviation(relative)
    sigma_px, spread_px = _median_and_deviation(
        found.spots["sigma_px"][sure][relative <= usual + _SINGLE * deviation]
    )
    if settings.common_sigma_px is not None:
        sigma_px = settings.common_sigma_px
    elif spread_px > _MOST_SPREAD * sigma_px:
        return None
    return TypicalSpot(
        sigma_px=sigma_px,
        deviance=deviance,
        deviance_per_photon=per_photon,
        scatter=max(1.0, deviation * float(np.sqrt(0.5 * freedom))),
        count=int(np.count_nonzero(sure)),
    )


def _best_explained(found: JudgedFits, settings: FitSettings) -> TypicalSpot | None:
    """Return what a spot looks like by those of a crowd that a single one explains best."""
    sigma_px = found.spots["sigma_px"]
    known = (found.reason == 0) & (found.spots["variance_x"] < _SURE_PX**2)
    known &= sigma_px != np.float32(settings.sigma_px)  # what is so was given up, or not fitted
    if np.count_nonzero(known) < LEAST_SPOTS:
        return None
    freedom = settings.box_px**2 - _PARAMETERS
    deviance = found.spots["log_likelihood_ratio"][known] / freedom
    best = deviance <= np.quantile(deviance, _BEST_SHARE)
    width_px = settings.common_sigma_px or float(np.median(sigma_px[known][best]))
    usual = max(float(np.quantile(deviance, _SINGLE_SHARE)), 1.0)
    return TypicalSpot(sigma_px=width_px, deviance=usual, scatter=1.0, count=int(best.sum()))


def _deviance_by_light(
    deviance: npt.NDArray[np.floating], photons: npt.NDArray[np.floating]
) -> tuple[float, float]:
    """Return the usual deviance of spots without light, and by how much it grows with it.

    From the medians of the fainter and the brighter half. It is not taken to fall, nor to grow
    where light differs little or the growth may be chance.
    """
    usual, deviation = _median_and_deviation(deviance)
    is_bright = photons > np.median(photons)
    if not is_bright.any():
        return max(usual, _LEAST_DEVIANCE), 0.0
    low, high = (float(np.median(deviance[half])) for half in (~is_bright, is_bright))
    faint, bright = (float(np.median(photons[half])) for half in (~is_bright, is_bright))
    # standard error of the difference of two medians of half the spots each
    chance = _CERTAIN * 1.2533 * 2.0 * deviation / float(np.sqrt(len(deviance)))
    if bright < _LEAST_RANGE * faint or high - low < chance:
        return max(usual, _LEAST_DEVIANCE), 0.0
    per_photon = (high - low) / (bright - faint)
    dark = usual - per_photon * float(np.median(photons))
    return max(dark, _LEAST_SHARE * low, _LEAST_DEVIANCE), per_photon


def _sure(found: JudgedFits) -> npt.NDArray[np.bool_]:
    """Return which spots are alone and known well; without saturated ones, if enough are left."""
    if not len(found.rows):
        return np.zeros(0, np.bool_)
    sure = (found.reason == 0) & (found.spots["variance_x"] < _SURE_PX**2)
    index, row, column = found.where
    sure &= _alone(index, row, column, _ALONE_PX)
    in_range = sure & (found.spots["out_of_range_px"] == 0)
    return np.asarray(in_range if np.count_nonzero(in_range) >= _ENOUGH_SPOTS else sure)


def _median_and_deviation(values: npt.NDArray[np.floating]) -> tuple[float, float]:
    """Return the median, and the standard deviation told by the median deviation from it."""
    middle = float(np.median(values))
    return middle, _MAD_TO_SIGMA * float(np.median(np.abs(values - middle)))


@njit(cache=True, nogil=True)
def _alone(index: Any, row: Any, column: Any, reach_px: Any) -> Any:
    """Return which spots, by frame and in reading order, have no other so near along both axes."""
    alone = np.ones(len(index), np.bool_)
    for i in range(len(index)):
        for j in range(i + 1, len(index)):
            if index[j] != index[i] or row[j] - row[i] > reach_px:
                break
            if abs(column[j] - column[i]) <= reach_px:
                alone[i] = alone[j] = False
    return alone
