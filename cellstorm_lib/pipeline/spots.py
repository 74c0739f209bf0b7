"""Spots of a recording, found in its frames as filmed or denoised."""

from dataclasses import asdict, replace
from pathlib import Path

from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.chunks import FAN_OUT_PX, MapChunks
from cellstorm_lib.errors import RecordingError
from cellstorm_lib.files import digest_of
from cellstorm_lib.localize.film_columns import with_columns_of_film
from cellstorm_lib.localize.localize import LocalizeReport, localize
from cellstorm_lib.pipeline.choice import calibration_for
from cellstorm_lib.pipeline.result import DenoiseReport
from cellstorm_lib.pipeline.settings import PipelineSettings
from cellstorm_lib.progress import Progress
from cellstorm_lib.recording import FrameSource
from cellstorm_lib.tables import Localizations
from cellstorm_lib.video.read import open_recording


def find_spots(
    source: FrameSource,
    calibration: CameraCalibration,
    pixel_size_nm: float,
    settings: PipelineSettings,
    *,
    progress: Progress | None = None,
    map_chunks: MapChunks | None = None,
    fan_out_px: int = FAN_OUT_PX,
) -> tuple[Localizations, LocalizeReport]:
    """Localize a recording and note in the table where it comes from."""
    spots, report = localize(
        source,
        calibration,
        pixel_size_nm=pixel_size_nm,
        settings=settings.localize,
        progress=progress,
        map_chunks=map_chunks,
        fan_out_px=fan_out_px,
    )
    origin = {
        "source": source.facts.name,
        "source_digest": source.facts.digest,
        "calibration": calibration.plain(),
        "calibration_digest": calibration.digest,
        "settings": asdict(settings.localize),
        "settings_digest": digest_of(settings.localize),
    }
    return spots.with_provenance(**origin), report


def find_denoised_spots(
    film: FrameSource,
    stack: Path,
    told: DenoiseReport,
    pixel_size_nm: float,
    settings: PipelineSettings,
    *,
    progress: Progress | None = None,
    map_chunks: MapChunks | None = None,
    fan_out_px: int = FAN_OUT_PX,
) -> tuple[Localizations, LocalizeReport]:
    """Localize a denoised stack; what the film knows of its spots is added to the table.

    Parameters
    ----------
    film : FrameSource
        The recording that was denoised.
    stack : Path
        The stack.
    told : DenoiseReport
        By which network.
    pixel_size_nm : float
        Object-side pixel size.
    settings : PipelineSettings
        As for the raw branch.
    progress : callable, optional
        Called with frames done and frames in all.
    map_chunks, fan_out_px
        Where pieces of the stack are worked on, and how large they are, as for `localize`.

    Raises
    ------
    RecordingError
        When the stack is damaged, or is not the one that the report tells of.
    """
    source = opened_stack(stack, told)
    calibration, _ = calibration_for(source, None)
    # a network does not keep the widths that tell z
    settings = replace(settings, localize=replace(settings.localize, z_calibration=None))
    spots, report = find_spots(
        source,
        calibration,
        pixel_size_nm,
        settings,
        progress=progress,
        map_chunks=map_chunks,
        fan_out_px=fan_out_px,
    )
    _refuse_missing(source)
    field = replace(spots.field, roi_x_px=film.facts.roi.x_px, roi_y_px=film.facts.roi.y_px)
    described = with_columns_of_film(replace(spots, field=field), film)
    origin = {
        "model": told.model,
        "model_digest": told.model_digest,
        "recording": film.facts.name,
        "recording_digest": film.facts.digest,
    }
    return described.with_provenance(**origin), report


def opened_stack(stack: Path, told: DenoiseReport) -> FrameSource:
    """Open a denoised stack, which must be the one that a report tells of.

    Raises
    ------
    RecordingError
        When it is missing or damaged, or another one.
    """
    source = open_recording(stack)
    facts = source.facts
    has_all = facts.is_denoised and facts.frame_count == told.frames
    if not has_all or facts.details.get("model_digest") != told.model_digest:
        raise RecordingError(
            f"{stack} is damaged or another than its report tells of; denoise the recording again"
        )
    return source


def _refuse_missing(source: FrameSource) -> None:
    """Raise when frames of a stack could not be read; of our own none is ever lost."""
    missing = source.loss().missing_count
    if missing:
        raise RecordingError(
            f"{source.facts.name} is damaged: {missing} of its frames cannot be read; denoise the "
            "recording again"
        )
