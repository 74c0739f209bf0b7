"""How much of a recording is missing or cannot be trusted, and when that is too much."""

import numpy as np
import numpy.typing as npt
from scipy.ndimage import median_filter

from cellstorm_lib.errors import RecordingError
from cellstorm_lib.recording import MAX_DAMAGED_SHARE, LossSummary

_UNKNOWN, _SOUND, _TAINTED, _MISSING = range(4)
_NEIGHBOURS = 31  # intervals around one that tell the usual interval there


class FrameLog:
    """Remembers what became of each frame, so that nothing is decoded twice to find out.

    Parts of one recording share one log; each writes only what belongs to its own frames.
    """

    def __init__(self, frame_count: int) -> None:
        self._state = np.full(frame_count, _UNKNOWN, dtype=np.uint8)
        self._reasons: dict[int, str] = {}

    def read(self, frame: int, *, is_tainted: bool) -> None:
        """Note a frame that was read."""
        self._state[frame] = _TAINTED if is_tainted else _SOUND

    def missing(self, frame: int, reason: str) -> None:
        """Note a frame that cannot be had, and why."""
        self._state[frame] = _MISSING
        self.damage(frame, reason)

    def damage(self, frame: int, reason: str) -> None:
        """Note why the frames from this one on may be wrong."""
        self._reasons.setdefault(frame, reason)

    def unknown(self, frames: range) -> npt.NDArray[np.int64]:
        """Return the frames nothing is known of."""
        return frames.start + np.flatnonzero(self._state[frames.start : frames.stop] == _UNKNOWN)

    def summary(
        self, frames: range, *, is_count_known: bool = True, dropped_count: int = 0
    ) -> LossSummary:
        """Return the loss among `frames`; unknown ones count as sound."""
        state = self._state[frames.start : frames.stop]
        missing_count = int(np.count_nonzero(state == _MISSING))
        first = min((frame for frame in self._reasons if frame in frames), default=None)
        return LossSummary(
            expected_count=len(frames) if is_count_known else None,
            decoded_count=len(frames) - missing_count,
            missing_count=missing_count,
            tainted_count=int(np.count_nonzero(state == _TAINTED)),
            dropped_count=dropped_count,
            reason="" if first is None else self._reasons[first],
        )


def tainted_samples(
    is_bad: npt.NDArray[np.bool_], is_key: npt.NDArray[np.bool_], pts: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """Return which samples may be wrong: from a bad one up to the next sound key frame.

    Parameters
    ----------
    is_bad : (S,) bool
        Samples, in decoding order, that are missing or damaged.
    is_key : (S,) bool
        Key frames; a bad one ends nothing.
    pts : (S,) int64
        Presentation times: frames shown before a key frame but decoded after it may still be
        predicted from what came before.

    Returns
    -------
    (S,) bool
        Includes the bad samples, and all before the first key frame.
    """
    is_tainted = np.zeros(len(is_bad), dtype=bool)
    state = was_tainted = True
    key_pts = None
    for at in range(len(is_bad)):
        if is_bad[at]:
            state = True
        elif is_key[at]:
            was_tainted, state, key_pts = state, False, pts[at]
        is_tainted[at] = state or (was_tainted and key_pts is not None and pts[at] < key_pts)
    return is_tainted


def count_dropped(times: npt.NDArray[np.int64]) -> int:
    """Return how many frames the camera left out, seen as gaps in the presentation times.

    An interval that is a multiple of the usual one around it holds frames that were never
    recorded. A lasting change of the frame rate is none, nor is a jitter below half an interval.

    Parameters
    ----------
    times : (N,) int64
        Presentation times of consecutive frames, in any unit, increasing.
    """
    intervals = np.diff(times).astype(np.float64)
    if len(intervals) < 3:
        return 0
    usual = median_filter(intervals, size=min(_NEIGHBOURS, len(intervals)), mode="nearest")
    return int(np.maximum(np.rint(intervals / np.maximum(usual, 1)) - 1, 0).sum())


def refuse_damaged(loss: LossSummary, name: str) -> None:
    """Raise when more of a recording is missing or tainted than can be trusted.

    Parameters
    ----------
    loss : LossSummary
        What is known of the damage.
    name : str
        The file, for the message.

    Raises
    ------
    RecordingError
        When the damaged share is above `MAX_DAMAGED_SHARE`.
    """
    if loss.damaged_share <= MAX_DAMAGED_SHARE:
        return
    total = loss.decoded_count + loss.missing_count
    reason = f" ({loss.reason})" if loss.reason else ""
    raise RecordingError(
        f"{name} is damaged: of {total} frames {loss.missing_count} are missing and "
        f"{loss.tainted_count} may be wrong{reason}, more than the {MAX_DAMAGED_SHARE:.0%} "
        "accepted; copy it from the camera again or choose a range of frames that is sound"
    )
