"""Whether a camera calibration can belong to the frames of a recording."""

import numpy as np

from cellstorm_lib.calibrate.few_frames import few_frames
from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.errors import CalibrationError
from cellstorm_lib.recording import FrameSource, RecordingFacts

_FRAME_COUNT = 5
_MOST_PIXELS = 4_000_000
#: How far below the offset half of all pixels may lie: clipping at 0, tone curves and codecs
#: pull the dark level down by some grey values.
_SLACK_ADU = 8.0
_SLACK_DEVIATIONS = 5.0
#: The codec counts as another one when it spends so many times more or fewer bits.
_MOST_STRENGTH_RATIO = 1.5


def check_calibration(calibration: CameraCalibration, source: FrameSource) -> None:
    """Refuse a calibration that is impossible for the frames.

    Parameters
    ----------
    calibration : CameraCalibration
        As given by the user: flags, a preset or a file.
    source : FrameSource
        A few frames of it are read.

    Raises
    ------
    CalibrationError
        When the calibration was made for grey values of another depth, or when its offset lies
        so far above the frames that no light could ever have reached them.
    """
    facts = source.facts
    highest, median, spread = _levels(source)
    needed = calibration.bit_depth
    if (facts.is_video and needed != facts.bit_depth) or needed > facts.bit_depth:
        raise CalibrationError(
            f"{facts.name} has {facts.bit_depth}-bit grey values, but the camera "
            f"{calibration.name} was calibrated on {needed}-bit ones, which mean another number "
            "of photoelectrons; calibrate on frames like these, or give --offset-adu, "
            "--gain-e-per-adu and --read-noise-e in their grey values, or no camera at all"
        )
    if highest > calibration.saturation_adu:
        raise CalibrationError(
            f"{facts.name} has grey values up to {highest:g}, but the camera {calibration.name} "
            f"was calibrated for {needed} bits, which end at {calibration.saturation_adu:g}; "
            "calibrate on frames like these, or give no camera to have one estimated"
        )
    slack = max(_SLACK_ADU, _SLACK_DEVIATIONS * spread)
    if calibration.offset_adu > highest + slack or calibration.offset_adu > median + slack:
        raise CalibrationError(
            f"{facts.name} has a median grey value of {median:g} and none above {highest:g}, "
            f"but the offset is {calibration.offset_adu:g}, above the signal; give --offset-adu "
            "as the grey value of these frames without light, or no camera to have it estimated"
        )


def mismatches(calibration: CameraCalibration, facts: RecordingFacts) -> tuple[str, ...]:
    """Return in sentences how a recording differs from the frames a camera was calibrated on.

    What is not known of either counts as equal. Depths that make a calibration impossible are
    refused by `check_calibration`.
    """
    name, camera = facts.name, calibration.name
    found = []
    if None not in (calibration.iso, facts.iso) and calibration.iso != facts.iso:
        found.append(
            f"{name} was taken at ISO {facts.iso}, {camera} calibrated at {calibration.iso}"
        )
    size = (calibration.frame_width_px, calibration.frame_height_px)
    if None not in size and size != (facts.frame_width_px, facts.frame_height_px):
        found.append(
            f"{name} has frames of {facts.frame_width_px} x {facts.frame_height_px} pixels, "
            f"{camera} was calibrated on {size[0]} x {size[1]}"
        )
    kind = facts.kind if facts.is_video else None
    is_measured = calibration.source.startswith("measured")
    if is_measured and calibration.codec != kind:
        words = [codec or "uncompressed" for codec in (kind, calibration.codec)]
        found.append(f"{name} is {words[0]}, {camera} was calibrated on {words[1]} frames")
    strengths = (facts.bits_per_px, calibration.bits_per_px)
    if None not in strengths and _ratio(*strengths) > _MOST_STRENGTH_RATIO:
        found.append(
            f"{name} has {strengths[0]:.3g} bit/px, {camera} was calibrated at {strengths[1]:.3g}"
        )
    if calibration.bit_depth != facts.bit_depth and not _is_in_larger_words(calibration, facts):
        found.append(
            f"{name} has {facts.bit_depth}-bit grey values, {camera} {calibration.bit_depth}-bit"
        )
    return tuple(f"{sentence}; photon numbers may be off." for sentence in found)


def _is_in_larger_words(calibration: CameraCalibration, facts: RecordingFacts) -> bool:
    """Return whether a stack keeps a camera's 9 to 15 bits in words of 16, as stacks do."""
    return not facts.is_video and facts.bit_depth == 16 and 8 < calibration.bit_depth < 16


def _ratio(first: float | None, second: float | None) -> float:
    """Return how many times one number is the other; infinite when one is 0 or unknown."""
    low, high = sorted((first or 0.0, second or 0.0))
    return high / low if low else float("inf")


def _levels(source: FrameSource) -> tuple[float, float, float]:
    """Return the highest grey value of some frames, the median, and the spread around it."""
    frames = few_frames(source, most_frames=_FRAME_COUNT, most_pixels=_MOST_PIXELS)
    if not frames.size:
        return 0.0, float("inf"), 0.0
    values = frames.astype(np.float32)
    median = float(np.median(values))
    spread = 1.4826 * float(np.median(np.abs(values - median)))
    return float(values.max()), median, spread
