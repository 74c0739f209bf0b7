"""How denoised frames are searched and fitted: there is no noise in them to measure.

What a network leaves is the light it believes in: of a molecule it doubts, a part. So a spot much
fainter than molecules usually are in this recording is one that probably is not there. A threshold
that knew nothing else would be a share of their brightness, between limits; neither the noise floor
nor what stands still says anything. With it, and with what is in the frames before and after, the
spots of a loose search are judged one by one.

The errors of the spots do not grow with their light as photon noise does; the fit therefore weighs
the pixels nearly alike. And as there is no background to be learnt from the pixels around a spot,
they are left to its neighbours.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import uniform_filter

from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.localize.denoised_traits import DenoisedLevel
from cellstorm_lib.localize.detect import DetectSettings
from cellstorm_lib.localize.detector import Detector
from cellstorm_lib.localize.extrema import find_extrema
from cellstorm_lib.localize.filters import wavelet_band
from cellstorm_lib.localize.fit_settings import FitSettings
from cellstorm_lib.localize.noise_floor import REFERENCE_AREA_PX
from cellstorm_lib.localize.search import Candidates

#: Photoelectrons of a spot that is sure, and limits of the threshold. They and the share were
#: chosen on the benchmark films.
SURE_PHOTONS, MOST_PHOTONS = 100.0, 120.0
#: The lower limit where molecules are many and a few false ones do not matter.
LEAST_PHOTONS = 70.0
#: Photoelectrons for each one of the height in the band-passed image, of spots 0.85 px wide.
_USUAL_PER_HEIGHT = 18.0
#: Height from which on a search finds what is judged one by one: 29 photoelectrons.
LOOSE_THRESHOLD = 1.6
_MANY_PER_FRAME = 1.0
_SHARE = 0.45
#: Photoelectrons RMS that each pixel of a denoised frame is taken to be off: with it, the stated
#: uncertainties are about right.
_PIXEL_ERROR_E = 6.0
_BOX_PX, _MAX_SIGMA_PX = 5, 2.5
#: Darkness put around a frame, so that a spot at its edge is a maximum like any other.
_MARGIN_PX = 4


def detect_denoised(settings: DetectSettings, level: DenoisedLevel) -> DetectSettings:
    """Return the settings of the search with the threshold that suits denoised frames.

    It is a loose one where spots are judged one by one afterwards. A threshold that was asked for,
    as a number or as an expression, is kept.
    """
    if not settings.is_automatic:
        return settings
    suits = LOOSE_THRESHOLD if level.is_sharp else level.threshold_photons
    return replace(settings, threshold_photons=suits)


def denoised_level(sample_e: npt.NDArray[np.float32], photons_per_adu: float) -> DenoisedLevel:
    """Return what the spots of denoised frames are compared with.

    The threshold is 0.45 of the median of the spots that are sure (above 100 photoelectrons), but
    at most 120 photoelectrons, and at least 70 where there are many sure ones (one in 256 x 256
    pixels of a frame), 100 where there are few. How high a spot of so many photoelectrons stands
    depends on how wide the network makes it, and is measured.

    Parameters
    ----------
    sample_e : (N, Y, X) float32
        Some denoised frames, photoelectrons.
    photons_per_adu : float
        Photoelectrons per value of the stack.
    """
    heights, lights = [np.empty(0, np.float32)], [np.empty(0, np.float32)]
    for frame in sample_e:
        found = find_extrema(wavelet_band(frame[None]), follows=np.zeros(1, np.bool_))
        around = uniform_filter(frame, _BOX_PX, mode="constant") * np.float32(_BOX_PX**2)
        heights.append(found.height)
        lights.append(around[found.row, found.column])
    height, light = np.concatenate(heights), np.concatenate(lights)
    per_height = _USUAL_PER_HEIGHT
    if (light >= SURE_PHOTONS).any():
        per_height = float(np.median((light / height)[light >= SURE_PHOTONS]))
    photons = per_height * height
    sure = photons[photons >= SURE_PHOTONS]
    usual = float(np.median(sure)) if len(sure) else SURE_PHOTONS
    is_rare = len(sure) * REFERENCE_AREA_PX <= _MANY_PER_FRAME * sample_e.size
    threshold = (
        SURE_PHOTONS if is_rare else float(np.clip(_SHARE * usual, LEAST_PHOTONS, MOST_PHOTONS))
    )
    return DenoisedLevel(
        photons_per_adu=photons_per_adu,
        photons_per_height=per_height,
        threshold_photons=threshold / per_height,
        usual_photons=usual / per_height,
        sure_spots=len(sure),
    )


def fit_denoised(settings: FitSettings) -> FitSettings:
    """Return the settings of the fit that suit denoised frames, unless some were asked for."""
    if settings != FitSettings():
        return settings
    return replace(settings, box_px=_BOX_PX, max_sigma_px=_MAX_SIGMA_PX)


def candidates_to_the_edge(detector: Detector, frames: npt.NDArray[Any], box_px: int) -> Candidates:
    """Return the maxima of denoised frames, also those at the edge.

    Parameters
    ----------
    detector : Detector
        How candidates are found.
    frames : (N, Y, X) uint16
        Denoised frames.
    box_px : int
        Side of the box that is fitted: candidates nearer to the edge than half of it are moved
        inside, for no background has to be learnt from all around a spot.
    """
    shape, margin = frames.shape[1:], (_MARGIN_PX, _MARGIN_PX)
    found = detector.candidates(np.pad(frames, ((0, 0), margin, margin)))
    found = found.moved(-_MARGIN_PX, -_MARGIN_PX)
    # what has its maximum outside of the frame is a molecule outside
    inside = found.take(found.rows_inside(shape, detector.border_px))
    return inside.clipped(shape, box_px // 2)


def denoised_camera(name: str, photons_per_adu: float) -> CameraCalibration:
    """Return the camera that denoised frames may be thought to come from."""
    return CameraCalibration(
        name="denoised",
        source=name,
        offset_adu=0.0,
        gain_e_per_adu=photons_per_adu,
        read_noise_e=_PIXEL_ERROR_E,
        bit_depth=32,
    )
