"""The threshold of a recording, found once, and the candidates above it, frame by frame."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.localize.detect import DetectSettings
from cellstorm_lib.localize.expression import check_expression, thresholds_by_expression
from cellstorm_lib.localize.search import Candidates, find_maxima
from cellstorm_lib.localize.threshold import FrameSample, calibrate_threshold


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
    expected_false_per_frame : float or None
        False detections to be expected in a frame; None where nothing is known about them.
    expression : str or None
        Evaluated frame by frame instead of the one number.
    border_px : int
        Edge of a frame in which nothing is searched.
    """

    calibration: CameraCalibration
    threshold_photons: float
    expected_false_per_frame: float | None
    expression: str | None = None
    border_px: int = 0

    @property
    def threshold_adu(self) -> float:
        """Threshold in grey values of the band-passed image."""
        return self.threshold_photons / self.calibration.gain_e_per_adu

    def candidates(self, frames: npt.NDArray[Any]) -> Candidates:
        """Return the maxima of each frame above its threshold."""
        if self.expression is None:
            thresholds_adu = np.full(len(frames), self.threshold_adu, np.float32)
        else:
            photons = thresholds_by_expression(
                self.expression, self.calibration.photoelectrons(frames)
            )
            thresholds_adu = photons / np.float32(self.calibration.gain_e_per_adu)
        found = find_maxima(frames, thresholds_adu)
        if self.border_px == 0:
            return found
        return found.take(found.rows_inside(frames.shape[1:], self.border_px))


def make_detector(
    sample: FrameSample, calibration: CameraCalibration, settings: DetectSettings
) -> Detector:
    """Find the threshold of a recording from a sample of its frames.

    Parameters
    ----------
    sample : FrameSample
        Frames spread over the recording.
    calibration : CameraCalibration
        Turns grey values into photoelectrons.
    settings : DetectSettings
        What is wanted.

    Raises
    ------
    SettingsError
        When the threshold is an expression that cannot be understood.
    """
    expression = None if settings.threshold == "automatic" else settings.threshold
    if expression is not None:
        check_expression(expression)
    photons = calibration.photoelectrons(sample.frames)
    if settings.threshold_photons is not None:
        expression = None
    if expression is not None:
        thresholds = thresholds_by_expression(expression, photons)
        threshold, expected = float(np.median(thresholds)) if len(thresholds) else 0.0, None
    else:
        found = calibrate_threshold(
            photons, settings=settings, frame=sample.frame, is_key=sample.is_key
        )
        threshold, expected = found.photons, found.expected_false_per_frame
    return Detector(
        calibration=calibration,
        threshold_photons=threshold,
        expected_false_per_frame=expected,
        expression=expression,
        border_px=settings.border_px,
    )
