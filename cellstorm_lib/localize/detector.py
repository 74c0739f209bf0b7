"""The threshold of a recording, found once, and the candidates above it, frame by frame."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.localize.crowded import camera_threshold
from cellstorm_lib.localize.detect import DetectSettings
from cellstorm_lib.localize.even import EvenPixels
from cellstorm_lib.localize.expression import check_expression, thresholds_by_expression
from cellstorm_lib.localize.pixels import PixelResponse
from cellstorm_lib.localize.search import Candidates, find_maxima
from cellstorm_lib.localize.threshold import FrameSample, calibrate_threshold
from cellstorm_lib.localize.traits import FilmLevel, Level

#: What is stated as the threshold when an expression gives none in any sampled frame.
_UNUSUAL_PHOTONS = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Detector:
    """How the candidates of a recording are found.

    Attributes
    ----------
    calibration : CameraCalibration
        Turns photoelectrons into grey values.
    threshold_photons : float
        Threshold in photoelectrons of the band-passed image; of an expression, its median over
        the sampled frames.
    expected_false_per_frame : float
        False detections to be expected in a frame.
    noise_photons : float
        Standard deviation of the band-passed image between the spots, photoelectrons.
    expression : str or None
        Evaluated frame by frame instead of the one number.
    border_px : int
        Edge of a frame in which nothing is searched.
    pixels : PixelResponse or None
        The camera's pixels, where they differ.
    even : EvenPixels or None
        How its frames are made even before the search.
    level : Level or None
        What its spots are compared with when they are appraised one by one; the threshold is
        then a loose one.
    is_crowded : bool
        Whether the frames are so crowded with spots that none is alone.
    """

    calibration: CameraCalibration
    threshold_photons: float
    expected_false_per_frame: float
    noise_photons: float
    expression: str | None = None
    border_px: int = 0
    pixels: PixelResponse | None = None
    even: EvenPixels | None = None
    level: Level | None = None
    is_crowded: bool = False

    @property
    def threshold_adu(self) -> float:
        """Threshold in grey values of the band-passed image."""
        return self.threshold_photons / self.calibration.gain_e_per_adu

    def candidates(self, frames: npt.NDArray[Any]) -> Candidates:
        """Return the maxima of each frame above its threshold."""
        grey: npt.NDArray[Any] = frames
        unit_e = self.calibration.gain_e_per_adu
        if self.even is not None:
            grey, unit_e = self.even.grey(frames), self.even.unit_e
        if self.expression is None:
            thresholds = np.full(len(frames), self.threshold_photons / unit_e, np.float32)
        else:
            light = _photoelectrons(frames, self.calibration, self.even)
            thresholds = thresholds_by_expression(self.expression, light) / np.float32(unit_e)
        found = find_maxima(grey, thresholds)
        if self.border_px == 0:
            return found
        return found.take(found.rows_inside(frames.shape[1:], self.border_px))


def make_detector(
    sample: FrameSample,
    calibration: CameraCalibration,
    settings: DetectSettings,
    *,
    bits_per_px: float | None = None,
) -> Detector:
    """Find the threshold of a recording from a sample of its frames.

    Parameters
    ----------
    sample : FrameSample
        Frames spread over the recording.
    calibration : CameraCalibration
        Turns grey values into photoelectrons; its maps, if any, have the size of the frames.
    settings : DetectSettings
        What is wanted; a given number goes before an expression, and that before the automatic
        threshold. What is expected of an expression is that of its median over the sample.
    bits_per_px : float, optional
        Of recordings whose spots are appraised one by one, what the codec spent (0 without one);
        the automatic threshold is then a loose one.

    Raises
    ------
    SettingsError
        When the threshold is an expression that cannot be understood.
    """
    pixels = PixelResponse.of(calibration)
    even = EvenPixels.of(pixels, calibration, sample.frames) if pixels is not None else None
    photons = _photoelectrons(sample.frames, calibration, even)
    expression = None
    if settings.threshold_photons is None and settings.threshold != "automatic":
        expression = settings.threshold
        check_expression(expression)
        thresholds = thresholds_by_expression(expression, photons)
        usable = thresholds[np.isfinite(thresholds) & (thresholds > 0)]
        usual = float(np.median(usable)) if len(usable) else _UNUSUAL_PHOTONS
        settings = replace(settings, threshold_photons=usual)
    found = calibrate_threshold(
        photons,
        settings=settings,
        frame=sample.frame,
        is_key=sample.is_key,
        camera_photons=camera_threshold(photons, calibration, settings.false_per_frame),
    )
    level = None
    if bits_per_px is not None:
        level = FilmLevel.of(
            sample,
            calibration,
            threshold_photons=found.photons,
            noise_photons=found.noise_photons,
            bits_per_px=bits_per_px,
        )
    is_loose = level is not None and settings.threshold_photons is None
    return Detector(
        calibration=calibration,
        threshold_photons=found.loose_photons if is_loose else found.photons,
        expected_false_per_frame=found.expected_false_per_frame,
        noise_photons=found.noise_photons,
        expression=expression,
        border_px=settings.border_px,
        pixels=pixels,
        even=even,
        level=level,
        is_crowded=found.is_crowded,
    )


def _photoelectrons(
    frames: npt.NDArray[Any], calibration: CameraCalibration, even: EvenPixels | None
) -> npt.NDArray[np.float32]:
    """Return photoelectrons as the search sees them."""
    return calibration.photoelectrons(frames) if even is None else even.photoelectrons(frames)
