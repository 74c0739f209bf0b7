"""How wide a kernel and how smooth a trace: whatever makes each half sharpen the other most.

There is no segment length to set. Time is cut finely, and how far apart the drift may bend is a
belief about smoothness chosen from the data; little data choose a stiff trace by themselves.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from cellstorm_lib.progress import Progress, in_parts
from cellstorm_lib.refine.correlation import correlate_segments
from cellstorm_lib.refine.events import Events
from cellstorm_lib.refine.halves import MANY_PAIRS, SLACK_NM, Halves, deal_halves
from cellstorm_lib.refine.overlap import Overlap
from cellstorm_lib.refine.segments import Segments
from cellstorm_lib.refine.smoothness import Kind, Smoothness

_Floats = npt.NDArray[np.float64]

#: Spread of structure around its own mean, nm: from coarse to fine.
KERNELS_NM = (60.0, 40.0, 27.0, 18.0, 12.0, 8.0)
#: Scales of a drift over a whole recording, nm, from loose to tight.
SCALES_NM: dict[Kind, tuple[float, ...]] = {
    "walk": (1000.0, 300.0, 100.0, 30.0, 10.0),
    "smooth": (10000.0, 3000.0, 1000.0, 300.0, 100.0),
    "steps": (100.0, 30.0, 10.0, 3.0),
}
_START = Smoothness(kind="walk", scale_nm=300.0)
_MOST_EVENTS = 60_000
_MOST_CORRELATED = 10_000
_EVENTS_PER_COARSE_SEGMENT = (120, 400)
_MOST_COARSE_SEGMENTS = 20
_KERNELS_PER_GATHER = 2
_CLEAR_LOSS = 5.0
#: Times of the first drift, kernel, smoothness and the check of both, beside each other.
_TIMES = (1.0, 1.0, 1.5, 0.3)


def measure_halves(
    events: Events, segments: Segments, *, reach_nm: float, progress: Progress | None = None
) -> Halves:
    """Measure the drift in each half, and choose kernel and smoothness by the other half.

    Parameters
    ----------
    events : Events
        All events.
    segments : Segments
        Division of time for the traces.
    reach_nm : float
        Largest drift looked for between two times.
    progress : callable, optional
        Called with what is done and the whole.
    """
    events = events.thinned(_MOST_EVENTS)
    half, unit = deal_halves(events)
    rows = [np.flatnonzero(half == side) for side in (0, 1)]
    one, two = (events.take(row, area_share=0.5) for row in rows)
    still = np.zeros((segments.count, 2))
    halves = Halves(
        parts=(Overlap(one, segments), Overlap(two, segments)),
        units=(unit[rows[0]], unit[rows[1]]),
        traces_nm=(still, still),
        kernel_nm=KERNELS_NM[0],
        score_kernel_nm=KERNELS_NM[0],
        smoothness=_START,
    )
    first, kernels, beliefs, checks = in_parts(progress, *_TIMES)
    coarse = _coarse(halves, segments, reach_nm)
    first(1, 1)
    halves = _with_kernel(replace(halves, traces_nm=coarse.traces_nm), kernels)
    halves = _with_smoothness(halves, beliefs)
    checked = _checked(halves)
    checks(1, 1)
    return checked


def _coarse(halves: Halves, segments: Segments, reach_nm: float) -> Halves:
    """Return a first drift: what correlation finds, or none where that explains the other half.

    Among the starts that correlation offers each half chooses by its own likelihood; whether to
    start with any of them is decided by the other half.
    """
    few = [part.events.thinned(_MOST_CORRELATED) for part in halves.parts]
    still = replace(halves, parts=(Overlap(few[0], segments), Overlap(few[1], segments)))
    still, still_score, _ = _started(still)
    moving, best_scores = still, np.full(2, -np.inf)
    for size in _EVENTS_PER_COARSE_SEGMENT:
        one, two = (_correlated(part, segments, reach_nm, size) for part in few)
        tried, _, own_scores = _started(replace(still, traces_nm=(one, two)))
        one, two = (
            trial if better else so_far
            for trial, so_far, better in zip(
                tried.traces_nm, moving.traces_nm, own_scores > best_scores, strict=True
            )
        )
        best_scores = np.maximum(best_scores, own_scores)
        moving = replace(tried, traces_nm=(one, two))
        score = moving.score(KERNELS_NM[0])
        if score > still_score + _CLEAR_LOSS:
            return moving
    return still


def _started(halves: Halves) -> tuple[Halves, float, _Floats]:
    """Return the halves raised with the widest kernel, their score, and each half's own."""
    halves.gather(KERNELS_NM[0], 2.0 * SLACK_NM)
    halves = halves.raised(_START, KERNELS_NM[0], rounds=8)
    own_scores = [
        part.log_density(trace_nm, KERNELS_NM[0]).sum()
        for part, trace_nm in zip(halves.parts, halves.traces_nm, strict=True)
    ]
    return halves, halves.score(KERNELS_NM[0]), np.array(own_scores)


