"""Jumps of the sample between two frames, which a line between segments would smear.

Where the trace of the segments changes much in little time, the events around say when it
happened: those before the jump lie best at the place before, those after it at the place after.
A jump is kept only if the events are clearly more likely with it than with the smeared trace.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cellstorm_lib.refine.overlap import Overlap

_Floats = npt.NDArray[np.float64]

_REACH = 2
_MOST_JUMPS = 10
_TIMES_USUAL, _TIMES_UNCERTAIN = 5.0, 4.0
_LEAST_GAIN = 8.0
_FEWEST_EVENTS = 5


class Jump(NamedTuple):
    """A jump between two frames.

    Attributes
    ----------
    frame : int
        First frame after it.
    from_segment, to_segment : int
        Segments whose places hold until and after it.
    gain : float
        Log-likelihood it adds to the events around.
    """

    frame: int
    from_segment: int
    to_segment: int
    gain: float


def find_jumps(
    overlap: Overlap, trace_nm: _Floats, spread_nm: _Floats, kernel_nm: float
) -> tuple[Jump, ...]:
    """Return the jumps that the events support, in order of time.

    Parameters
    ----------
    overlap : Overlap
        All events, with pairs gathered near `trace_nm`.
    trace_nm : (S, 2) float64
        Drift per segment.
    spread_nm : (S,) float64
        Its standard deviation.
    kernel_nm : float
        Kernel of the densities.
    """
    smeared = overlap.log_density(trace_nm, kernel_nm)
    tried = (
        _dated(overlap, trace_nm, kernel_nm, smeared, first)
        for first in _candidates(trace_nm, spread_nm)
    )
    return tuple(sorted(jump for jump in tried if jump.gain > _LEAST_GAIN))


def with_jumps(per_frame_nm: _Floats, trace_nm: _Floats, jumps: tuple[Jump, ...]) -> _Floats:
    """Return a drift per frame (F, 2) that holds still on both sides of each jump."""
    sharp_nm = per_frame_nm.copy()
    count, frames = len(trace_nm), len(per_frame_nm)
    for jump in jumps:
        start, stop = _limits(jump.from_segment, jump.to_segment, frames, count)
        sharp_nm[start : jump.frame] = trace_nm[jump.from_segment]
        sharp_nm[jump.frame : stop] = trace_nm[jump.to_segment]
    return sharp_nm


def _candidates(trace_nm: _Floats, spread_nm: _Floats) -> list[int]:
    """Return the first segments of the steepest stretches, apart from each other."""
    if len(trace_nm) <= 2 * _REACH:
        return []
    change = np.hypot(*(trace_nm[_REACH:] - trace_nm[:-_REACH]).T)
    noise = np.hypot(spread_nm[_REACH:], spread_nm[:-_REACH])
    # the bend at a jump is in its own uncertainty: compare with the usual one
    least = np.maximum(_TIMES_USUAL * np.median(change), _TIMES_UNCERTAIN * np.median(noise))
    found: list[int] = []
    for first in np.argsort(-change).tolist():
        if change[first] < least or len(found) == _MOST_JUMPS:
            break
        if all(abs(first - other) > 2 * _REACH for other in found):
            found.append(first)
    return found


def _dated(
    overlap: Overlap, trace_nm: _Floats, kernel_nm: float, smeared: _Floats, first: int
) -> Jump:
    """Return the most likely moment of a jump from one segment to a later one."""
    last = first + _REACH
    events, segments = overlap.events, overlap.segments
    start, stop = _limits(first, last, segments.frame_count, segments.count)
    rows = np.flatnonzero((events.frame >= start) & (events.frame < stop))
    if len(rows) < _FEWEST_EVENTS:
        return Jump(start, first, last, 0.0)
    before, after = (
        overlap.log_density(_held(trace_nm, first, last, place), kernel_nm)[rows]
        for place in (first, last)
    )
    order = rows[np.argsort(events.frame[rows], kind="stable")]
    place = np.searchsorted(rows, order)
    total = np.r_[0.0, np.cumsum((before - after)[place])]
    best = int(np.argmax(total))
    frame = int(events.frame[order[best]]) if best < len(order) else stop
    gain = float(after.sum() + total[best] - smeared[rows].sum())
    return Jump(frame, first, last, gain)


def _held(trace_nm: _Floats, first: int, last: int, place: int) -> _Floats:
    """Return the trace with a stretch held at the place of one segment."""
    held_nm = trace_nm.copy()
    held_nm[first : last + 1] = trace_nm[place]
    return held_nm


def _limits(first: int, last: int, frames: int, count: int) -> tuple[int, int]:
    """Return the frames between the middles of two segments, half-open."""
    return tuple(int(np.ceil((place + 0.5) * frames / count - 0.5)) for place in (first, last))  # type: ignore[return-value]
