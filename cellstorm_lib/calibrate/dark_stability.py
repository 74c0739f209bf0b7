"""How steady the dark level of a recording is: its slow decay, and steps that repeat.

Steps are sought in the level alone, without knowing where the codec's key frames are, and only
then compared with them.

References
----------
Diederich et al., arXiv 1804.06244, Supplement B and Fig. 6.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cellstorm_lib.calibrate.dark_frames import DarkFrames, read_dark_frames
from cellstorm_lib.calibrate.folding import Folded, fold
from cellstorm_lib.calibrate.periodic_step import (
    FALSE_ALARM_RATE,
    FEWEST_PERIODS,
    LEAST_STEP_ADU,
    SHORTEST_PERIOD_FRAMES,
    PeriodicStep,
    find_periodic_step,
)
from cellstorm_lib.calibrate.slow_decay import Decay, DecayKind, fit_decay
from cellstorm_lib.recording import FrameSource

_Floats = npt.NDArray[np.float64]

#: Periods that differ by no more than this are the same.
_SAME_PERIOD_FRAMES = 1.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DarkStability:
    """The dark level over time; frames that damage may have changed are left out.

    Attributes
    ----------
    name : str
        The recording.
    frame : (N,) int64
        The file's own frame numbers.
    time_s : (N,) float64
        Presentation time.
    mean_adu, median_adu, noise_adu : (N,) float64
        Mean, median and standard deviation of each frame's pixels; hot pixels do not count in
        the last.
    is_key : (N,) bool
        Frames coded without reference to others.
    level_adu : (N,) float64
        The slow decay fitted to the means.
    decay : {"none", "linear", "exponential"}
        What describes it.
    rate_adu_per_s : float
        Mean rate of the decay from the first to the last frame.
    rate_interval : (float, float)
        Its 95 % interval.
    fading_time_s : float or None
        Time in which an exponential decay falls to 1 / e.
    fading_interval : (float, float) or None
        Its 95 % interval.
    period_s, period_frames : float or None
        From one step to the next, in time and in median frame intervals; None when there is no
        periodic step.
    step_adu, step_error_adu : float or None
        Height of the pattern that repeats, from its lowest to its highest phase; standard error.
    key_period_frames : float or None
        Median time between key frames, in median frame intervals; None when there are fewer than
        two, or all frames are.
    is_period_of_keys : bool or None
        Whether the steps have the period of the key frames; None when one of them is not known.
    reason : str
        All this in one sentence.
    """

    name: str
    frame: npt.NDArray[np.int64]
    time_s: _Floats
    mean_adu: _Floats
    median_adu: _Floats
    noise_adu: _Floats
    is_key: npt.NDArray[np.bool_]
    level_adu: _Floats
    decay: DecayKind
    rate_adu_per_s: float
    rate_interval: tuple[float, float]
    fading_time_s: float | None
    fading_interval: tuple[float, float] | None
    period_s: float | None
    period_frames: float | None
    step_adu: float | None
    step_error_adu: float | None
    key_period_frames: float | None
    is_period_of_keys: bool | None
    reason: str

    @property
    def interval_s(self) -> float:
        """Median time from frame to frame."""
        return float(np.median(np.diff(self.time_s)))

    def folded(self) -> Folded | None:
        """Return the means less the decay, folded over the period found, or that of the keys.

        The periods begin at the first key frame; None when there is no period at all.
        """
        period_s = self.period_s
        if period_s is None and self.key_period_frames is not None:
            period_s = self.key_period_frames * self.interval_s
        if period_s is None:
            return None
        start_s = float(self.time_s[int(np.argmax(self.is_key))])
        rest = self.mean_adu - self.level_adu
        return fold(self.time_s, rest, period_s, self.interval_s, start_s=start_s)


def measure_dark_stability(source: FrameSource) -> DarkStability:
    """Measure how the dark level changes over a recording made without light.

    Parameters
    ----------
    source : FrameSource
        All its frames are read, as a stream. The presentation times are used, not the rate: the
        camera may leave frames out.

    Returns
    -------
    DarkStability
        A step is stated only where noise, also autocorrelated noise, would show one in at most
        1 % of all recordings, where it is at least 0.05 grey values high, and where its period
        is at least 3 frames and fits 6 times into the recording.

    Raises
    ------
    CalibrationError
        When there are fewer than 24 sound frames, or the frames are not dark: their median is
        above 15 % of the range, or something in them is far brighter than it.
    """
    frames = read_dark_frames(source)
    decay = fit_decay(frames.time_s, frames.mean_adu)
    step = find_periodic_step(frames.time_s, frames.mean_adu - decay.level_adu)
    interval_s = float(np.median(np.diff(frames.time_s)))
    if step is not None:
        pattern = _pattern(frames, decay, step, interval_s)
        decay = fit_decay(frames.time_s, frames.mean_adu - pattern)
    period_frames = None if step is None else step.period_s / interval_s
    key_period_frames = _key_period_frames(frames, interval_s)
    is_period_of_keys = None
    if period_frames is not None and key_period_frames is not None:
        is_period_of_keys = abs(period_frames - key_period_frames) <= _SAME_PERIOD_FRAMES
    return DarkStability(
        name=source.facts.name,
        frame=frames.frame,
        time_s=frames.time_s,
        mean_adu=frames.mean_adu,
        median_adu=frames.median_adu,
        noise_adu=frames.noise_adu,
        is_key=frames.is_key,
        level_adu=decay.level_adu,
        decay=decay.kind,
        rate_adu_per_s=decay.rate_adu_per_s,
        rate_interval=decay.rate_interval,
        fading_time_s=decay.fading_time_s,
        fading_interval=decay.fading_interval,
        period_s=None if step is None else step.period_s,
        period_frames=period_frames,
        step_adu=None if step is None else step.step_adu,
        step_error_adu=None if step is None else step.step_error_adu,
        key_period_frames=key_period_frames,
        is_period_of_keys=is_period_of_keys,
        reason=f"{_about_decay(decay)}; {_about_step(step, interval_s, key_period_frames)}",
    )


def _pattern(frames: DarkFrames, decay: Decay, step: PeriodicStep, interval_s: float) -> _Floats:
    """Return the pattern that repeats, at each frame; its mean over a period is 0."""
    start_s = float(frames.time_s[0])
    rest = frames.mean_adu - decay.level_adu
    folded = fold(frames.time_s, rest, step.period_s, interval_s, start_s=start_s)
    phases = len(folded.phase_s)
    turn = (frames.time_s - start_s) / step.period_s
    phase = np.rint((turn - np.floor(turn)) * phases).astype(np.int64) % phases
    return np.asarray(folded.mean_adu[phase] - np.nanmean(folded.mean_adu), np.float64)


def _key_period_frames(frames: DarkFrames, interval_s: float) -> float | None:
    """Return the median time between key frames, in frame intervals."""
    keys_s = frames.time_s[frames.is_key]
    if len(keys_s) < 2 or frames.is_key.all():
        return None
    return float(np.median(np.diff(keys_s))) / interval_s


def _about_decay(decay: Decay) -> str:
    """Return half a sentence about the decay."""
    low, high = decay.rate_interval
    numbers = f"{decay.rate_adu_per_s:+.2g} grey values per second ({low:+.2g} to {high:+.2g})"
    if decay.kind == "none":
        return f"the dark level is steady ({numbers})"
    verb = "falls" if decay.rate_adu_per_s < 0 else "rises"
    if decay.fading_time_s is None:
        return f"the dark level {verb} evenly by {numbers}"
    return (
        f"the dark level {verb} by {numbers} on average, ever more slowly "
        f"(1 / e in {decay.fading_time_s:.2g} s)"
    )


def _about_step(
    step: PeriodicStep | None, interval_s: float, key_period_frames: float | None
) -> str:
    """Return half a sentence about the steps and the key frames."""
    if step is None:
        found = (
            f"it has no periodic step (of {LEAST_STEP_ADU:g} grey values or more, every "
            f"{SHORTEST_PERIOD_FRAMES} frames to a {FEWEST_PERIODS}th of the recording, at a rate "
            f"of false alarms of {FALSE_ALARM_RATE:.0%})"
        )
        if key_period_frames is None:
            return found
        return f"{found}, though every {key_period_frames:.4g} frames there is a key frame"
    period_frames = step.period_s / interval_s
    found = (
        f"it steps by {step.step_adu:.2g} grey values every {step.period_s:.3g} s "
        f"({period_frames:.1f} frames)"
    )
    if key_period_frames is None:
        return f"{found}, and no key frames are known to compare with"
    if abs(period_frames - key_period_frames) <= _SAME_PERIOD_FRAMES:
        return f"{found}, as the key frames do (every {key_period_frames:.4g}): the codec's work"
    return f"{found}, but the key frames come every {key_period_frames:.4g}: not the codec's work"
