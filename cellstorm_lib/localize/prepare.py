"""What has to be known of a recording before its molecules are searched."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy.typing as npt

from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.errors import CalibrationError, RecordingError
from cellstorm_lib.localize.astigmatic import (
    check_depth,
    fit_candidates_in_depth,
    fit_settings_in_depth,
)
from cellstorm_lib.localize.denoised import (
    candidates_to_the_edge,
    denoised_camera,
    denoised_level,
    detect_denoised,
    fit_denoised,
)
from cellstorm_lib.localize.detect import DetectSettings
from cellstorm_lib.localize.detector import Detector, make_detector
from cellstorm_lib.localize.fit import Fits, fit_candidates
from cellstorm_lib.localize.fit_settings import FitSettings
from cellstorm_lib.localize.overlap import fit_overlapping
from cellstorm_lib.localize.pixels import cropped_to_frames
from cellstorm_lib.localize.search import Candidates
from cellstorm_lib.localize.threshold import take_sample
from cellstorm_lib.localize.typical import typical_spot
from cellstorm_lib.recording import FrameSource
from cellstorm_lib.z_calibration import ZCalibration

#: Box of spots in frames that no codec changed: all that their outermost light tells.
_STACK_BOX_PX = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalizeSettings:
    """How molecules are found and fitted.

    Attributes
    ----------
    detect : DetectSettings
        Where a frame may hold molecules.
    fit : FitSettings
        How they are fitted, and which fits are believed.
    z_calibration : ZCalibration or None
        How width tells height, for a microscope with a cylindrical lens; None for no z.
    """

    detect: DetectSettings = field(
        default_factory=DetectSettings, metadata={"about": "where a frame may hold molecules"}
    )
    fit: FitSettings = field(default_factory=FitSettings, metadata={"about": "how they are fitted"})
    z_calibration: ZCalibration | None = field(
        default=None, metadata={"about": "how width tells height; none: no z"}
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """How the frames of one recording are searched and fitted.

    Attributes
    ----------
    detector : Detector
        Finds candidates.
    settings : FitSettings
        Settings of the fit that suit these frames.
    fit : callable
        Fits candidates, as `fit_candidates` does.
    is_denoised : bool
        Whether the frames were denoised.
    is_selected : bool
        Whether spots that are probably no molecules are left out.
    sampled_frames : int
        Frames on which all this rests.
    """

    detector: Detector
    settings: FitSettings
    fit: Callable[..., Fits]
    is_denoised: bool
    is_selected: bool
    sampled_frames: int

    def candidates_and_fits(self, frames: npt.NDArray[Any]) -> tuple[Candidates, Fits]:
        """Search and fit some frames, (N, Y, X)."""
        detector = self.detector
        if self.is_denoised:
            candidates = candidates_to_the_edge(detector, frames, self.settings.box_px)
        else:
            candidates = detector.candidates(frames)
        fits = self.fit(frames, candidates, detector.calibration, self.settings, detector.pixels)
        return candidates, fits


def prepare(
    source: FrameSource,
    calibration: CameraCalibration,
    settings: LocalizeSettings,
    *,
    pixel_size_nm: float,
) -> Preparation:
    """Look at a sample of a recording and settle how it is searched and fitted.

    Spots of videos (whose bit rate is known) and of denoised frames are appraised one by one, and
    those that are probably no molecules are left out, unless a threshold was asked for; the search
    is a loose one then. Denoised spots that are as wide as the lens makes them are found by the
    threshold alone.

    Raises
    ------
    RecordingError
        When the frames are smaller than the box that is fitted.
    CalibrationError
        When the grey values are beyond what the calibrated camera can give, or its pixel maps
        are those of other frames; or when z cannot be told from these frames.
    SettingsError
        When the threshold's expression is impossible.
    """
    is_denoised, z = source.facts.is_denoised, settings.z_calibration
    bits_per_px = source.facts.bits_per_px if source.facts.is_video and z is None else None
    fit_settings = fit_denoised(settings.fit) if is_denoised else settings.fit
    is_stack = bits_per_px is None and z is None and not is_denoised
    if is_stack and fit_settings.box_px == FitSettings().box_px:
        fit_settings = replace(fit_settings, box_px=_STACK_BOX_PX)
    fit: Callable[..., Fits] = fit_candidates
    if z is not None:
        check_depth(z, source.facts, pixel_size_nm)
        fit_settings = fit_settings_in_depth(fit_settings, z)
        fit = partial(fit_candidates_in_depth, z=z, pixel_size_nm=pixel_size_nm)
    _refuse_small_frames(source, fit_settings.box_px)
    sample = take_sample(source)
    camera = _camera_of(source, calibration, sample.frames)
    detect = settings.detect
    if is_denoised:
        level = denoised_level(camera.photoelectrons(sample.frames), camera.gain_e_per_adu)
        detector = make_detector(sample, camera, detect_denoised(detect, level))
        if detect.is_automatic and level.is_sharp:
            detector = replace(detector, level=level)
    else:
        detector = make_detector(sample, camera, detect, bits_per_px=bits_per_px)
    is_selected = detector.level is not None and detect.is_automatic
    if z is None and fit_settings.max_emitters > 1:
        fit = _fit_of_crowds(sample.frames, camera, detector, fit_settings)
    return Preparation(
        detector=detector,
        settings=fit_settings,
        fit=fit,
        is_denoised=is_denoised,
        is_selected=is_selected,
        sampled_frames=len(sample.frames),
    )


def _fit_of_crowds(
    frames: npt.NDArray[Any],
    camera: CameraCalibration,
    detector: Detector,
    settings: FitSettings,
) -> Callable[..., Fits]:
    """Return the fit of spots that may overlap, if the sample tells what one spot looks like."""
    strict = detector
    if detector.level is not None:
        strict = replace(detector, threshold_photons=detector.level.threshold_photons)
    typical = typical_spot(
        frames,
        strict.candidates(frames),
        camera,
        settings,
        detector.pixels,
        is_crowded=detector.is_crowded,
    )
    return fit_candidates if typical is None else partial(fit_overlapping, typical=typical)


def _refuse_small_frames(source: FrameSource, box_px: int) -> None:
    """Raise when no spot's box fits into a frame."""
    roi = source.facts.roi
    if min(roi.width_px, roi.height_px) < box_px:
        raise RecordingError(
            f"{source.facts.name} has frames of {roi.width_px} x {roi.height_px} pixels, smaller "
            f"than the {box_px} x {box_px} pixels that are fitted; choose a larger region or a "
            "smaller box_px"
        )


def _camera_of(
    source: FrameSource, calibration: CameraCalibration, sample: npt.NDArray[Any]
) -> CameraCalibration:
    """Return the camera that made the frames, with the depth at which its pixels clip."""
    facts = source.facts
    if facts.is_denoised and facts.photons_per_adu is not None:
        return denoised_camera(facts.name, facts.photons_per_adu)
    if sample.size and sample.max() > calibration.saturation_adu:
        raise CalibrationError(
            f"{facts.name} has grey values up to {sample.max()}, but the camera "
            f"{calibration.name} was calibrated for {calibration.bit_depth} bits, up to "
            f"{calibration.saturation_adu:.0f}; give a calibration for {facts.bit_depth} bits"
        )
    calibration = cropped_to_frames(calibration, facts)
    return calibration.for_bit_depth(min(calibration.bit_depth, facts.bit_depth))
