"""What must be true of bright and dark series before a camera is measured with them."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from cellstorm_lib.calibrate.codec_gate import may_be_calibrated
from cellstorm_lib.calibrate.linear_range import saturation_level
from cellstorm_lib.calibrate.pixel_statistics import PixelStatistics, check_count, usable_count
from cellstorm_lib.errors import CalibrationError
from cellstorm_lib.recording import FrameSource, RecordingFacts

KeyFrameQp = Callable[[FrameSource], float | None]

_LEAST_SIDE_PX = 32
_MOST_CUT_SHARE = 0.4
_MOST_SATURATED_SHARE = 0.5


def check_series(
    bright: Sequence[FrameSource], dark: Sequence[FrameSource], *, name: str, least_frames: int
) -> None:
    """Check what can be known without looking at a pixel.

    Raises
    ------
    CalibrationError
        When series are missing, too short, of denoised frames, or not all of one camera with one
        setting.
    """
    if not bright:
        raise CalibrationError(
            f"{name} has no bright series, and gain cannot be measured in the dark; record at "
            f"least {least_frames} frames of a defocused object that does not move"
        )
    if not dark:
        raise CalibrationError(
            f"{name} has no dark series, and bright frames alone tell neither offset nor read "
            f"noise; record at least {least_frames} frames with the lens covered"
        )
    for source in [*bright, *dark]:
        facts = source.facts
        if facts.is_denoised or facts.photons_per_adu is not None:
            raise CalibrationError(
                f"{facts.name} holds denoised frames, which have lost the camera's noise; "
                "calibrate with frames as the camera recorded them"
            )
        if min(facts.roi.width_px, facts.roi.height_px) < _LEAST_SIDE_PX:
            raise CalibrationError(
                f"{facts.name} has frames of {facts.roi.width_px} x {facts.roi.height_px} pixels, "
                f"but {_LEAST_SIDE_PX} x {_LEAST_SIDE_PX} are needed; record larger ones"
            )
        check_count(facts, usable_count(source), least_frames)
    _check_alike([source.facts for source in [*bright, *dark]])


def check_codec(
    source: FrameSource, statistics: Iterable[PixelStatistics], key_frame_qp: KeyFrameQp | None
) -> None:
    """Check that a video codec, if any, left enough of the noise.

    Parameters
    ----------
    source : FrameSource
        A series.
    statistics : iterable of PixelStatistics
        Of its planes.
    key_frame_qp : callable or None
        Gives the mean quantiser parameter of a video's key frames, or None where it is not known.

    Raises
    ------
    CalibrationError
        When it did not, or nobody can tell.
    """
    if not source.facts.is_video:
        return
    qp = key_frame_qp(source) if key_frame_qp is not None else None
    noise = min(float(np.median(plane.pooled_variance_adu2)) for plane in statistics)
    may_be, reason = may_be_calibrated(float(np.sqrt(noise)), qp)
    if not may_be:
        raise CalibrationError(
            f"the camera cannot be calibrated from this recording, {source.facts.name}, because "
            f"{reason}; use raw frames or a higher bit rate"
        )


def check_dark_levels(dark: PixelStatistics) -> None:
    """Check that dark frames show their noise.

    Raises
    ------
    CalibrationError
        When most of it is cut off, or there is none.
    """
    lowest, highest = dark.level_range
    share = dark.share_at(lowest)
    if lowest == highest or float(np.median(dark.pooled_variance_adu2)) <= 0.0:
        raise CalibrationError(
            f"the dark series {dark.name} shows no noise in most pixels, so it was cut off or "
            "removed; use raw frames, or set a black level at which dark frames show their noise"
        )
    if share > _MOST_CUT_SHARE:
        raise CalibrationError(
            f"the dark series {dark.name} is clipped: {share:.0%} of its grey values are {lowest}, "
            "and the noise below is lost; set a higher black level, or use raw frames"
        )


def check_bright_levels(bright: PixelStatistics) -> None:
    """Check that a bright series is neither saturated nor black.

    Raises
    ------
    CalibrationError
        When most of its grey values are.
    """
    top = saturation_level(bright.levels)
    if top is not None and bright.share_at(top) > _MOST_SATURATED_SHARE:
        raise CalibrationError(
            f"the bright series {bright.name} is saturated: {bright.share_at(top):.0%} of its grey "
            f"values are {top}; leave it out, or record it with less light"
        )
    if bright.share_at(0) > _MOST_CUT_SHARE:
        raise CalibrationError(
            f"the bright series {bright.name} is clipped: {bright.share_at(0):.0%} of its grey "
            "values are 0; record it with more light"
        )


def _check_alike(series: Sequence[RecordingFacts]) -> None:
    """Raise when two series differ in size, sensitivity, bit depth, mosaic or codec."""
    first = series[0]
    for facts in series[1:]:
        for what, one, other in (
            ("frame size", _size(first), _size(facts)),
            ("region", first.roi, facts.roi),
            ("bit depth", first.bit_depth, facts.bit_depth),
            ("ISO", first.iso, facts.iso),
            ("colour mosaic", first.details.get("mosaic"), facts.details.get("mosaic")),
            ("codec", _codec(first), _codec(facts)),
        ):
            if one != other and not (what == "ISO" and None in (one, other)):
                raise CalibrationError(
                    f"{first.name} and {facts.name} differ in {what}, {one} and {other}; bright "
                    "and dark series must come from one camera with one setting"
                )


def _size(facts: RecordingFacts) -> str:
    """Return the frame's size in words."""
    return f"{facts.frame_width_px} x {facts.frame_height_px}"


def _codec(facts: RecordingFacts) -> str | None:
    """Return the video standard; None for frames that were not compressed with loss."""
    return facts.kind if facts.is_video else None
