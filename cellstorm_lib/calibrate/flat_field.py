"""How much of even light reaches each place of the field: vignetting and the illumination."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cellstorm_lib.calibrate.falloff import (
    WORST_ERROR,
    how_followed,
    untold_share,
    why_not_even_light,
    why_not_followed,
    why_not_the_light,
)
from cellstorm_lib.calibrate.flash_brightness import brightness_exponent
from cellstorm_lib.calibrate.quiet_background import quiet_background_adu, spread_frames
from cellstorm_lib.calibrate.smooth_surface import Surface, block_levels, fit_surface
from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.errors import CalibrationError
from cellstorm_lib.progress import Progress, in_parts
from cellstorm_lib.recording import FrameSource, RecordingFacts

Floats = npt.NDArray[np.float64]

_LEAST_SIDE_PX = 64
_CHUNK_VALUES = 4_000_000
_MOST_SATURATED_SHARE = 0.01
_MOST_BEYOND_LINEAR_SHARE = 0.05
_LEAST_LIT_SHARE = 0.9
#: How far the offset of a video moves with the strength of its codec.
_CODEC_OFFSET_ADU = 0.3
_INTERVAL_ERRORS = 1.96


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FlatField:
    """Relative sensitivity of the places of a field, smooth; the pixels' own gain is no part of it.

    Attributes
    ----------
    relative_sensitivity : (Y, X) float32
        Signal under even light / mean over the field. For a colour mosaic each plane has mean 1.
    corner_share : float
        Mean of the four corners / centre.
    relative_error : float
        Standard error of the map, relative, root mean square over the field.
    origin : str
        What it was measured from.
    reason : str
        What limits it; empty when nothing does.
    """

    relative_sensitivity: npt.NDArray[np.float32]
    corner_share: float
    relative_error: float
    origin: str
    reason: str = ""


def flat_field_from_series(
    bright: Sequence[FrameSource],
    calibration: CameraCalibration,
    *,
    progress: Progress | None = None,
) -> FlatField:
    """Measure the flat field from frames of even light.

    The mean of all frames less the offset (the map of it, when the calibration has one) is
    followed by a smooth surface whose logarithm is a polynomial. Dust, scratches and hot pixels
    are left out of the fit, and neither they nor the pixels' own response (PRNU, which belongs
    to the map of gain) are in the result.

    Parameters
    ----------
    bright : sequence of FrameSource
        One or more series of the same even light; exposures may differ. Series that saturate or
        leave the linear range are left out as long as others remain.
    calibration : CameraCalibration
        Offset, its 95 % interval and, when measured, the end of the linear range.
    progress : callable, optional
        Called with what is done and the whole.

    Returns
    -------
    FlatField
        Of the region the series are read in.

    Raises
    ------
    CalibrationError
        When there is no series, frames differ in size, all series saturate, there is hardly any
        light, or it is not even: lumpy, or brighter again away from its peak.
    """
    if not bright:
        raise CalibrationError("a flat field needs a series of even light, but none is given")
    names = ", ".join(source.facts.name for source in bright)
    shapes = {(source.facts.roi, _mosaic(source.facts)) for source in bright}
    if len(shapes) > 1:
        raise CalibrationError(
            f"the series of even light {names} differ in frame size or colour mosaic; give series "
            "of one camera and one mode"
        )
    facts = bright[0].facts
    _refuse_small(facts)
    sums, frame_count, refusals = np.zeros(_shape(facts)), 0, []
    told = in_parts(progress, *(float(source.facts.frame_count) for source in bright))
    for source, part in zip(bright, told, strict=True):
        total, count, refusal = _summed(source, calibration, part)
        if refusal:
            refusals.append(refusal)
            continue
        sums += total
        frame_count += count
    if not frame_count:
        raise CalibrationError(refusals[0])
    signal = sums / frame_count - _offset_adu(calibration, facts)
    surfaces = []
    for plane in _planes(signal, facts):
        blocks = block_levels(plane)
        if len(blocks.y) < _LEAST_LIT_SHARE * blocks.total_count:
            raise CalibrationError(
                f"the series of even light {names} has hardly any light above the offset of "
                f"{calibration.offset_adu:.4g} grey values; give brighter light or the offset of "
                "this mode"
            )
        surface = fit_surface(blocks, is_below=False, highest_degree=6)
        reason = why_not_even_light(surface)
        if reason:
            raise CalibrationError(
                f"the light of {names} is not even: {reason}; defocus, take the sample away or "
                "put a diffuser before the light"
            )
        surfaces.append(surface)
    left_out = f", {len(refusals)} of {len(bright)} series left out" if refusals else ""
    return _flat_field(
        _field(signal, surfaces, facts),
        surfaces,
        offset_share=_offset_error_adu(calibration, facts) / float(signal.mean()),
        origin=f"even light, {frame_count} frames{left_out}",
        reason=refusals[0] if refusals else "",
    )


def flat_field_from_recording(source: FrameSource, calibration: CameraCalibration) -> FlatField:
    """Estimate the flat field from the background of an ordinary recording.

    Of each pixel the middle of its values over time is taken, which blinking molecules hardly
    move; then a smooth surface is laid below what structure remains. A sample spread smoothly
    looks the same, so the molecules are asked: where there is less light they are dimmer.
    Where too few of them answer, more than half of the fall-off is counted as error.

    Parameters
    ----------
    source : FrameSource
        Up to 64 frames spread over it are read, of a video key frames where there are enough.
    calibration : CameraCalibration
        Offset with its 95 % interval, gain and read noise.

    Returns
    -------
    FlatField
        Of the region the recording is read in; ``reason`` says what limits it.

    Raises
    ------
    CalibrationError
        "cannot be told because" there are too few frames or hardly any background, structure
        covers the field or a part of it, the background is lumpy or rises again, the molecules
        are as bright where it is dark, or the error is above a tenth.
    """
    facts = source.facts
    _refuse_small(facts)
    frames = spread_frames(source)
    background_adu = quiet_background_adu(frames, calibration)
    signal = background_adu - _offset_adu(calibration, facts)
    surfaces = []
    for plane in _planes(signal, facts):
        blocks = block_levels(plane)
        if len(blocks.y) < _LEAST_LIT_SHARE * blocks.total_count:
            raise CalibrationError(_untold(facts.name, "hardly any background is above the offset"))
        surface = fit_surface(blocks, is_below=True, highest_degree=4)
        untold = why_not_the_light(surface, blocks)
        if untold:
            raise CalibrationError(_untold(facts.name, untold))
        surfaces.append(surface)
    field = _field(signal, surfaces, facts)
    exponent = brightness_exponent(frames, background_adu, field)
    untold = why_not_followed(exponent)
    if untold:
        raise CalibrationError(_untold(facts.name, untold))
    found = _flat_field(
        field,
        surfaces,
        offset_share=_offset_error_adu(calibration, facts) / float(signal.mean()),
        untold_share=untold_share(exponent),
        origin=f"background of {len(frames)} frames of the recording",
        reason=how_followed(exponent),
    )
    if found.relative_error > WORST_ERROR:
        raise CalibrationError(
            _untold(
                facts.name,
                f"its error would be {found.relative_error:.0%} of the light ({found.reason})",
            )
        )
    return found


def _summed(
    source: FrameSource, calibration: CameraCalibration, progress: Progress
) -> tuple[Floats, int, str]:
    """Return the sum of a series, its frames, and why it must not be used, if so."""
    facts = source.facts
    saturated_adu = float(facts.details.get("white_level", 2**facts.bit_depth - 1))
    total, frame_count, saturated_count = np.zeros(_shape(facts)), 0, 0
    read_count = 0
    for chunk in source.chunks(max(_CHUNK_VALUES // total.size, 1)):
        frames = chunk.frames[~chunk.is_tainted]
        total += frames.sum(axis=0, dtype=np.float64)
        frame_count += len(frames)
        saturated_count += int(np.count_nonzero(frames >= saturated_adu))
        read_count += len(chunk.frames)
        progress(read_count, len(source.frame_range))
    if not frame_count:
        return total, 0, f"{facts.name} holds no sound frame; copy it from the camera again"
    saturated_share = saturated_count / (total.size * frame_count)
    if saturated_share > _MOST_SATURATED_SHARE:
        return (
            total,
            0,
            (
                f"{facts.name} is saturated: {saturated_share:.0%} of its grey values are at "
                f"{saturated_adu:.0f}, the highest there is; take it with less light or a shorter "
                "exposure"
            ),
        )
    limit_adu = calibration.linear_to_adu
    beyond_share = 0.0 if limit_adu is None else float(np.mean(total > limit_adu * frame_count))
    if beyond_share > _MOST_BEYOND_LINEAR_SHARE:
        return (
            total,
            0,
            (
                f"{facts.name} leaves the linear range: {beyond_share:.0%} of its pixels are above "
                f"{limit_adu:.4g} grey values; take it with less light or a shorter exposure"
            ),
        )
    return total, frame_count, ""


def _untold(name: str, reason: str) -> str:
    """Return the sentence for a background that tells nothing."""
    return f"{name}: a flat field cannot be told because {reason}; take a series of even light"


def _field(signal: Floats, surfaces: Sequence[Surface], facts: RecordingFacts) -> Floats:
    """Return the surfaces of all planes, each with mean 1, as one map."""
    field = np.empty(signal.shape)
    for plane, surface in zip(_planes(field, facts), surfaces, strict=True):
        rows, columns = plane.shape[:2]
        plane[:] = surface.at(rows, columns)
    return field


def _flat_field(
    field: Floats,
    surfaces: Sequence[Surface],
    *,
    offset_share: float,
    untold_share: float = 0.0,
    origin: str,
    reason: str,
) -> FlatField:
    """Return a map with all that is uncertain of it added up."""
    own = np.mean([surface.relative_error**2 for surface in surfaces])
    offset = offset_share * np.sqrt(np.mean(np.square(1 / field - 1)))
    sample = untold_share * np.log(field).std()
    row, column = field.shape[0] // 2, field.shape[1] // 2
    ends = slice(None, 2), slice(-2, None)
    corners = [field[rows, columns].mean() for rows in ends for columns in ends]
    return FlatField(
        relative_sensitivity=field.astype(np.float32),
        corner_share=float(
            np.mean(corners) / field[row - 1 : row + 1, column - 1 : column + 1].mean()
        ),
        relative_error=float(np.sqrt(own + offset**2 + sample**2)),
        origin=origin,
        reason=reason,
    )


def _offset_adu(calibration: CameraCalibration, facts: RecordingFacts) -> Floats | float:
    """Return the offset of each pixel of the region when there is a map of it, else of all."""
    maps = calibration.maps
    if maps is None or maps.offset_adu is None:
        return calibration.offset_adu
    of_region = maps if maps.shape == _shape(facts) else maps.cropped(facts.roi)
    return np.asarray(of_region.offset_adu, np.float64)


def _offset_error_adu(calibration: CameraCalibration, facts: RecordingFacts) -> float:
    """Return the standard error of the offset."""
    low, high = calibration.intervals.get("offset_adu", (0.0, 0.0))
    error_adu = (high - low) / 2 / _INTERVAL_ERRORS
    return max(error_adu, _CODEC_OFFSET_ADU) if facts.is_video else error_adu


def _planes(image: Floats, facts: RecordingFacts) -> Iterator[Floats]:
    """Yield the planes of a colour mosaic, as views; the image itself when there is none."""
    step = 2 if _mosaic(facts) else 1
    for row in range(step):
        for column in range(step):
            yield image[row::step, column::step]


def _mosaic(facts: RecordingFacts) -> str:
    """Return the colours of the mosaic, empty for monochrome frames."""
    return str(facts.details.get("mosaic", ""))


def _shape(facts: RecordingFacts) -> tuple[int, int]:
    """Return rows and columns of the region read."""
    return facts.roi.height_px, facts.roi.width_px


def _refuse_small(facts: RecordingFacts) -> None:
    """Raise when there is no room for a fall-off."""
    if min(_shape(facts)) < _LEAST_SIDE_PX:
        raise CalibrationError(
            f"{facts.name} has frames of {facts.roi.width_px} x {facts.roi.height_px} pixels, but "
            f"a flat field needs at least {_LEAST_SIDE_PX} x {_LEAST_SIDE_PX}; read the whole frame"
        )
