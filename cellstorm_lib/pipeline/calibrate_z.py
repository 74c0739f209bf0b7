"""z calibrated with a stack of beads: beads found, fitted plane by plane, and the curves."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from cellstorm_lib.calibrate.astigmatism import (
    AstigmatismReport,
    AstigmatismSettings,
    calibrate_astigmatism,
)
from cellstorm_lib.calibrate.bead_places import BeadPlaces, find_beads
from cellstorm_lib.calibrate.defocus_curves import BeadWidths, joined_widths
from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.errors import CalibrationError
from cellstorm_lib.localize.astigmatic import fit_widths, refuse_denoised
from cellstorm_lib.localize.cut import end_of_range_adu
from cellstorm_lib.localize.fit_settings import FitSettings
from cellstorm_lib.localize.pixels import PixelResponse, cropped_to_frames
from cellstorm_lib.recording import FrameSource

#: The fit of a bead: a box wide enough for planes out of focus.
_FIT = FitSettings(box_px=15, sigma_px=1.8, max_steps=60)
_MOST_SHIFT_PX = 3.0
_LARGEST_WIDTH_PX = 4.5
#: A width with a larger error, as a share of it, tells nothing.
_LARGEST_ERROR = 0.15
_CHUNK_FRAMES = 16


def calibrate_z(
    source: FrameSource,
    calibration: CameraCalibration,
    *,
    pixel_size_nm: float,
    name: str,
    settings: AstigmatismSettings | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> AstigmatismReport:
    """Measure how width tells height, on a recording of beads while the stage moves in z.

    Parameters
    ----------
    source : FrameSource
        One frame, or `frames_per_plane` of them, for every plane.
    calibration : CameraCalibration
        The camera; its maps, if any, are of the full frame or of the region that is read.
    pixel_size_nm : float
        Object-side pixel.
    name : str
        What to call the calibration.
    settings : AstigmatismSettings, optional
        Distance of the planes, and what is demanded of the beads.
    progress : callable, optional
        Called with the frames done and all frames; each counts twice, as it is fitted twice.

    Raises
    ------
    CalibrationError
        When the recording was denoised, has too few planes or beads, or its beads do not tell z.
    """
    settings = settings or AstigmatismSettings()
    facts = source.facts
    refuse_denoised(facts)
    planes = len(source.frame_range) // settings.frames_per_plane
    if planes < settings.min_planes:
        raise CalibrationError(
            f"{facts.name} has {planes} planes, but {settings.min_planes} are needed at least; "
            "record 20 or more through the focus, about 20 nm apart"
        )
    calibration = cropped_to_frames(calibration, facts)
    if min(facts.roi.width_px, facts.roi.height_px) <= _FIT.box_px:
        raise CalibrationError(
            f"{facts.name} has frames of {facts.roi.width_px} x {facts.roi.height_px} pixels, too "
            "small for beads and their surroundings; record a larger region"
        )
    survey = _survey(source, calibration)
    places = find_beads(survey.mean_e, box_px=_FIT.box_px)
    places, saturated = _below_saturation(places, survey, calibration)
    left_out = {**places.left_out, "saturated": saturated}

    def calibrated(widths: BeadWidths, box_px: int) -> AstigmatismReport:
        report = calibrate_astigmatism(
            widths,
            name=name,
            source=facts.name,
            source_digest=facts.digest,
            pixel_size_nm=pixel_size_nm,
            settings=settings,
            left_out=left_out,
        )
        return replace(report, calibration=replace(report.calibration, box_px=box_px))

    # the box and the weights that suit the beads are known only when their widths and light are
    widths, photons = _widths(source, calibration, places, settings, _FIT, _part_of(progress, 0))
    box_px = replace(calibrated(widths, _FIT.box_px).calibration, box_px=None).suited_box_px
    fit = replace(_FIT, box_px=box_px)
    noisier = _with_noise(calibration, settings.background_share * photons)
    widths, _ = _widths(source, noisier, places, settings, fit, _part_of(progress, 1))
    return calibrated(widths, box_px)


def _part_of(
    progress: Callable[[int, int], None] | None, number: int
) -> Callable[[int, int], None] | None:
    """Return what tells the progress of the first or the second of two rounds."""
    if progress is None:
        return None
    return lambda done, total: progress(number * total + done, 2 * total)


def _with_noise(calibration: CameraCalibration, variance_e2: float) -> CameraCalibration:
    """Return the camera with more noise in every pixel, so that bright pixels count for less."""
    maps = calibration.maps
    if maps is not None and maps.read_variance_e2 is not None:
        variance = maps.read_variance_e2 + np.float32(variance_e2)
        maps = replace(maps, read_variance_e2=variance)
    read_noise_e = float(np.hypot(calibration.read_noise_e, np.sqrt(variance_e2)))
    return replace(calibration, read_noise_e=read_noise_e, maps=maps)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Survey:
    """Mean photoelectrons and largest grey value of every pixel, (Y, X) each."""

    mean_e: npt.NDArray[np.float64]
    highest_adu: npt.NDArray[np.int64]


def _survey(source: FrameSource, calibration: CameraCalibration) -> _Survey:
    """Read all frames once."""
    shape = source.facts.roi.height_px, source.facts.roi.width_px
    total, highest, count = np.zeros(shape), np.zeros(shape, np.int64), 0
    for chunk in source.chunks(_CHUNK_FRAMES):
        total += calibration.photoelectrons(chunk.frames).sum(axis=0, dtype=np.float64)
        highest = np.maximum(highest, chunk.frames.max(axis=0))
        count += len(chunk.frames)
    return _Survey(mean_e=total / max(count, 1), highest_adu=highest)


def _below_saturation(
    places: BeadPlaces, survey: _Survey, calibration: CameraCalibration
) -> tuple[BeadPlaces, int]:
    """Return the beads that stay within the camera's range in all planes, and how many do not."""
    half = _FIT.box_px // 2
    end_adu = end_of_range_adu(calibration)
    kept = np.array(
        [
            survey.highest_adu[row - half : row + half + 1, column - half : column + half + 1].max()
            < end_adu
            for row, column in zip(places.row, places.column, strict=True)
        ],
        bool,
    )
    inside = BeadPlaces(row=places.row[kept], column=places.column[kept], left_out=places.left_out)
    return inside, int(np.count_nonzero(~kept))


