"""Two halves of the field, each measuring the drift without knowing of the other.

All choices about a drift (how wide a kernel, how smooth a trace, whether to believe it at all)
are made by asking how well the trace of one half sharpens the *other* half. The halves are the
black and the white squares of a chessboard, so one molecule, however long it stays, counts in
one half only. A recording with everything in one spot is dealt out by stretches of time instead.
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt

from cellstorm_lib.refine.correlation import correlate_segments
from cellstorm_lib.refine.events import Events
from cellstorm_lib.refine.overlap import Overlap
from cellstorm_lib.refine.segments import Segments
from cellstorm_lib.refine.smoothness import Kind, Smoothness

_Floats = npt.NDArray[np.float64]
_Rows = npt.NDArray[np.int64]

#: Spread of structure around its own mean, nm: from coarse to fine.
KERNELS_NM = (60.0, 40.0, 27.0, 18.0, 12.0, 8.0)
#: Scales of a drift over a whole recording, nm, from loose to tight.
SCALES_NM: dict[Kind, tuple[float, ...]] = {
    "walk": (1000.0, 300.0, 100.0, 30.0, 10.0),
    "smooth": (10000.0, 3000.0, 1000.0, 300.0, 100.0),
    "steps": (100.0, 30.0, 10.0, 3.0),
}
_START = Smoothness(kind="walk", scale_nm=300.0)
_SQUARES_PER_SIDE = 10
_SMALLEST_SQUARE_NM, _LARGEST_SQUARE_NM = 800.0, 5000.0
_FEWEST_SQUARES = 8
_MOST_PAIRS = 300_000
_MOST_CORRELATED = 10_000
_EVENTS_PER_COARSE_SEGMENT = (120, 400)
_MOST_COARSE_SEGMENTS = 20
_SLACK_NM = 30.0
_KERNELS_PER_GATHER = 2
_CLEAR_LOSS = 5.0
_NONE = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Halves:
    """The two halves with the drift that each one measured.

    Attributes
    ----------
    parts : (Overlap, Overlap)
        Events of each half.
    units : (int64 (N,), int64 (N,))
        Square (or stretch of time) of each event: what counts as one independent witness.
    traces_nm : (float64 (S, 2), float64 (S, 2))
        Drift per segment as each half alone sees it.
    kernel_nm : float
        Kernel to raise the overlap with.
    score_kernel_nm : float
        Kernel that describes the events best, to score with.
    smoothness : Smoothness
        Belief about the trace.
    """

    parts: tuple[Overlap, Overlap]
    units: tuple[_Rows, _Rows]
    traces_nm: tuple[_Floats, _Floats]
    kernel_nm: float = KERNELS_NM[0]
    score_kernel_nm: float = KERNELS_NM[0]
    smoothness: Smoothness = _START

    @property
    def error_nm(self) -> float:
        """Standard deviation per axis of the mean of both traces, from their difference."""
        one, two = self.traces_nm
        return float(np.sqrt(np.mean((one - two) ** 2)) / 2.0)

    def gather(self, kernel_nm: float, slack_nm: float = _SLACK_NM) -> None:
        """Find the pairs of both halves for kernels up to a width."""
        for part, trace_nm in zip(self.parts, self.traces_nm, strict=True):
            part.gather(trace_nm, kernel_nm=kernel_nm, slack_nm=slack_nm)

    def raised(self, smoothness: Smoothness, kernel_nm: float, rounds: int) -> Self:
        """Return the halves with traces raised further, each by its own events."""
        traces_nm = [
            part.raised(trace_nm, kernel_nm, smoothness, most_rounds=rounds, tolerance_nm=0.3)
            for part, trace_nm in zip(self.parts, self.traces_nm, strict=True)
        ]
        return replace(self, traces_nm=(traces_nm[0], traces_nm[1]))

    def score(self, kernel_nm: float) -> float:
        """Return the log-likelihood of each half under the drift that the *other* one saw."""
        pairs = zip(self.parts, reversed(self.traces_nm), strict=True)
        return float(sum(part.log_density(trace, kernel_nm).sum() for part, trace in pairs))


def deal_halves(events: Events) -> tuple[_Rows, _Rows]:
    """Return the half (0 or 1) and the unit of each event."""
    side_nm = np.sqrt(events.area_nm2) / _SQUARES_PER_SIDE
    side_nm = float(np.clip(side_nm, _SMALLEST_SQUARE_NM, _LARGEST_SQUARE_NM))
    column, row = np.floor(events.xy_nm / side_nm).astype(np.int64).T
    unit = (row - row.min()) * (np.ptp(column) + 1) + column - column.min()
    half = (row + column) % 2
    squares = [len(np.unique(unit[half == side])) for side in (0, 1)]
    if min(squares) * 2 < _FEWEST_SQUARES:
        unit = events.frame // (2 * events.span_frames)
        half = unit % 2
    return half, unit


def measure_halves(events: Events, segments: Segments, *, reach_nm: float) -> Halves:
    """Measure the drift in each half, and choose kernel and smoothness by the other half.

    Parameters
    ----------
    events : Events
        All events.
    segments : Segments
        Division of time for the traces.
    reach_nm : float
        Largest drift looked for between two times.
    """
    half, unit = deal_halves(events)
    rows = [np.flatnonzero(half == side) for side in (0, 1)]
    parts = [events.take(row, area_share=0.5) for row in rows]
    coarse = _coarse([part.thinned(_MOST_CORRELATED) for part in parts], segments, reach_nm)
    halves = Halves(
        parts=_overlaps(parts, segments),
        units=(unit[rows[0]], unit[rows[1]]),
        traces_nm=coarse.traces_nm,
    )
    return _with_kernel_checked(_with_smoothness(_with_kernel(halves)))


def _overlaps(parts: list[Events], segments: Segments) -> tuple[Overlap, Overlap]:
    """Return the events of both halves, ready to be scored."""
    one, two = (Overlap(part, segments, most_pairs=_MOST_PAIRS) for part in parts)
    return one, two


def _coarse(parts: list[Events], segments: Segments, reach_nm: float) -> Halves:
    """Return a first drift: the likeliest that correlation found, or none if that explains more.

    Each half chooses by its own likelihood among starts; only whether to start at all is decided
    by the other half.
    """
    still = Halves(
        parts=_overlaps(parts, segments),
        units=(_NONE, _NONE),
        traces_nm=(np.zeros((segments.count, 2)),) * 2,
    )
    starts = [
        [_correlated(part, segments, reach_nm, size) for part in parts]
        for size in _EVENTS_PER_COARSE_SEGMENT
    ]
    tried = [replace(still, traces_nm=(one, two)) for one, two in starts]
    own_scores = []
    for number, halves in enumerate([still, *tried]):
        halves.gather(KERNELS_NM[0], 2.0 * _SLACK_NM)
        raised = halves.raised(_START, KERNELS_NM[0], rounds=8)
        if number == 0:
            still, still_score = raised, raised.score(KERNELS_NM[0])
            continue
        tried[number - 1] = raised
        own_scores.append(
            [
                part.log_density(trace_nm, KERNELS_NM[0]).sum()
                for part, trace_nm in zip(raised.parts, raised.traces_nm, strict=True)
            ]
        )
    best = np.argmax(own_scores, axis=0)
    moving = replace(still, traces_nm=(tried[best[0]].traces_nm[0], tried[best[1]].traces_nm[1]))
    moving.gather(KERNELS_NM[0], 2.0 * _SLACK_NM)
    return moving if moving.score(KERNELS_NM[0]) > still_score else still


def _correlated(
    events: Events, segments: Segments, reach_nm: float, segment_events: int
) -> _Floats:
    """Return the trace of coarse correlation, stated for finer segments."""
    count = len(events) // segment_events
    count = int(np.clip(count, 2, min(_MOST_COARSE_SEGMENTS, segments.count)))
    coarse = Segments(frame_count=segments.frame_count, count=count)
    return coarse.resampled(correlate_segments(events, coarse, reach_nm=reach_nm), segments)


def _with_kernel(halves: Halves) -> Halves:
    """Return the halves with the kernel whose traces sharpen the other half most."""
    tried, own_scores = [], []
    for position, kernel_nm in enumerate(KERNELS_NM):
        if position % _KERNELS_PER_GATHER == 0:
            halves.gather(kernel_nm)
        halves = replace(halves.raised(_START, kernel_nm, rounds=3), kernel_nm=kernel_nm)
        tried.append(halves)
        own_scores.append(halves.score(kernel_nm))
    score_kernel_nm = KERNELS_NM[int(np.argmax(own_scores))]
    halves.gather(score_kernel_nm)
    scores = [trial.score(score_kernel_nm) for trial in tried]
    return replace(tried[int(np.argmax(scores))], score_kernel_nm=score_kernel_nm)


def _with_smoothness(halves: Halves) -> Halves:
    """Return the halves with the belief whose traces sharpen the other half most."""
    halves.gather(max(halves.kernel_nm, halves.score_kernel_nm))
    best, best_score = halves, -np.inf
    for kind, scales_nm in SCALES_NM.items():
        tried, highest = halves, -np.inf
        for scale_nm in scales_nm:
            smoothness = Smoothness(kind=kind, scale_nm=scale_nm)
            tried = tried.raised(smoothness, halves.kernel_nm, rounds=6)
            score = tried.score(halves.score_kernel_nm)
            if score > best_score:
                best, best_score = replace(tried, smoothness=smoothness), score
            highest = max(highest, score)
            if score < highest - _CLEAR_LOSS:
                break
    return best


def _with_kernel_checked(halves: Halves) -> Halves:
    """Return the halves with a wider kernel where that is better now that the trace is smooth."""
    place = KERNELS_NM.index(halves.kernel_nm)
    kernels_nm = KERNELS_NM[max(0, place - 2) : place + 1]
    halves.gather(kernels_nm[0])
    tried = [
        replace(halves.raised(halves.smoothness, kernel_nm, rounds=4), kernel_nm=kernel_nm)
        for kernel_nm in kernels_nm
    ]
    return max(tried, key=lambda trial: trial.score(halves.score_kernel_nm))


def gains(halves: Halves) -> _Floats:
    """Return what the other half's drift adds to the log-likelihood of each unit, (U,).

    Positive where a unit is sharper with the drift undone than without.
    """
    parts = []
    still = np.zeros_like(halves.traces_nm[0])
    one, two = halves.traces_nm
    for part, trace_nm, unit in zip(halves.parts, (two, one), halves.units, strict=True):
        change = np.zeros(len(unit))
        for sign, trace in ((1.0, trace_nm), (-1.0, still)):
            part.gather(trace, kernel_nm=halves.score_kernel_nm, slack_nm=0.0)
            change += sign * part.log_density(trace, halves.score_kernel_nm)
        _, place = np.unique(unit, return_inverse=True)
        parts.append(np.bincount(place, change))
    return np.concatenate(parts)
