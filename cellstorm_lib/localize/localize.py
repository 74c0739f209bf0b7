"""From frames to a table of molecules: detection and fit of a whole recording."""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.errors import CalibrationError, RecordingError, SettingsError
from cellstorm_lib.localize.columns import Columns, columns_of_spots, table_of
from cellstorm_lib.localize.copies import with_copy_ages
from cellstorm_lib.localize.denoised import (
    candidates_to_the_edge,
    denoised_camera,
    detect_denoised,
    fit_denoised,
)
from cellstorm_lib.localize.detect import DetectSettings
from cellstorm_lib.localize.detector import Detector, make_detector
from cellstorm_lib.localize.fit import fit_candidates
from cellstorm_lib.localize.fit_settings import FitSettings
from cellstorm_lib.localize.judge import REJECTIONS
from cellstorm_lib.localize.pixels import cropped_to_frames
from cellstorm_lib.localize.threshold import take_sample
from cellstorm_lib.recording import FrameChunk, FrameSource
from cellstorm_lib.tables import FieldOfView, Localizations
from cellstorm_lib.threads import in_order

_CHUNK_PX = 1 << 23


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalizeSettings:
    """How molecules are found and fitted.

    Attributes
    ----------
    detect : DetectSettings
        Where a frame may hold molecules.
    fit : FitSettings
        How they are fitted, and which fits are believed.
    """

    detect: DetectSettings = field(
        default_factory=DetectSettings, metadata={"about": "where a frame may hold molecules"}
    )
    fit: FitSettings = field(default_factory=FitSettings, metadata={"about": "how they are fitted"})


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalizeReport:
    """What was found in a recording, and what was left out and why.

    Attributes
    ----------
    frames : int
        Frames looked at.
    localizations : int
        Rows of the table.
    candidates : int
        Maxima above the threshold.
    rejected : mapping
        Candidates that are not in the table, by reason.
    threshold_photons, threshold_adu : float
        Threshold of the band-passed image, photoelectrons and grey values; the median when it
        differs from frame to frame.
    expected_false_per_frame : float
        False detections to be expected in a frame of this size.
    noise_photons : float
        Standard deviation of the band-passed image between the spots, photoelectrons.
    threshold_mode : str
        ``automatic``, ``given``, or the expression.
    sampled_frames : int
        Frames on which the threshold was found.
    tainted_frames : int
        Frames that may be wrong because of damage in the file; they are localized too.
    spots_out_of_range : int
        Rows with pixels in which the camera was saturated or not linear, see
        ``out_of_range_px``.
    pixels_out_of_range : int
        Those pixels, all rows together.
    frames_per_second : float
        Speed, by the clock.
    """

    frames: int
    localizations: int
    candidates: int
    rejected: Mapping[str, int]
    threshold_photons: float = 0.0
    threshold_adu: float = 0.0
    expected_false_per_frame: float = 0.0
    noise_photons: float = 0.0
    threshold_mode: str = "automatic"
    sampled_frames: int = 0
    tainted_frames: int = 0
    spots_out_of_range: int = 0
    pixels_out_of_range: int = 0
    frames_per_second: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Part:
    """What was found in one chunk."""

    columns: Columns
    frames: int
    tainted_frames: int
    candidates: int
    rejected: Mapping[str, int]


