"""Offset and gain of a camera nobody calibrated, from the recording itself."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cellstorm_lib.calibrate.codec_gate import may_be_calibrated
from cellstorm_lib.calibrate.few_frames import few_frames
from cellstorm_lib.calibrate.noise_levels import (
    NoiseLevels,
    NoiseLine,
    fit_noise_line,
    measure_noise_levels,
)
from cellstorm_lib.calibrate.plausible import check_calibration
from cellstorm_lib.camera import CameraCalibration
from cellstorm_lib.recording import FrameSource, RecordingFacts

__all__ = ["check_calibration", "estimate_camera"]

_MOST_FRAMES = 32
_MOST_PIXELS = 3_000_000
_LEAST_SIDE_PX = 8

#: What is assumed where the recording does not tell: the phone of the cellSTORM paper for 8 bits
#: (offset 4.074, 0.34 photoelectrons per grey value), and the usual offset of scientific cameras.
_PHONE_OFFSET_ADU, _PHONE_GAIN = 4.0, 0.34
_SCIENTIFIC_OFFSET_ADU, _SCIENTIFIC_GAIN = 100.0, 0.5
#: Read noise of today's cameras, electrons; only its bound can be measured without dark frames.
_USUAL_READ_NOISE_E = 1.2
#: What a camera may have where nothing tells: the interval of the gain must allow for it.
_HIGH_READ_NOISE_E = 8.0
#: What a phone may have where a codec took the noise.
_HIGH_ASSUMED_NOISE_E = 4.8
#: Relative standard error of the slope above which the line says nothing.
_WORST_ERROR = 0.35
#: Below this evenness of the noise a codec has taken too much of it.
_LEAST_EVENNESS = 0.6
#: Noise variance of decoded 8-bit frames below which rounding dominates.
_LEAST_VARIANCE_ADU2 = 0.5
#: Below it there is none: what the filters' rounding leaves of constant frames.
_NO_VARIANCE_ADU2 = 1e-6
#: In simulated videos of 0.2 to 1.4 bit/px the codec makes the gain appear larger by about
#: 1 + 0.8 * (1 - evenness), with a scatter of 18 %, and the background's noise smaller by the
#: square of that. It is taken back, and the interval widened.
_CODEC_EXCESS, _CODEC_SCATTER = 0.8, 1.5
_LITTLE_LOST = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class _Guess:
    """Numbers with their 95 % intervals, and what had to be assumed."""

    offset_adu: float
    gain: float
    read_noise_e: float
    offset_range: tuple[float, float]
    gain_range: tuple[float, float]
    read_noise_range: tuple[float, float]
    assumed: str = ""


def estimate_camera(
    source: FrameSource, *, key_frame_qp: Callable[[FrameSource], float | None] | None = None
) -> CameraCalibration:
    """Estimate offset and gain from an ordinary recording.

    The variance of photon noise grows in proportion to the light; the slope, measured between
    dark and bright places of single frames, is the gain. Of a video only key frames are used.
    Offset and read noise cannot be told apart without dark frames: the read noise is assumed to
    be 1.2 electrons or, where that would put the offset above the darkest places, less.

    Parameters
    ----------
    source : FrameSource
        Up to 32 frames and 3 million pixels of it are read.
    key_frame_qp : callable or None
        Tells the mean quantiser parameter of a video's key frames, None where it is not known.
        Where the codec rounds too coarsely for the noise, the gain is assumed.

    Returns
    -------
    CameraCalibration
        Its ``source`` is ``estimated``; where the gain cannot be measured, ``estimated:``
        followed by what is assumed and why. That happens when a codec removed the noise (the
        noise of 8-bit frames is then uneven or gone), and when no light varies. ``intervals``
        are honest in both cases, and then wide. An electron-multiplying camera gets about half
        its gain: the excess noise of the multiplication counts as photon noise.

    References
    ----------
    Heintzmann et al., arXiv 1611.05654 (2016), for the idea of one ordinary image.
    """
    facts = source.facts
    frames = few_frames(source, most_frames=_MOST_FRAMES, most_pixels=_MOST_PIXELS)
    if not frames.size or min(frames.shape[1:]) < _LEAST_SIDE_PX:
        return _calibration(facts, _assumed(facts, None, "the frames are too small to measure"))
    levels = measure_noise_levels(frames, saturation_adu=float(2**facts.bit_depth - 1))
    qp = key_frame_qp(source) if key_frame_qp is not None and facts.is_video else None
    return _calibration(facts, _measured(facts, levels, qp))


def _measured(facts: RecordingFacts, levels: NoiseLevels, qp: float | None) -> _Guess:
    """Return what the noise tells, or what is assumed when it tells nothing."""
    variance = levels.background_variance_adu2
    if variance < _NO_VARIANCE_ADU2:
        return _assumed(facts, levels, "the frames show no noise")
    if qp is not None:
        allowed, reason = may_be_calibrated(float(np.sqrt(variance)), qp)
        if not allowed:
            return _assumed(facts, levels, f"because {reason}")
    is_coded = facts.is_video or facts.bit_depth <= 8
    if is_coded and (levels.evenness < _LEAST_EVENNESS or variance < _LEAST_VARIANCE_ADU2):
        return _assumed(facts, levels, "the codec removed the noise")
    line = fit_noise_line(levels)
    if line is None or line.slope_error_adu > _WORST_ERROR * line.slope_adu:
        return _from_background(facts, levels)
    return _from_line(facts, levels, line, is_coded=is_coded)


def _from_line(
    facts: RecordingFacts, levels: NoiseLevels, line: NoiseLine, *, is_coded: bool
) -> _Guess:
    """Return gain from the slope and offset from where the line meets 0."""
    lost = max(1.0 - levels.evenness, 0.0) if is_coded else 0.0
    excess = 1.0 + _CODEC_EXCESS * lost
    gain = 1.0 / (line.slope_adu * excess)
    error = 2.0 * line.slope_error_adu / line.slope_adu + 0.05 + _CODEC_SCATTER * lost
    zero_adu = line.zero_adu
    if lost > _LITTLE_LOST:
        zero_adu = levels.median_adu - gain * levels.background_variance_adu2 * excess**2
    dark_adu = max(levels.dark_adu, zero_adu)
    bound_e = float(np.sqrt(max((dark_adu - zero_adu) * gain, 0.0)))
    least = max(_black_level(facts), zero_adu)
    read_noise_e = min(_USUAL_READ_NOISE_E, 0.5 * bound_e)
    offset_adu = max(zero_adu + read_noise_e**2 / gain, least)
    read_noise_e = min(float(np.sqrt((offset_adu - zero_adu) * gain)), bound_e)
    slack = 2.0 * error * max(levels.median_adu - zero_adu, 1.0)
    return _Guess(
        offset_adu=min(offset_adu, dark_adu),
        gain=gain,
        read_noise_e=read_noise_e,
        offset_range=(max(zero_adu - slack, 0.0), dark_adu),
        gain_range=(gain * max(1.0 - error, 0.2), gain * (1.0 + error)),
        read_noise_range=(0.0, max(bound_e, read_noise_e)),
    )


def _from_background(facts: RecordingFacts, levels: NoiseLevels) -> _Guess:
    """Return the gain of a usual offset, where the light does not vary enough for a line."""
    variance, median_adu = levels.background_variance_adu2, levels.median_adu
    usual = _PHONE_OFFSET_ADU if facts.bit_depth <= 8 else _SCIENTIFIC_OFFSET_ADU
    offset_adu = max(min(usual, 0.9 * levels.dark_adu), min(_black_level(facts), levels.dark_adu))
    light_adu = max(median_adu - offset_adu, 1.0)
    read_noise_e = 0.0
    gain = light_adu / variance
    highest = max(_highest_gain(levels, _HIGH_READ_NOISE_E), 1.5 * gain)
    return _Guess(
        offset_adu=offset_adu,
        gain=gain,
        read_noise_e=read_noise_e,
        offset_range=(0.0, max(levels.dark_adu, offset_adu)),
        gain_range=(0.1 * gain, highest),
        read_noise_range=(0.0, _HIGH_READ_NOISE_E),
        assumed=f"offset assumed to be {offset_adu:.0f} grey values, the light hardly varies",
    )


def _assumed(facts: RecordingFacts, levels: NoiseLevels | None, reason: str) -> _Guess:
    """Return a usual camera, with the widest intervals that the frames allow."""
    is_phone = facts.bit_depth <= 8 or facts.is_video
    usual = _PHONE_OFFSET_ADU if is_phone else _SCIENTIFIC_OFFSET_ADU
    gain = _PHONE_GAIN if is_phone else _SCIENTIFIC_GAIN
    scale = 2.0 ** (facts.bit_depth - 8) if is_phone else 1.0
    dark_adu = levels.dark_adu if levels is not None else usual * scale
    offset_adu = max(min(usual * scale, dark_adu), min(_black_level(facts), dark_adu))
    highest = 10.0 * gain / scale
    if levels is not None and levels.background_variance_adu2 > _LEAST_VARIANCE_ADU2:
        highest = max(_highest_gain(levels, _HIGH_ASSUMED_NOISE_E), 2.0 * gain / scale)
    return _Guess(
        offset_adu=offset_adu,
        gain=gain / scale,
        read_noise_e=_USUAL_READ_NOISE_E,
        offset_range=(0.0, max(dark_adu, offset_adu)),
        gain_range=(0.1 * gain / scale, highest),
        read_noise_range=(0.0, _HIGH_ASSUMED_NOISE_E),
        assumed=f"gain assumed to be {gain / scale:.2g}, {reason}",
    )


def _highest_gain(levels: NoiseLevels, read_noise_e: float) -> float:
    """Return the gain at which all of the level is light, and the rest of the noise read noise."""
    variance, median_adu = levels.background_variance_adu2, levels.median_adu
    root = np.sqrt(median_adu**2 + 4.0 * variance * read_noise_e**2)
    return float(median_adu + root) / (2.0 * variance)


def _black_level(facts: RecordingFacts) -> float:
    """Return the lowest grey value that stands for darkness."""
    is_limited = facts.is_video and facts.colour_range == "limited"
    return 16.0 * 2.0 ** (facts.bit_depth - 8) if is_limited else 0.0


def _calibration(facts: RecordingFacts, guess: _Guess) -> CameraCalibration:
    """Return a guess as a calibration."""
    return CameraCalibration(
        name=facts.name,
        source=f"estimated: {guess.assumed}" if guess.assumed else "estimated",
        offset_adu=guess.offset_adu,
        gain_e_per_adu=guess.gain,
        read_noise_e=guess.read_noise_e,
        bit_depth=facts.bit_depth,
        intervals={
            "offset_adu": guess.offset_range,
            "gain_e_per_adu": guess.gain_range,
            "read_noise_e": guess.read_noise_range,
        },
    )
