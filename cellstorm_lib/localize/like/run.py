"""A whole recording, localized as another program would."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.errors import RecordingError, SettingsError
from cellstorm_lib.localize.like.picasso import spots_like_picasso
from cellstorm_lib.localize.like.rapidstorm import spots_like_rapidstorm
from cellstorm_lib.localize.like.settings import (
    LikeSettings,
    PicassoSettings,
    ThunderstormSettings,
    program_of,
    side_of,
)
from cellstorm_lib.localize.like.spots import REJECTIONS, LikeSpots
from cellstorm_lib.localize.like.thunderstorm import spots_like_thunderstorm
from cellstorm_lib.localize.localize import LocalizeReport, field_of
from cellstorm_lib.recording import FrameChunk, FrameSource
from cellstorm_lib.tables import COLUMNS, Localizations
from cellstorm_lib.threads import in_order, processor_count

_CHUNK_PX = 1 << 22


def localize_like(
    source: FrameSource,
    calibration: CameraCalibration,
    *,
    pixel_size_nm: float,
    settings: LikeSettings,
    progress: Callable[[int, int], None] | None = None,
    threads: int | None = None,
) -> tuple[Localizations, LocalizeReport]:
    """Find and fit the molecules of a recording as another program does, errors included.

    Parameters
    ----------
    source : FrameSource
        The frames.
    calibration : CameraCalibration
        Offset, gain and read noise; none of the programs looks at pixel maps.
    pixel_size_nm : float
        Object-side size of a camera pixel.
    settings : LikeSettings
        Of ThunderSTORM, Picasso or rapidSTORM: whose settings they are, that program is meant.
    progress : callable, optional
        Called with the frames done and all frames.
    threads : int, optional
        Threads that work; by default as many as there are processors for this process.

    Returns
    -------
    Localizations
        That program's columns, in our units and conventions.
    LocalizeReport
        What was found and what was left out.

    Raises
    ------
    SettingsError
        When `pixel_size_nm` or `threads` is impossible.
    RecordingError
        When the frames are smaller than the square that is fitted.
    """
    thread_count = processor_count() if threads is None else threads
    if not (np.isfinite(pixel_size_nm) and pixel_size_nm > 0):
        raise SettingsError(f"pixel_size_nm must be above 0, got {pixel_size_nm}")
    if thread_count < 1:
        raise SettingsError(f"threads must be 1 or more, got {thread_count}")
    _refuse_small_frames(source, settings, pixel_size_nm)
    began = time.perf_counter()

    def work(chunk: FrameChunk) -> tuple[FrameChunk, LikeSpots]:
        return chunk, _spots_of(chunk.frames, calibration, pixel_size_nm, settings)

    roi = source.facts.roi
    size = int(np.clip(_CHUNK_PX // (roi.width_px * roi.height_px), 1, 512))
    parts, done, candidates, tainted, total = [], 0, 0, 0, len(source.frame_range)
    rejected: Counter[str] = Counter(dict.fromkeys(REJECTIONS, 0))
    for chunk, spots in in_order(
        work, source.chunks(size), threads=thread_count, most_ahead=thread_count + 1
    ):
        parts.append({"frame": chunk.frame[spots.index], **spots.in_nm(pixel_size_nm)})
        rejected.update(spots.rejected)
        candidates += spots.candidates
        tainted += int(chunk.is_tainted.sum())
        done += len(chunk.frames)
        if progress is not None:
            progress(done, total)
    if not parts:
        empty = np.zeros((0, roi.height_px, roi.width_px), np.uint8)
        spots = _spots_of(empty, calibration, pixel_size_nm, settings)
        parts = [{"frame": spots.index, **spots.in_nm(pixel_size_nm)}]
    table = Localizations(data=_table_of(parts), field=field_of(source, pixel_size_nm))
    return table, LocalizeReport(
        frames=done,
        localizations=len(table),
        candidates=candidates,
        rejected=dict(rejected),
        tainted_frames=tainted,
        threshold_mode=f"like {program_of(settings)}",
        frames_per_second=done / max(time.perf_counter() - began, 1e-9),
    )


def _spots_of(
    frames: npt.NDArray[Any],
    calibration: CameraCalibration,
    pixel_size_nm: float,
    settings: LikeSettings,
) -> LikeSpots:
    """Return the spots of some frames as the program finds them whose settings are given."""
    if isinstance(settings, ThunderstormSettings):
        return spots_like_thunderstorm(frames, calibration, settings)
    if isinstance(settings, PicassoSettings):
        return spots_like_picasso(frames, calibration, settings)
    return spots_like_rapidstorm(frames, calibration, pixel_size_nm, settings)


def _table_of(parts: Sequence[Mapping[str, npt.NDArray[Any]]]) -> pd.DataFrame:
    """Return the parts of a recording as one table, with the types of our tables."""
    return pd.DataFrame(
        {
            name: np.concatenate([part[name] for part in parts]).astype(
                COLUMNS[name][0] if name in COLUMNS else np.float32
            )
            for name in parts[0]
        }
    )


def _refuse_small_frames(source: FrameSource, settings: LikeSettings, pixel_size_nm: float) -> None:
    """Raise when no square that is fitted lies in a frame."""
    roi, side = source.facts.roi, side_of(settings, pixel_size_nm)
    if min(roi.width_px, roi.height_px) < side:
        raise RecordingError(
            f"{source.facts.name} has frames of {roi.width_px} x {roi.height_px} pixels, smaller "
            f"than the {side} x {side} pixels that {program_of(settings)} fits; choose a larger "
            "region"
        )
