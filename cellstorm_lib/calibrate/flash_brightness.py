"""Whether molecules are dimmer where the background is, as they must be when the light is."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import maximum_filter, uniform_filter

Floats = npt.NDArray[np.float64]

_SIDE_PX = 5
#: A flash must stand out of the noise by this many standard deviations even where it is dimmest.
_LEAST_OVER_NOISE = 6.0
_LEAST_FLASHES = 60
_TILES, _FOLDS = 8, 8
_EXPONENTS = np.linspace(-3.0, 5.0, 81)
_TO_SIGMA = 1.4826


@dataclass(frozen=True, slots=True, kw_only=True)
class BrightnessExponent:
    """How the brightness of molecules follows a surface: brightness ~ surface ** value.

    Attributes
    ----------
    value : float
        1 when the surface is that of the light, 0 when the light is even.
    error : float
        Its standard error.
    flash_count : int
        Molecules, each in one frame, it was measured on.
    """

    value: float
    error: float
    flash_count: int


def brightness_exponent(
    frames: npt.NDArray[Any], background_adu: Floats, surface: Floats
) -> BrightnessExponent | None:
    """Measure how the brightness of molecules follows a surface.

    Brightness is the sum over 5 x 5 pixels above the background. Molecules count from
    a threshold on that follows the surface with the same exponent, so that whatever the
    distribution of their brightness is, the same part of it is seen everywhere when the exponent
    is right; then what is seen does not depend on the place.

    Parameters
    ----------
    frames : (N, Y, X) uint8 or uint16
        Single frames, far enough apart that most molecules are new in each.
    background_adu : (Y, X) float64
        What they show without molecules.
    surface : (Y, X) float64
        The surface in question; above 0.

    Returns
    -------
    BrightnessExponent or None
        None when fewer than 60 molecules are bright enough, or no exponent from -3 to 5 fits.
    """
    relative = surface / surface.max()
    brightness, place, least_adu = _flashes(frames, background_adu)
    depth = np.log(relative.reshape(-1)[place])
    threshold_adu = least_adu / float(relative.min())
    rows, columns = np.divmod(place, surface.shape[1])
    fold = (rows * _TILES // surface.shape[0] + 3 * (columns * _TILES // surface.shape[1])) % _FOLDS
    value = _balanced(brightness, depth, threshold_adu)
    if value is None:
        return None
    parts = [
        _balanced(brightness[fold != part], depth[fold != part], threshold_adu)
        for part in range(_FOLDS)
    ]
    sound = np.array([part for part in parts if part is not None])
    if len(sound) < _FOLDS:
        return None
    seen = brightness * np.exp(-value * depth) > threshold_adu
    return BrightnessExponent(
        value=value,
        error=float(np.sqrt((_FOLDS - 1) / _FOLDS * np.square(sound - sound.mean()).sum())),
        flash_count=int(np.count_nonzero(seen)),
    )


def _flashes(
    frames: npt.NDArray[Any], background_adu: Floats
) -> tuple[Floats, npt.NDArray[np.int64], float]:
    """Return brightness and pixel number of the bright local maxima, and what bright means."""
    brightness, place, least = [np.zeros(0)], [np.zeros(0, np.int64)], 0.0
    for frame in frames:
        sums = uniform_filter(frame - background_adu, _SIDE_PX, mode="constant") * _SIDE_PX**2
        own_least = _LEAST_OVER_NOISE * _TO_SIGMA * float(np.median(np.abs(sums)))
        is_peak = (sums > own_least) & (sums == maximum_filter(sums, 2 * _SIDE_PX - 1))
        found = np.flatnonzero(is_peak)
        brightness.append(sums.reshape(-1)[found])
        place.append(found)
        least = max(least, own_least)
    return np.concatenate(brightness), np.concatenate(place), least


def _balanced(brightness: Floats, depth: Floats, threshold_adu: float) -> float | None:
    """Return the exponent with which what is seen does not depend on the place; None if none."""
    tilts = np.array([_tilt(brightness, depth, threshold_adu, value) for value in _EXPONENTS])
    falls = np.flatnonzero((tilts[:-1] > 0) & (tilts[1:] <= 0))
    if len(falls) != 1:
        return None
    at = falls[0]
    share = tilts[at] / (tilts[at] - tilts[at + 1])
    return float(_EXPONENTS[at] + share * (_EXPONENTS[at + 1] - _EXPONENTS[at]))


def _tilt(brightness: Floats, depth: Floats, threshold_adu: float, exponent: float) -> float:
    """Return how brightness less that of an exponent goes with depth; NaN where few are seen."""
    height = np.log(brightness / threshold_adu) - exponent * depth
    is_seen = height > 0
    if np.count_nonzero(is_seen) < _LEAST_FLASHES:
        return float("nan")
    place = depth[is_seen] - depth[is_seen].mean()
    return float(np.mean(place * height[is_seen]))