def _correlated(
    events: Events, segments: Segments, reach_nm: float, segment_events: int
) -> _Floats:
    """Return the trace of coarse correlation, stated for finer segments."""
    count = len(events) // segment_events
    count = int(np.clip(count, 2, min(_MOST_COARSE_SEGMENTS, segments.count)))
    coarse = Segments(frame_count=segments.frame_count, count=count)
    return coarse.resampled(correlate_segments(events, coarse, reach_nm=reach_nm), segments)


def _with_kernel(halves: Halves, progress: Progress) -> Halves:
    """Return the halves with the kernel whose traces sharpen the other half most."""
    tried, own_scores = [], []
    for position, kernel_nm in enumerate(KERNELS_NM):
        if position % _KERNELS_PER_GATHER == 0:
            halves.gather(kernel_nm)
        halves = replace(halves.raised(_START, kernel_nm, rounds=3), kernel_nm=kernel_nm)
        tried.append(halves)
        own_scores.append(halves.score(kernel_nm))
        progress(position + 1, len(KERNELS_NM))
    score_kernel_nm = KERNELS_NM[int(np.argmax(own_scores))]
    halves.gather(score_kernel_nm)
    scores = [trial.score(score_kernel_nm) for trial in tried]
    return replace(tried[int(np.argmax(scores))], score_kernel_nm=score_kernel_nm)


def _with_smoothness(halves: Halves, progress: Progress) -> Halves:
    """Return the halves with the belief whose traces sharpen the other half most."""
    halves.gather(max(halves.kernel_nm, halves.score_kernel_nm))
    best, best_score = halves, -np.inf
    for number, (kind, scales_nm) in enumerate(SCALES_NM.items()):
        progress(number, len(SCALES_NM))
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


def _checked(halves: Halves) -> Halves:
    """Return the halves with a wider kernel or a looser belief where that is better after all.

    With few pairs the traces are noisier than need be, and the choices too narrow and too tight:
    try the neighbouring choices with many pairs.
    """
    place = KERNELS_NM.index(halves.kernel_nm)
    kernels_nm = KERNELS_NM[max(0, place - 2) : place + 1]
    halves.gather(kernels_nm[0], SLACK_NM / 2.0, MANY_PAIRS)
    kind, scale_nm = halves.smoothness.kind, halves.smoothness.scale_nm
    choices = [(halves.smoothness, kernel_nm) for kernel_nm in reversed(kernels_nm)]
    best, best_score = halves, -np.inf
    for smoothness, kernel_nm in choices:
        tried = best.raised(smoothness, kernel_nm, rounds=3)
        score = tried.score(halves.score_kernel_nm)
        if score < best_score:
            break
        best, best_score = replace(tried, kernel_nm=kernel_nm), score
    for looser_nm in reversed([scale for scale in SCALES_NM[kind] if scale > scale_nm]):
        smoothness = Smoothness(kind=kind, scale_nm=looser_nm)
        tried = best.raised(smoothness, best.kernel_nm, rounds=3)
        score = tried.score(halves.score_kernel_nm)
        if score < best_score:
            break
        best, best_score = replace(tried, smoothness=smoothness), score
    return best
