"""Which frames of a localized recording can be trusted to show what was found, and no more."""

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter, median_filter

from cellstorm_lib.pairs.localized_settings import LocalizedPairsSettings
from cellstorm_lib.recording import Roi
from cellstorm_lib.tables import Localizations

#: Why a frame may not be trained on; the order in which it is asked.
REASONS = ("damaged in the file", "spot copied by the codec", "doubtful spots", "unexplained light")
_GOOD, _DAMAGED, _COPIED, _DOUBTFUL, _UNEXPLAINED = range(5)

#: Percent of all spots below which the threshold of detection cannot be far.
_DIMMEST_PERCENT = 1.0
#: Widths, as a share of the median one, of spots that may be two, or none.
_WIDTHS = (0.6, 1.5)
#: Spots as far outside of a region still shine into it.
_REACH_PX = 3.0
#: By how much a fitted spot may differ from the light it stands for, as a share of it.
_SHAPE_ERROR = 0.2
#: This share of the pixels is within 2.576 standard deviations of normal noise.
_INNER_PERCENT, _INNER_SIGMAS = 99.0, 2.576


def doubtful_spots(spots: Localizations, settings: LocalizedPairsSettings) -> npt.NDArray[np.bool_]:
    """Return which spots may be noise, two molecules, or elsewhere, (M,) bool.

    Those near the threshold of detection, of an uncertain position, of an unlikely width, or
    with pixels in which the camera was saturated. Columns that a table lacks are not asked.
    """
    photons = spots.column("photons")
    if not len(spots):
        return np.zeros(0, bool)
    is_doubtful = photons < settings.near_threshold * np.percentile(photons, _DIMMEST_PERCENT)
    if "uncertainty_nm" in spots:
        limit_nm = settings.max_uncertainty_px * spots.field.pixel_size_nm
        is_doubtful |= spots.column("uncertainty_nm") > limit_nm
    if "sigma_nm" in spots:
        width = spots.column("sigma_nm") / np.median(spots.column("sigma_nm"))
        is_doubtful |= (width < _WIDTHS[0]) | (width > _WIDTHS[1])
    if "out_of_range_px" in spots:
        is_doubtful |= spots.column("out_of_range_px") > 0
    return np.asarray(is_doubtful, bool)


def judge_by_table(
    spots: Localizations,
    is_doubtful: npt.NDArray[np.bool_],
    region: Roi,
    settings: LocalizedPairsSettings,
) -> npt.NDArray[np.int64]:
    """Return for every frame 0 when the spots in and around a region can be trusted.

    Parameters
    ----------
    spots : Localizations
        All spots.
    is_doubtful : (M,) bool
        See `doubtful_spots`.
    region : Roi
        Part of the field that the table covers.
    settings : LocalizedPairsSettings
        What is trusted.

    Returns
    -------
    (N,) int64
        0, or 1 + the place of the reason in `REASONS`.
    """
    x_px, y_px = (spots.xy_nm / spots.field.pixel_size_nm).T
    x_px, y_px = x_px - region.x_px + _REACH_PX, y_px - region.y_px + _REACH_PX
    is_inside = (x_px >= 0) & (x_px < region.width_px + 2 * _REACH_PX)
    is_inside &= (y_px >= 0) & (y_px < region.height_px + 2 * _REACH_PX)
    frame, photons = spots.column("frame"), spots.column("photons")

    def light_of(chosen: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
        rows = is_inside & chosen
        light = np.bincount(frame[rows], photons[rows], minlength=spots.field.frame_count)
        return light.astype(np.float64)

    doubted, light = light_of(is_doubtful), light_of(np.ones(len(spots), bool))
    reason = np.where(doubted > settings.max_doubtful_share * light, _DOUBTFUL, _GOOD)
    if "is_copied" in spots:
        reason[light_of(spots.column("is_copied")) > 0] = _COPIED
    return reason.astype(np.int64)


def judge_by_film(
    reason: npt.NDArray[np.int64],
    is_tainted: npt.NDArray[np.bool_],
    film_e: npt.NDArray[np.float32],
    light_e: npt.NDArray[np.float32],
    *,
    sigma_px: float,
    settings: LocalizedPairsSettings,
) -> npt.NDArray[np.int64]:
    """Return the reasons of a clip's frames, those included that only the film can tell."""
    unexplained = unexplained_light(film_e, light_e, sigma_px=sigma_px)
    is_unexplained = (reason == _GOOD) & (unexplained > settings.max_unexplained)
    found = np.where(is_unexplained, _UNEXPLAINED, reason)
    return np.where(is_tainted, _DAMAGED, found)


def unexplained_light(
    film_e: npt.NDArray[np.float32], light_e: npt.NDArray[np.float32], *, sigma_px: float
) -> npt.NDArray[np.float64]:
    """Return by how much each frame differs from background and drawn light where it does most.

    A molecule that was missed, a fit that was rejected, a spot that is not there: all leave light
    of the size of a spot. The background is the median over the clip's frames, smoothed.

    Parameters
    ----------
    film_e : (T, Y, X) float32
        Filmed frames, photoelectrons.
    light_e : (T, Y, X) float32
        Drawn light.
    sigma_px : float
        Width of a spot.

    Returns
    -------
    (T,) float64
        In standard deviations of the noise, that of the light itself and its shape included.
    """
    rest = film_e - light_e
    window_px = 2 * int(np.ceil(3.0 * sigma_px)) + 1
    rest -= median_filter(np.median(rest, axis=0), size=window_px, mode="nearest")
    blur = (0.0, sigma_px, sigma_px)
    found, light = gaussian_filter(rest, blur), gaussian_filter(light_e, blur)
    noise = float(np.percentile(np.abs(found), _INNER_PERCENT)) / _INNER_SIGMAS
    agreed = np.maximum(np.minimum(light, light + found), 0.0)
    shot = agreed / (4.0 * np.pi * sigma_px**2)
    spread = np.sqrt(noise**2 + shot + (_SHAPE_ERROR * agreed) ** 2)
    score: npt.NDArray[np.float64] = (np.abs(found) / np.maximum(spread, 1e-6)).max(axis=(1, 2))
    return score


def changes_together(
    film_e: npt.NDArray[np.float32], light_e: npt.NDArray[np.float32], *, sigma_px: float
) -> npt.NDArray[np.float64]:
    """Return how much film and light change over a clip's frames, alone and together.

    Both are smoothed to the size of a spot, and taken relative to their mean over time.

    Returns
    -------
    (3,) float64
        Sums of film squared, light squared, and film times light; see `agreement_of`.
    """
    blur = (0.0, sigma_px, sigma_px)
    film, light = (
        gaussian_filter(one - one.mean(axis=0), blur).ravel().astype(np.float64)
        for one in (film_e, light_e)
    )
    return np.array([film @ film, light @ light, film @ light])


def agreement_of(changes: npt.NDArray[np.float64]) -> float:
    """Return the correlation of film and light from the sums of all clips; 0 without light."""
    scale = float(np.sqrt(changes[0] * changes[1]))
    return float(changes[2]) / scale if scale > 0 else 0.0