def localize(
    source: FrameSource,
    calibration: CameraCalibration,
    *,
    pixel_size_nm: float,
    settings: LocalizeSettings | None = None,
    progress: Callable[[int, int], None] | None = None,
    threads: int | None = None,
) -> tuple[Localizations, LocalizeReport]:
    """Find and fit the molecules in every frame of a recording.

    The calling thread reads; other threads work. Neither their number nor the way the frames
    are read changes the result. A spot that cannot be fitted is counted, not an error.

    Parameters
    ----------
    source : FrameSource
        The frames.
    calibration : CameraCalibration
        The camera. Its pixel maps, if any, are of the full frame or of the region that is read.
        Stacks that hold photons already (written by ``cellstorm denoise``) bring their own.
    pixel_size_nm : float
        Object-side size of a camera pixel.
    settings : LocalizeSettings, optional
        How molecules are found and fitted.
    progress : callable, optional
        Called with the frames done and all frames.
    threads : int, optional
        Threads that work; by default as many as there are processors.

    Returns
    -------
    Localizations
        One row per spot, in frame order and in reading order within a frame. Photons are as
        detected; with a flat field, the column ``relative_sensitivity`` is what to divide them
        by to compare spots across the field.
    LocalizeReport
        What was found and what was left out.

    Raises
    ------
    SettingsError
        When `pixel_size_nm`, `threads` or the threshold's expression is impossible.
    RecordingError
        When the frames are smaller than the box that is fitted.
    CalibrationError
        When the grey values are beyond what the calibrated camera can give, or its pixel maps
        are those of other frames.
    """
    settings = settings or LocalizeSettings()
    thread_count = (os.cpu_count() or 1) if threads is None else threads
    if not (np.isfinite(pixel_size_nm) and pixel_size_nm > 0):
        raise SettingsError(f"pixel_size_nm must be above 0, got {pixel_size_nm}")
    if thread_count < 1:
        raise SettingsError(f"threads must be 1 or more, got {thread_count}")
    if source.facts.is_denoised:
        settings = replace(settings, fit=fit_denoised(settings.fit))
    _refuse_small_frames(source, settings.fit.box_px)
    began = time.perf_counter()
    sample = take_sample(source)
    camera = _camera_of(source, calibration, sample.frames)
    detect = settings.detect
    if source.facts.is_denoised:
        detect = detect_denoised(detect, camera.photoelectrons(sample.frames))
    detector = make_detector(sample, camera, detect)
    parts = []
    done, total = 0, len(source.frame_range)
    work = partial(
        _localize_chunk,
        source=source,
        detector=detector,
        settings=settings.fit,
        pixel_size_nm=pixel_size_nm,
    )
    for part in _worked_off(source, work, thread_count):
        parts.append(part)
        done += part.frames
        if progress is not None:
            progress(done, total)
    table = Localizations(
        data=table_of(
            [part.columns for part in parts],
            has_flat_field=detector.pixels is not None and detector.pixels.has_flat_field,
        ),
        field=FieldOfView(
            width_px=source.facts.roi.width_px,
            height_px=source.facts.roi.height_px,
            pixel_size_nm=pixel_size_nm,
            frame_count=source.frame_range.stop,
            roi_x_px=source.facts.roi.x_px,
            roi_y_px=source.facts.roi.y_px,
        ),
    )
    out_of_range_px = table.column("out_of_range_px")
    rejected: Counter[str] = Counter(dict.fromkeys(REJECTIONS, 0))
    for part in parts:
        rejected.update(part.rejected)
    mode = settings.detect.threshold if settings.detect.threshold_photons is None else "given"
    return table, LocalizeReport(
        frames=done,
        localizations=len(table),
        candidates=sum(part.candidates for part in parts),
        rejected=dict(rejected),
        threshold_photons=detector.threshold_photons,
        threshold_adu=detector.threshold_adu,
        expected_false_per_frame=detector.expected_false_per_frame,
        noise_photons=detector.noise_photons,
        threshold_mode=mode,
        sampled_frames=len(sample.frames),
        tainted_frames=sum(part.tainted_frames for part in parts),
        spots_out_of_range=int(np.count_nonzero(out_of_range_px)),
        pixels_out_of_range=int(out_of_range_px.sum()),
        frames_per_second=done / max(time.perf_counter() - began, 1e-9),
    )


def _worked_off(
    source: FrameSource, work: Callable[..., _Part], thread_count: int
) -> Iterator[_Part]:
    """Return what was found in each chunk, in order; only a few chunks are held at a time."""
    roi = source.facts.roi
    size = int(np.clip(_CHUNK_PX // (roi.width_px * roi.height_px), 1, 512))
    return in_order(
        lambda chunk_and_ages: work(*chunk_and_ages),
        with_copy_ages(source.chunks(size), source.facts),
        threads=thread_count,
        most_ahead=thread_count + 1,
    )


def _localize_chunk(
    chunk: FrameChunk,
    copy_ages: npt.NDArray[np.int32] | None,
    *,
    source: FrameSource,
    detector: Detector,
    settings: FitSettings,
    pixel_size_nm: float,
) -> _Part:
    """Find and fit the molecules of some frames."""
    if source.facts.is_denoised:
        candidates = candidates_to_the_edge(detector, chunk.frames, settings.box_px)
    else:
        candidates = detector.candidates(chunk.frames)
    fits = fit_candidates(chunk.frames, candidates, detector.calibration, settings, detector.pixels)
    return _Part(
        columns=columns_of_spots(
            chunk,
            candidates,
            fits,
            pixel_size_nm=pixel_size_nm,
            copy_ages=copy_ages,
            roi=source.facts.roi,
        ),
        frames=len(chunk.frames),
        tainted_frames=int(chunk.is_tainted.sum()),
        candidates=len(candidates),
        rejected=fits.rejected,
    )


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