def _widths(
    source: FrameSource,
    calibration: CameraCalibration,
    places: BeadPlaces,
    settings: AstigmatismSettings,
    fit: FitSettings,
    progress: Callable[[int, int], None] | None,
) -> tuple[BeadWidths, float]:
    """Fit all beads in all planes; return their widths and the photons of a typical one."""
    pixels = PixelResponse.of(calibration)
    parts, photons = [], []
    first, done = source.frame_range.start, 0
    for chunk in source.chunks(_CHUNK_FRAMES):
        index = np.repeat(np.arange(len(chunk.frames), dtype=np.int32), len(places))
        bead = np.tile(np.arange(len(places)), len(chunk.frames))
        where = np.stack([index, places.row[bead], places.column[bead]]).astype(np.int32)
        fitted = fit_widths(chunk.frames, where, calibration, fit, pixels)
        plane = (chunk.frame[index] - first) // settings.frames_per_plane
        part = BeadWidths(
            bead=bead,
            stage_nm=np.asarray(plane * settings.z_step_nm, np.float64),
            sigma_px=np.stack([fitted["sigma_x_px"], fitted["sigma_y_px"]], 1).astype(float),
            error_px=np.sqrt(
                np.stack([fitted["variance_sigma_x"], fitted["variance_sigma_y"]], 1).astype(float)
            ),
        )
        is_believed = _are_believed(part, fitted, fit.box_px)
        parts.append(part.rows(is_believed))
        photons.append(fitted["photons"][is_believed])
        done += len(chunk.frames)
        if progress is not None:
            progress(done, len(source.frame_range))
    light = np.concatenate(photons)
    return joined_widths(parts), float(np.median(light)) if len(light) else 0.0


def _are_believed(
    widths: BeadWidths, fitted: Mapping[str, npt.NDArray[np.float32]], box_px: int
) -> npt.NDArray[np.bool_]:
    """Return which fits came to rest near the bead, with widths that are known."""
    shift_px = np.hypot(fitted["x_px"] - box_px / 2, fitted["y_px"] - box_px / 2)
    relative = (widths.error_px / widths.sigma_px).max(axis=1)
    checks = (
        fitted["is_active"] == 0,
        shift_px < _MOST_SHIFT_PX,
        widths.sigma_px.max(axis=1) < _LARGEST_WIDTH_PX,
        relative < _LARGEST_ERROR,
    )
    return np.asarray(np.logical_and.reduce(checks))
